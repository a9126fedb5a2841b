"""Units close on evidence and make the jobs that the rules ask for; late arrivals go by their policy."""

from __future__ import annotations

import logging
import threading
import time

import pytest
import sqlalchemy as sa

from node.acts import Acts
from node.collect.collector import Collector
from node.index import jobs, units
from node.index.intake import join_again
from node.index.schema import completion, job, receipt, unit
from node.index.units import Member
from node.spool import Presence
from tests import make
from tests.kit import Kit, changed

ONE = "routes: [{name: all, when: always, steps: [{set: {assign: {InstitutionName: x}}}]%s}]"
ALL = ONE % ""


def late(policy: str) -> str:
    return ONE % f", late: {policy}"


# ---- when --------------------------------------------------------------------------------------------------


def test_a_quiet_series_becomes_a_job(kit: Kit) -> None:
    kit.rules(ALL)
    receipts = kit.index(*make.ct_series(3))
    (key,) = kit.close()
    assert kit.owed(key) == dict.fromkeys(receipts, "in_job")
    assert [c["evidence"] for c in kit.rows(completion)] == ["quiet: 3 instances, quiet for 60 s"] * 2
    assert {"unit complete", "unit closed"} <= set(kit.reached)
    assert kit.close() == []


def test_it_says_when_to_look_again(kit: Kit) -> None:
    kit.rules(ALL)
    kit.index(make.instance())
    assert kit.collector().once() == 1.0  # the poll is sooner
    kit.age(59.2)
    assert kit.collector().once() < 0.85


def test_nothing_closes_while_an_instance_for_it_arrives(kit: Kit) -> None:
    kit.rules(ALL)
    kit.index(make.instance())
    receiver = Presence(kit.data / "run", "receiver")
    try:
        receiver.receive([f"NODE/{make.uid('study', 'series')}"])
        assert kit.close() == []
        receiver.receive([f"NODE/{make.uid('study', 'other series')}", f"OTHER/{make.uid('study', 'series')}"])
        assert len(kit.close()) == 1
    finally:
        receiver.close()


def test_nothing_closes_while_a_receiver_is_ahead_of_the_index(kit: Kit) -> None:
    kit.rules(ALL)
    kit.index(make.instance())
    receiver = Presence(kit.data / "run", "receiver")
    try:
        receiver.acknowledge()
        assert kit.close() == []
        receiver.index(1)
        assert len(kit.close()) == 1
    finally:
        receiver.close()


def test_an_instance_for_another_series_keeps_the_study_open_and_not_the_series(kit: Kit) -> None:
    kit.rules(
        "routes: [{name: one, when: always, steps: [{set: {assign: {InstitutionName: x}}}]}, "
        "{name: all, unit: study, when: always, steps: [{set: {assign: {InstitutionName: x}}}]}]"
    )
    kit.index(make.instance())
    receiver = Presence(kit.data / "run", "receiver")
    try:
        receiver.receive([f"NODE/{make.uid('study')}", f"NODE/{make.uid('study', 'other series')}"])
        (key,) = kit.close()
        assert key.endswith(".one")
        receiver.receive([])
        (key,) = kit.close()
        assert key.endswith(".all")
    finally:
        receiver.close()


def test_who_has_indexed_everything_is_not_waited_for(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.presence.acknowledge()
    kit.presence.index(1)
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("it waited"))
    kit.collector().once()


def test_a_unit_that_waits_for_time_alone_is_left_alone_until_then_or_until_there_is_news(kit: Kit) -> None:
    collector = kit.collector()
    collector._forget(1.0, ["rules"])
    collector.waiting.update({(1, 1, 1): 10.0, (2, 1, 1): 20.0})
    collector._forget(15.0, ["rules"])
    assert collector.waiting == {(2, 1, 1): 20.0}
    collector._forget(15.0, ["other rules"])
    assert collector.waiting == {}


