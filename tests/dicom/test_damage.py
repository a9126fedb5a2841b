from __future__ import annotations

import contextlib
import warnings
from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite

from node.dicom.damage import DAMAGE, UNREADABLE
from node.dicom.encoding import Malformed
from tests import make


def whole() -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, make.ct_series(1)[0], enforce_file_format=True)
    return buffer.getvalue()


WHOLE = whole()


@given(st.dictionaries(st.integers(132, len(WHOLE) - 1), st.integers(0, 255), max_size=8), st.integers(132, len(WHOLE)))
def test_whatever_is_wrong_with_a_data_set_is_one_of_these(changed: dict[int, int], end: int) -> None:
    data = bytearray(WHOLE)
    for place, value in changed.items():
        data[place] = value
    with warnings.catch_warnings(), contextlib.suppress(*UNREADABLE):
        warnings.simplefilter("ignore")
        ds = dcmread(BytesIO(data[:end]))
        for element in ds.iterall():
            str(element.value)
        dcmwrite(BytesIO(), ds, enforce_file_format=True)


def test_a_disk_that_fails_a_sentence_of_ours_and_a_fault_of_ours_are_no_damage() -> None:
    assert not any(issubclass(error, DAMAGE) for error in (OSError, Malformed, AssertionError, MemoryError))


def test_that_it_cannot_be_read_now_may_count_as_unreadable() -> None:
    assert issubclass(OSError, UNREADABLE)
    assert set(DAMAGE) < set(UNREADABLE)
