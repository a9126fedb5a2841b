from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from node.steps.anonymize.burned_in import Facts, burned_in
from tests import make
from tests.steps.anonymize.driver import result, why_held

_CT = Facts(
    sop_class=make.CT_IMAGE,
    transfer_syntax="1.2.840.10008.1.2.1",
    modality="CT",
    burned_in_annotation="",
    image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    has_pixels=True,
)
_STORAGE = "1.2.840.10008.5.1.4.1.1."


def test_a_plain_ct_passes() -> None:
    assert burned_in(_CT) is None


@pytest.mark.parametrize(
    "below",
    [
        "7",
        "7.1",
        "7.2",
        "7.3",
        "7.4",
        "6.1",
        "6.2",
        "3.1",
        "12.1",
        "12.1.1",
        "12.2",
        "12.2.1",
        "104.1",
        "104.2",
        "104.3",
        "104.4",
        "104.5",
        "77.1.1",
        "77.1.1.1",
        "77.1.4.1",
        "88.11",
        "88.22",
        "88.33",
        "88.59",
        "88.67",
        "9.4.1",
    ],
)
def test_kinds_that_carry_names_are_held(below: str) -> None:
    assert burned_in(replace(_CT, sop_class=_STORAGE + below))


@pytest.mark.parametrize("modality", ["US", "XA", "RF", "ES", "OT", "XC", "DOC", "SR", "BMD", ""])
def test_modalities_that_show_names_are_held(modality: str) -> None:
    assert burned_in(replace(_CT, modality=modality))


@pytest.mark.parametrize("syntax", ["100", "101", "102", "103", "104", "105", "106", "107", "108"])
def test_video_is_held(syntax: str) -> None:
    assert burned_in(replace(_CT, transfer_syntax=f"1.2.840.10008.1.2.4.{syntax}")) == "it is a video"


@pytest.mark.parametrize("syntax", ["50", "70", "80", "90", "110", "201"])
def test_still_images_are_no_video(syntax: str) -> None:
    assert burned_in(replace(_CT, transfer_syntax=f"1.2.840.10008.1.2.4.{syntax}")) is None


@pytest.mark.parametrize(
    "facts",
    [
        replace(_CT, burned_in_annotation="YES"),
        replace(_CT, has_document=True, has_pixels=False),
        replace(_CT, has_content=True, has_pixels=False),
        replace(_CT, label_in_image=True),
        replace(_CT, overlay_in_pixels=True),
    ],
)
def test_what_says_so_itself_is_held(facts: Facts) -> None:
    assert burned_in(facts)


def test_a_report_passes_when_its_content_is_cleaned_and_nothing_else_in_it_shows_names() -> None:
    report = replace(_CT, sop_class=f"{_STORAGE}88.33", modality="SR", has_pixels=False, has_content=True)
    assert burned_in(report) is not None
    cleaned = replace(report, content_cleaned=True)
    assert burned_in(cleaned) is None
    assert burned_in(replace(cleaned, has_document=True)) is not None
    assert burned_in(replace(cleaned, modality="DOC")) is not None
    assert burned_in(replace(cleaned, sop_class=f"{_STORAGE}7")) is not None


def test_burned_in_annotation_no_does_not_release_an_ultrasound() -> None:
    assert burned_in(replace(_CT, modality="US", burned_in_annotation="NO"))


def test_an_object_without_pixels_needs_no_modality_of_an_image() -> None:
    assert burned_in(replace(_CT, sop_class=_STORAGE + "481.3", modality="RTSTRUCT", has_pixels=False)) is None


def test_an_overlay_in_the_pixel_bits_is_held_and_one_of_its_own_is_removed(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.add_new(0x60000010, "US", 8)
    ds.add_new(0x60000102, "US", 12)
    assert "overlay" in why_held(ds, tmp_path)
    ds.add_new(0x60003000, "OW", bytes(16))
    assert not [element for element in result(ds, tmp_path) if element.tag.group == 0x6000]
