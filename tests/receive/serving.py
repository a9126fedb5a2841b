"""A Station with the services beside storage, on a real database; and the senders of their messages."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from pynetdicom import AE, build_context

from node.commitment import Proof
from node.deliver.pause import Pause
from node.index import Database
from node.model import UID
from node.receive.commitment import Commitments
from node.receive.procedure_steps import ProcedureSteps
from node.receive.services import Services
from tests.receive.station import Station, station


@dataclass(slots=True)
class Switches:
    """What the configuration would say."""

    proof: Proof | None = Proof.DELIVERED
    mpps: bool = True
    woken: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Served:
    station: Station
    services: Services
    switches: Switches

    @property
    def port(self) -> int:
        return self.station.port


@contextmanager
def served(data: Path, database: Database) -> Iterator[Served]:
    switches, numbers = Switches(), count(1)
    services = Services(
        Commitments(database=database, proof=lambda: switches.proof, wake=switches.woken),
        ProcedureSteps(
            database=database, accepted=lambda: switches.mpps, new_uid=lambda: UID(f"2.25.{next(numbers)}"),
            told=switches.woken.set,
        ),
    )  # fmt: skip
    with station(data, services=services) as one:
        yield Served(one, services, switches)


class _Entity(AE):
    """Its reactor stands still for sure while it waits for an answer: pynetdicom's own sometimes takes it."""

    def _create_socket(self, assoc: Any, address: Any, tls_args: Any) -> Any:
        assoc._reactor_checkpoint = Pause(assoc)
        return super()._create_socket(assoc, address, tls_args)


@contextmanager
def associated(
    port: int, *sop_classes: str, ae_title: str = "CT1", roles: Sequence[Any] = (), handlers: Sequence[Any] = (),
    syntaxes: Sequence[str] = (),
) -> Iterator[Any]:  # fmt: skip
    """An association of pynetdicom's own SCU; its accepted contexts may be none."""
    contexts = [build_context(one, list(syntaxes) or None) for one in sop_classes]
    association = _Entity(ae_title).associate(
        "127.0.0.1", port, contexts, "NODE", ext_neg=list(roles), evt_handlers=list(handlers)
    )
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
