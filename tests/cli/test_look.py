from __future__ import annotations

import pytest

from tests.cli.command import dicom_node
from tests.cli.conftest import Left


def test_the_ledger_counts_every_instance_by_its_state(left: Left) -> None:
    ran = dicom_node("ledger", "--config", left.rules, "--json")
    assert ran.code == 0
    facts = ran.json
    assert facts.pop("balanced") is True
    assert facts.pop("acknowledged") == 6
    assert {state: n for state, n in facts.items() if n} == {"delivered": 3, "waiting": 1, "held": 1, "unrouted": 1}
    assert set(facts) == {
        "held", "in_job", "waiting", "delivered", "produced", "dropped", "unrouted", "duplicate", "superseded",
        "ignored",
    }  # fmt: skip


def test_the_ledger_reads_as_a_table(left: Left) -> None:
    lines = dicom_node("ledger", "--config", left.rules).out.splitlines()
    assert lines[0].split() == ["held", "1"]
    assert lines[-1].split() == ["acknowledged", "6", "balanced"]


def test_an_instance_that_is_nowhere_makes_the_ledger_exit_with_1(left: Left) -> None:
    from node.cli.opened import opened
    from node.index.schema import obligation

    with opened(left.rules) as node, node.database.durable.begin() as connection:
        connection.execute(obligation.delete())
        connection.exec_driver_sql("DELETE FROM node_member")
    ran = dicom_node("ledger", "--config", left.rules, "--json")
    assert (ran.code, ran.json["balanced"]) == (1, False)
    assert "is nowhere" in dicom_node("ledger", "--config", left.rules).err


def test_status_says_what_waits_and_what_is_held_and_exits_with_1(left: Left) -> None:
    ran = dicom_node("status", "--config", left.rules)
    assert ran.code == 1
    assert "waiting             1  for archive, next try " in ran.out
    assert "held                1  route captures, series " in ran.out
    facts = dicom_node("status", "--config", left.rules, "--json").json
    assert [one["destination"] for one in facts["deliveries"]] == ["archive"]
    assert "secondary capture" in facts["held"][0]["reason"]


def test_status_names_what_is_held_at_its_receipt_and_explain_takes_that_name(left: Left) -> None:
    from node.cli.opened import opened
    from node.index.schema import receipt

    with opened(left.rules) as node, node.database.durable.begin() as connection:
        chosen = receipt.c.sop_instance == left.report
        connection.execute(receipt.update().where(chosen).values(state="held", reason="it came back"))
        name = connection.execute(receipt.select().where(chosen)).one().id
    ran = dicom_node("status", "--config", left.rules)
    assert f"receipt {name}" in ran.out
    assert f"instance {left.report} of series " in ran.out
    held = dicom_node("status", "--config", left.rules, "--json").json["held"]
    assert [r["sop_instance"] for one in held for r in one.get("receipts", [])] == [left.report]
    facts = dicom_node("explain", name, "--config", left.rules, "--json").json
    assert [(i["receipt"], i["sop_instance"], i["reason"]) for i in facts["instances"]] == [
        (name, left.report, "it came back")
    ]


def test_explain_tells_the_whole_story_of_a_series(left: Left) -> None:
    ran = dicom_node("explain", left.ct, "--config", left.rules)
    assert ran.code == 0
    for part in (
        "3 from SENDER at 127.0.0.1 to NODE", "complete (quiet: ", "route share-ct took it",
        "route send-mr did not take it", "anonymize", "delivery to share delivered (4 delivered)",
        "owed to share: 3 delivered",
    ):  # fmt: skip
        assert part in ran.out, f"{part!r} is not in:\n{ran.out}"
    assert "Müster" not in ran.out


def test_explain_knows_instances_and_says_why_one_is_held(left: Left) -> None:
    facts = dicom_node("explain", left.capture, "--config", left.rules, "--json").json
    assert [(one["state"], one["sop_instance"]) for one in facts["instances"]] == [("held", left.capture)]
    assert "secondary capture" in facts["instances"][0]["reason"]


