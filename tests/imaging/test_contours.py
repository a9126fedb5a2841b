"""Regions onto slices: voxel for voxel what an independent even-odd rule says, and what is left out is said."""

from __future__ import annotations

from pathlib import Path as File

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from node.imaging.attributes import Frame, frames_of
from node.imaging.contours import Drawn, LeftOut, Nested, Planes, draw
from node.imaging.layout import layout_of
from node.imaging.structures import read_structures
from tests import make
from tests.contouring import OBLIQUE, Path, disc, even_odd, keyhole, square, structure_set

SHAPE = (60, 70)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SIDEWAYS = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def series(orientation: tuple[float, ...] = make.AXIAL, **how: object) -> list[FileDataset]:
    rows, columns = SHAPE
    return make.ct_series(4, rows=rows, columns=columns, orientation=orientation, **how)  # type: ignore[arg-type]


def frames(images: list[FileDataset]) -> list[Frame]:
    return [frames_of(ds, layout_of(ds, ds.file_meta.TransferSyntaxUID), n)[0] for n, ds in enumerate(images)]


def drawn(tmp_path: File, images: list[FileDataset], *paths: Path, nested: Nested = "xor", decimals: int = 10) -> Drawn:
    file = make.write(structure_set(images, {"region": paths}, decimals=decimals), tmp_path / "rt.dcm")
    (roi,) = read_structures(file).rois
    return draw(roi.contours, Planes.of(frames(images), SHAPE), nested, [ds.SOPInstanceUID for ds in images])


def volume(found: Drawn) -> np.ndarray:
    whole = np.zeros((4, *SHAPE), bool)
    for k, patch in found.slices.items():
        patch.put(whole[k])
    return whole


