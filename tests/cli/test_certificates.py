"""`dicom-node verify`: what it prints, and how it exits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.cli.command import Ran, dicom_node
from tests.cli.conftest import Left


def paper(left: Left) -> Path:
    """The certificate that lies in the share, beside three images."""
    (found,) = (left.rules.parent / "out").rglob("certificate-*.json")
    assert len(list(found.parent.glob("*.dcm"))) == 3
    return found


def verify(left: Left, *arguments: object) -> Ran:
    return dicom_node("verify", *arguments, "--config", left.rules)


def change(left: Left, statement: str) -> None:
    engine = sa.create_engine(f"sqlite:///{left.rules.parent / 'data' / 'node.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def test_the_certificates_of_a_node_that_ran_verify(left: Left) -> None:
    ran = verify(left, paper(left))
    assert (ran.code, ran.err) == (0, "")
    first, last = ran.out.splitlines()
    assert first.startswith(f"{paper(left)}: verifies: certificate ")
    assert ", 3 instances, issued 20" in first
    assert last == "the ledger has 2 certificates in 1 chains, each whole", "one of the share, one of the archive"


def test_one_changed_byte_is_found_and_exits_with_1(left: Left) -> None:
    path = paper(left)
    path.write_bytes(path.read_bytes().replace(b'"received": 3', b'"received": 4'))
    ran = verify(left, path)
    assert ran.code == 1
    assert f"{path}: does not verify: it is not as it was sealed" in ran.out
    assert ": statement.instances.received" in ran.out
    facts = dicom_node("verify", path, "--config", left.rules, "--json")
    assert (facts.code, facts.json["verified"]) == (1, False)
    assert [one["verifies"] for one in facts.json["certificates"]] == [False]


def test_in_a_folder_it_looks_at_certificates_alone(left: Left, tmp_path: Path) -> None:
    shutil.copy(paper(left), tmp_path / "renamed.json")
    folder = left.rules.parent / "out"
    (folder / "notes.json").write_text("{}")
    assert len(dicom_node("verify", folder, "--config", left.rules, "--json").json["certificates"]) == 1
    assert verify(left, tmp_path / "renamed.json").code == 0, "a file that is named is looked at whatever its name"


def test_without_a_file_it_looks_at_the_chains(left: Left) -> None:
    facts = dicom_node("verify", "--config", left.rules, "--json").json
    ((chain,)) = facts["chains"]
    assert (facts["verified"], chain["certificates"], chain["flaws"]) == (True, 2, [])


@pytest.mark.parametrize(("gone", "place"), [("min", "middle"), ("max", "end")])
def test_what_was_taken_from_the_ledger_is_found(left: Left, gone: str, place: str) -> None:
    change(left, f"DELETE FROM node_certificate WHERE number = (SELECT {gone}(number) FROM node_certificate)")
    ran = verify(left)
    assert ran.code == 1
    assert f"certificate {1 if place == 'middle' else 2} of chain " in ran.out
    assert "it is missing\n" in ran.out
    assert ran.out.endswith("the ledger has 1 certificates in 1 chains, 1 broken\n")


def test_a_whole_chain_that_was_taken_from_the_ledger_is_found(left: Left) -> None:
    change(left, "DELETE FROM node_certificate")
    change(left, "DELETE FROM node_certificate_head")
    ran = verify(left)
    assert (ran.code, ran.out.splitlines()[-1]) == (1, "no certificate yet")
    assert "taken away as a whole" in ran.out
    assert dicom_node("verify", "--config", left.rules, "--json").json["register"] in ran.out


def test_complete_names_certificates_that_are_not_among_the_files(left: Left, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = verify(left, "--complete", tmp_path / "empty")
    assert ran.code == 1
    assert ran.out.count("is not among the files") == 1, "the one of the share"
    facts = dicom_node("verify", "--complete", tmp_path / "empty", "--config", left.rules, "--json").json
    assert [len(facts[key]) for key in ("missing", "not_looked_for")] == [1, 1]
    assert dicom_node("verify", "--complete", "--config", left.rules).code == 2


def test_complete_says_what_lies_in_no_folder_and_exits_by_the_rest(left: Left) -> None:
    ran = verify(left, "--complete", left.rules.parent / "out")
    assert ran.code == 0, "the other one is of the archive's route, and lies nowhere"
    assert "not looked for: 1 certificates of what went to an application entity" in ran.out
    assert "is not among the files" not in ran.out


def test_explain_names_the_certificate(left: Left) -> None:
    assert "certificate " in dicom_node("explain", left.ct, "--config", left.rules).out


def test_without_the_secret_it_says_that_only_the_node_can_verify_and_makes_none(left: Left) -> None:
    secret = left.rules.parent / "data" / "secret"
    secret.unlink()
    ran = verify(left, paper(left))
    assert ran.code == 2
    assert "only the node that issued" in ran.err
    assert not secret.exists()


def test_no_file_name_of_a_stranger_reaches_the_terminal_as_it_is(left: Left) -> None:
    (left.rules.parent / "out" / "certificate-\x1b[2J.json").write_text("x")
    ran = verify(left, left.rules.parent / "out")
    assert ran.code == 1
    assert "\x1b" not in ran.out


def test_a_file_that_is_not_there_exits_with_2(left: Left) -> None:
    assert verify(left, left.rules.parent / "nothing.json").code == 2