def test_explain_of_what_never_came_exits_with_1(left: Left) -> None:
    ran = dicom_node("explain", "1.2.3", "--config", left.rules)
    assert (ran.code, ran.err) == (1, "1.2.3 was never received here\n")


def test_explain_tells_what_sources_answered_and_what_was_pulled(capsys: pytest.CaptureFixture[str]) -> None:
    from node.cli.look import _print_sources

    answers = [(5, ""), (5, ""), (None, "ARCHIVE did not answer"), (None, "")]
    pulled = {"peer": "CT1", "at": 60.0, "how": "C-MOVE", "missing": 2}
    _print_sources({
        "readings": [{"peer": "CT1", "at": 0.0, "instances": n, "failure": why} for n, why in answers],
        "pulls": [{**pulled, "finished": 61.0, "came": 2, "result": "2 sent"}, {**pulled, "finished": None, "came": 0}],
        "completions": [],
    })  # fmt: skip
    assert capsys.readouterr().out.splitlines() == [
        "  1970-01-01 00:00:00Z CT1 has 5 instances (C-FIND), the same until 1970-01-01 00:00:00Z",
        "  1970-01-01 00:00:00Z CT1 was not asked: ARCHIVE did not answer",
        "  1970-01-01 00:00:00Z CT1 has nothing of it (C-FIND)",
        "  2 missing, pulled by C-MOVE from CT1 at 1970-01-01 00:01:00Z, 2 came (2 sent)",
        "  2 missing, pulled by C-MOVE from CT1 at 1970-01-01 00:01:00Z, not finished",
    ]


def test_an_answer_to_the_next_generation_is_not_taken_for_one_to_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    """It was asked at 0, 30 and 60 s, and again for what came after the completion at 90 s."""
    from node.cli.look import _print_sources

    _print_sources({
        "readings": [
            {"peer": "CT1", "at": at, "instances": n, "failure": ""}
            for at, n in ((0.0, 5), (30.0, 5), (60.0, 5), (120.0, 5), (150.0, 6))
        ],
        "pulls": [], "completions": [{"at": 90.0}],
    })  # fmt: skip
    assert capsys.readouterr().out.splitlines() == [
        "  1970-01-01 00:00:00Z CT1 has 5 instances (C-FIND), the same until 1970-01-01 00:01:00Z",
        "  1970-01-01 00:02:00Z CT1 has 5 instances (C-FIND)",
        "  1970-01-01 00:02:30Z CT1 has 6 instances (C-FIND)",
    ]


def test_status_and_explain_say_who_waits_for_commitment(left: Left) -> None:
    from node.cli.opened import opened
    from node.commitment import Failed, Proof
    from node.dicom.commitment import Reference, Request
    from node.index import commitments
    from node.model import UID, Origin

    wanted = (Reference(UID("1.2.840.10008.5.1.4.1.1.4"), UID("1.2.3")), Reference(UID("1.2.3.4"), UID(left.report)))
    ct1 = Origin(calling_ae="CT1", called_ae="NODE", sender="10.1.2.3")
    with opened(left.rules) as node, node.database.durable.begin() as connection:
        key = commitments.record(
            connection, Request(transaction=UID("1.9"), references=wanted), ct1, Proof.DELIVERED, 1e9
        )
        commitments.decide(connection, key, {2: Failed(0x0110, "no route brings it")})
    ran = dicom_node("status", "--config", left.rules)
    assert "for commitment to CT1, transaction 1.9: 0 committed, 1 failed" in ran.out
    (one,) = dicom_node("status", "--config", left.rules, "--json").json["commitments"]
    assert (one["waiting"], one["failed"], one["sender"]) == (1, 1, "10.1.2.3")
    told = dicom_node("explain", left.report, "--config", left.rules).out
    assert "CT1 at 10.1.2.3 asked for commitment (delivered), transaction 1.9: not answered yet" in told
    assert "1 failed 0x0110: no route brings it" in told
    never = dicom_node("explain", "1.2.3", "--config", left.rules)
    assert never.code == 0
    assert "0 instances received" in never.out
