"""What is decided on is read from the header as it is encoded, whoever finds it there."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset

from node.steps.anonymize.image_facts import Facts, facts
from node.steps.anonymize.plain import Plain
from tests import make


def _of(ds: FileDataset) -> Facts:
    file = BytesIO()
    ds.save_as(file, enforce_file_format=True)
    file.seek(0)
    return facts(Plain(dcmread(file)), "1.2.840.10008.1.2.1")


def test_a_slice_is_grey_deep_and_in_its_place() -> None:
    found = _of(make.ct_series(1)[0])
    assert (found.modality, found.stored, found.grey, found.placed, found.captured) == ("CT", 16, True, True, False)
    assert found.has_pixels


def test_a_screen_is_in_colour_of_8_bits_and_says_how_it_was_captured() -> None:
    found = _of(make.secondary_capture(np.zeros((4, 4, 3), np.uint8)))
    assert (found.stored, found.grey, found.placed, found.captured) == (8, False, False, True)


@pytest.mark.parametrize(("keyword", "value"), [("ConversionType", "WSD"), ("SecondaryCaptureDeviceManufacturer", "X")])
def test_an_attribute_of_a_capture_counts_with_a_value_alone(keyword: str, value: str) -> None:
    ds = make.ct_series(1)[0]
    setattr(ds, keyword, "")
    assert not _of(ds).captured
    setattr(ds, keyword, value)
    assert _of(ds).captured


def test_half_a_place_is_none() -> None:
    ds = make.ct_series(1)[0]
    ds.ImageOrientationPatient = ["1", "0", "0"]
    assert not _of(ds).placed
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    assert _of(ds).placed
    del ds.ImagePositionPatient
    assert not _of(ds).placed


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_words_are_in_capitals_and_without_padding() -> None:
    ds = make.ct_series(1)[0]
    ds.ImageType, ds.BurnedInAnnotation = ["original ", "Primary"], "no"
    found = _of(ds)
    assert (found.image_type, found.burned_in_annotation) == (("ORIGINAL", "PRIMARY"), "NO")
