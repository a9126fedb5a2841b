"""Directions of diffusion in the image's axes become the patient's, or none; a short vector is a weaker weighting.

What is expected here was compared with dcm2niix 1.0.20220720 on the same files.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydicom.dataset import Dataset

from node.imaging.attributes import source_of
from node.imaging.weighting import Weighting, weighting_of
from tests import make

TURNED = (0.8, 0.6, 0.0, -0.6, 0.8, 0.0)


def ge(vector: Sequence[float], b_value: object = (1000000800, 8, 0, 0), **changes: object) -> Weighting:
    ds = make.instance(make.MR_IMAGE)
    ds.Manufacturer, ds.PatientPosition, ds.InPlanePhaseEncodingDirection = "GE MEDICAL SYSTEMS", "HFS", "COL"
    ds.ImageOrientationPatient = list(make.AXIAL)
    block = ds.private_block(0x0019, "GEMS_ACQU_01", create=True)
    for n, x in enumerate(vector):
        block.add_new(0xBB + n, "DS", f"{x:.6f}")
    element = ("OB", b_value) if isinstance(b_value, bytes) else ("IS", list(b_value))  # type: ignore[call-overload]
    ds.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, *element)
    return _weighting(ds, changes)


def uih(vector: Sequence[float], **changes: object) -> Weighting:
    ds = make.instance(make.MR_IMAGE)
    ds.ImageOrientationPatient = list(make.AXIAL)
    block = ds.private_block(0x0065, "Image Private Header", create=True)
    block.add_new(0x09, "FD", 800.0)
    block.add_new(0x37, "FD", list(vector))
    return _weighting(ds, changes)


def _weighting(ds: Dataset, changes: dict[str, object]) -> Weighting:
    for keyword, given in changes.items():
        setattr(ds, keyword, given)
    return weighting_of(source_of(ds, 0).get, ds)


def test_ge_counts_against_the_normal() -> None:
    found = ge((0.6, 0.0, 0.8))
    assert (found.b_value, found.gradient) == (800, pytest.approx((0.6, 0.0, -0.8)))


def test_the_axes_of_a_turned_image_are_followed() -> None:
    assert ge((1.0, 0.0, 0.0), ImageOrientationPatient=list(TURNED)).gradient == pytest.approx((0.8, 0.6, 0.0))
    assert uih((0.0, 1.0, 0.0), ImageOrientationPatient=list(TURNED)).gradient == pytest.approx((-0.6, 0.8, 0.0))
    assert uih((0.6, 0.0, 0.8)).gradient == pytest.approx((0.6, 0.0, 0.8))


@pytest.mark.parametrize(
    ("length", "given", "b_value"),
    [(1.0, 1000, 1000), (0.5, 1000, 250), (0.7071, 3000, 1500), (0.98, 1000, 1000), (0.04, 1000, 5), (0.0, 1000, 1000)],
)
def test_a_shorter_vector_of_ge_is_a_weaker_weighting(length: float, given: int, b_value: float) -> None:
    assert ge((0.0, length, 0.0), (given, 8, 0, 0)).b_value == b_value


@pytest.mark.parametrize(
    "changes",
    [
        {"InPlanePhaseEncodingDirection": "ROW"},
        {"InPlanePhaseEncodingDirection": ""},
        {"PatientPosition": "HFP"},
        {"PatientPosition": ""},
        {"ImageOrientationPatient": [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]},
        {"ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 0.0, -1.0]},
        {"ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, -1.0, 0.0]},
        {"ImageOrientationPatient": None},
    ],
)
def test_what_is_not_known_of_ge_has_a_b_value_and_no_direction(changes: dict[str, object]) -> None:
    found = ge((0.6, 0.0, 0.8), **changes)
    assert (found.b_value, found.gradient) == (800, None)


def test_a_plane_that_is_not_axial_has_no_direction_of_uih() -> None:
    assert uih((0.6, 0.0, 0.8), ImageOrientationPatient=[0.0, 1.0, 0.0, 0.0, 0.0, -1.0]).gradient is None


def test_a_vector_of_no_length_or_of_two_values_is_no_direction() -> None:
    assert ge((0.0, 0.0, 0.0)).gradient is None
    assert ge((0.6, 0.8)).gradient is None


def test_the_standard_s_direction_goes_before_that_of_ge() -> None:
    found = ge((1.0, 0.0, 0.0), DiffusionBValue=700.0, DiffusionGradientOrientation=[0.0, 1.0, 0.0])
    assert (found.b_value, found.gradient) == (700.0, (0.0, 1.0, 0.0))


@pytest.mark.parametrize(("stored", "b_value"), [(b"700\\8\\0\\0 ", 700), (b"none ", None), (b"", None)])
def test_a_b_value_as_bytes_is_read_or_none(stored: bytes, b_value: float | None) -> None:
    assert ge((0.0, 0.0, 0.0), stored).b_value == b_value
