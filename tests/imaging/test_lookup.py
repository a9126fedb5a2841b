"""Lookup tables as headers have them: US or SS, numbers, words or packed bytes; never an entry that is not there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from node.errors import CannotSucceed
from node.imaging.lookup import Lookup, descriptor_of, entries_of, read_lookup


def item(descriptor: list[int], data: list[int] | bytes, vr: str = "US") -> Dataset:
    ds = Dataset()
    ds.add_new("LUTDescriptor", "US" if descriptor[1] >= 0 else "SS", descriptor)
    ds.add_new("LUTData", "OW" if isinstance(data, bytes) else vr, data)
    return ds


@given(first=st.integers(-500, 500), values=st.lists(st.integers(-2000, 2000), min_size=1, max_size=50))
def test_values_beyond_the_table_take_its_ends(first: int, values: list[int]) -> None:
    entries = np.arange(100, dtype=np.uint16) * 3
    table = Lookup(first=first, bits=9, entries=entries)
    expected = [entries[min(max(value - first, 0), 99)] for value in values]
    assert table(np.array(values)).tolist() == expected


def test_words_numbers_and_packed_bytes_are_the_same_table() -> None:
    numbers = [0, 7, 200, 255]
    packed, words = bytes(numbers), np.array(numbers, "<u2").tobytes()
    for data in (numbers, packed, words):
        assert entries_of(data, 4, name="x").tolist() == numbers
    assert entries_of(bytes([1, 2, 3, 0]), 3, name="x").tolist() == [1, 2, 3]  # padded to an even length


def test_zero_entries_mean_65536() -> None:
    assert descriptor_of([0, 0, 16], signed=False, name="x") == (65536, 0, 16)


@pytest.mark.parametrize(("signed", "first"), [(True, -1024), (False, 64512)])
def test_the_first_value_has_the_sign_of_the_input_whatever_its_vr(signed: bool, first: int) -> None:
    assert descriptor_of([4096, 64512, 12], signed=signed, name="x")[1] == first
    assert descriptor_of([4096, -1024, 12], signed=signed, name="x")[1] == first


def test_entries_above_the_bits_that_were_announced_are_still_entries() -> None:
    table = read_lookup(item([3, 0, 8], [0, 300, 1023]), signed=False, name="VOI LUT Sequence")
    assert table.bits == 10
    assert table.share(np.array([2])).tolist() == [1.0]


@pytest.mark.parametrize(
    ("ds", "words"),
    [
        (Dataset(), "no descriptor"),
        (item([4, 0, 8], [1, 2]), "2 entries where its descriptor says 4"),
        (item([4, 0, 32], [1, 2, 3, 4]), "32 bits"),
        (item([4, 0, 8], b"\1\2"), "2 entries"),
    ],
)
def test_a_table_that_is_not_whole_is_refused_with_its_name(ds: Dataset, words: str) -> None:
    with pytest.raises(CannotSucceed, match="'Modality LUT Sequence'") as refused:
        read_lookup(ds, signed=False, name="Modality LUT Sequence")
    assert words in str(refused.value)


def test_a_value_that_is_no_number_takes_the_first_entry() -> None:
    table = Lookup(first=0, bits=8, entries=np.array([9, 20], np.uint16))
    assert table(np.array([np.nan, np.inf, -np.inf, 0.6])).tolist() == [9, 20, 9, 20]
