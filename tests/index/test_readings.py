"""Questions and pulls are taken once, and what became of them is kept."""

from __future__ import annotations

from collections.abc import Collection

from node.index import readings
from node.index.readings import LEFT, Subject
from node.index.schema import pull
from node.model import UnitKind
from tests import make
from tests.kit import Kit

OF = Subject(peer="CT1", called_ae="NODE", study="1.2")


def test_a_question_is_taken_once(kit: Kit) -> None:
    with kit.database.derived.begin() as connection:
        assert readings.claim(connection, OF, 1, 10.0, "a")
        assert not readings.claim(connection, OF, 1, 11.0, "b")
        assert [(one.number, one.at, one.answered, one.claimed) for one in readings.past(connection, OF)] == [
            (1, 10.0, False, "a")
        ]


def test_answers_and_failures_are_told_apart(kit: Kit) -> None:
    with kit.database.derived.begin() as connection:
        for number in (1, 2, 3):
            readings.claim(connection, OF, number, float(number), "a")
        readings.answer(connection, OF, 1, 1.5, study=None, series={"1.3": 4}, instances={})
        readings.fail(connection, OF, 2, "it is dead")
        found = readings.past(connection, OF)
        told = readings.told(connection, "NODE", "1.2", UnitKind.SERIES, "1.3")["readings"]
    assert [(one.answered, one.failed) for one in found] == [(True, False), (False, True), (False, False)]
    assert [(one["instances"], one["failure"]) for one in told] == [(4, ""), (None, "it is dead"), (None, "")]


def test_a_question_that_is_asked_again_says_that_nobody_waits_for_the_one_before(kit: Kit) -> None:
    with kit.database.derived.begin() as connection:
        readings.claim(connection, OF, 1, 1.0, "dead")
        readings.claim(connection, OF, 2, 2.0, "b")
        assert [(one.failed, one.claimed) for one in readings.past(connection, OF)] == [(True, "dead"), (False, "b")]
        # It lived after all: its answer counts.
        readings.answer(connection, OF, 1, 3.0, study=4, series={}, instances={})
        first, _ = readings.past(connection, OF)
        assert (first.answered, first.failed) == (True, False)


def begin(
    kit: Kit, now: float, wanted: dict[str, list[str] | None], *, process: str = "a", others: Collection[str] = ("b",)
) -> int | None:
    with kit.database.derived.begin() as connection:
        return readings.begin_pull(
            connection, OF, wanted, missing=1, how="C-MOVE", now=now, lease=600.0, tries=2, process=process,
            others=others,
        )  # fmt: skip


def end(kit: Kit, number: int) -> None:
    with kit.database.derived.begin() as connection:
        readings.end_pull(connection, OF, number, 1.0, "1 sent")


def test_one_pull_at_a_time_and_so_many_of_the_same(kit: Kit) -> None:
    assert begin(kit, 1.0, {"1.3": ["a"]}) == 1
    assert begin(kit, 2.0, {"1.3": ["b"]}, process="b", others=("a",)) is None, "one goes on"
    end(kit, 1)
    assert begin(kit, 3.0, {"1.3": ["a"]}) == 2
    assert begin(kit, 700.0, {"1.3": ["a"]}) is None, "twice"
    assert begin(kit, 700.0, {"1.3": ["b"]}, process="b", others=("a",)) == 3, "whoever pulled the second time hangs"
    assert [row["result"] for row in kit.rows(pull)] == ["1 sent", LEFT, ""]


def test_what_a_dead_process_was_pulling_another_pulls_at_once(kit: Kit) -> None:
    assert begin(kit, 1.0, {"1.3": ["a"]}, process="dead") == 1
    assert begin(kit, 2.0, {"1.3": ["a"]}, process="a", others=("b",)) == 2
    assert [(row["finished"], row["result"]) for row in kit.rows(pull)] == [(2.0, LEFT), (None, "")]


def test_what_came_of_a_study_says_what_may_come(kit: Kit) -> None:
    kit.index(make.instance(), make.report())
    of = Subject(peer="CT1", called_ae="NODE", study=make.uid("study"))
    with kit.database.reader.connect() as connection:
        found = readings.kinds_of(connection, of)
    explicit = "1.2.840.10008.1.2.1"
    assert found == {(make.CT_IMAGE, explicit), (make.COMPREHENSIVE_SR, explicit)}
