from __future__ import annotations

from node.report.leaving import Left


def test_what_is_left_is_said_in_one_line() -> None:
    left = Left(units=1, jobs=2, files={"archive": 16, "share": 3}, held=4)
    assert str(left) == ("1 open units, 2 jobs, 16 files for archive, 3 files for share, 4 instances held for a person")


def test_where_nothing_is_left_it_says_so() -> None:
    assert str(Left()) == "nothing"
