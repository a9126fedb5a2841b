from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import RLELossless

from node.errors import CannotSucceed
from node.imaging.same import same_pixels
from tests import make
from tests.dicom import big_endian as big


def _ct() -> FileDataset:
    return make.ct_series(1, rows=8, columns=6)[0]


def test_the_same_samples_are_the_same_however_they_are_encoded(tmp_path: Path) -> None:
    native, coded = _ct(), _ct()
    coded.compress(RLELossless)
    a, b = make.write(native, tmp_path / "a.dcm"), make.write(coded, tmp_path / "b.dcm")
    assert b"".join([a.read_bytes()]) != b.read_bytes()
    assert same_pixels(a, b)


@pytest.mark.parametrize("defined", [True, False])
def test_the_same_samples_are_the_same_behind_what_is_written_as_un_in_big_endian(
    tmp_path: Path, defined: bool
) -> None:
    rows = {0x00280010: big.element(0x00280010, "UN", b"\x08\0")}
    sequence = {0x00082112: big.unknown_sequence(0x00082112, big.implicit(0x00280010, b"\2\0"), defined=defined)}
    a, b = make.write(_ct(), tmp_path / "a.dcm"), big.file(tmp_path / "b.dcm", _ct(), rows | sequence)
    assert same_pixels(a, b)


def test_samples_that_are_written_as_un_are_little_endian_in_big_endian_too(tmp_path: Path) -> None:
    pixels = {0x7FE00010: big.element(0x7FE00010, "UN", _ct().PixelData)}
    assert same_pixels(make.write(_ct(), tmp_path / "a.dcm"), big.file(tmp_path / "b.dcm", _ct(), pixels))


def test_one_sample_that_differs_makes_a_difference(tmp_path: Path) -> None:
    changed = _ct()
    pixels = changed.pixel_array.copy()
    pixels[7, 5] += 1
    make.set_pixels(changed, pixels)
    assert not same_pixels(make.write(_ct(), tmp_path / "a.dcm"), make.write(changed, tmp_path / "b.dcm"))


@pytest.mark.parametrize("shape", [(6, 8), (2, 8, 6)], ids=["turned", "more frames"])
def test_another_shape_is_another_image(tmp_path: Path, shape: tuple[int, ...]) -> None:
    other = _ct()
    make.set_pixels(other, np.zeros(shape, np.int16))
    assert not same_pixels(make.write(_ct(), tmp_path / "a.dcm"), make.write(other, tmp_path / "b.dcm"))


def test_objects_without_pixels_agree_with_each_other_only(tmp_path: Path) -> None:
    report = make.write(make.report(), tmp_path / "report.dcm")
    assert same_pixels(report, report)
    assert not same_pixels(report, make.write(_ct(), tmp_path / "ct.dcm"))


def test_what_cannot_be_decoded_is_not_guessed(tmp_path: Path) -> None:
    broken = _ct()
    broken.PixelData = broken.PixelData[:-20]
    with pytest.raises(CannotSucceed):
        same_pixels(make.write(_ct(), tmp_path / "a.dcm"), make.write(broken, tmp_path / "b.dcm"))
