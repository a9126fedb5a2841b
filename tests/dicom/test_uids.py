from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import config as pydicom_config
from pydicom import uid as pydicom_uid
from pynetdicom.sop_class import _STORAGE_CLASSES

from node.dicom.uids import (
    IMPLEMENTATION_CLASS_UID,
    TRANSFER_SYNTAXES,
    derived_uid,
    is_registered,
    is_storage,
    mark_of,
    name_of,
    tolerable_uid,
    transfer_syntax,
    valid_uid,
)


@given(text=st.text("0123456789.", max_size=70) | st.text(max_size=10))
def test_validity_is_what_pydicom_says_it_is(text: str) -> None:
    theirs = pydicom_uid.UID(text, validation_mode=pydicom_config.IGNORE)
    as_it_is = str(theirs) == text  # pydicom takes white space off, and then finds the rest valid
    assert valid_uid(text) == (theirs.is_valid and as_it_is and bool(text))
    assert not valid_uid(text) or tolerable_uid(text)


@pytest.mark.parametrize("text", ["1.2.03", "00.1", "1.00"])
def test_leading_zeros_are_tolerable_but_not_valid(text: str) -> None:
    assert tolerable_uid(text)
    assert not valid_uid(text)


def test_what_the_standard_registers_has_one_form_and_no_date_or_number_of_a_patient_has_it() -> None:
    assert all(map(is_registered, pydicom_uid.UID_dictionary))
    assert is_registered("1.2.840.10008.5.1.4.1.1.999"), "of a later edition"
    assert is_registered("1.2.840.10008.6.1.1999"), "a context group"
    for made_up in ("774213.19500102.101112", "1950.1.2", "5.1.19500102", "4711", "0.1", "1.2.", "5.01"):
        assert not is_registered(f"1.2.840.10008.{made_up}")
    assert not is_registered("1.2.3")


@given(parts=st.lists(st.text(), min_size=1, max_size=3), others=st.lists(st.text(), min_size=1, max_size=3))
def test_derived_uids_are_valid_and_depend_on_their_parts_alone(parts: list[str], others: list[str]) -> None:
    assert valid_uid(derived_uid(*parts))
    assert derived_uid(*parts) == derived_uid(*parts)
    assert derived_uid(*parts) != derived_uid(*parts, "more")
    assert (derived_uid(*parts) == derived_uid(*others)) is (parts == others)


def test_derived_uids_are_version_8_uuids() -> None:
    derived = uuid.UUID(int=int(derived_uid("a", "b").removeprefix("2.25.")))
    assert (derived.version, derived.variant) == (8, uuid.RFC_4122)


def test_our_own_uid_is_valid() -> None:
    assert valid_uid(IMPLEMENTATION_CLASS_UID)


@pytest.mark.parametrize("uid", sorted(TRANSFER_SYNTAXES))
def test_transfer_syntaxes_are_as_pydicom_has_them(uid: str) -> None:
    ours, theirs = TRANSFER_SYNTAXES[uid], pydicom_uid.UID(uid)
    if uid == "1.2.840.10008.1.20" or not uid.startswith("1.2.840.10008.") or ours.referenced:
        return  # pydicom takes what it does not know for encapsulated
    assert ours.explicit is not theirs.is_implicit_VR
    assert ours.big_endian is not theirs.is_little_endian
    assert ours.deflated is theirs.is_deflated
    assert ours.encapsulated is theirs.is_encapsulated


def test_lossless_is_what_can_only_be_lossless() -> None:
    lossless = {uid.removeprefix("1.2.840.10008.1.2") for uid, s in TRANSFER_SYNTAXES.items() if s.lossless}
    assert lossless >= {"", ".1", ".1.99", ".2", ".1.98", ".5"}
    lossless = {uid.removeprefix(".4.") for uid in lossless if uid.startswith(".4.")}
    assert lossless == {"57", "58", "65", "66", "70", "80", "90", "92", "201", "202"}
    assert {u for u, s in TRANSFER_SYNTAXES.items() if s.lossless and (s.video or s.referenced)} == set()


def test_video_is_mpeg_and_smpte() -> None:
    video = {s.name.split()[0] for s in TRANSFER_SYNTAXES.values() if s.video}
    assert video == {"MPEG2", "MPEG-4", "HEVC/H.265", "Fragmentable", "SMPTE"}


def test_an_unknown_syntax_is_marked_as_such() -> None:
    assert not transfer_syntax("1.2.3").known
    assert not transfer_syntax("1.2.3").lossless


def test_storage_classes_include_every_one_pynetdicom_has() -> None:
    missing = {uid for uid in _STORAGE_CLASSES.values() if not is_storage(uid)}
    assert missing == set()


@pytest.mark.parametrize(
    ("uid", "storage"),
    [
        ("1.2.840.10008.5.1.4.1.1.6", True),  # Ultrasound Image Storage (Retired)
        ("1.2.840.10008.5.1.4.1.1.1.2", True),  # ... - For Presentation
        ("1.3.12.2.1107.5.9.1", True),  # Siemens CSA Non-Image
        ("1.2.840.10008.1.1", False),  # Verification
        ("1.2.840.10008.1.20.1", False),  # Storage Commitment Push Model
        ("1.2.840.10008.5.1.4.1.2.2.1", False),  # Study Root Query/Retrieve - FIND
        ("1.2.840.10008.5.1.4.1.1.201.2", False),  # Inventory - FIND
        ("1.2.840.10008.5.1.4.1.1.9999", True),  # of a later edition
        ("1.2.840.10008.1.3.10", False),  # Media Storage Directory
        ("no uid", False),
    ],
)
def test_what_is_storage(uid: str, storage: bool) -> None:
    assert is_storage(uid) is storage


def test_a_uid_has_its_name() -> None:
    assert name_of("1.2.840.10008.1.1") == "Verification SOP Class"
    assert name_of("1.2.3") == "1.2.3"


@given(st.text(max_size=80))
def test_the_mark_of_a_text_has_no_digit_and_no_vowel(text: str) -> None:
    assert len(mark_of(text)) == 8
    assert set(mark_of(text)) <= set("bcdfghjklmnpqrst")
    assert mark_of(text) == mark_of(text)


def test_marks_tell_texts_apart() -> None:
    assert len({mark_of(f"1.2.{number}") for number in range(2000)}) == 2000
