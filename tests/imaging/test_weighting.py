"""Time and diffusion weighting by the standard and by the vendors' elements; nothing guessed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset

from node.imaging.attributes import source_of
from node.imaging.reading import private, value
from node.imaging.weighting import Weighting, weighting_of
from tests import make


def of(ds: Dataset, number: int = 0) -> Weighting:
    return weighting_of(source_of(ds, number).get, ds)


def mr(**values: object) -> Dataset:
    ds = make.instance(make.MR_IMAGE)
    for keyword, given in values.items():
        setattr(ds, keyword, given)
    return ds


def _private(group: int, creator: str, *elements: tuple[int, str, object]) -> Callable[[Dataset], object]:
    def add(ds: Dataset) -> None:
        block = ds.private_block(group, creator, create=True)
        for element, vr, given in elements:
            block.add_new(element, vr, given)

    return add


@pytest.mark.parametrize(
    ("add", "b_value", "gradient"),
    [
        (_private(0x19, "SIEMENS MR HEADER", (0x0C, "IS", 1000), (0x0E, "FD", [0.6, 0.0, -0.8])), 1000, (0.6, 0, -0.8)),
        (_private(0x19, "SIEMENS MR HEADER", (0x0C, "IS", 0)), 0, None),
        (_private(0x65, "Image Private Header", (0x09, "FD", 800.0), (0x37, "FD", [0.0, 1.0, 0.0])), 800, None),
        (_private(0x43, "GEMS_PARM_01", (0x39, "IS", [1000000800, 8, 0, 0])), 800, None),
        (_private(0x43, "GEMS_PARM_01", (0x39, "OB", b"700\\8\\0\\0 ")), 700, None),
        (_private(0x2001, "Philips Imaging DD 001", (0x03, "FL", 500.0)), 500, None),
        (lambda ds: None, None, None),
    ],
)
def test_b_values_and_directions_of_vendors(
    add: Callable[[Dataset], object], b_value: float | None, gradient: tuple[float, ...] | None
) -> None:
    ds = mr()
    add(ds)
    assert of(ds).b_value == b_value
    assert of(ds).gradient == (None if gradient is None else pytest.approx(gradient))


def test_philips_directions_are_three_elements() -> None:
    ds = mr(DiffusionBValue=1000.0)
    elements = [(0xB0 + n, "FL", x) for n, x in enumerate((1.0, 0.0, 0.0))]
    _private(0x2005, "Philips MR Imaging DD 001", *elements)(ds)
    assert of(ds).gradient == (1.0, 0.0, 0.0)


def test_the_standard_s_elements_go_before_private_ones() -> None:
    ds = mr(DiffusionBValue=300.0, DiffusionGradientOrientation=[0.0, 0.0, 2.0 / 2])
    _private(0x19, "SIEMENS MR HEADER", (0x0C, "IS", 1000))(ds)
    assert (of(ds).b_value, of(ds).gradient) == (300.0, (0.0, 0.0, 1.0))


def test_a_direction_of_no_length_is_none_and_one_without_b_value_is_left_out() -> None:
    assert of(mr(DiffusionBValue=300.0, DiffusionGradientOrientation=[0.0, 0.0, 0.0])).gradient is None
    assert of(mr(DiffusionBValue=0.0, DiffusionGradientOrientation=[0.0, 0.0, 1.0])).gradient is None


@pytest.mark.parametrize(
    ("values", "later"),
    [
        ({"AcquisitionTime": "101112.5"}, {"AcquisitionTime": "101113"}),
        ({"AcquisitionTime": "1011"}, {"AcquisitionTime": "101101"}),
        (
            {"AcquisitionDate": "20200131", "AcquisitionTime": "235959.9"},
            {"AcquisitionDate": "20200201", "AcquisitionTime": "000001"},
        ),
        ({"AcquisitionDateTime": "20200131101112.25+0100"}, {"AcquisitionDateTime": "20200131101112.75+0100"}),
    ],
)
def test_times_are_seconds_across_midnight_too(values: dict[str, str], later: dict[str, str]) -> None:
    first, second = of(mr(**values)).time, of(mr(**later)).time
    assert first is not None
    assert second is not None
    assert 0 < second - first <= 2


def test_a_time_that_is_none_is_unknown() -> None:
    assert of(mr(AcquisitionTime="")).time is None
    assert of(mr()).time is None


def test_an_enhanced_frame_has_its_own_temporal_position() -> None:
    assert [of(make.enhanced_mr(2, 2), n).position for n in range(4)] == [1, 1, 2, 2]


def test_a_label_is_free_of_rounding() -> None:
    a = Weighting(b_value=999.7, gradient=(0.7071, 0.7071, -0.0001))
    b = Weighting(b_value=1000.2, gradient=(0.7069, 0.7073, 0.0001))
    assert a.label == b.label


def test_private_values_are_those_of_their_creator() -> None:
    ds = mr()
    _private(0x19, "SOMEBODY ELSE", (0x0C, "IS", 5))(ds)
    _private(0x19, "SIEMENS MR HEADER", (0x0C, "IS", 6))(ds)
    assert private(ds, 0x19, "SIEMENS MR HEADER", 0x0C) == 6
    assert private(ds, 0x19, "NOBODY", 0x0C) is None
    assert (value(ds, "Modality"), value(ds, "EchoTime")) == ("MR", None)
