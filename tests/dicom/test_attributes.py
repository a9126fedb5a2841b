from __future__ import annotations

import pytest
from pydicom._dicom_dict import DicomDictionary

from node.dicom import attributes
from node.dicom.attributes import PrivateTag


def test_every_standard_attribute_has_one_representation() -> None:
    assert {vr for vr in map(attributes.vr_of, DicomDictionary) if len(vr) != 2} == set()


@pytest.mark.parametrize(
    ("tag", "vr"),
    [
        (0x00280010, "US"),
        (0x00280106, "US"),
        (0x7FE00010, "OW"),
        (0x60003000, "OW"),
        (0x60123000, "OW"),
        (0x50022500, "LO"),
        (0x00280000, "UL"),
        (0x00190010, "LO"),
        (0x00191010, "UN"),
        (0x00080002, "UN"),
    ],
)
def test_representation_of_a_tag(tag: int, vr: str) -> None:
    assert attributes.vr_of(tag) == vr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("StudyDescription", 0x00081030),
        ("(0008,1030)", 0x00081030),
        ("(0008, 103e)", 0x0008103E),
        ("0008103E", 0x0008103E),
        ('(0019,"SIEMENS MR HEADER",0C)', PrivateTag(0x0019, "SIEMENS MR HEADER", 0x0C)),
        ('(0018,"SIEMENS MR HEADER",0C)', None),
        ("StudyDescripton", None),
        ("(0008,10300)", None),
        ("", None),
    ],
)
def test_an_attribute_may_be_written_four_ways(text: str, expected: object) -> None:
    assert attributes.parse_tag(text) == expected


def test_a_private_tag_is_shown_as_it_is_written() -> None:
    text = '(0019,"SIEMENS MR HEADER",0C)'
    assert str(attributes.parse_tag(text)) == text


def test_a_mistyped_keyword_has_a_suggestion() -> None:
    assert attributes.suggestions("StudyDescripton")[0] == "StudyDescription"
    assert attributes.suggestions("modality")[0] == "Modality"
    assert attributes.suggestions("xyzzy") == []


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (0x00280100, "(0028,0100) Bits Allocated"),
        (0x00290010, "(0029,0010) Private Creator"),
        (0x00291010, "(0029,1010) Private"),
        (0x00080000, "(0008,0000) Group Length"),
        (0x60003000, "(6000,3000) Overlay Data"),
        (0x00080002, "(0008,0002) Unknown"),
    ],
)
def test_an_attribute_is_described_by_tag_and_name(tag: int, text: str) -> None:
    assert attributes.describe(tag) == text


def test_keywords_keys_and_multiplicity() -> None:
    assert attributes.keyword_of(0x00080060) == "Modality"
    assert attributes.keyword_of(0x00091010) is None
    assert attributes.key_of(0x0008103E) == "0008103E"
    assert attributes.is_multiple(0x00080008)
    assert not attributes.is_multiple(0x00080060)
    assert attributes.is_multiple(0x00091010)
    assert attributes.private_vr(0x0019100C, "SIEMENS MR HEADER") == "IS"
    assert attributes.private_vr(0x0019100C, "NOBODY") == "UN"


def test_a_creator_has_the_attributes_that_its_vendor_published() -> None:
    found = attributes.published("SIEMENS MR HEADER")
    assert PrivateTag(0x0019, "SIEMENS MR HEADER", 0x0C) in found
    assert list(found) == sorted(found, key=str)
    assert attributes.published("NOBODY AT ALL") == ()
