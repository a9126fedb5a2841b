"""What the parts of a step say alike becomes one line that is true of all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.run.notes import lines


def test_counts_of_the_same_text_are_added_in_order_of_first_mention() -> None:
    said = [("{} read", (12,)), ("{} of {} changed", (3, 12)), ("{} read", (5,)), ("{} of {} changed", (1, 5))]
    assert lines(said) == ["17 read", "4 of 17 changed"]


def test_a_text_without_counts_says_how_often_it_was_said() -> None:
    assert lines([("lossy", ()), ("a {brace}", ()), ("lossy", ())]) == ["lossy (2 times)", "a {brace}"]


def test_nothing_said_is_no_line() -> None:
    assert lines([]) == []


@given(st.lists(st.tuples(st.sampled_from(["{} read", "{} made"]), st.integers(0, 50), st.integers(0, 50))))
def test_it_does_not_matter_how_a_batch_was_cut(said: list[tuple[str, int, int]]) -> None:
    whole = [(text, (first + second,)) for text, first, second in said]
    parts = [(text, (count,)) for text, first, second in said for count in (first, second)]
    assert lines(parts) == lines(whole)
