from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.text import folded
from node.steps.anonymize.lookup import load, parse

_ids = st.text("abcXYZ019-é", min_size=1, max_size=8)
_names = st.from_regex(r"[A-Z0-9][A-Z0-9._-]{0,6}[A-Z0-9]", fullmatch=True)


@given(st.dictionaries(_ids, _names, max_size=8))
def test_every_patient_of_a_table_is_found_in_any_spelling(table: dict[str, str]) -> None:
    distinct = {folded(one) for one in table}
    text = "pseudonym;patient_id\n" + "".join(f"{name};{one}\n" for one, name in table.items())
    found, problems = parse(text)
    if len(distinct) == len(table) == len(set(table.values())):
        assert problems == []
        for one, name in table.items():
            assert found.find("", f" {one.lower()} ") == found.find("ANY", one) == name
    else:
        assert problems


def test_with_issuers_an_id_is_of_its_issuer_alone() -> None:
    found, problems = parse("issuer,patient_id,pseudonym\nH1,p,A\nH2,p,B\n,p,C\n")
    assert problems == []
    assert [found.find(issuer, "P") for issuer in ("h1", "H2 ", "", "H3")] == ["A", "B", "C", None]


@pytest.mark.parametrize(
    ("rows", "line", "why"),
    [
        ("secretive,A\nb,B\nSECRETIVE ,C", 4, "the same patient as in line 2"),
        ("secretive,Aa\nb,aA", 3, "the same pseudonym as in line 2"),
        (",A", 2, "no patient_id"),
        ("secretive,", 2, "a pseudonym is"),
        ("secretive,Müller", 2, "a pseudonym is"),
        ("secretive,A^B", 2, "a pseudonym is"),
        ("secretive,../A", 2, "a pseudonym is"),
        ("secretive,A\\B", 2, "a pseudonym is"),
        ("secretive," + "A" * 65, 2, "a pseudonym is"),
        ("secretive,A,1", 2, "3 cells"),
    ],
)
def test_what_is_wrong_has_its_file_and_line_and_names_no_patient(
    tmp_path: Path, rows: str, line: int, why: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"patient_id,pseudonym\n{rows}\n")
    (problem,) = load(path)[1]
    assert problem.startswith(f"{path}:{line}: ")
    assert why in problem
    assert "secretive" not in problem.lower()


def test_every_problem_is_told_at_once_in_order() -> None:
    _, problems = parse("patient_id,pseudonym\na,A\na,B\n,C\nd,\n")
    assert [line for line, _ in problems] == [3, 4, 5]


def test_a_table_that_is_not_there_or_no_text_is_a_problem(tmp_path: Path) -> None:
    assert "cannot be read (FileNotFoundError)" in load(tmp_path / "none.csv")[1][0]
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read (UnicodeDecodeError)" in load(tmp_path / "binary.csv")[1][0]


def test_a_patient_who_was_added_is_found(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("patient_id,pseudonym\na,A\n")
    assert load(path)[0].find("", "b") is None
    path.write_text("patient_id,pseudonym\na,A\nb,B\n")
    os.utime(path, ns=(1, 1))
    assert load(path)[0].find("", "b") == "B"


def test_a_table_shows_no_patient_where_it_is_printed() -> None:
    assert "secretive" not in repr(parse("patient_id,pseudonym\nsecretive,A\n")[0]).lower()
