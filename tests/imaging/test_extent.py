"""How much contours enclose, without images."""

from __future__ import annotations

import numpy as np
import pytest

from node.imaging.extent import distance_of_planes, extent_of
from node.imaging.structures import Contour
from tests import make
from tests.contouring import OBLIQUE, disc, in_patient, keyhole

PLANES = [make.AXIAL, (1.0, 0.0, 0.0, 0.0, 0.0, -1.0), OBLIQUE]


def contour(k: int, corners: np.ndarray, plane: tuple[float, ...] = make.AXIAL, kind: str = "CLOSED_PLANAR") -> Contour:
    image = make.ct_series(8, spacing=3.0, pixel_spacing=(1.0, 1.0), orientation=plane)[k]
    return Contour(kind=kind, points=in_patient(image, corners))


@pytest.mark.parametrize("plane", PLANES, ids=["axial", "coronal", "oblique"])
def test_discs_have_their_area_and_planes_their_distance(plane: tuple[float, ...]) -> None:
    contours = [contour(k, disc(20, 20, 10), plane) for k in (0, 1, 2, 4)]
    found = extent_of(contours)
    assert (found.planes, distance_of_planes(contours)) == (4, pytest.approx(3.0))
    assert found.area == pytest.approx(4 * np.pi * 100, rel=2e-3)
    assert found.millilitres(3.0) == pytest.approx(4 * np.pi * 100 * 3 / 1000, rel=2e-3)


@pytest.mark.parametrize(
    "ring",
    [[disc(20, 20, 10), disc(20, 20, 5)], [disc(20, 20, 10), disc(20, 20, 5, turned=True)],
     [keyhole(disc(20, 20, 10), disc(20, 20, 5, turned=True))]],
    ids=["two contours", "turning each its way", "keyhole"],
)  # fmt: skip
def test_a_ring_has_a_hole(ring: list[np.ndarray]) -> None:
    found = extent_of([contour(1, corners) for corners in ring])
    assert (found.planes, found.area) == (1, pytest.approx(np.pi * 75, rel=4e-3))


def test_one_plane_has_no_distance_and_so_no_volume() -> None:
    contours = [contour(1, disc(20, 20, 10)), contour(1, disc(50, 20, 3))]
    assert distance_of_planes(contours) is None
    assert extent_of(contours).millilitres(None) is None


def test_what_is_open_or_a_point_or_a_line_encloses_nothing() -> None:
    line = np.array([[1.0, 1.0], [9.0, 9.0], [1.0, 1.0]])
    contours = [contour(0, disc(20, 20, 10), kind="OPEN_PLANAR"), contour(0, line[:1], kind="POINT")]
    assert (extent_of(contours).planes, extent_of(contours).area) == (0, 0.0)
    assert extent_of([contour(0, line)]).area < 0.5
    assert extent_of([contour(0, line[:1].repeat(3, axis=0))]).area == 0.0
