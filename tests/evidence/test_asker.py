"""Sources are asked about open units of peers that go by C-FIND, each question once, and never more than that."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing

import pytest
import sqlalchemy as sa

from node.config import Config
from node.errors import Refused
from node.evidence.asker import Asker
from node.evidence.pull import Pulls
from node.index.readings import LEFT
from node.index.schema import completion, reading, unit
from node.model import UID, Origin
from node.spool import Presence
from tests import make
from tests.archive import Archive
from tests.kit import Kit
from tests.peers import free_port, silent_listener

RULES = """
complete: {{series: {{quiet: 60s}}, study: {{quiet: 60s}}, floor: 1ms}}
peers:
  ct1: {{ae_title: CT1, host: 127.0.0.1, port: {port}, evidence: find, query: {{ae_title: ARCHIVE}}}}
routes: [{{name: all, {unit} when: always, steps: [drop]}}]
"""
SERIES = make.uid("study", "series")


def rules(kit: Kit, port: int, *, unit: str = "") -> Config:
    kit.rules(RULES.format(port=port, unit=unit))
    return kit.config


def asker(kit: Kit, woken: threading.Event | None = None, presence: Presence | None = None) -> Asker:
    def keep(data: memoryview, syntax: UID, origin: Origin, sop_class: UID, instance: UID) -> None:
        raise Refused(0xA700, "nothing is pulled here")

    return Asker(
        database=kit.database, presence=presence or kit.presence, config=lambda: kit.config,
        wake=(woken or threading.Event()).set,
        pulls=Pulls(
            database=kit.database, presence=presence or kit.presence, config=lambda: kit.config, keep=keep
        ),
    )  # fmt: skip


def ask(kit: Kit, times: int = 1) -> None:
    """Ask what is due, so often, as soon as it is."""
    one = asker(kit)
    for _ in range(times):
        end = time.monotonic() + 5
        while not (due := one.questions()):
            assert time.monotonic() < end, "nothing is due"
            time.sleep(0.001)
        one.ask(due)


def series(kit: Kit, kind: str = "series") -> list[str]:
    """What closed it."""
    units = kit.rows(unit, unit.c.kind == kind)
    return [c["evidence"] for c in kit.rows(completion, completion.c.unit.in_([u["id"] for u in units]))]


def test_two_equal_counts_complete_a_series_long_before_its_quiet_time(kit: Kit) -> None:
    sent, woken = make.ct_series(3), threading.Event()
    with Archive(sent) as archive:
        rules(kit, archive.port)
        kit.index(*sent)
        kit.age(1)
        asker(kit, woken).ask(asker(kit).questions())
        assert woken.is_set()
        kit.collector().once()
        assert series(kit) == [], "one reading is none"
        ask(kit)
        kit.collector().once()
        assert archive.asked == [("STUDY", "NODE"), ("SERIES", "NODE")] * 2
    assert series(kit) == ["find: 3 instances, as many as CT1 counted twice (C-FIND)"]
    assert len(kit.jobs()) == 1


def test_a_study_is_completed_by_all_its_series(kit: Kit) -> None:
    sent = [*make.ct_series(3), make.report()]
    with Archive(sent) as archive:
        rules(kit, archive.port, unit="unit: study,")
        kit.index(*sent[:3])
        kit.age(1)
        ask(kit, 2)
        kit.collector().once()
        assert series(kit, "study") == [], "the report is missing"
        kit.index(sent[3])
        kit.age(1)
        ask(kit, 2)
        kit.collector().once()
    assert series(kit, "study") == ["find: 4 instances, as many as CT1 counted twice (C-FIND)"]


def test_a_source_that_has_more_keeps_it_open_until_at_most_and_names_it(kit: Kit) -> None:
    sent = make.ct_series(4)
    with Archive(sent) as archive:
        rules(kit, archive.port)
        kit.index(*sent[:3])
        kit.age(1)
        ask(kit)
        assert kit.close() == []
        kit.age(4 * 3600)
        kit.collector().once()
    (found,) = series(kit)
    assert found.startswith("at_most: 3 instances, 14400 s after the first (1 missing, CT1 has more (C-FIND): ")
    assert sent[3].SOPInstanceUID in found
    assert set(kit.owed(*kit.jobs()).values()) == {"in_job"}, "incomplete: proceed"


def test_incomplete_may_be_held_and_a_person_releases_it(kit: Kit) -> None:
    sent = make.ct_series(4)
    with Archive(sent) as archive:
        rules(kit, archive.port)
        text = RULES.format(port=archive.port, unit="").replace("floor:", "incomplete: hold, floor:")
        kit.rules(text)
        kit.index(*sent[:3])
        kit.age(1)
        ask(kit)
        (key,) = kit.close(4 * 3600)
    assert kit.jobs() == {key: "held"}
    (reason,) = kit.reasons(key)
    assert reason.startswith("it is incomplete: 1 missing, CT1 has more (C-FIND): ")
    kit.acts().release(key)
    assert kit.jobs() == {key: "queued"}


@pytest.mark.parametrize("late", ["rerun", "delta", "hold", "ignore"])
def test_the_missing_one_that_comes_late_takes_the_place_of_what_is_held(kit: Kit, late: str) -> None:
    """Whatever becomes of late arrivals: nothing of the unit was begun, so it is not late for anything."""
    sent = make.ct_series(4)
    with Archive(sent) as archive:
        held = f"incomplete: hold, late: {late}, floor:"
        kit.rules(RULES.format(port=archive.port, unit="").replace("floor:", held))
        kit.index(*sent[:3])
        kit.age(1)
        ask(kit)
        (first,) = kit.close(4 * 3600)
        kit.index(sent[3])
        kit.age(1)
        ask(kit, 2)
        kit.collector().once()
    assert kit.jobs()[first] == "done"
    assert kit.balance() == {"in_job": 4}
    assert series(kit)[1] == "find: 4 instances, as many as CT1 counted twice (C-FIND)"


def test_once_a_person_released_what_was_incomplete_the_rest_is_late(kit: Kit) -> None:
    sent = make.ct_series(4)
    with Archive(sent) as archive:
        held = "incomplete: hold, late: ignore, floor:"
        kit.rules(RULES.format(port=archive.port, unit="").replace("floor:", held))
        kit.index(*sent[:3])
        kit.age(1)
        ask(kit)
        (first,) = kit.close(4 * 3600)
        kit.acts().release(first)
        kit.index(sent[3])
        kit.age(1)
        ask(kit, 2)
        kit.collector().once()
    assert kit.jobs()[first] == "queued"
    assert kit.balance() == {"in_job": 3, "ignored": 1}


@pytest.mark.parametrize("wrong", [-1, 1])
def test_a_wrong_count_closes_nothing_early(kit: Kit, wrong: int) -> None:
    sent = make.ct_series(3)
    with Archive(sent, wrong=wrong, lists=False) as archive:
        rules(kit, archive.port)
        kit.index(*sent)
        kit.age(1)
        ask(kit, 3)
        kit.collector().once()
    assert series(kit) == []
    assert len(kit.close()) == (1 if wrong < 0 else 0), "fewer are none of its business, more are waited for"


def test_a_source_that_grows_is_not_believed(kit: Kit) -> None:
    sent = make.ct_series(6)
    with Archive(sent[:2], grows=lambda a: a.instances.append(sent[len(a.instances)])) as archive:
        rules(kit, archive.port)
        kit.index(*sent[:3])
        kit.age(1)
        ask(kit, 2)
        kit.collector().once()
    assert series(kit) == []


def test_a_dead_source_leaves_it_to_quiet_time(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    rules(kit, free_port())
    kit.index(*make.ct_series(3))
    kit.age(1)
    with caplog.at_level(logging.WARNING):
        ask(kit)
    assert "cannot be reached" in caplog.text
    assert asker(kit).questions() == [], "after a pause"
    assert len(kit.close()) == 1
    assert series(kit) == ["quiet: 3 instances, quiet for 60 s"]


def test_a_study_that_ends_every_association_is_tried_apart_from_the_others(kit: Kit) -> None:
    """It is asked first, being longest due; those behind it are asked at once, without it."""
    first, other = make.ct_series(2), make.ct_series(2, study="other")
    with Archive([*first, *other], abort=make.uid("study")) as archive:
        rules(kit, archive.port)
        kit.index(*first)
        kit.age(0.1)
        kit.index(*other)
        kit.age(1)
        ask(kit, 3)
        kit.collector().once()
    assert series(kit) == ["find: 2 instances, as many as CT1 counted twice (C-FIND)"]
    told = kit.rows(reading)
    assert [(row["study"], bool(row["failure"])) for row in told if row["failure"]] == [(make.uid("study"), True)]


def test_a_bug_met_with_one_study_leaves_no_other_unasked(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = make.ct_series(2), make.ct_series(2, study="other")

    def bug(*_: object) -> None:
        raise ZeroDivisionError

    with Archive([*first, *other]) as archive:
        rules(kit, archive.port)
        kit.index(*first, *other)
        kit.age(1)
        with monkeypatch.context() as patched:
            patched.setattr("node.evidence.source.Source.read", bug)
            ask(kit)
    assert {row["failure"] for row in kit.rows(reading)} == {"a fault in the node; see its log"}


def test_what_was_to_be_asked_when_the_node_stopped_is_due_at_its_next_start(kit: Kit) -> None:
    sent = make.ct_series(3)
    with Archive(sent) as archive:
        rules(kit, archive.port)
        kit.index(*sent)
        kit.age(1)
        one = asker(kit)
        archive.grows = lambda _: one._stop.set()
        one.ask(one.questions())
        assert kit.rows(reading) == []
        assert len(asker(kit).questions()) == 1


def test_a_hanging_source_holds_up_neither_the_collector_nor_another_source(kit: Kit) -> None:
    other = make.ct_series(2, study="other")
    with silent_listener() as hangs, Archive(other, ae_title="CT2") as archive:
        kit.rules(f"""
