"""What a source has and did not send is pulled, some times, and what came of it is on record."""

from __future__ import annotations

import threading

import pytest

from node.config import Config
from node.evidence.asker import Asker
from node.evidence.pull import Pulls
from node.index.schema import pull, receipt
from node.index.story import story
from node.model import UID, Arrival, Origin, UnitKind
from node.receive.keeper import Command, Keeper
from node.receive.watermark import Watermark
from node.spool import Kept
from tests import make
from tests.archive import Archive
from tests.evidence.test_asker import series
from tests.kit import Kit

RULES = """
complete: {{series: {{quiet: {quiet}}}, study: {{quiet: {quiet}}}, floor: 1ms}}
peers:
  ct1: {{ae_title: CT1, host: 127.0.0.1, port: {port}, evidence: find, pull: get, query: {{ae_title: ARCHIVE}}}}
routes: [{{name: all, {unit} when: always, steps: [drop]}}]
"""
FIVE = make.ct_series(5)
MISSING = [str(one.SOPInstanceUID) for one in FIVE[3:]]


class Getting:
    """A kit whose C-GETs are kept as a node keeps them."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.keeper = Keeper(
            spool=kit.spool, presence=kit.presence, hand_on=self._record,
            watermark=Watermark(lambda: kit.spool.files.room(kit.spool.root), lambda: 0),
            largest=lambda: 1 << 30, charset=lambda origin: None, reach=lambda point: None,
        )  # fmt: skip

    def _record(self, kept: Kept, arrival: Arrival) -> None:
        self.kit.spool.show([(kept.slot, kept.path)])
        self.kit.record(arrival)
        self.kit.presence.index(1)

    def keep(self, data: memoryview, syntax: UID, origin: Origin, sop_class: UID, instance: UID) -> None:
        self.keeper.keep(data, syntax, origin, Command(sop_class=sop_class, sop_instance=instance))

    def rules(self, port: int, *, quiet: str = "1s", unit: str = "") -> Config:
        self.kit.rules(RULES.format(port=port, quiet=quiet, unit=unit))
        return self.kit.config

    def ask(self, times: int = 1) -> None:
        one = Asker(
            database=self.kit.database, presence=self.kit.presence, config=lambda: self.kit.config,
            wake=threading.Event().set,
            pulls=Pulls(
                database=self.kit.database, presence=self.kit.presence, config=lambda: self.kit.config, keep=self.keep
            ),
        )  # fmt: skip
        for _ in range(times):
            while not (due := one.questions()):
                threading.Event().wait(0.001)
            one.ask(due)

    def came(self) -> set[str]:
        return {row["sop_instance"] for row in self.kit.rows(receipt)}


@pytest.fixture
def getting(kit: Kit) -> Getting:
    return Getting(kit)


def test_what_is_missing_is_got_kept_like_any_other_and_completes_the_unit(getting: Getting) -> None:
    kit = getting.kit
    with Archive(FIVE) as archive:
        getting.rules(archive.port)
        kit.index(*FIVE[:3])
        kit.age(2)
        getting.ask(2)
        assert sorted(archive.pulled) == sorted(MISSING), "those and no others"
        assert getting.came() == {str(one.SOPInstanceUID) for one in FIVE}
        kit.age(2)
        getting.ask(2)
        kit.collector().once()
    assert series(kit) == ["find: 5 instances, as many as CT1 counted twice (C-FIND)"]
    assert kit.balance() == {"in_job": 5}
    pulled = [row for row in kit.rows(receipt) if row["sop_instance"] in MISSING]
    assert {(row["calling_ae"], row["called_ae"], row["sender"]) for row in pulled} == {
        ("ARCHIVE", "NODE", "127.0.0.1")
    }
    (row,) = kit.rows(pull)
    assert (row["missing"], row["how"], row["result"]) == (2, "C-GET", "2 sent")


def test_explain_tells_what_was_missing_and_what_came(getting: Getting) -> None:
    kit = getting.kit
    with Archive(FIVE, lost=MISSING[:1]) as archive:
        getting.rules(archive.port)
        kit.index(*FIVE[:3])
        kit.age(2)
        getting.ask(2)
    with kit.database.reader.connect() as connection:
        told = story(connection, make.uid("study", "series"), kit.config.routed)
    assert told is not None
    (one,) = [u for u in told["units"] if u["kind"] == "series"]
    assert [(r["peer"], r["instances"], r["failure"]) for r in one["readings"]] == [("CT1", 5, "")] * 2
    (found,) = one["pulls"]
    assert (found["how"], found["missing"], found["came"], found["result"]) == ("C-GET", 2, 1, "1 sent")


def test_nothing_is_pulled_before_the_quiet_time_is_over(getting: Getting) -> None:
    with Archive(FIVE) as archive:
        getting.rules(archive.port, quiet="60s")
        getting.kit.index(*FIVE[:3])
        getting.kit.age(2)
        getting.ask(3)
        assert archive.pulled == []


def test_what_cannot_be_had_is_asked_for_three_times(getting: Getting) -> None:
    with Archive(FIVE, lost=MISSING) as archive:
        getting.rules(archive.port)
        getting.kit.index(*FIVE[:3])
        getting.kit.age(2)
        getting.ask(6)
    assert len(getting.kit.rows(pull)) == 3


def test_a_source_that_lists_nothing_is_asked_for_the_whole_series(getting: Getting) -> None:
    with Archive(FIVE, lists=False) as archive:
        getting.rules(archive.port)
        getting.kit.index(*FIVE[:3])
        getting.kit.age(2)
        getting.ask(2)
        assert len(archive.pulled) == 5
    states = sorted(getting.kit.receipts().values())
    assert states == ["current"] * 5 + ["unjudged"] * 3, "the same in another encoding: they are compared"


def test_a_whole_series_is_pulled_only_where_studies_are_worked_on(getting: Getting) -> None:
    report = make.report()
    with Archive([*FIVE, report]) as archive:
        getting.rules(archive.port)
        getting.kit.index(*FIVE)
        getting.kit.age(2)
        getting.ask(2)
        assert archive.pulled == []
        getting.rules(archive.port, unit=f"unit: {UnitKind.STUDY},")
        getting.kit.age(2)
        getting.ask(1)
        assert archive.pulled == [report.SOPInstanceUID]
