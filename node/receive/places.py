"""Who gets one of the places there are, and who makes room for whom. Pure.

Places are limited per sender (address and calling AE title), per address, and for the node. A limit that is
reached ends the association that has been idle longest, so that senders who keep associations open between
exams, or forget them, turn nobody away; never one that is in the middle of an instance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from node.model import Origin

SETTLED = 5.0
"""Seconds between two instances after which an association is idle and not merely slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One association that is established."""

    key: Hashable
    """The transport's own."""
    origin: Origin
    idle: float | None
    """Seconds since its last message was answered; None in the middle of one."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The association may go on, once that of `instead_of` is ended."""

    instead_of: Place | None = None
    identified: bool = False
    """Its user identity was asked for, and is right."""


@dataclass(frozen=True, slots=True)
class Reject:
    """An A-ASSOCIATE-RJ (PS3.8 9.3.4) and the line for the log that says what to change."""

    result: int
    source: int
    diagnostic: int
    reason: str
    """One word, for the metrics."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many associations there may be at the same time."""

    per_sender: int
    per_address: int
    associations: int


@dataclass(frozen=True, slots=True)
class Free:
    """There is a place, when `instead_of` is ended."""

    instead_of: Place | None = None


@dataclass(frozen=True, slots=True)
class Full:
    limit: str
    """Its name below `limits:`."""
    why: str


Sender = tuple[str, str]
"""(address, calling AE title)"""


def sender(origin: Origin) -> Sender:
    return origin.sender, origin.calling_ae


def find(bounds: Bounds, newcomer: Origin, places: Sequence[Place], settled: float = SETTLED) -> Free | Full:
    """A place for one more association of `newcomer`.

    The smallest limit that is reached says among whom one must go. Nobody goes for a sender that has as many
    places itself, except that sender's own: so a sender with few places always gets in before one with many gets
    another, and two with equally many do not take turns in ending each other's.
    """
    own = [place for place in places if sender(place.origin) == sender(newcomer)]
    near = [place for place in places if place.origin.sender == newcomer.sender]
    scopes = (
        ("per_sender", bounds.per_sender, own, f"it has {len(own)} associations already"),
        ("per_address", bounds.per_address, near, f"its address has {len(near)} associations already"),
        ("associations", bounds.associations, places, f"{len(places)} associations are open"),
    )
    for name, limit, taken, what in scopes:
        if len(taken) > limit:  # the limit was lowered while they were open
            return Full(name, f"{what}, and limits: {name} is {limit} now")
    for name, limit, taken, what in scopes:
        if len(taken) == limit:
            victim = _yields(newcomer, taken, settled)
            if victim is not None:
                return Free(victim)
            return Full(name, f"{what}, which is limits: {name}, and none of them has been idle for {settled:g} s")
    return Free()


def _yields(newcomer: Origin, taken: Sequence[Place], settled: float) -> Place | None:
    """The longest idle one of the sender with most places."""
    have = Counter(sender(place.origin) for place in taken)
    mine = sender(newcomer)
    candidates = [
        (have[who], place.idle, -number, place)
        for number, place in enumerate(taken)
        if place.idle is not None and place.idle >= settled
        if (who := sender(place.origin)) == mine or have[who] > have[mine]
    ]
    return max(candidates)[-1] if candidates else None
