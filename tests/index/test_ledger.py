"""The ledger knows where every instance is, and says so when the rows cannot be true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import sqlalchemy as sa

from node.index import jobs
from node.index.ledger import Ledger, count
from node.index.schema import delivery, job, member, obligation, parcel, receipt, unit
from node.model import ReceiptId, State, UnitKind
from tests import make
from tests.kit import Kit, changed

ROUTES = """
destinations: {{a: {{folder: ./a}}}}
routes:
  - {{name: sends, when: {{SeriesNumber: [1, 2]}}, steps: [{{forward: a}}]}}
  - {{name: makes, when: {{SeriesNumber: 3}}, late: {late}, steps: [{{set: {{assign: {{InstitutionName: x}}}}}}]}}
"""


def of_series(number: int, instance: int = 1) -> make.FileDataset:
    ds = make.instance(series=f"s{number}", number=instance)
    ds.SeriesNumber = number
    return ds


class World:
    """One instance in each state, by name; `job` is the one that sends, `made` the one that makes."""

    def __init__(self, kit: Kit) -> None:
        self.kit, self.of = kit, dict[str, ReceiptId]()
        kit.rules(ROUTES.format(late="ignore"))
        ds = {
            "delivered": of_series(1, 1), "waiting": of_series(1, 2), "held": of_series(1, 3),
            "dropped": of_series(1, 4), "in_job": of_series(2), "produced": of_series(3), "unrouted": of_series(4),
        }  # fmt: skip
        self.of.update(zip(ds, kit.index(*ds.values()), strict=True))
        found = kit.close()
        rows = {row["id"]: row for row in kit.rows(job)}
        self.made = next(key for key in found if rows[key]["route"] == "makes")
        self.job = next(key for key in found if self.of["held"] in kit.owed(key))
        self.queued = next(key for key in found if key not in (self.made, self.job))
        self._send()
        with kit.database.durable.begin() as connection:
            jobs.finish(connection, self.made, 1.0)
        self.of["ignored"] = kit.index(of_series(3, 2))[0]
        self.of["duplicate"] = kit.index(of_series(4))[0]
        self.of["superseded"] = kit.index(changed(of_series(4), KVP=80))[0]
        kit.write(sa.update(receipt).where(receipt.c.id == self.of["superseded"]).values(state="superseded"))
        kit.close()

    def _send(self) -> None:
        kit, of = self.kit, self.of
        with kit.database.durable.begin() as connection:
            jobs.start(connection, self.job)
            jobs.hold_receipts(connection, self.job, [of["held"]], "broken")
            jobs.drop_receipts(connection, self.job, [of["dropped"]], "by rule")
        self.delivery = kit.put(self.job, "a", kit.goods("1", of["delivered"]), kit.goods("2", of["waiting"]))
        one, (first, _) = kit.read(self.delivery)
        kit.outbox.delivered(one, [first])
        kit.write(sa.update(obligation).where(obligation.c.receipt == of["delivered"]).values(state="delivered"))
        with kit.database.durable.begin() as connection:
            jobs.finish(connection, self.job, 1.0)


def test_every_state_is_counted_and_the_sum_is_what_was_acknowledged(kit: Kit) -> None:
    world = World(kit)
    ledger = kit.ledger()
    assert ledger.balanced, ledger
    assert ledger.states == dict.fromkeys(State, 1)
    assert ledger.acknowledged == len(world.of) == len(State)
    assert ledger.obligations == {
        "delivered": 1, "waiting": 1, "held": 1, "dropped": 1, "in_job": 1, "produced": 1, "ignored": 1,
    }  # fmt: skip
    for name, one in world.of.items():
        assert kit.state_of(one) == name


BREAKS: dict[str, Callable[[World], sa.Executable]] = {
    "in a job that is done": lambda w: (
        sa.update(obligation).where(obligation.c.receipt == w.of["waiting"]).values(state="in_job")
    ),
    "in a job that was dropped": lambda w: sa.update(job).where(job.c.id == w.queued).values(state="dropped"),
    "in a job that is held": lambda w: sa.update(job).where(job.c.id == w.queued).values(state="held"),
    "waiting in a delivery that is over": lambda w: sa.update(delivery).values(state="delivered"),
    "waiting in no delivery": lambda w: (
        sa.update(obligation).where(obligation.c.receipt == w.of["dropped"]).values(state="waiting", target="elsewhere")
    ),
    "waiting without a file": lambda w: sa.delete(parcel),
    "delivered by no delivery": lambda w: (
        sa.update(obligation).where(obligation.c.job == w.made).values(state="delivered")
    ),
    "in a state that there is not": lambda w: (
        sa.update(obligation).where(obligation.c.receipt == w.of["held"]).values(state="lost")
    ),
    "received in a state that there is not": lambda w: (
        sa.update(receipt).where(receipt.c.id == w.of["unrouted"]).values(state="somewhere")
    ),
    "in no unit": lambda w: sa.delete(member).where(member.c.receipt == w.of["unrouted"]),
    "in a job that owes nothing for it": lambda w: sa.delete(obligation).where(obligation.c.receipt == w.of["in_job"]),
    "in an open unit whose job owes nothing for it": lambda w: sa.delete(obligation).where(
        obligation.c.receipt == w.of["produced"]
    ),
    "gone from the index, with a file": lambda w: sa.delete(receipt).where(receipt.c.id == w.of["duplicate"]),
}


def test_rows_that_cannot_be_true_do_not_balance(kit: Kit) -> None:
    """A check that cannot fail is worth nothing: each way to break the rows is found, and is then undone."""
    world = World(kit)
    spooled = list(world.of.values())
    unnoticed = []
    for how, breaks in BREAKS.items():
        with kit.database.durable.connect() as connection, connection.begin() as broken:
            assert count(connection, spooled, kit.config.routed).balanced, "the one before was undone"
            assert connection.execute(breaks(world)).rowcount > 0, how
            if count(connection, spooled, kit.config.routed).balanced:
                unnoticed.append(how)
            broken.rollback()
    assert unnoticed == []


def test_a_file_that_is_gone_while_it_is_needed_does_not_balance(kit: Kit) -> None:
    world = World(kit)
    needed = [world.of[state] for state in ("held", "in_job", "unrouted")]
    for one in needed:
        (row,) = kit.rows(receipt, receipt.c.id == one)
        kit.spool.where(row["path"]).unlink()
        assert one in kit.ledger().missing
        assert not kit.ledger().balanced
    assert set(kit.ledger().missing) == set(needed)


def test_a_file_that_is_gone_when_all_is_over_is_no_fault(kit: Kit) -> None:
    world = World(kit)
    (row,) = kit.rows(receipt, receipt.c.id == world.of["produced"])
    kit.spool.where(row["path"]).unlink()
    assert kit.ledger().balanced


def test_what_has_no_row_yet_is_acknowledged_and_does_not_balance(kit: Kit) -> None:
    kit.index(make.instance(number=1))
    kit.arrival(make.instance(number=2))
    ledger = kit.ledger()
    assert (ledger.acknowledged, ledger.unindexed, ledger.balanced) == (2, 1, False)


def test_what_comes_after_the_spool_was_listed_is_not_missing(kit: Kit) -> None:
    arrival = kit.arrival(make.instance())
    kit.record(arrival)
    with kit.database.reader.connect() as connection:
        there = count(connection, [], kit.config.routed, lambda path: kit.spool.where(path).exists())
        assert there.balanced
        gone = count(connection, [], kit.config.routed, lambda path: False)
        assert gone.missing == (arrival.receipt,)


def test_an_instance_is_in_its_worst_state(kit: Kit) -> None:
    kit.rules("""