RING = [disc(34.3, 29.6, 20.2), disc(35.1, 30.2, 9.7)]
SHAPES = {
    "a disc": [RING[0]],
    "a ring of two contours": RING,
    "a ring with an island": [*RING, disc(35.1, 30.2, 4.4)],
    "a keyhole": [keyhole(RING[0], disc(35.1, 30.2, 9.7, turned=True))],
    "two islands": [disc(15.2, 20.4, 8.3), disc(50.7, 40.1, 6.9)],
    "1.2 mm across": [disc(20.13, 30.26, 0.6 / 0.7)],
    "a path that crosses itself": [np.array([[10.2, 10.3], [50.7, 45.1], [50.2, 10.6], [10.9, 45.8]])],
    "beyond the image": [disc(65.2, 5.4, 15.1)],
}


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
@pytest.mark.parametrize(
    "plane", [make.AXIAL, CORONAL, SIDEWAYS, OBLIQUE], ids=["axial", "coronal", "sagittal", "oblique"]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_voxel_is_as_an_independent_even_odd_rule_says(
    tmp_path: File, shape: str, plane: tuple[float, ...], kind: str
) -> None:
    images = series(plane)
    got = volume(drawn(tmp_path, images, *(Path(k=2, corners=c, kind=kind) for c in SHAPES[shape])))
    assert np.array_equal(got[2], even_odd(SHAPES[shape], SHAPE))
    assert got[2].any()
    assert not got[[0, 1, 3]].any()


@pytest.mark.parametrize("tilt", [14.0, -18.5])
def test_slices_of_a_tilted_gantry_have_their_own_planes(tmp_path: File, tilt: float) -> None:
    images = series()
    for k, ds in enumerate(images):
        angle = np.radians(tilt)
        ds.ImageOrientationPatient = [1, 0, 0, 0, round(float(np.cos(angle)), 10), round(float(np.sin(angle)), 10)]
        ds.ImagePositionPatient = [-20, -30, 100 + 2.5 * k]
    got = volume(drawn(tmp_path, images, *(Path(k=k, corners=RING[0]) for k in range(4))))
    assert all(np.array_equal(got[k], even_odd(RING[:1], SHAPE)) for k in range(4))


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_points_on_a_path_belong_to_the_region_also_on_the_edge_of_a_hole(tmp_path: File, kind: str) -> None:
    """PS3.3 C.8.8.6.3: the path of each contour is part of the region."""
    paths = [Path(k=1, corners=square(10, 30), kind=kind), Path(k=1, corners=square(15, 25), kind=kind)]
    got = volume(drawn(tmp_path, series(), *paths))[1]
    expected = np.zeros(SHAPE, bool)
    expected[10:31, 10:31] = True
    expected[16:25, 16:25] = False
    assert np.array_equal(got, expected)


def test_nested_contours_are_holes_or_nothing_and_either_is_said(tmp_path: File) -> None:
    paths = [Path(k=1, corners=c) for c in RING]
    hole = drawn(tmp_path, series(), *paths)
    assert hole.notes == ("1 slices have CLOSED_PLANAR contours inside or across each other, read as holes",)
    united = drawn(tmp_path, series(), *paths, nested="union")
    assert np.array_equal(volume(united)[1], even_odd(RING[:1], SHAPE))
    assert united.notes == ("1 slices have CLOSED_PLANAR contours inside or across each other, united",)


def test_exclusive_or_is_the_standards_and_no_choice(tmp_path: File) -> None:
    paths = [Path(k=1, corners=c, kind="CLOSEDPLANAR_XOR") for c in RING]
    found = drawn(tmp_path, series(), *paths, nested="union")
    assert np.array_equal(volume(found)[1], even_odd(RING, SHAPE))
    assert found.notes == ()


def test_a_contour_that_is_there_twice_is_drawn_once(tmp_path: File) -> None:
    found = drawn(tmp_path, series(), *[Path(k=1, corners=RING[0])] * 2)
    assert np.array_equal(volume(found)[1], even_odd(RING[:1], SHAPE))
    assert found.notes == ("1 contours are there twice, drawn once",)


@pytest.mark.parametrize(
    ("path", "reason", "far"),
    [
        (Path(k=1, corners=RING[0], off=1.25), "it lies between slices", 1.25),
        (Path(k=1, corners=RING[0], off=0.2), "it lies between slices", 0.2),
        (Path(k=3, corners=RING[0], off=2.5), "it is outside the volume", 2.5),
        (Path(k=0, corners=RING[0], off=-40.0), "it is outside the volume", 40.0),
        (Path(k=1, corners=RING[0] + 500), "it is beside the image", None),
        (Path(k=1, corners=RING[0], kind="OPEN_PLANAR"), "it is open", None),
        (Path(k=1, corners=RING[0], kind="OPEN_NONPLANAR"), "it is open", None),
        (Path(k=1, corners=RING[0][:1], kind="POINT"), "a point has no area", None),
        (Path(k=1, corners=RING[0][:2]), "it has fewer than three points", None),
        (Path(k=1, corners=RING[0], kind="SPLINE"), "'Contour Geometric Type' is none that has an area", None),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_left_out_and_said(tmp_path: File, path: Path, reason: str, far: float | None) -> None:
    found = drawn(tmp_path, series(), path, Path(k=0, corners=RING[1]))
    assert found.left_out == (LeftOut(reason=reason, contours=1, farthest=pytest.approx(far) if far else None),)
    assert found.contours == 1
    assert np.array_equal(volume(found)[0], even_odd(RING[1:], SHAPE))


def test_a_contour_across_slices_is_left_out(tmp_path: File) -> None:
    images = series()
    ds = structure_set(images, {"region": [Path(k=1, corners=RING[0])]})
    contour = ds.ROIContourSequence[0].ContourSequence[0]
    data = np.array(contour.ContourData, float).reshape(-1, 3)
    data[:, 2] += np.linspace(0, 3, len(data))
    contour.ContourData = [f"{x:.6f}" for x in data.ravel()]
    (roi,) = read_structures(make.write(ds, tmp_path / "rt.dcm")).rois
    (left_out,) = draw(roi.contours, Planes.of(frames(images), SHAPE)).left_out
    assert left_out.reason == "it is not parallel to the slices"


def test_rounding_to_one_decimal_does_not_take_a_contour_off_its_slice(tmp_path: File) -> None:
    images = series()
    for k, ds in enumerate(images):
        ds.ImagePositionPatient = [-20, -30, 100.05 + 2.5 * k]
    found = drawn(tmp_path, images, Path(k=1, corners=RING[0]), decimals=1)
    assert not found.left_out
    assert found.off_slice == pytest.approx(0.05, abs=1e-6)


def test_a_contour_lies_where_it_lies_whatever_image_it_names(tmp_path: File) -> None:
    found = drawn(tmp_path, series(), Path(k=1, corners=RING[0], off=2.5))
    assert list(found.slices) == [2]
    assert found.notes == ("1 contours lie on another slice than the image they name, drawn where they lie",)


def test_slices_without_a_contour_between_others_are_empty_and_counted(tmp_path: File) -> None:
    found = drawn(tmp_path, series(), Path(k=0, corners=RING[0]), Path(k=3, corners=RING[0]))
    assert list(found.slices) == [0, 3]
    assert found.notes == ("2 slices between the first and the last have no contour, and so nothing in the mask",)


def test_a_contour_that_reaches_beyond_the_image_is_cut_and_said(tmp_path: File) -> None:
    found = drawn(tmp_path, series(), Path(k=0, corners=SHAPES["beyond the image"][0]))
    assert found.notes == ("1 contours reach beyond the image, cut at its edge",)


def test_a_contour_between_the_centres_of_pixels_is_drawn_and_fills_nothing(tmp_path: File) -> None:
    found = drawn(tmp_path, series(), Path(k=0, corners=disc(5.5, 5.5, 0.3)))
    assert (found.contours, found.voxels, found.left_out) == (1, 0, ())
