"""What each source of evidence makes of the facts.

A source is a function from `Facts` to an `Evidence` or None; a new one is added to `SOURCES` and nowhere else. What
one knows to be missing is a function from `Facts` to a `Missing` or None, in `LACKING`: it keeps a unit open past its
quiet time, whatever the other sources say. Evidence speaks only after the floor, and only where every sender of the
unit goes by it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from node.complete.facts import Evidence, Facts, Missing, Reading, Statement
from node.model import Unit, UnitKind

Source = Callable[[Facts], Evidence | None]
Lack = Callable[[Facts], Missing | None]


def alone(facts: Facts) -> Evidence | None:
    """A unit that is one instance has nothing to wait for."""
    return Evidence("instance", "it is one instance") if facts.unit.kind is UnitKind.INSTANCE else None


def quiet_time(facts: Facts) -> Evidence | None:
    """No instance for the policy's quiet time."""
    if facts.now - facts.unit.last < facts.policy.quiet:
        return None
    return Evidence("quiet", f"{counted(facts.unit)}, quiet for {seconds(facts.policy.quiet)}")


# ---- storage commitment (PS3.4 J): the requester lists what it believes to have sent ----------------------------


def commitment(facts: Facts) -> Evidence | None:
    """Every instance is listed in a request, and all that these requests list came, of other series too.

    A request that comes after each image would close a series after its first: who sends so is not to be given
    `commitment`, which the floor covers only while images follow each other within it.
    """
    requests = _of(facts, "commitment")
    if not _may_close(facts, "commitment") or not requests:
        return None
    if commitment_lacks(facts) is not None or not facts.here <= _listed(requests):
        return None
    return Evidence("commitment", f"{_all(facts)}, all that {_peers(requests)} asked commitment of")


def commitment_lacks(facts: Facts) -> Missing | None:
    """A request that lists any instance of the unit lists others that did not come."""
    requests = _of(facts, "commitment")
    absent = frozenset[str]().union(*(one.absent for one in requests))
    return _missing(absent, f"{_peers(requests)} asked storage commitment of more than it sent")


# ---- MPPS (PS3.4 F.7): the modality lists what it has made -------------------------------------------------------


def mpps(facts: Facts) -> Evidence | None:
    """Every series is one of procedure steps that are over, and has what they list; none is in progress."""
    steps = _of(facts, "mpps")
    if not _may_close(facts, "mpps") or not steps or facts.performing or mpps_lacks(facts) is not None:
        return None
    for series, instances in facts.arrived.items():
        said = [one for one in steps if one.series == series]
        lists = [one for one in said if one.listed is not None]
        if len(lists) == len(said):
            covered = bool(said) and instances <= _listed(lists)
        else:
            covered = len(instances) == sum(one.count for one in said)
        if not covered:
            return None
    return Evidence("mpps", f"{_all(facts)}, all that the procedure step of {_peers(steps)} made")


def mpps_lacks(facts: Facts) -> Missing | None:
    """A procedure step that is over made more than came."""
    steps = _of(facts, "mpps")
    says = f"the procedure step of {_peers(steps)} made more"
    absent = frozenset[str]().union(*(one.absent for one in steps))
    if absent:
        return _missing(absent, says)
    numbers = {one.series: 0 for one in steps if one.listed is None}
    for one in steps:
        if one.series in numbers:
            numbers[one.series] += one.count
    short = sum(max(0, n - len(facts.arrived.get(series, ()))) for series, n in numbers.items())
    return Missing(count=short, says=says) if short else None


# ---- C-FIND (PS3.4 C): the source counts what it has ---------------------------------------------------------------


def find(facts: Facts) -> Evidence | None:
    """Every series has as many instances as its source counted, twice, both times after the last one came.

    Once is not enough: a source that is still being filled counts what it has so far. Nor is one of several: what
    another sender's source knows of, it need not. For a study its source must
    know of no other series, and its own count of the study must be the sum of theirs.
    """
    if not _may_close(facts, "find") or find_lacks(facts) is not None:
        return None
    agreed = find_twice(facts)
    if not agreed or {one.peer for one in agreed} < {*facts.asked, *(one.peer for one in facts.readings)}:
        return None
    for series, instances in facts.arrived.items():
        if len(instances) not in [one.series.get(series) for one in agreed]:
            return None
    if facts.unit.kind is UnitKind.STUDY and not all(map(_adds_up, agreed)):
        return None
    peers = ", ".join(sorted({one.peer for one in agreed}))
    return Evidence("find", f"{_all(facts)}, as many as {peers} counted twice (C-FIND)")


