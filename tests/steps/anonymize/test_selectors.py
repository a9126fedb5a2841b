from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.attributes import VR_BY_TAG, PrivateTag, is_private, keyword_of, tag_of
from node.dicom.deid_table import is_repeating
from node.steps.anonymize.fields import FieldError
from node.steps.anonymize.selectors import Selected, parse_selector

DESCRIPTION, REQUEST, STEP = 0x00081030, 0x00400275, 0x00400007


@pytest.mark.parametrize("text", ["StudyDescription", "(0008,1030)", "00081030", " StudyDescription "])
def test_an_attribute_by_keyword_or_tag(text: str) -> None:
    assert parse_selector(text) == Selected(tags=frozenset({DESCRIPTION}))


@pytest.mark.parametrize(
    "text",
    ["RequestAttributesSequence.ScheduledProcedureStepDescription", "(0040,0275).(0040,0007)", "00400275.00400007"],
)
def test_an_attribute_in_one_place(text: str) -> None:
    assert parse_selector(text) == Selected(tags=frozenset({STEP}), path=(REQUEST,))


def test_a_private_attribute_by_its_creator_also_with_a_point_in_its_name() -> None:
    assert parse_selector('(0019,"ACME 1.0",0C)').private == (PrivateTag(0x0019, "ACME 1.0", 0x0C),)


def test_a_creator_stands_for_its_published_attributes() -> None:
    found = parse_selector('creator:"SIEMENS MR HEADER"')
    assert PrivateTag(0x0019, "SIEMENS MR HEADER", 0x0C) in found.private
    assert {tag.creator for tag in found.private} == {"SIEMENS MR HEADER"}
    assert parse_selector("creator:SIEMENS MR HEADER") == found


def test_a_representation_stands_for_its_attributes() -> None:
    found = parse_selector("vr:DA")
    assert DESCRIPTION not in found.tags
    assert {VR_BY_TAG[tag] for tag in found.tags} == {"DA"}
    assert not found.exact
    assert parse_selector("VR: da") == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("StudyDescripton", 'Did you mean "StudyDescription"?'),
        ("vr:XX", "no attribute"),
        ("creator:NOBODY", 'name each as (gggg,"NOBODY",ee)'),
        ("group:0008", "there are vr:XX and creator:NAME"),
        ("contains:Study", "there are vr:XX and creator:NAME"),
        ("(0019,100C)", "name it by its creator"),
        ("(6000,3000)", "removed whatever a rule says"),
        ("StudyDescription.KVP", "is no sequence"),
        ("RequestAttributesSequence.Nothing", 'unknown attribute "Nothing"'),
        ("RequestAttributesSequence.(0019,100C)", "of the standard only"),
        ("RequestAttributesSequence.", "unknown attribute"),
        ("(0018,FFF1)", "not in the data dictionary"),
        ("", "unknown attribute"),
    ],
)
def test_what_means_no_attribute_says_what_to_write(text: str, problem: str) -> None:
    with pytest.raises(FieldError) as error:
        parse_selector(text)
    assert problem in str(error.value)


@given(st.sampled_from([tag for tag in VR_BY_TAG if not is_private(tag) and not is_repeating(tag)]))
def test_every_attribute_of_the_standard_has_two_names(tag: int) -> None:
    assert parse_selector(f"({tag >> 16:04X},{tag & 0xFFFF:04X})").tags == {tag}
    keyword = keyword_of(tag)
    if keyword and tag_of(keyword) == tag:
        assert parse_selector(keyword).tags == {tag}


@given(st.text(max_size=40))
def test_any_text_is_a_selector_or_a_mistake(text: str) -> None:
    with contextlib.suppress(FieldError):
        found = parse_selector(text)
        assert found.tags or found.private
