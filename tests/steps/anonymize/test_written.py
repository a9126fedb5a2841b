"""Elements that are given on in blocks are the same bytes in the same order, and what is asked for stands by itself."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from node.steps.anonymize.written import Written, in_blocks

_tags = st.integers(0, 40)
_written: st.SearchStrategy[Written] = st.one_of(
    st.binary(max_size=3), st.lists(st.one_of(st.binary(max_size=2), st.just((3, 9))), min_size=1, max_size=3)
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(_tags, _written, max_size=20), st.sets(_tags, max_size=6))
def test_blocks_are_the_elements_and_any_that_stands_apart_can_be_put_among_them(
    elements: dict[int, Written], apart: set[int]
) -> None:
    elements = {tag: elements[tag] for tag in sorted(elements)}
    blocks = in_blocks(elements, tuple(sorted(apart)))
    for tag in apart:
        assert blocks.pop(tag, b"") == elements.get(tag, b"")
    put = {**{tag: elements[tag] for tag in elements if tag not in apart}, **{tag: [(tag, tag)] for tag in apart}}
    together = {**blocks, **{tag: [(tag, tag)] for tag in apart}}
    assert _pieces([together[tag] for tag in sorted(together)]) == _pieces([put[tag] for tag in sorted(put)])


def _pieces(every: list[Written]) -> list[object]:
    """Each byte, and each stretch."""
    return [
        one
        for written in every
        for piece in ([written] if isinstance(written, bytes) else written)
        for one in (piece if isinstance(piece, bytes) else [piece])
    ]


def test_neighbours_are_one_and_what_is_removed_is_not_there() -> None:
    elements: dict[int, Written] = {1: b"a", 2: b"", 3: b"b", 5: b"c", 7: [b"d", (0, 9)], 8: b"e", 9: b"f"}
    assert in_blocks(elements, (4, 9)) == {1: b"ab", 5: b"c", 7: [b"d", (0, 9)], 8: b"e", 9: b"f"}
