"""Segmentations of others: binary, fractional, label maps, overlapping, with frames left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.sr.codedict import codes

from node.errors import CannotSucceed
from node.imaging.segments import Segmentation, own_grid, read_segmentation
from tests import make
from tests.contouring import OBLIQUE
from tests.data import real

highdicom = pytest.importorskip("highdicom")

SHAPE = (12, 10)


def made(pixels: np.ndarray, images: list[FileDataset], path: Path, kind: str = "BINARY", **how: object) -> Path:
    """What highdicom writes. pixels (slices, rows, columns[, segments])"""
    count = pixels.shape[3] if pixels.ndim == 4 else int(pixels.max()) if pixels.dtype.kind == "u" else 1
    described = [
        highdicom.seg.SegmentDescription(
            segment_number=n, segment_label=f"part {n}", segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue, algorithm_type="MANUAL",
        )
        for n in range(1, count + 1)
    ]  # fmt: skip
    seg = highdicom.seg.Segmentation(
        images, pixels, kind, described, series_instance_uid=make.uid("seg series"), series_number=4,
        sop_instance_uid=make.uid("seg"), instance_number=1, manufacturer="m", manufacturer_model_name="n",
        software_versions="1", device_serial_number="0", **how,
    )  # fmt: skip
    seg.save_as(path)
    return path


def volume(found: Segmentation, segment: int) -> np.ndarray:
    grid, places, _ = own_grid(found)
    whole = np.zeros((grid.volume.slices, *grid.shape), np.uint8)
    for k, frame in found.slices_of(segment, places).items():
        whole[k] = frame
    return whole


def four(seed: int, slices: int = 5) -> np.ndarray:
    """Two segments that overlap, both on the first and last slice."""
    return np.random.default_rng(seed).random((slices, *SHAPE, 2)) > 0.5


@pytest.mark.parametrize("plane", [make.AXIAL, OBLIQUE], ids=["axial", "oblique"])
def test_overlapping_binary_segments_are_read_each_on_its_own(tmp_path: Path, plane: tuple[float, ...]) -> None:
    images = make.ct_series(5, orientation=plane)
    found = read_segmentation(made(four(1), images, tmp_path / "seg.dcm"))
    assert (found.kind, found.maximum, found.referenced) == ("BINARY", 1, (images[0].SeriesInstanceUID,))
    grid, _, assumed = own_grid(found)
    assert not assumed
    assert grid.volume.affine[:3, 3] == pytest.approx(np.array([20.0, 30.0, 100.0]))
    assert all(np.array_equal(volume(found, n + 1), four(1)[..., n]) for n in range(2))


def test_fractional_values_are_kept_as_stored(tmp_path: Path) -> None:
    values = np.random.default_rng(2).random((5, *SHAPE))
    path = made(values, make.ct_series(5), tmp_path / "seg.dcm", "FRACTIONAL", max_fractional_value=200)
    found = read_segmentation(path)
    assert (found.kind, found.maximum) == ("FRACTIONAL", 200)
    assert np.array_equal(volume(found, 1), np.around(values * 200).astype(np.uint8))


def test_a_label_map_is_read_segment_by_segment(tmp_path: Path) -> None:
    labels = np.random.default_rng(3).integers(0, 4, (5, *SHAPE)).astype(np.uint8)
    found = read_segmentation(made(labels, make.ct_series(5), tmp_path / "seg.dcm", "LABELMAP"))
    assert found.kind == "LABELMAP"
    assert all(np.array_equal(volume(found, n), labels == n) for n in (1, 2, 3))


def test_slices_whose_frames_were_left_out_are_empty_and_said(tmp_path: Path) -> None:
    pixels = four(4, 7)
    pixels[[1, 2, 4]] = False
    found = read_segmentation(made(pixels, make.ct_series(7), tmp_path / "seg.dcm"))
    assert len(found.frames) == 8
    _, _, assumed = own_grid(found)
    assert assumed == ["3 slices between its frames have none, and so nothing in the mask"]
    assert all(np.array_equal(volume(found, n + 1), pixels[..., n]) for n in range(2))


def test_the_distance_of_slices_is_said_by_the_header_where_every_other_frame_was_left_out(tmp_path: Path) -> None:
    pixels = four(5, 7)
    pixels[[1, 3, 5]] = False
    found = read_segmentation(made(pixels, make.ct_series(7), tmp_path / "seg.dcm"))
    grid, places, _ = own_grid(found)
    assert grid.planes.step == pytest.approx(2.5)
    assert set(places) == {0, 2, 4, 6}


def without_spacing(ds: Dataset) -> None:
    del ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices


def changed(path: Path, change: Callable[[Dataset], object]) -> Path:
    ds = dcmread(path)
    change(ds)
    ds.save_as(path)
    return path


def test_without_that_the_smallest_distance_stands_for_it_and_is_said(tmp_path: Path) -> None:
    path = changed(made(four(6), make.ct_series(5), tmp_path / "seg.dcm"), without_spacing)
    grid, _, assumed = own_grid(read_segmentation(path))
    assert grid.planes.step == pytest.approx(2.5)
    assert assumed == ["no 'Spacing Between Slices' that fits: the smallest distance of its frames is used"]


def test_rounded_positions_of_a_long_stack_stay_in_their_slice(tmp_path: Path) -> None:
    """1.27 mm between two of them, and 1.2666 on average: after 200 slices that is half a slice."""
    images = make.ct_series(240, spacing=1.2666)
    for ds in images:
        ds.ImagePositionPatient[2] = round(float(ds.ImagePositionPatient[2]), 2)
    path = changed(made(four(7, 240), images, tmp_path / "seg.dcm"), without_spacing)
    grid, places, _ = own_grid(read_segmentation(path))
    assert grid.volume.slices == 240
    assert sorted(places) == sorted([*range(240), *range(240)])
    assert all(np.array_equal(volume(read_segmentation(path), n + 1), four(7, 240)[..., n]) for n in range(2))


def test_positions_of_two_decimals_are_a_uniform_grid_of_small_pixels_as_well(tmp_path: Path) -> None:
    images = make.ct_series(40, spacing=0.63, orientation=OBLIQUE, pixel_spacing=(0.45, 0.45))
    for ds in images:
        ds.ImagePositionPatient = [round(float(x), 2) for x in ds.ImagePositionPatient]
    path = made(four(8, 40), images, tmp_path / "seg.dcm")
    assert all(np.array_equal(volume(read_segmentation(path), n + 1), four(8, 40)[..., n]) for n in range(2))


def shifted(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0].ImagePositionPatient[2] += 0.7


def far(ds: Dataset) -> None:
    for frame in ds.PerFrameFunctionalGroupsSequence[4::5]:
        frame.PlanePositionSequence[0].ImagePositionPatient[2] = 2.5e6 + 100


def sideways(ds: Dataset) -> None:
    for n, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        frame.PlanePositionSequence[0].ImagePositionPatient[0] += n


def nameless(ds: Dataset) -> None:
    ds.SegmentSequence = ds.SegmentSequence[:1]


def fewer(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence = ds.PerFrameFunctionalGroupsSequence[:-1]


def twice(ds: Dataset) -> None:
    groups = ds.PerFrameFunctionalGroupsSequence
    groups[1].PlanePositionSequence = groups[0].PlanePositionSequence


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (shifted, "on no uniform grid"),
        (sideways, "on no uniform grid"),
        (far, "slices apart, more than a volume may have"),
        (nameless, "a segment 2 that 'Segment Sequence' does not have"),
        (fewer, "9 per-frame functional groups for 10 frames"),
        (twice, "segment 1 has several frames on one slice"),
        (lambda ds: setattr(ds, "SegmentationType", "SURFACE"), "'Segmentation Type' is none"),
        (lambda ds: setattr(ds, "SOPClassUID", make.CT_IMAGE), "not a segmentation"),
    ],
)  # fmt: skip
def test_what_cannot_be_placed_is_refused(tmp_path: Path, change: Callable[[Dataset], object], reason: str) -> None:
    path = changed(made(four(8), make.ct_series(5), tmp_path / "seg.dcm"), change)
    with pytest.raises(CannotSucceed, match=reason):
        volume(read_segmentation(path), 1)


def test_a_real_segmentation_is_read_with_the_slices_that_it_leaves_out() -> None:
    """Its frames lie at -99.48, 103.02, 104.27 and 105.52 mm."""
    path = real("segs") / "seg_image_ct_binary_overlap.dcm"
    found = read_segmentation(path)
    grid, places, assumed = own_grid(found)
    assert (grid.volume.slices, places) == (165, [0, 162, 163, 164] * 2)
    assert grid.planes.step == pytest.approx(1.25)
    assert assumed[-1] == "161 slices between its frames have none, and so nothing in the mask"
    expected = highdicom.seg.segread(path).pixel_array.astype(np.uint8)
    for n in (1, 2):
        frames = found.slices_of(n, places)
        assert [np.array_equal(frames[k], expected[4 * n - 4 + i]) for i, k in enumerate(sorted(frames))] == [True] * 4


def test_one_whose_frames_and_functional_groups_do_not_agree_is_refused() -> None:
    path = get_testdata_file("liver_1frame.dcm")  # cut down to one frame by pydicom, with the groups of three
    assert path
    with pytest.raises(CannotSucceed, match="3 per-frame functional groups for 1 frames"):
        read_segmentation(Path(path))
