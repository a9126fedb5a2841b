"""What is known to be without the head is that, and what speaks of it is heard, in the languages of protocols."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from node.steps.anonymize import regions

_MEANINGS = {code: meaning for named in concepts["SCT"].values() for code, (meaning, _) in named.items()}
_ABOVE = ("head", "neck", "brain", "face", "skull", "eye", "cervic", "whole", "entire")


@pytest.mark.parametrize("term", ["CHEST", "chest", "ABDOMEN ", "CHEST_ABD_PELVIS", "Knee", "T-SPINE"])
def test_a_term_below_the_neck_is_known_however_it_is_written(term: str) -> None:
    assert regions.is_below_the_neck(term.replace("ABD_", "ABD"), volume=True)


@pytest.mark.parametrize("term", ["HEAD", "BRAIN", "NECK", "CSPINE", "SPINE", "WHOLEBODY", "SKULL", "BODY", ""])
def test_a_term_of_the_head_of_all_or_of_nothing_known_is_none(term: str) -> None:
    assert not regions.is_below_the_neck(term, volume=False)


def test_beside_an_arm_the_head_may_lie_in_a_volume_and_not_in_a_projection() -> None:
    assert [regions.is_below_the_neck("WRIST", volume=volume) for volume in (True, False)] == [False, True]
    wrist = ("74670003", "SCT")
    assert [regions.is_code_below_the_neck(*wrist, volume=volume) for volume in (True, False)] == [False, True]


def test_every_code_is_one_of_the_standard_and_of_nothing_above_the_shoulders() -> None:
    for code in (*regions.CODES_BELOW_THE_NECK.split(), *regions.CODES_OF_ARMS.split()):
        assert not any(word in _MEANINGS[code].lower() for word in _ABOVE), _MEANINGS[code]


def test_the_older_codes_are_of_the_same_regions() -> None:
    for new, old in (
        (regions.CODES_BELOW_THE_NECK, regions.SRT_BELOW_THE_NECK),
        (regions.CODES_OF_ARMS, regions.SRT_OF_ARMS),
    ):
        assert set(old.split()) == {code for code, now in mapping["SRT"].items() if now in new.split()}


def test_codes_count_in_their_own_scheme_and_in_the_one_before_it() -> None:
    chest = next(old for old, new in mapping["SRT"].items() if new == "51185008")
    assert regions.is_code_below_the_neck("51185008", "SCT", volume=True)
    assert regions.is_code_below_the_neck(chest, "SRT", volume=True)
    for code, scheme in ((chest, "SCT"), ("51185008", "99LOCAL"), ("69536005", "SCT"), ("", "")):
        assert not regions.is_code_below_the_neck(code, scheme, volume=False)


@pytest.mark.parametrize(
    "text",
    ["CT HEAD W/O", "Schädel nativ", "Gesichtsschaedel", "tête", "IRM CÉRÉBRALE", "HWS sag", "C-Spine lat",
     "Whole Body", "PET/CT", "t1_neuro", "Polytrauma", "cabeza y cuello", "頭部", "голова", "brainstem",
     "GANZKÖRPER", "FULL_BODY"],
)  # fmt: skip
def test_a_text_speaks_of_the_head_in_many_words(text: str) -> None:
    assert regions.speaks_of_the_head(text)


@pytest.mark.parametrize(
    "text",
    ["", "CT CHEST W CONTRAST", "Thorax/Abdomen", "Knie rechts", "t2_tse_sag 3mm", "LIVER DYNAMIC 4 phases", "0.625 mm",
     "AX T1 PELVIS", "Herz MRT", "abdomen sin contraste"],
)  # fmt: skip
def test_a_text_of_something_else_does_not(text: str) -> None:
    assert not regions.speaks_of_the_head(text)


@given(st.text(alphabet="abc -/_19", max_size=8), st.text(alphabet="xyz -/_19", max_size=8))
def test_the_word_is_heard_between_others(before: str, after: str) -> None:
    assert regions.speaks_of_the_head(f"{before} Head {after}")
    assert regions.speaks_of_the_head(f"{before}BRAIN{after}")
