"""`dicom-node ledger --verify`: what it prints, and how it exits."""

from __future__ import annotations

from pathlib import Path

from tests.cli.command import dicom_node
from tests.cli.conftest import Left


def one_file(left: Left) -> Path:
    return sorted((left.rules.parent / "data" / "spool").glob("2*/*/*.dcm"))[0]


def test_what_a_node_left_behind_is_right(left: Left) -> None:
    ran = dicom_node("ledger", "--verify", "--config", left.rules)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("6 receipts, 6 files, ")
    assert ran.out.endswith("checked: no discrepancies\n")


def test_a_damaged_file_is_named_with_what_to_do_and_exits_with_1(left: Left) -> None:
    path = one_file(left)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    ran = dicom_node("ledger", "--verify", "--config", left.rules)
    assert ran.code == 1
    assert f"{path.stem} (SOP instance " in ran.out
    assert "have the sender send it again" in ran.out
    facts = dicom_node("ledger", "--verify", "--config", left.rules, "--json").json
    assert [one["subject"] for one in facts["discrepancies"]] == [path.stem]
    assert (facts["verified"], facts["checked"]["receipts"]) == (False, 6)


def test_no_file_name_of_a_stranger_reaches_the_terminal_as_it_is(left: Left) -> None:
    one_file(left).with_name("\x1b[2J.txt").write_text("x")
    ran = dicom_node("ledger", "--verify", "--config", left.rules)
    assert ran.code == 1
    assert "\x1b" not in ran.out
