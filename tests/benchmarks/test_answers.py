"""Which answers count as waited for while something was converted, and a CT that packs as a real one."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from benchmarks.answers import Answer, series_of, shown, sort
from benchmarks.phantom import slice_of
from benchmarks.wire import EXPLICIT_LE
from tests import make
from tests.peers import Recorder


def test_an_answer_counts_where_it_was_waited_for() -> None:
    before, across, inside, after = (Answer(at, 0.5) for at in (1.0, 2.8, 4.0, 6.0))
    idle, converting = sort([before, across, inside, after], [(3.0, 5.0)], [(0.0, 2.0), (5.5, 7.0)])
    assert idle == [0.5, 0.5]
    assert converting == [0.5, 0.5], "one that was sent before the step began waited for it as well"


def test_an_answer_between_the_two_counts_as_neither() -> None:
    assert sort([Answer(5.2, 0.1)], [(3.0, 5.0)], [(6.0, 7.0)]) == [[], []]


def test_the_table_has_the_ratio_of_medians_and_of_the_slowest() -> None:
    table = shown([0.002] * 40, [0.003] * 40, [(0.0, 1.5), (2.0, 4.5)])
    assert "converting, 2.0 s each" in table
    assert table.splitlines()[-1].split("|")[3:5] == [" " * 6 + "1.50 ", " " * 4 + "1.50 "]


def test_too_few_answers_give_no_table() -> None:
    assert "too few" in shown([0.002], [], [])


def test_a_series_can_be_sent_again_as_another_one(tmp_path: Path) -> None:
    make.write_all(make.ct_series(3), tmp_path)
    series = series_of(tmp_path)
    with Recorder() as peer:
        for run in (1, 2):
            series.send(peer.port, run)
        came = [dcmread(DicomBytesIO(received.data), force=True) for received in peer.received]
        assert {received.transfer_syntax for received in peer.received} == {EXPLICIT_LE}
    assert len({ds.SOPInstanceUID for ds in came}) == 6
    assert len({ds.SeriesInstanceUID for ds in came}) == len({ds.StudyInstanceUID for ds in came}) == 2
    assert [ds.SOPInstanceUID for ds in came] == [received.sop_instance for received in peer.received]
    assert all((a.PixelData == b.PixelData) for a, b in zip(came[:3], came[3:], strict=True))


def test_the_invented_ct_takes_as_many_bytes_as_a_real_one() -> None:
    planes = [slice_of(512, number, 300) for number in (0, 150)]
    size = len(zlib.compress(b"".join(plane.tobytes() for plane in planes), 1)) / (2 * 512 * 512)
    assert size == pytest.approx(0.86, abs=0.12), "bytes a voxel of ct_straight_28"


def test_slices_of_the_invented_ct_differ_and_are_always_the_same() -> None:
    one, other = slice_of(64, 3, 20), slice_of(64, 4, 20)
    assert np.array_equal(one, slice_of(64, 3, 20))
    assert not np.array_equal(one, other)
    assert one.min() >= 0
    assert one.max() <= 4095
