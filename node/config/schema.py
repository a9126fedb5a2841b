"""rules.yaml as a whole: `Config`, its routes and tests. The other parts: peers.py, destinations.py, options.py."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo

from node.config.conditions import Condition
from node.config.destinations import Destination
from node.config.options import build_step, freeze_step
from node.config.peers import Completion, Late, Peer
from node.config.section import Section, Surroundings
from node.config.this_node import Node
from node.config.values import Shown, Text, named, one_or_list
from node.config.when import compile_when
from node.model import Kind, Origin, Plan, Step, UnitKind


def _when(value: Any) -> Any:
    # Code that builds a Route hands over a condition or a step that is one already.
    return value if hasattr(value, "holds") else compile_when(value)


def _step(value: Any, info: ValidationInfo) -> Any:
    if hasattr(value, "run"):
        return value
    if not isinstance(info.context, Surroundings):
        raise ValueError("a step as text needs the registry: use node.config.load")
    return build_step(value, info.context)


class Route(Section):
    """Which units are processed, and how."""

    name: Annotated[Text, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]
    """Its name in commands, logs and `explain`; unique."""
    unit: UnitKind = UnitKind.SERIES
    """What it works on: each series, study or instance, per called AE title."""
    when: Annotated[Any, BeforeValidator(_when), Shown("`always`, `otherwise` or conditions")]
    """Which units it takes; see the language of conditions below."""
    steps: Annotated[
        tuple[Annotated[Any, BeforeValidator(_step)], ...],
        BeforeValidator(one_or_list),
        Field(min_length=1),
        Shown("list of steps"),
    ]
    """What is done, in order; see the steps below."""
    stop: bool = False
    """When it takes a unit, later routes on the same kind of unit are not asked."""
    partial: Literal["hold", "proceed"] = "hold"
    """When a member is held before a step that needs the whole unit: hold the unit, or go on with the rest."""
    late: Late | None = None
    """As in `complete`, for this route."""

    @property
    def condition(self) -> Condition:
        """`when`, compiled."""
        condition: Condition = self.when
        return condition

    @property
    def chain(self) -> tuple[Step, ...]:
        """`steps`, as steps."""
        return self.steps


class RouteTest(Section):
    """An example of what should go where, checked by `dicom-node check`."""

    name: Text
    """What it shows."""
    given: Annotated[
        tuple[dict[str, Any], ...], BeforeValidator(one_or_list), Field(min_length=1), Shown("mapping or list")
    ]
    """Attributes of an instance, and `calling_ae`, `called_ae`, `sender`; a list for several instances."""
    expect: Annotated[tuple[Text, ...], BeforeValidator(one_or_list), Shown("list of route names")]
    """The routes that take it; empty for none."""
    unit: UnitKind | None = None
    """Ask only routes on this kind of unit; default: all."""


class Config(Section):
    """The whole of rules.yaml."""

    node: Node
    """This node."""
    peers: Annotated[dict[str, Peer], named("peer"), Field(default_factory=dict), Shown("name: peer")]
    """Who sends to it."""
    complete: Completion = Completion()
    """When a unit is complete."""
    destinations: Annotated[
        dict[str, Destination], named("destination"), Field(default_factory=dict), Shown("name: destination")
    ]
    """Where results go."""
    routes: tuple[Route, ...] = ()
    """What is done with what arrives, in this order."""
    tests: tuple[RouteTest, ...] = ()
    """Examples that `check` holds the routes to."""

    def peers_of(self, origins: Sequence[Origin]) -> Iterator[Peer]:
        """The peers that sent, in the order of the file. Several entries may fit one sender."""
        for peer in self.peers.values():
            if any(peer.sent(origin) for origin in origins):
                yield peer

    def destinations_at(self, ae_title: str) -> list[str]:
        """Names of the destinations that are this application entity."""
        return [name for name, one in self.destinations.items() if one.dicom and one.dicom.ae_title == ae_title]

    def evidence_of(self, peer: Peer | None) -> frozenset[str]:
        """What may say that a unit of this peer is complete; of one that is no peer for None."""
        chosen = peer.evidence if peer is not None else None
        return frozenset(self.complete.evidence if chosen is None else chosen)

    def charset_of(self, origin: Origin) -> str | None:
        """What is read where a data set names no character set."""
        return next((peer.charset for peer in self.peers_of([origin]) if peer.charset), None)

    @property
    def routed(self) -> frozenset[UnitKind]:
        """Kinds of units that some route works on; series when there is no route, so that instances settle."""
        return frozenset(route.unit for route in self.routes) or frozenset({UnitKind.SERIES})

    @property
    def kinds(self) -> frozenset[UnitKind]:
        """Kinds of units that instances are put into: series and study always, so that a new route finds open ones."""
        return frozenset({UnitKind.SERIES, UnitKind.STUDY}) | self.routed

    def takes(self, name: str) -> frozenset[Kind]:
        """What a destination can take: DICOM goes to an application entity, everything to a folder."""
        destination = self.destinations.get(name)
        if destination is None:
            return frozenset()
        return frozenset({Kind.DICOM}) if destination.dicom is not None else frozenset(Kind)


def freeze(route: Route) -> Plan:
    """What a job of this route will do, whatever happens to rules.yaml later."""
    steps = tuple(freeze_step(step) for step in route.chain)
    whole = [route.name, route.unit, str(route.when), steps, route.stop, route.partial, route.late]
    text = json.dumps(whole, sort_keys=True, ensure_ascii=False)
    return Plan(
        route=route.name,
        unit=route.unit,
        steps=steps,
        partial=route.partial,
        fingerprint=hashlib.sha256(text.encode()).hexdigest(),
    )
