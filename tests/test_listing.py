from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.listing import read

_cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")).map(
    str.strip
)


@given(st.lists(st.tuples(_cells, _cells), max_size=5), st.sampled_from(",;\t"), st.booleans())
def test_what_a_spreadsheet_writes_is_read(rows: list[tuple[str, str]], delimiter: str, marked: bool) -> None:
    rows = [row for row in rows if any(row)]
    made = io.StringIO()
    csv.writer(made, delimiter=delimiter, lineterminator="\r\n").writerows([("Name", " Number "), *rows])
    found, problems = read(("\ufeff" if marked else "") + made.getvalue(), ("name",), ("number", "more"))
    assert problems == []
    assert [(row.cells["name"], row.cells["number"], row.cells["more"]) for row in found] == [
        (*row, "") for row in rows
    ]
    assert [row.line for row in found] == list(range(2, len(rows) + 2))


@given(st.text('ab,;"\n\t\ufeff\0 '))
def test_any_text_is_rows_or_problems(text: str) -> None:
    rows, problems = read(text, ("a",), ("b",))
    assert all(line >= 0 and why for line, why in problems)
    assert all(set(row.cells) == {"a", "b"} for row in rows)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", 1, '"a" is missing'),
        ("Smith,4711\n", 1, "column 1, 2 of the first line"),
        ("b\n1\n", 1, '"a" is missing'),
        ("a,b,a\n", 1, "twice"),
        ("a,b\n1,2\n3\n", 3, "1 cells in a table of 2 columns"),
        ("a,b\n1,2,3\n", 2, "3 cells"),
        ('a,b\n"1,2\n', 2, "quote"),
        ('a,b\n"1"x,2\n', 2, "quote"),
    ],
)
def test_what_is_wrong_has_its_line_and_shows_no_cell(text: str, line: int, why: str) -> None:
    _, problems = read(text, ("a",), ("b",))
    assert (line, True) in [(at, why in said) for at, said in problems], problems
    assert not any("Smith" in said for _, said in problems)


def test_empty_lines_are_passed_over_and_a_cell_may_have_lines() -> None:
    rows, problems = read('a,b\n\n , \n1,"x\ny"\n2,z\n', ("a",), ("b",))
    assert problems == []
    assert [(row.line, row.cells["a"], row.cells["b"]) for row in rows] == [(5, "1", "x\ny"), (6, "2", "z")]
