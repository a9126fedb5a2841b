from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from node.model import Origin
from node.receive.places import SETTLED, Bounds, Free, Full, Place, find, sender


def origin(calling: str, address: str = "10.0.0.1") -> Origin:
    return Origin(calling_ae=calling, called_ae="NODE", sender=address)


def places(*what: tuple[str, float | None]) -> list[Place]:
    """(calling AE, idle): one association each, all from one address."""
    return [Place(key=number, origin=origin(who), idle=idle) for number, (who, idle) in enumerate(what)]


def bounds(per_sender: int = 100, per_address: int = 100, associations: int = 100) -> Bounds:
    return Bounds(per_sender=per_sender, per_address=per_address, associations=associations)


def key(found: Free | Full) -> object:
    return None if not isinstance(found, Free) or found.instead_of is None else found.instead_of.key


def test_below_every_limit_nobody_goes() -> None:
    assert find(bounds(associations=3), origin("A"), places(("B", 1000.0), ("B", 1000.0))) == Free()


def test_at_the_limit_the_longest_idle_goes() -> None:
    assert key(find(bounds(associations=3), origin("A"), places(("B", 10.0), ("C", 30.0), ("D", 20.0)))) == 1


def test_it_is_one_of_the_sender_with_most_places() -> None:
    there = places(("B", 900.0), ("C", 10.0), ("C", 20.0))
    assert key(find(bounds(associations=3), origin("A"), there)) == 2


@pytest.mark.parametrize("idle", [None, 0.0, SETTLED - 0.1])
def test_what_is_in_the_middle_of_an_instance_or_between_two_stays(idle: float | None) -> None:
    full = find(bounds(associations=2), origin("A"), places(("B", idle), ("C", idle)))
    assert isinstance(full, Full)
    assert full.limit == "associations"
    assert "limits: associations" in full.why


def test_nobody_goes_for_a_sender_that_has_as_many_places_itself() -> None:
    assert isinstance(find(bounds(associations=2), origin("A"), places(("A", None), ("B", 900.0))), Full)


def test_a_sender_that_forgets_its_associations_loses_its_own_longest_idle_one() -> None:
    there = places(("A", 10.0), ("A", 90.0), ("B", 900.0))
    assert key(find(bounds(per_sender=2), origin("A"), there)) == 1


def test_one_address_with_many_titles_cannot_take_all_places() -> None:
    busy = [(f"T{n}", None) for n in range(4)]
    full = find(bounds(per_address=4), origin("T9"), places(*busy))
    assert isinstance(full, Full)
    assert full.limit == "per_address"
    elsewhere = origin("T9", "10.0.0.2")
    assert find(bounds(per_address=4), elsewhere, places(*busy)) == Free()


def test_a_limit_that_was_lowered_ends_nobody_and_lets_nobody_in() -> None:
    full = find(bounds(associations=2), origin("A"), places(("B", 90.0), ("C", 90.0), ("D", 90.0)))
    assert isinstance(full, Full)
    assert "is 2 now" in full.why


SENDERS = [origin(title, address) for title in ("A", "B", "C") for address in ("10.0.0.1", "10.0.0.2")]
a_place = st.tuples(st.sampled_from(SENDERS), st.none() | st.floats(0, 100))


@given(
    st.lists(a_place, max_size=12), st.sampled_from(SENDERS), st.integers(1, 6), st.integers(1, 8), st.integers(1, 12)
)
def test_what_holds_for_every_decision(
    there: list[tuple[Origin, float | None]], who: Origin, per_sender: int, per_address: int, associations: int
) -> None:
    now = [Place(key=n, origin=one, idle=idle) for n, (one, idle) in enumerate(there)]
    limits = bounds(per_sender, per_address, associations)
    found = find(limits, who, now)
    counts = Counter(sender(place.origin) for place in now)
    mine = counts[sender(who)]
    if isinstance(found, Full):
        # A sender with fewer places never starves: unless its address is full, or the limits were lowered, whoever
        # has more and is idle makes room.
        if found.limit == "associations" and len(now) == associations:
            assert not [p for p in now if p.idle is not None and p.idle >= SETTLED and counts[sender(p.origin)] > mine]
        return
    gone = found.instead_of
    after = [*(place.origin for place in now if place is not gone), who]
    assert len(after) <= associations
    assert sum(one.sender == who.sender for one in after) <= per_address
    assert sum(sender(one) == sender(who) for one in after) <= per_sender
    if gone is not None:
        assert gone.idle is not None
        assert gone.idle >= SETTLED
        assert sender(gone.origin) == sender(who) or counts[sender(gone.origin)] > mine


@dataclass
class _Open:
    origin: Origin
    busy: bool = False
    since: int = 0


@dataclass
class _World:
    open: dict[int, _Open] = field(default_factory=dict)
    now: int = 0
    next: int = 0


class Department(RuleBasedStateMachine):
    """Senders come, send, idle and go in any order; nobody is asked to leave in the middle of an instance."""

    LIMITS = bounds(per_sender=3, per_address=5, associations=6)

    def __init__(self) -> None:
        super().__init__()
        self.world = _World()

    def places(self) -> list[Place]:
        return [
            Place(key=key, origin=one.origin, idle=None if one.busy else float(self.world.now - one.since))
            for key, one in self.world.open.items()
        ]

    @rule(who=st.sampled_from(SENDERS))
    def come(self, who: Origin) -> None:
        found = find(self.LIMITS, who, self.places())
        if isinstance(found, Free):
            if found.instead_of is not None:
                gone = self.world.open.pop(found.instead_of.key)  # type: ignore[call-overload]  # a key is a number here
                assert not gone.busy
            self.world.open[self.world.next] = _Open(who, since=self.world.now)
            self.world.next += 1

    @precondition(lambda self: self.world.open)
    @rule(data=st.data())
    def begin_or_end_an_instance(self, data: st.DataObject) -> None:
        one = self.world.open[data.draw(st.sampled_from(sorted(self.world.open)))]
        one.busy, one.since = not one.busy, self.world.now

    @precondition(lambda self: self.world.open)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        del self.world.open[data.draw(st.sampled_from(sorted(self.world.open)))]

    @rule(seconds=st.integers(1, 20))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds

    @invariant()
    def never_more_than_the_limits(self) -> None:
        origins = [one.origin for one in self.world.open.values()]
        assert len(origins) <= self.LIMITS.associations
        assert max(Counter(one.sender for one in origins).values(), default=0) <= self.LIMITS.per_address
        assert max(Counter(map(sender, origins)).values(), default=0) <= self.LIMITS.per_sender

    @invariant()
    def whoever_has_nothing_gets_in_when_somebody_idles_with_more(self) -> None:
        idle = [place for place in self.places() if place.idle is not None and place.idle >= SETTLED]
        if idle:
            assert isinstance(find(self.LIMITS, origin("NEW", "10.9.9.9"), self.places()), Free)


TestDepartment = Department.TestCase