complete: {{series: {{quiet: 60s}}, study: {{quiet: 60s}}, floor: 1ms}}
peers:
  ct1: {{ae_title: CT1, host: 127.0.0.1, port: {hangs}, evidence: find}}
  ct2: {{ae_title: CT2, host: 127.0.0.1, port: {archive.port}, evidence: find}}
routes: [{{name: all, when: always, steps: [drop]}}]
""")
        kit.index(*make.ct_series(3))
        kit.index(*other, calling="CT2")
        kit.age(1)
        one = asker(kit)
        one.once()
        archive.wait_until_asked(2)
        one.once()
        assert len(kit.close()) == 2
        one._stop.set()


def test_nobody_is_asked_for_others_nor_before_the_floor_nor_for_what_is_closed(kit: Kit) -> None:
    with Archive() as archive:
        kit.rules(RULES.format(port=archive.port, unit="").replace("floor: 1ms", "floor: 5s"))
        kit.index(make.instance(study="a"), calling="STRANGER")
        kit.index(make.instance(study="b"), sender="127.0.0.9")
        kit.age(6)
        kit.index(make.instance(study="c"))
        assert asker(kit).questions() == []
        kit.age(6)
        (question,) = asker(kit).questions()
        assert question.subject.study == make.uid("c")
        kit.close()
        assert asker(kit).questions() == []


def test_of_several_processes_one_asks(kit: Kit) -> None:
    sent = make.ct_series(3)
    with Archive(sent) as archive:
        rules(kit, archive.port)
        kit.index(*sent)
        kit.age(1)
        rounds = [(one := asker(kit), one.questions()) for _ in range(4)]
        threads = [threading.Thread(target=one.ask, args=(due,)) for one, due in rounds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(archive.asked) == 2
    assert len(kit.rows(reading)) == 1


def test_a_question_of_a_process_that_died_is_taken_up_at_once_and_one_of_a_live_one_is_left_to_it(kit: Kit) -> None:
    sent = make.ct_series(3)
    with Archive(sent) as archive:
        rules(kit, archive.port)
        kit.index(*sent)
        kit.age(1)
        with closing(Presence(kit.data / "run", "other")) as other:
            one = asker(kit, presence=other)
            (question,) = one.questions()
            assert one._claim(question)
            assert asker(kit).questions() == []
        ask(kit, 2)
        kit.collector().once()
    assert series(kit) == ["find: 3 instances, as many as CT1 counted twice (C-FIND)"]
    assert [row["failure"] for row in kit.rows(reading)] == [LEFT, "", ""]


def test_what_the_database_did_not_take_is_asked_again_by_the_same_process(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = make.ct_series(3)

    def away(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("", {}, Exception())

    with Archive(sent) as archive:
        rules(kit, archive.port)
        kit.index(*sent)
        kit.age(1)
        with monkeypatch.context() as patched:
            patched.setattr("node.evidence.asker.readings.answer", away)
            ask(kit)
        ask(kit, 2)
        kit.collector().once()
    assert series(kit) == ["find: 3 instances, as many as CT1 counted twice (C-FIND)"]


def test_the_loop_goes_on_after_an_outage_and_ends(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    sent, stop = make.ct_series(3), threading.Event()
    with Archive(sent) as archive:
        rules(kit, archive.port)
        kit.index(*sent)
        kit.age(1)
        one, broken = asker(kit), threading.Event()
        config = one.config

        def once_broken() -> Config:
            if not broken.is_set():
                broken.set()
                raise sa.exc.OperationalError("", {}, Exception())
            return config()

        one.config, one.poll = once_broken, 0.01
        thread = threading.Thread(target=one.run, args=(stop,))
        with caplog.at_level(logging.WARNING):
            thread.start()
            archive.wait_until_asked(2)
            stop.set()
            thread.join(10)
    assert not thread.is_alive()
    assert "the database is away" in caplog.text