def find_lacks(facts: Facts) -> Missing | None:
    """The latest answer of a source has more than came. Of the sources the one that lacks most is named."""
    found = [one for readings in _by_peer(facts) if (one := _short_of(facts, readings[-1])) is not None]
    return max(found, key=lambda one: one.count, default=None)


def find_twice(facts: Facts) -> list[Reading]:
    """The latest answer of each source that said the same the time before, both times after the last instance."""
    return [one for readings in _by_peer(facts) if (one := _twice(facts, readings)) is not None]


def _short_of(facts: Facts, reading: Reading) -> Missing | None:
    says = f"{reading.peer} has more (C-FIND)"
    if facts.unit.kind is UnitKind.STUDY and not reading.series:
        short = (reading.study or 0) - len(facts.here)
        return Missing(count=short, says=says) if short > 0 else None
    asked = (
        reading.series if facts.unit.kind is UnitKind.STUDY else {facts.unit.uid: reading.series.get(facts.unit.uid)}
    )
    count, named = 0, set[str]()
    for series, number in asked.items():
        came = facts.arrived.get(series, frozenset())
        listed = reading.instances.get(series)
        absent = listed - came if listed is not None else frozenset[str]()
        count += max(len(absent), (number or 0) - len(came))
        named |= absent
    return Missing(count=count, instances=tuple(sorted(named)), says=says) if count else None


def _by_peer(facts: Facts) -> list[list[Reading]]:
    found: dict[str, list[Reading]] = {}
    for reading in facts.readings:
        found.setdefault(reading.peer, []).append(reading)
    return [sorted(readings, key=lambda one: one.at) for readings in found.values()]


def _twice(facts: Facts, readings: list[Reading]) -> Reading | None:
    """The latest reading, when the one before says the same and no instance came since."""
    if len(readings) < 2 or readings[-2].at < facts.unit.last:
        return None
    before, latest = (_said(facts.unit, one) for one in readings[-2:])
    return readings[-1] if before == latest else None


def _said(unit: Unit, reading: Reading) -> object:
    """Counts that concern a unit, without names: at IMAGE level a series is asked for only when it lacks something."""
    return (reading.study, reading.series) if unit.kind is UnitKind.STUDY else reading.series.get(unit.uid)


def _adds_up(reading: Reading) -> bool:
    return reading.study is None or reading.study == sum(count or 0 for count in reading.series.values())


# ---- headers -------------------------------------------------------------------------------------------------------


def header(facts: Facts) -> Evidence | None:
    """All of a series belongs to arrays or concatenations that are full, see `headers`. Says nothing of a study."""
    if not _may_close(facts, "header") or facts.unit.kind is not UnitKind.SERIES or not facts.headers:
        return None
    if any(one.here != one.announced for one in facts.headers):
        return None
    if sum(one.here for one in facts.headers) != len(facts.here):
        return None
    return Evidence("header", f"{_all(facts)}, as many as {facts.headers[0].what} says there are")


def header_lacks(facts: Facts) -> Missing | None:
    """Parts of a concatenation did not come."""
    short = [one for one in facts.headers if one.exact and one.here < one.announced]
    count = sum(one.announced - one.here for one in short)
    return Missing(count=count, says=f"{short[0].what} says so") if short else None


SOURCES: tuple[Source, ...] = (alone, commitment, mpps, find, header, quiet_time)
"""Asked in order; the first that answers closes the unit."""

LACKING: tuple[Lack, ...] = (commitment_lacks, mpps_lacks, find_lacks, header_lacks)
"""Asked in order; the first that answers is what the unit waits for."""


def _may_close(facts: Facts, source: str) -> bool:
    return source in facts.policy.evidence and facts.now - facts.unit.last >= facts.policy.floor


def _of(facts: Facts, source: str) -> list[Statement]:
    return [one for one in facts.statements if one.source == source]


def _listed(statements: list[Statement]) -> frozenset[str]:
    return frozenset[str]().union(*(one.listed or () for one in statements))


def _missing(absent: frozenset[str], says: str) -> Missing | None:
    return Missing(count=len(absent), instances=tuple(sorted(absent)), says=says) if absent else None


def _peers(statements: list[Statement]) -> str:
    return ", ".join(sorted({one.peer for one in statements}))


def counted(unit: Unit) -> str:
    """Arrivals of this generation: what time speaks of."""
    return _instances(unit.count)


def _all(facts: Facts) -> str:
    """Everything that is here, of earlier generations too: what those who list or count speak of."""
    return _instances(len(facts.here))


def _instances(count: int) -> str:
    return f"{count} instance" + ("" if count == 1 else "s")


def seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():g} s"
