"""masks as the node runs it: files in, masks and a report out, and what cannot be converted is held alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path as File
from typing import Any

import nibabel
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset

from node.errors import CannotSucceed
from node.model import Batch, Item, Kind, ReceiptId, Referenced
from node.steps.masks import Masks
from tests import make
from tests.contouring import OBLIQUE, Path, disc, even_odd, exactly, in_patient, square, structure_set
from tests.data import real
from tests.steps.run_step import batch_of, check_contract, run_step

SHAPE = (40, 50)
RING = [disc(24.3, 19.6, 14.2), disc(25.1, 20.2, 6.7)]
HEART = disc(10.2, 30.4, 5.3)


def series(slices: int = 4, **how: Any) -> list[FileDataset]:
    return make.ct_series(slices, rows=SHAPE[0], columns=SHAPE[1], **how)


def a_set(images: list[FileDataset], **how: Any) -> FileDataset:
    rois = {
        "Lung L": [Path(k=k, corners=c) for k in (1, 2) for c in RING],
        "Heart": [Path(k=2, corners=HEART), Path(k=1, corners=HEART, off=1.0)],
        "iso": [Path(k=1, corners=HEART[:1], kind="POINT")],
    }
    return structure_set(images, how.pop("rois", rois), **how)


def convert(
    tmp_path: File, referring: list[FileDataset], images: list[FileDataset], step: Masks | None = None,
    missing: Mapping[ReceiptId, str] | None = None, *, in_batch: bool = False,
) -> Batch:  # fmt: skip
    paths = [make.write(ds, tmp_path / "rt" / f"{n}.dcm") for n, ds in enumerate(referring)]
    others = make.write_all(images, tmp_path / "images")
    items = () if in_batch else tuple(Item(path=p, kind=Kind.DICOM, sources=(ReceiptId("f" * 32),)) for p in others)
    batch = batch_of([*paths, *others] if in_batch else paths)
    return run_step(step or Masks(), batch, tmp_path, {"referenced": Referenced(items=items, missing=missing or {})})


def files(batch: Batch, kind: Kind) -> list[File]:
    return [item.path for item in batch.items if item.kind is kind]


def report(batch: Batch) -> dict[str, Any]:
    (path,) = files(batch, Kind.REPORT)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def voxels(path: File) -> np.ndarray:
    """(slices, rows, columns), by a reader that is not ours."""
    return np.asarray(nibabel.load(path).dataobj).transpose(2, 1, 0)


def expected(*paths: np.ndarray, slices: tuple[int, ...]) -> np.ndarray:
    found = np.zeros((4, *SHAPE), np.uint8)
    for k in slices:
        found[k] = even_odd(paths, SHAPE)
    return found


# ---- structure sets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("plane", [make.AXIAL, OBLIQUE], ids=["axial", "oblique"])
@pytest.mark.parametrize("in_batch", [True, False], ids=["images in the unit", "images looked up"])
def test_each_region_becomes_a_mask_on_the_slices_of_its_images(
    tmp_path: File, plane: tuple[float, ...], in_batch: bool
) -> None:
    images = series(orientation=plane)
    made = convert(tmp_path, [a_set(images)], images, in_batch=in_batch)
    lung, heart = sorted(files(made, Kind.MASK), key=lambda path: "Heart" in path.name)
    assert lung.name.startswith("003_RTSTRUCT_")
    assert lung.name.endswith("_Lung_L.nii.gz")
    assert np.array_equal(voxels(lung), expected(*RING, slices=(1, 2)))
    assert np.array_equal(voxels(heart), expected(HEART, slices=(2,)))
    affine = nibabel.load(lung).affine
    row, column = np.array(plane[:3]), np.array(plane[3:])
    ras = np.array([-1, -1, 1])
    assert np.allclose(affine[:3, 0], ras * row * 0.7, atol=1e-6)
    assert np.allclose(affine[:3, 1], ras * column * 0.8, atol=1e-6)
    assert np.allclose(affine[:3, 3], ras * np.array([-20, -30, 100]), atol=1e-4)
    assert not made.held


def test_the_report_says_what_each_region_is_and_what_was_left_out(tmp_path: File) -> None:
    images = series()
    found = report(convert(tmp_path, [a_set(images)], images))
    lung, heart = found["regions"]
    count = int(expected(*RING, slices=(1, 2)).sum())
    assert lung["ml"] == pytest.approx(count * 0.8 * 0.7 * 2.5 / 1000, abs=1e-6)
    assert {k: lung[k] for k in ("name", "number", "contours", "drawn", "voxels", "left_out")} == {
        "name": "Lung L", "number": 1, "contours": 4, "drawn": 4, "voxels": count, "left_out": [],
    }  # fmt: skip
    assert lung["notes"] == ["2 slices have CLOSED_PLANAR contours inside or across each other, read as holes"]
    assert (heart["contours"], heart["drawn"]) == (2, 1)
    assert heart["left_out"] == [{"reason": "it lies between slices", "contours": 1, "farthest_mm": 1.0}]
    assert [(one["number"], one["reason"]) for one in found["left_out"]] == [
        (3, "1 of 1 contours: a point has no area")
    ]
    assert found["referenced_series_instance_uid"] == images[0].SeriesInstanceUID
    assert found["shape"] == [50, 40, 4]
    assert found["gate"] == {"slices": 4, "worst_mm": pytest.approx(0, abs=1e-4)}


def test_a_label_map_has_the_values_of_the_table_and_says_what_lies_over_what(tmp_path: File) -> None:
    images = series()
    step = Masks(write=("labels",), rois={"cord": "cord", "heart": "heart", "lung.*": "lung"})
    rois = {"Lung L": [Path(k=2, corners=RING[0])], "Heart": [Path(k=2, corners=disc(12, 20, 6.1))]}
    made = convert(tmp_path, [a_set(images, rois=rois)], images, step)
    (labels,) = files(made, Kind.MASK)
    lung, heart = (even_odd([c], SHAPE) for c in (RING[0], disc(12, 20, 6.1)))
    wanted = np.zeros(SHAPE)
    wanted[lung], wanted[heart] = 3, 2
    assert np.array_equal(voxels(labels)[2], wanted)
    assert report(made)["taken_from_others"] == {"heart": int((lung & heart).sum())}


def test_two_regions_on_one_row_make_no_label_map(tmp_path: File) -> None:
    images = series()
    made = convert(tmp_path, [a_set(images)], images, Masks(write=("labels",), rois={".*[lt].*": "both"}))
    assert made.held[0].reason.startswith("row 1 of rois fits several regions")
    assert not list((tmp_path / "out").iterdir())


def test_masks_of_one_name_are_files_of_their_own(tmp_path: File) -> None:
    images = series()
    made = convert(tmp_path, [a_set(images)], images, Masks(rois={"lung.*|heart": "organ"}))
    assert [path.name.partition("_organ")[2] for path in files(made, Kind.MASK)] == [".nii.gz", "_2.nii.gz"]
    assert [one["reason"] for one in report(made)["left_out"]] == ["its name is not asked for"]


def test_a_segmentation_has_the_same_voxels_and_comes_back_as_masks(tmp_path: File) -> None:
    pytest.importorskip("highdicom")
    images = series()
    made = convert(tmp_path, [a_set(images)], images, Masks(write=("masks", "seg")))
    written = [path for path in files(made, Kind.DICOM) if path.parent == tmp_path / "out"]
    assert len(written) == 1
    assert [s.SegmentLabel for s in dcmread(written[0]).SegmentSequence] == ["Lung L", "Heart"]
    again = convert(tmp_path / "again", [dcmread(written[0])], images)
    first, second = files(made, Kind.MASK), files(again, Kind.MASK)
    assert len(first) == len(second) == 2
    for one, two in zip(first, second, strict=True):
        assert np.array_equal(voxels(one), voxels(two))
        assert np.array_equal(nibabel.load(one).affine, nibabel.load(two).affine)


def test_a_structure_set_without_its_images_is_held_alone(tmp_path: File) -> None:
    images = series()
    orphan = a_set(series(series="other"), number=2)
    made = convert(tmp_path, [a_set(images), orphan], images, missing={ReceiptId(f"{2:032x}"): "it has not come"})
    assert [(held.sources, held.reason) for held in made.held] == [((ReceiptId(f"{2:032x}"),), "it has not come")]
    assert len(files(made, Kind.MASK)) == 2


def test_incomplete_may_hold(tmp_path: File) -> None:
    images = series()
    made = convert(tmp_path, [a_set(images)], images, Masks(incomplete="hold"))
    assert [held.reason for held in made.held] == ["2 contours cannot be drawn; `incomplete: report` goes on"]
    made = convert(tmp_path / "lung", [a_set(images)], images, Masks(incomplete="hold", rois={"lung.*": "lung"}))
    assert not made.held


@pytest.mark.parametrize(
    ("rois", "reason"),
    [
        ({"a": [Path(k=1, corners=HEART, kind="OPEN_PLANAR")]}, "the first one: 1 of 1 contours: it is open"),
        ({"a": []}, "no region has a voxel; the first one: it has no contour"),
        ({"a": [Path(k=1, corners=square(3.2, 3.6))]}, "its contours enclose the centre of no voxel"),
        ({"a": [Path(k=1, corners=HEART, off=900)]}, "it is outside the volume"),
    ],
)  # fmt: skip
def test_a_set_of_which_nothing_can_be_drawn_is_held(tmp_path: File, rois: dict[str, list[Path]], reason: str) -> None:
    images = series()
    made = convert(tmp_path, [a_set(images, rois=rois)], images)
    assert reason in made.held[0].reason
    assert not list((tmp_path / "out").iterdir())


def test_a_name_that_nobody_has_holds_the_set(tmp_path: File) -> None:
    images = series()
    made = convert(tmp_path, [a_set(images)], images, Masks(rois={"spleen": "spleen"}))
    assert made.held[0].reason == "no region has a name that `rois` asks for"


def test_images_that_make_no_volume_hold_it_with_their_reason(tmp_path: File) -> None:
    images = series()
    images[3].ImagePositionPatient[2] += 1
    made = convert(tmp_path, [a_set(images)], images)
    assert made.held[0].reason.startswith("the images that it refers to make no volume: 4 slices 2.500 to 3.500 mm")


def tilted(degrees: float = 15.0) -> list[FileDataset]:
    """A gantry that leans: slices shift along their columns from one to the next."""
    images = series()
    angle = np.radians(degrees)
    for ds in images:
        ds.ImageOrientationPatient = [1, 0, 0, 0, round(float(np.cos(angle)), 10), round(float(np.sin(angle)), 10)]
    return images


@pytest.mark.parametrize("write", ["masks", "labels"])
def test_tilted_images_hold_a_nifti_mask_unless_the_route_takes_shear(tmp_path: File, write: Any) -> None:
    images = tilted()
    made = convert(tmp_path, [a_set(images)], images, Masks(write=(write,)))
    assert made.held[0].reason == (
        "tilted by 15.00 degrees: slices shift 1.94 mm from first to last; "
        "`tilt: sheared` writes masks on them as they are"
    )
    assert not list((tmp_path / "out").iterdir())


def test_masks_of_tilted_images_lie_where_each_slice_lies(tmp_path: File) -> None:
    images = tilted()
    rois = {"lung": [Path(k=k, corners=c) for k in (1, 2) for c in RING]}
    made = convert(tmp_path, [a_set(images, rois=rois)], images, Masks(write=("masks", "labels"), tilt="sheared"))
    assert [path.name.partition("_")[2].partition("_")[2][8:] for path in files(made, Kind.MASK)] == [
        "_lung_sheared.nii.gz", "_sheared.nii.gz",
    ]  # fmt: skip
    for path in files(made, Kind.MASK):
        image = nibabel.load(path)
        assert np.array_equal(voxels(path), expected(*RING, slices=(1, 2)))
        assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 0)
        for k, ds in enumerate(images):
            corners = np.array([[0, 0], [SHAPE[1] - 1, SHAPE[0] - 1]], float)
            there = nibabel.affines.apply_affine(image.affine, np.column_stack([corners, [k, k]]))
            assert np.allclose(there, in_patient(ds, corners) * [-1, -1, 1], atol=1e-4)
    (lung,) = report(made)["regions"]
    between = 2.5 * np.cos(np.radians(15))  # at right angles to the slices
    assert lung["ml"] == pytest.approx(lung["voxels"] * 0.8 * 0.7 * between / 1000, rel=1e-6)


def test_a_segmentation_of_tilted_images_needs_no_shear_and_comes_back_with_it(tmp_path: File) -> None:
    pytest.importorskip("highdicom")
    images = tilted()
    made = convert(tmp_path, [a_set(images)], images, Masks(write=("seg",)))
    (written,) = (path for path in files(made, Kind.DICOM) if path.parent == tmp_path / "out")
    again = convert(tmp_path / "again", [dcmread(written)], images, Masks(tilt="sheared"))
    assert np.array_equal(voxels(files(again, Kind.MASK)[0]), expected(*RING, slices=(1, 2)))


def test_contours_go_to_the_volume_whose_images_they_name(tmp_path: File) -> None:
    """A series of two stacks, as localizers are: each contour is on the stack it was drawn on."""
    images = [*series(3), *series(3, orientation=(1, 0, 0, 0, 0, -1))]
    for n, ds in enumerate(images):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = make.uid("two stacks", n)
        ds.InstanceNumber = n + 1
    rois = {"a": [Path(k=1, corners=HEART), Path(k=4, corners=RING[0])]}
    made = convert(tmp_path, [a_set(images, rois=rois)], images)
    masks = [voxels(path) for path in files(made, Kind.MASK)]
    assert sorted(int(mask.sum()) for mask in masks) == [
        int(even_odd([HEART], SHAPE).sum()), int(even_odd([RING[0]], SHAPE).sum()),
    ]  # fmt: skip
    assert len(files(made, Kind.REPORT)) == 2
    nameless = {"a": [Path(k=1, corners=HEART, names_image=False)]}
    held = convert(tmp_path / "nameless", [a_set(images, rois=nameless)], images).held
    assert "it names no image, and there are 2 volumes" in held[0].reason


def test_another_frame_of_reference_than_that_of_its_images_is_said(tmp_path: File) -> None:
    images = series()
    ds = a_set(images)
    ds.StructureSetROISequence[1].ReferencedFrameOfReferenceUID = make.uid("made up")
    lung, heart = report(convert(tmp_path, [ds], images))["regions"]
    said = "its frame of reference is not that of the images that it names, taken for the same"
    assert (said in lung["notes"], said in heart["notes"]) == (False, True)


def test_a_repeat_gives_the_same_files(tmp_path: File) -> None:
    pytest.importorskip("highdicom")
    images, step = series(), Masks(write=("masks", "labels", "seg"))
    once = convert(tmp_path, [a_set(images)], images, step)
    before = {item.path: item.path.read_bytes() for item in once.items if item.path.parent == tmp_path / "out"}
    shutil.rmtree(tmp_path / "rt")
    convert(tmp_path, [a_set(images)], images, step)
    assert len(before) == 5
    assert {path: path.read_bytes() for path in before} == before


def test_a_batch_without_any_and_options_that_cannot_work_are_refused(tmp_path: File) -> None:
    with pytest.raises(CannotSucceed, match="no structure set and no segmentation"):
        convert(tmp_path, [], series(), in_batch=True)
    for step in (Masks(write=()), Masks(rois={"(": "x"})):
        assert step.problems()
        with pytest.raises(CannotSucceed):
            convert(tmp_path, [a_set(series())], [], step)


def test_what_an_earlier_step_held_stays_and_other_objects_pass(tmp_path: File) -> None:
    images = series()
    made = convert(tmp_path, [a_set(images), make.report()], images, in_batch=True)
    assert len(files(made, Kind.DICOM)) == 2 + len(images)


# ---- segmentations -----------------------------------------------------------------------------------------


def test_a_real_segmentation_becomes_masks_on_a_grid_of_its_own_where_its_images_are_not(tmp_path: File) -> None:
    source = shutil.copy(real("segs") / "seg_image_ct_binary_overlap.dcm", tmp_path / "seg.dcm")
    batch = batch_of([File(source)])
    missing = {batch.items[0].sources[0]: "the series that it refers to has not come"}
    made = run_step(Masks(), batch, tmp_path, {"referenced": Referenced(missing=missing)})
    assert not made.held
    pixels = dcmread(source).pixel_array
    for n, path in enumerate(files(made, Kind.MASK)):
        got = voxels(path)
        assert got.shape == (165, 16, 16)
        assert np.array_equal(got[[0, 162, 163, 164]], pixels[4 * n : 4 * n + 4])
        assert got.sum() == pixels[4 * n : 4 * n + 4].sum()
    assert (
        report(made)["assumptions"][0] == "its frames came without the images that it refers to: on a grid of its own"
    )


def test_a_segmentation_is_as_large_as_its_images_where_they_are_there(tmp_path: File) -> None:
    pytest.importorskip("highdicom")
    images = series(6)
    rois = {"a": [Path(k=3, corners=HEART)]}
    (written,) = (
        path
        for path in files(convert(tmp_path, [a_set(images, rois=rois)], images, Masks(write=("seg",))), Kind.DICOM)
        if path.parent == tmp_path / "out"
    )
    alone = convert(tmp_path / "alone", [dcmread(written)], [])
    assert voxels(files(alone, Kind.MASK)[0]).shape == (1, *SHAPE)
    together = convert(tmp_path / "together", [dcmread(written)], images)
    got = voxels(files(together, Kind.MASK)[0])
    assert got.shape == (6, *SHAPE)
    assert np.array_equal(got[3], even_odd([HEART], SHAPE))
    assert report(together)["assumptions"] == []


# ---- real structure sets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rt.dcm", pytest.param("invalid_reference_rt.dcm", marks=pytest.mark.full)])
def test_a_real_structure_set_is_drawn_as_exact_arithmetic_says(tmp_path: File, name: str) -> None:
    """Of the second one the contours on a third slice are left out, because that slice is not there."""
    folder = real("rt_small")
    images = [dcmread(folder / one, stop_before_pixels=True) for one in ("ct_1.dcm", "ct_2.dcm")]
    batch = batch_of([folder / name, folder / "ct_1.dcm", folder / "ct_2.dcm"])
    made = run_step(Masks(), batch, tmp_path, {"referenced": Referenced()})
    assert not made.held
    source, masks = dcmread(folder / name), files(made, Kind.MASK)
    assert len(masks) == len(source.ROIContourSequence)
    for path, roi, told in zip(masks, source.ROIContourSequence, report(made)["regions"], strict=True):
        got, left_out = voxels(path), len(roi.ContourSequence)
        assert got.shape == (2, 512, 512)
        for k, image in enumerate(images):
            paths = [p for c in roi.ContourSequence if (p := in_pixels(c.ContourData, image))]
            left_out -= len(paths)
            assert np.array_equal(got[k], exactly(paths, (512, 512)))
        assert sum(one["contours"] for one in told["left_out"]) == left_out


def in_pixels(data: Sequence[Any], image: Any) -> list[tuple[Fraction, Fraction]]:
    """Of an axial slice at the height of all points, else nothing; from the decimals as they stand."""
    numbers = [Fraction(str(x.original_string if hasattr(x, "original_string") else x).strip()) for x in data]
    x0, y0, z0 = (Fraction(str(x)) for x in image.ImagePositionPatient)
    dy, dx = (Fraction(str(x)) for x in image.PixelSpacing)
    if set(numbers[2::3]) != {z0}:
        return []
    return [((x - x0) / dx, (y - y0) / dy) for x, y in zip(numbers[::3], numbers[1::3], strict=True)]


def test_a_clinical_structure_set_without_its_ct_is_held(tmp_path: File) -> None:
    batch = batch_of([real("rt_rtss") / "rtss.dcm"])
    made = run_step(Masks(), batch, tmp_path, {"referenced": Referenced()})
    assert [held.reason for held in made.held] == ["the images that it refers to are not there"]
    check_contract(Masks(), batch, replace(made), tmp_path / "out")


def test_a_structure_set_without_regions_says_that(tmp_path: File) -> None:
    images = series()
    assert [one.reason for one in convert(tmp_path, [structure_set(images, {})], images).held] == ["it has no region"]
