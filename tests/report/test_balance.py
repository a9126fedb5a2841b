"""The running check: everything is looked at in turns, and what does not fit is said once and taken back once."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from node.index.schema import member, receipt
from node.model import State
from node.report.balance import Balance, RunningCheck
from tests import make
from tests.index.test_ledger import World
from tests.kit import Kit


class Clock:
    """Seconds, moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def check(
    kit: Kit, *, stretch: int = 1000, patience: float = 0.0, clock: Callable[[], float] | None = None
) -> RunningCheck:
    return RunningCheck(
        database=kit.database, spool=kit.spool, routed=lambda: kit.config.routed, stretch=stretch, patience=patience,
        clock=clock or Clock(),
    )  # fmt: skip


def whole_pass(one: RunningCheck) -> Balance:
    passes = one.last().passes
    for _ in range(100):
        found = one.turn()
        if found.passes > passes:
            return found
    raise AssertionError("a pass does not end")


@pytest.mark.parametrize(("stretch", "page"), [(1, 500), (3, 2), (7, 500), (7, 3), (10, 1), (1000, 500), (1000, 4)])
def test_a_pass_counts_what_the_ledger_counts_whatever_the_stretch(
    kit: Kit, stretch: int, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.report.balance._PAGE", page)
    World(kit)
    one = check(kit, stretch=stretch)
    for _ in range(2):
        found = whole_pass(one)
        assert found.balanced, found
        assert found.states == kit.ledger().states == dict.fromkeys(State, 1)


def test_what_changes_is_counted_anew_when_its_turn_comes(kit: Kit) -> None:
    world = World(kit)
    one = check(kit, stretch=2)
    whole_pass(one)
    kit.write(sa.update(receipt).where(receipt.c.id == world.of["unrouted"]).values(state="dropped"))
    kit.index(make.instance(series="new"))
    found = whole_pass(one)
    assert found.states == kit.ledger().states
    assert found.states[State.DROPPED] == 2


def test_what_is_under_way_is_counted_at_once(kit: Kit) -> None:
    """A person who looks at `held` must not wait for a pass over a million rows."""
    world = World(kit)
    one = check(kit, stretch=7)
    whole_pass(one)
    kit.write(sa.update(receipt).where(receipt.c.id == world.of["unrouted"]).values(state="held"))
    assert one.last().states[State.HELD] == 1
    assert one.known().states[State.HELD] == 2


def break_rows(kit: Kit, world: World) -> None:
    kit.write(sa.delete(member).where(member.c.receipt == world.of["unrouted"]))


def remove_file(kit: Kit, world: World) -> None:
    (row,) = kit.rows(receipt, receipt.c.id == world.of["held"])
    kit.spool.where(row["path"]).unlink()


def add_file(kit: Kit, world: World) -> None:
    kit.arrival(make.instance(series="without a row"))


@pytest.mark.parametrize("stretch", [2, 1000])
@pytest.mark.parametrize(
    ("breaks", "kind"), [(break_rows, "unaccounted"), (remove_file, "missing"), (add_file, "unindexed")]
)
def test_each_way_not_to_balance_is_found_within_a_pass(
    kit: Kit, breaks: Callable[[Kit, World], None], kind: str, stretch: int
) -> None:
    one = check(kit, stretch=stretch)
    world = World(kit)
    assert whole_pass(one).balanced
    breaks(kit, world)
    found = [whole_pass(one), whole_pass(one)][1]
    assert found.faults == {**dict.fromkeys(("unaccounted", "missing", "unindexed"), 0), kind: 1}


def test_it_says_so_once_and_says_when_it_balances_again(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    one = check(kit)
    arrival = kit.arrival(make.instance())
    with caplog.at_level(logging.WARNING, logger="node.ledger"):
        for _ in range(3):
            one.turn()
        assert [r.levelname for r in caplog.records] == ["ERROR"]
        assert "1 files of the spool have no row" in caplog.text
        assert arrival.receipt in caplog.text
        kit.record(arrival)
        for _ in range(3):
            one.turn()
    assert [r.getMessage() for r in caplog.records][1:] == ["the ledger balances again"]
    assert one.last().balanced


def test_a_row_that_comes_a_moment_after_its_file_is_no_fault(kit: Kit) -> None:
    clock = Clock()
    one = check(kit, patience=10.0, clock=clock)
    arrival = kit.arrival(make.instance())
    one.turn()
    clock.now = 9.0
    assert one.turn().balanced
    kit.record(arrival)
    clock.now = 11.0
    assert one.turn().balanced
    kit.arrival(make.instance(number=2))
    one.turn(), one.turn()
    clock.now = 30.0
    assert not one.turn().balanced


def test_its_age_is_that_of_the_last_pass(kit: Kit) -> None:
    clock = Clock()
    one = check(kit, stretch=1, clock=clock)
    kit.index(*make.ct_series(3))
    whole_pass(one)
    clock.now = 5.0
    assert one.last().age == 5.0
    whole_pass(one)
    assert one.last().age == 0.0
