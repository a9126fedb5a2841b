"""Mosaics are taken apart by what their headers say; nibabel does the same with real ones."""

from __future__ import annotations

import warnings

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from node.errors import CannotSucceed
from node.imaging.attributes import Frame, frames_of
from node.imaging.layout import layout_of
from node.imaging.mosaic import tiles_of
from tests.data import real
from tests.imaging import mosaics

SLICES = np.arange(7 * 4 * 6, dtype=np.uint16).reshape(7, 4, 6)


def frames(ds: Dataset) -> list[Frame]:
    return frames_of(ds, layout_of(ds, "1.2.840.10008.1.2.1"), 0)


def test_a_mosaic_of_siemens_has_its_slices_along_the_normal_of_its_private_header() -> None:
    for normal in ((0, 0, 1), (0, 0, -1)):
        ds = mosaics.siemens(SLICES, normal=normal)
        found = frames(ds)
        assert [frame.position for frame in found] == [(-10, -20, 30 + 3.5 * n * normal[2]) for n in range(7)]
        for n, frame in enumerate(found):
            np.testing.assert_array_equal(frame.part(ds.pixel_array), SLICES[n])


def test_a_grid_of_uih_has_the_positions_of_its_sequence_and_no_empty_row() -> None:
    slices = np.arange(20 * 4 * 6, dtype=np.uint16).reshape(20, 4, 6)
    ds = mosaics.uih(slices)
    assert (ds.Rows, ds.Columns) == (16, 30)
    found = frames(ds)
    assert [frame.position[2] for frame in found] == [30 + 3.5 * n for n in range(20)]
    for n, frame in enumerate(found):
        np.testing.assert_array_equal(frame.part(ds.pixel_array), slices[n])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ds: ds.__delitem__((0x0029, 0x1010)), "the direction of its slices is unknown"),
        (lambda ds: ds.__delattr__("SpacingBetweenSlices"), "without 'Spacing Between Slices'"),
        (lambda ds: ds.__delattr__("ImagePositionPatient"), "without position, orientation or spacing"),
        (lambda ds: setattr(ds, "ImageOrientationPatient", [1, 0, 0, 0, 0.8, 0.6]), "not stacked at right angles"),
        (lambda ds: ds[(0x0019, 0x100A)].__setattr__("value", 17), "5 tiles do not divide"),
        (lambda ds: ds[(0x0029, 0x1010)].__setattr__("value", mosaics.csa({"A": ["1"]})[:60]), "ends before its tags"),
    ],
)
def test_a_mosaic_that_does_not_say_enough_is_refused(change: object, message: str) -> None:
    ds = mosaics.siemens(SLICES)
    change(ds)  # type: ignore[operator]  # one of the functions above
    with pytest.raises(CannotSucceed, match=message):
        frames(ds)


@pytest.mark.parametrize("modality", ["", "OT"])
def test_a_mosaic_is_one_whatever_its_modality_says(modality: str) -> None:
    ds = mosaics.siemens(SLICES)
    ds.Modality = modality
    assert [frame.position[2] for frame in frames(ds)] == [30 + 3.5 * n for n in range(7)]


def test_a_slice_that_xa_took_out_of_a_mosaic_is_a_plain_image() -> None:
    ds = mosaics.mr(SLICES[0])
    ds.AcquisitionMatrix = [0, 6, 4, 0]
    assert tiles_of(ds, ds.Rows, ds.Columns) == ()
    ds.AcquisitionMatrix = [0, 2, 2, 0]
    with pytest.raises(CannotSucceed, match="does not say how many slices"):
        tiles_of(ds, ds.Rows, ds.Columns)


def test_a_grid_without_positions_is_refused() -> None:
    ds = mosaics.uih(SLICES)
    del ds[(0x0065, 0x1051)]
    with pytest.raises(CannotSucceed, match="without the sequence"):
        frames(ds)


@pytest.mark.parametrize("folder", ["mosaic_sag", "mosaic_cor", "mosaic_ap", "mosaic_ax_j2k"])
def test_real_mosaics_lie_where_nibabel_has_them(folder: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nibabel.nicom.dicomwrappers import wrapper_from_data

        ds = pydicom.dcmread(min(real(folder).iterdir()))
        affine = wrapper_from_data(ds).affine  # (row, column, slice) to LPS
    for k, frame in enumerate(frames_of(ds, layout_of(ds, str(ds.file_meta.TransferSyntaxUID)), 0)):
        np.testing.assert_allclose(frame.position, affine[:3] @ [0, 0, k, 1], atol=1e-4)