destinations: {a: {folder: ./a}, b: {folder: ./b}}
routes: [{name: all, when: always, steps: [{forward: a}, {forward: b}]}]
""")
    (one,) = kit.index(make.instance())
    (key,) = kit.close()
    states = ["in_job", "held", "waiting"]
    for state in states:
        kit.write(sa.update(obligation).where(obligation.c.target == "b").values(state="dropped"))
        kit.write(sa.update(obligation).where(obligation.c.target == "a").values(state=state))
        if state == "waiting":
            kit.write(sa.update(job).values(state="done"))
            kit.put(key, "a", kit.goods("1", one))
        assert kit.state_of(one) == state


def test_an_open_unit_of_a_kind_no_route_works_on_does_not_keep_it_in_a_job(kit: Kit) -> None:
    world = World(kit)
    kit.write(sa.update(unit).where(unit.c.kind == "study").values(state="open"))
    assert kit.state_of(world.of["unrouted"]) == "unrouted"
    with kit.database.reader.connect() as connection:
        found = count(connection, list(world.of.values()), frozenset(UnitKind))
    assert found.states[State.UNROUTED] == 0


def test_a_late_arrival_puts_what_was_over_back_into_a_job(kit: Kit) -> None:
    """Its unit is open again, and a rerun may yet hold what had been delivered."""
    world = World(kit)
    kit.index(of_series(1, 9))
    assert kit.state_of(world.of["delivered"]) == "in_job"
    assert kit.state_of(world.of["held"]) == "held"


def test_what_fits_nowhere_or_is_missing_does_not_balance_though_the_sum_is_right() -> None:
    right = Ledger(
        states={State.HELD: 1}, obligations={}, acknowledged=1, without_row=(), unaccounted=(), missing=()
    )  # fmt: skip
    assert right.balanced
    assert not replace(right, acknowledged=2).balanced
    assert not replace(right, unaccounted=(ReceiptId("a"),)).balanced
    assert not replace(right, missing=(ReceiptId("a"),)).balanced