def test_what_is_acknowledged_meanwhile_is_not_waited_for(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a receiver that is never idle would keep everything open: it cannot break a quiet time that was over."""
    kit.rules(ALL)
    kit.index(make.instance())
    receiver = Presence(kit.data / "run", "receiver")

    def goes_on(seconds: float) -> None:
        receiver.acknowledge()
        receiver.index(1)

    monkeypatch.setattr(time, "sleep", goes_on)
    try:
        receiver.acknowledge()
        assert len(kit.close()) == 1
        mark = next(mark for mark in kit.presence.live() if mark.process == "receiver")
        assert mark.indexed < mark.acknowledged
    finally:
        receiver.close()


def test_nothing_closes_before_what_a_dead_process_acknowledged_was_swept(kit: Kit) -> None:
    kit.rules(ALL)
    kit.index(make.instance())
    receiver = Presence(kit.data / "run", "receiver")
    receiver.acknowledge()
    receiver.close()
    assert kit.close() == []
    kit.presence.bury("receiver")
    assert len(kit.close()) == 1


def test_nothing_closes_when_a_process_dies_while_its_rows_are_waited_for(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.rules(ALL)
    kit.index(make.instance())
    receiver = Presence(kit.data / "run", "receiver")
    receiver.acknowledge()
    monkeypatch.setattr(time, "sleep", lambda seconds: receiver.close())
    assert kit.close() == []


def test_at_most_closes_whatever_goes_on(kit: Kit) -> None:
    kit.rules(ALL)
    kit.index(make.instance())
    kit.presence.acknowledge()
    assert len(kit.close(4 * 3600)) == 1
    assert "not indexed yet" in kit.rows(completion)[0]["evidence"]


def test_an_instance_that_comes_while_the_unit_is_closed_keeps_it_open(kit: Kit) -> None:
    kit.rules(ALL)
    kit.index(make.instance(number=1))

    def arrives(point: str) -> None:
        if point == "unit complete" and len(kit.receipts()) == 1:
            kit.index(make.instance(number=2))

    kit.reach = arrives
    assert kit.close() == []
    kit.reach = kit.reached.append
    (key,) = kit.close()
    assert len(kit.owed(key)) == 2


def test_two_collectors_make_one_job(kit: Kit) -> None:
    kit.rules(ALL)
    for number in range(5):
        kit.index(make.instance(series=f"s{number}"))
    kit.age(61)
    threads = [threading.Thread(target=kit.collector().once) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kit.jobs()) == 5
    assert len(kit.rows(completion)) == 6


def test_a_fault_in_one_unit_keeps_no_other_open(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    kit.rules(ALL)
    broken, _ = kit.index(make.instance(series="a"), make.instance(series="b"))
    kit.write(sa.update(receipt).where(receipt.c.id == broken).values(header=b"Doe^John"))
    collector = kit.collector()
    kit.age(61)
    with caplog.at_level(logging.ERROR):
        collector.once()
        collector.once()
    assert len(kit.jobs()) == 1
    # Of the study, on which no route works, nothing is read.
    assert len([r for r in caplog.records if "stays open" in r.message]) == 1
    assert "Doe" not in caplog.text


def test_after_the_clock_went_back_the_quiet_time_begins_anew(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    kit.rules(ALL)
    kit.index(make.instance())
    collector = kit.collector()
    kit.age(-50)
    collector.once()
    assert "clock" not in caplog.text, "clocks of machines differ by so much"
    kit.age(-3600)
    collector.waiting[1, 1, 1] = collector.failed[1] = 1e12
    collector.once()
    assert (collector.waiting, collector.failed) == ({}, {}), "until a moment of the clock that was"
    assert "the database's clock went back; 2 open units" in caplog.text
    assert kit.jobs() == {}
    kit.age(61)
    collector.once()
    assert len(kit.jobs()) == 1


def test_the_loop_wakes_up_and_ends(kit: Kit) -> None:
    kit.rules(ALL)
    kit.index(make.instance())
    kit.age(61)
    stop, wake, done = threading.Event(), threading.Event(), threading.Event()
    collector = Collector(
        database=kit.database, presence=kit.presence, engine=kit.engine, config=lambda: kit.config,
        judge_duplicates=lambda: 0, poll=3600, reach=lambda point: done.set() if point == "unit closed" else None,
    )  # fmt: skip
    thread = threading.Thread(target=collector.run, args=(stop, wake))
    thread.start()
    assert done.wait(10)
    stop.set()
    wake.set()
    thread.join(10)
    assert not thread.is_alive()


# ---- which routes ------------------------------------------------------------------------------------------


def test_every_route_that_matches_makes_a_job_and_verdicts_are_kept(kit: Kit) -> None:
    kit.rules("""
routes:
  - {name: ct, when: {Modality: CT}, steps: [drop]}
  - {name: mr, when: {Modality: MR}, steps: [drop]}
  - {name: study, unit: study, when: always, steps: [drop]}
""")
    kit.index(make.instance())
    assert sorted(key.rpartition(".")[2] for key in kit.close()) == ["ct", "study"]
    said = " ".join(c["verdicts"] for c in kit.rows(completion))
    assert '["ct", true' in said
    assert '["mr", false' in said


def test_what_cannot_be_decided_is_held_and_only_a_release_begins_it(kit: Kit) -> None:
    kit.rules('routes: [{name: long, when: {ImageComments: "*secret*"}, steps: [drop]}]')
    ds = make.instance()
    ds.ImageComments = "x" * 200  # more than the index keeps of a value
    kit.index(ds)
    (key,) = kit.close()
    assert kit.jobs() == {key: "held"}
    assert "cannot be told" in kit.reasons(key).pop()
    assert "waits for a decision" in kit.acts().retry("all").lines[0]
    assert kit.jobs() == {key: "held"}
    kit.acts().release(key)
    assert kit.jobs() == {key: "queued"}


def test_a_unit_without_a_route_is_unrouted(kit: Kit) -> None:
    kit.rules("routes: [{name: mr, when: {Modality: MR}, steps: [drop]}]")
    kit.index(make.instance())
    assert kit.balance() == {"in_job": 1}
    assert kit.close() == []
    assert kit.balance() == {"unrouted": 1}


def test_the_log_names_units_without_a_route_where_one_could_have_taken_them(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    """A route of series has nothing to do with studies: that it does not take them is no news."""
    caplog.set_level(logging.INFO, "node.collect")
    kit.rules("routes: [{name: mr, when: {Modality: MR}, steps: [drop]}]")
    kit.index(make.instance())
    kit.close()
    (line,) = [each for each in caplog.messages if "no route" in each]
    assert line.startswith("series ")
    assert {each["state"] for each in kit.rows(unit)} == {"complete"}
    (study,) = [each["id"] for each in kit.rows(unit) if each["kind"] == "study"]
    assert kit.rows(completion, completion.c.unit == study), "explain has it still"


def test_headers_are_read_only_of_units_that_a_route_works_on(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    read, members = list[int](), units.members

    def noted(connection: sa.Connection, unit_id: int, generation: int) -> list[Member]:
        read.append(unit_id)
        return members(connection, unit_id, generation)

    monkeypatch.setattr(units, "members", noted)
    kit.rules(ALL)
    kit.index(*make.ct_series(3))
    kit.close()
    kinds = {u["id"]: u["kind"] for u in kit.rows(unit)}
    assert [kinds[one] for one in read] == ["series"]
    assert {u["state"] for u in kit.rows(unit)} == {"complete"}


# ---- late arrivals -----------------------------------------------------------------------------------------


def twice(kit: Kit, rules: str) -> tuple[str, list[str], list[str]]:
    """(second job, receipts of generation 1, receipts of generation 2)"""
    kit.rules(rules)
    early = kit.index(*make.ct_series(2))
    kit.close()
    later = kit.index(make.instance(number=9))
    (second,) = kit.close()
    return second, list(early), list(later)


def test_late_rerun_works_on_everything_again(kit: Kit) -> None:
    second, early, later = twice(kit, late("rerun"))
    assert kit.owed(second) == dict.fromkeys([*early, *later], "in_job")
    assert not kit.rows(job, job.c.id == second)[0]["delta"]


def test_late_delta_works_on_the_late_ones_alone(kit: Kit) -> None:
    second, _, later = twice(kit, late("delta"))
    assert kit.owed(second) == dict.fromkeys(later, "in_job")
    assert kit.rows(job, job.c.id == second)[0]["delta"]


@pytest.mark.parametrize("policy", ["delta", "hold", "ignore"])
def test_a_late_one_that_was_dropped_before_its_generation_closed_makes_no_job(kit: Kit, policy: str) -> None:
    kit.rules(late(policy))
    kit.index(make.instance(number=1))
    (first,) = kit.close()
    kit.index(make.instance(number=2))
    kit.write(sa.update(receipt).where(receipt.c.id == max(kit.receipts())).values(state="dropped"))
    assert kit.close() == []
    assert list(kit.jobs()) == [first]
    assert {row["state"] for row in kit.rows(unit)} == {"complete"}


def test_late_ignore_makes_no_work_and_counts_them(kit: Kit) -> None:
    second, _, later = twice(kit, late("ignore"))
    assert kit.owed(second) == dict.fromkeys(later, "ignored")
    assert kit.jobs()[second] == "done"
    assert kit.state_of(later[0]) == "ignored"


def test_late_hold_waits_for_a_person_and_a_release_works_on_them_alone(kit: Kit) -> None:
    second, _, later = twice(kit, late("hold"))
    assert kit.owed(second) == dict.fromkeys(later, "held")
    acts: Acts = kit.acts()
    assert acts.retry("all").lines == (f"job {second} waits for a decision: release it or drop it",)
    assert acts.release(later[0]).lines == (f"job {second} runs",)
    assert kit.owed(second) == dict.fromkeys(later, "in_job")
    (row,) = kit.rows(job, job.c.id == second)
    assert (row["state"], row["tries"]) == ("queued", 1)
    assert row["delta"], "what generation 1 published must stay"


def test_a_route_that_matches_only_later_works_on_everything(kit: Kit) -> None:
    kit.rules("routes: [{name: odd, when: {InstanceNumber: 9}, late: ignore, steps: [drop]}]")
    early = kit.index(*make.ct_series(2))
    assert kit.close() == []
    later = kit.index(make.instance(number=9))
    (second,) = kit.close()
    assert kit.owed(second) == dict.fromkeys([*early, *later], "in_job")


def test_a_rerun_replaces_what_the_earlier_generation_was_held_with(kit: Kit) -> None:
    kit.rules(ALL)
    early = kit.index(*make.ct_series(2))
    (first,) = kit.close()
    with kit.database.durable.begin() as connection:
        jobs.hold(connection, first, "a codec failed", 1.0)
    assert kit.balance() == {"held": 2}
    kit.index(make.instance(number=9))
    kit.close()
    assert kit.jobs()[first] == "done"
    assert kit.owed(first) == dict.fromkeys(early, "replaced")
    assert kit.balance() == {"in_job": 3}


def test_a_newer_version_before_completion_takes_the_place_of_the_older(kit: Kit) -> None:
    """The older is superseded at receipt (see test_duplicates); only what is current is worked on."""
    kit.rules(ALL)
    older = kit.index(make.instance())[0]
    newer = kit.index(changed(make.instance(), KVP=80))[0]
    assert kit.close() == [], "not closed while it is being compared"
    kit.write(sa.update(receipt).where(receipt.c.id == older).values(state="superseded"))
    kit.write(sa.update(receipt).where(receipt.c.id == newer).values(state="current"))
    with kit.database.durable.begin() as connection:
        join_again(connection, newer, kit.config.kinds, kit.database.now(connection))
    (key,) = kit.close()
    assert kit.owed(key) == {newer: "in_job"}
    assert {u["generation"] for u in kit.rows(unit)} == {1}
