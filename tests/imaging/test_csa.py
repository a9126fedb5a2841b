"""The private table of Siemens: values by name, and never further than the bytes go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import CannotSucceed
from node.imaging.csa import parse
from tests.imaging.mosaics import csa

TABLE = csa({"SliceNormalVector": ["0.5", "-0.25", "1"], "Other": ["x"], "NumberOfImagesInMosaic": ["35"]})


def test_what_is_wanted_is_found_and_nothing_else() -> None:
    found = parse(TABLE, frozenset({"SliceNormalVector", "NumberOfImagesInMosaic", "Absent"}))
    assert found == {"SliceNormalVector": ("0.5", "-0.25", "1"), "NumberOfImagesInMosaic": ("35",)}


def test_a_table_that_is_cut_short_or_absurd_is_refused() -> None:
    with pytest.raises(CannotSucceed, match="ends before"):
        parse(TABLE[:100], frozenset())
    with pytest.raises(CannotSucceed, match="announces 70000 tags"):
        parse(TABLE[:8] + (70000).to_bytes(4, "little") + TABLE[12:], frozenset())


@given(st.integers(0, len(TABLE) - 1), st.binary(min_size=1, max_size=4))
def test_damage_is_refused_or_read_and_nothing_else(at: int, damage: bytes) -> None:
    data = TABLE[:at] + damage + TABLE[at + len(damage) :]
    try:
        found = parse(data, frozenset({"SliceNormalVector"}))
    except CannotSucceed:
        return
    assert all(isinstance(value, str) for values in found.values() for value in values)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    for prefix in (b"", b"SV10\4\3\2\1"):
        try:
            parse(prefix + data, frozenset({"A"}))
        except CannotSucceed:
            continue
