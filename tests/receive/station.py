"""A receiver on a real socket with a real spool, and what came through it; rows only where a test wants them."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from node.config import Config, load_text
from node.dicom.part10 import Meta, read_meta
from node.model import Arrival, Origin
from node.moment import new_receipt, utc_now
from node.receive.admission import admit
from node.receive.conversation import Told
from node.receive.keeper import Keeper
from node.receive.promised import Promised
from node.receive.receivers import Receivers, Terms
from node.receive.scp import Receiver
from node.receive.services import Services
from node.receive.session import Sessions
from node.receive.watermark import Watermark
from node.spool import Files, Kept, Presence, Spool
from node.tls import Certificates
from tests.peers import Instance

PATIENCE = 10.0
"""Seconds after which a test gives up waiting."""


def until(condition: Callable[[], bool], what: str, deadline: float = PATIENCE) -> None:
    """Return once `condition` holds; fails after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"not within {deadline} s: {what}"
        threading.Event().wait(0.01)


def config_of(text: str = "", peers: str = "ct1: {ae_title: CT1, host: 10.1.2.3}") -> Config:
    """The configuration of a node that listens on loopback; `text` is the YAML below `node:`, one line each, and
    `peers` that below `peers:`."""
    lines = "".join(f"\n  {line}" for line in text.splitlines())
    peers = "peers:" + "".join(f"\n  {line}" for line in peers.splitlines()) + "\n"
    return load_text(f"{peers}node:\n  ae_title: [NODE, RESEARCH]{lines}\n", {}, folder=Path())


@dataclass(slots=True)
class Shelf:
    """Keeper, spool and presence of one process, and what they handed on."""

    data: Path
    files: Files = field(default_factory=Files)
    process: str = "one"
    keep_free: int = 0
    largest: int = 1 << 30
    charset: str | None = None
    reach: Callable[[str], None] = lambda point: None
    hand_on: Callable[[Kept, Arrival], None] | None = None
    shows: bool = True
    """Without a row writer: instances get their place as soon as they are kept."""
    arrivals: list[Arrival] = field(default_factory=list)
    presence: Presence = field(init=False)
    spool: Spool = field(init=False)
    keeper: Keeper = field(init=False)

    def __post_init__(self) -> None:
        self.presence = Presence(self.data / "run", self.process)
        self.spool = Spool(self.data / "spool", self.process, files=self.files, clock=utc_now, ids=new_receipt)
        self.keeper = Keeper(
            spool=self.spool, presence=self.presence, hand_on=self.hand_on or self._shelve,
            watermark=Watermark(
                lambda: self.spool.files.room(self.spool.root), lambda: self.keep_free,
                promised=getattr(self, "promised", None),
            ),
            largest=lambda: self.largest, charset=lambda origin: self.charset,
            reach=lambda point: self.reach(point), sop_classes=self._listed,
        )  # fmt: skip

    def _listed(self) -> Sequence[str]:
        """SOP classes that C-STORE may bring; all where it is empty."""
        return ()

    def _shelve(self, kept: Kept, arrival: Arrival) -> None:
        if self.shows:
            self.spool.show([(kept.slot, kept.path)])
        self.arrivals.append(arrival)

    def kept(self) -> list[Path]:
        return list(self.spool.kept())

    def stored(self) -> list[bytes]:
        """The data sets in the spool, in order of receipt, which names within a millisecond do not say."""
        contents = [content_of(path) for path in self.kept()]
        return [data for _, data in sorted(contents, key=_received)]

    def leftovers(self) -> list[Path]:
        """What is being written, or should have been cleaned away."""
        return self.spool.slots_of(self.process)


def content_of(path: Path) -> tuple[Meta, bytes]:
    """The file meta information and the data set of a file in the spool; the hash in it must be right."""
    meta = read_meta(path)
    data = path.read_bytes()[meta.dataset_offset :]
    assert meta.provenance is not None
    assert meta.provenance.sha256 == hashlib.sha256(data).hexdigest()
    return meta, data


def _received(content: tuple[Meta, bytes]) -> datetime:
    provenance = content[0].provenance
    assert provenance is not None
    return provenance.received


@dataclass(slots=True)
class Station(Shelf):
    """A Shelf behind a Receiver."""

    config: Config = field(default_factory=config_of)
    idle: float = 60.0
    settled: float = 60.0
    """Seconds after which an association is idle enough to make room."""
    certificates: Certificates | None = None
    """Of the one address that it listens on."""
    turned_away: list[tuple[str, str]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    received: list[Origin] = field(default_factory=list)
    sessions: Sessions = field(default_factory=Sessions)
    services: Services | None = None
    processes: int = 0
    """Receiver processes that it may have."""
    receivers: Receivers | None = None
    by: list[str] = field(default_factory=list)
    """Which receiver process took an instance, one after the other."""
    promised: Promised = field(default_factory=Promised.made)
    receiver: Receiver = field(init=False)
    port: int = 0

    def start(self) -> None:
        told = Told(
            received=lambda origin, seconds: self.received.append(origin),
            refused=lambda origin, status: self.refused.append(status),
            turned_away=lambda what, reason: self.turned_away.append((what, reason)),
        )
        if self.processes:
            self.receivers = Receivers(
                data=self.data, process=self.process, count=lambda: self.processes, sessions=self.sessions,
                terms=lambda origin: Terms(
                    largest=self.largest, keep_free=self.keep_free, charset=self.charset, sop_classes=self._listed()
                ),
                hand_on=self._index, told=told, watermark=self.keeper.watermark, promised=self.promised,
            )  # fmt: skip
        self.receiver = Receiver(
            keeper=self.keeper, sessions=self.sessions, idle=lambda origin: self.idle, services=self.services,
            node=lambda: self.config.node, receivers=self.receivers, told=told,
            admit=lambda caller, places: admit(self.config, caller, places, self.settled),
            certificates={} if self.certificates is None else {("127.0.0.1", 0): self.certificates},
        )  # fmt: skip
        self.port = self.receiver.start([("127.0.0.1", 0)])[0][1]

    def _listed(self) -> Sequence[str]:
        return self.config.node.sop_classes

    def _index(self, kept: Kept, arrival: Arrival, indexed: Callable[[int], None]) -> None:
        self.by.append(kept.slot.parent.name)
        self.keeper.hand_on(kept, arrival)
        indexed(1)

    def until_nobody_is_here(self) -> None:
        until(lambda: self.sessions.count() == 0, "every association is forgotten")


@contextmanager
def station(data: Path, **how: object) -> Iterator[Station]:
    """A running Station; `how` are its fields."""
    one = partial(Station, data)(**how)  # type: ignore[arg-type]  # checked by the dataclass
    one.start()
    try:
        yield one
    finally:
        one.receiver.stop(2.0)
        if one.receivers is not None:
            one.receivers.stop()
        one.spool.close()  # slots are open ahead, and pynetdicom's select() knows no descriptor over 1023
        one.presence.close()


def junk(number: int = 1, *, data: bytes = b"no data set", sop_class: str = "1.2.840.10008.5.1.4.1.1.2") -> Instance:
    """What a C-STORE may carry that is no instance."""
    return Instance(
        sop_class=sop_class, sop_instance=f"1.2.3.{number}", transfer_syntax="1.2.840.10008.1.2.1", data=data
    )
