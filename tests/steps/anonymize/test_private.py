"""A private element that is listed as safe stays as what it is listed as, and without what names the patient."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.dicom.deid_table import safe_private
from node.dicom.text import folded
from node.steps.anonymize import values
from node.steps.anonymize.cleaning import cleaner_for
from node.steps.anonymize.decision import REMOVED
from node.steps.anonymize.known import Known
from node.steps.anonymize.patients import Patient, Patients
from node.steps.anonymize.plan import NO_RULES, Do, compile_plan
from node.steps.anonymize.private import kept_value, may_be_sequence
from node.steps.anonymize.pseudonyms import Pseudonyms
from node.steps.anonymize.scope import Scope, UndecidableError
from node.steps.anonymize.text import UnreadableTextError, words
from node.steps.anonymize.vocabulary import shipped
from tests import make
from tests.steps.anonymize.driver import SECRET

TAG = 0x0019100C
SCOPE = Scope(
    plan=compile_plan(frozenset({"retain_safe_private"}), NO_RULES, make.MR_IMAGE), patients=Patients(SECRET),
    encodings=("utf8",), patient=Patient("0123456789abcdef", Pseudonyms(SECRET), -400, folded("4711-X")),
    own_uids=frozenset(), own_words=words("Müster^Anna", "4711-X"),
)  # fmt: skip
CLEANING = replace(
    SCOPE,
    plan=compile_plan(frozenset({"retain_safe_private", "clean_descriptors"}), NO_RULES, make.MR_IMAGE),
    cleaner=cleaner_for(Known(names=frozenset({"Müster^Anna", "Gruber"})), shipped()),
)
GONE = REMOVED, Do.REMOVE


@pytest.mark.parametrize(
    ("vr", "found", "value"),
    [
        ("IS", "IS", b"1000"),
        ("IS", "", b"1000"),
        ("IS", "UN", b"1000"),
        ("DS", "DS", b"1.5\\-2 "),
        ("FD", "FD", bytes(24)),
        ("CS", "CS", b"TRANSVERSAL "),
        ("CS", "CS", b"Axial "),
        ("LO", "LO", b"SSFSE "),
        ("SH", "UN", b"/1.3:1"),
        ("OB", "OB", b"\0\1"),
        ("LO", "LO", b""),
        ("", "LO", "seen by Müster".encode()),
        ("", "UN", b"\xff\xfe"),
    ],
)
def test_it_stays_as_it_is_where_it_is_what_its_row_says_or_a_rule_keeps_it(vr: str, found: str, value: bytes) -> None:
    assert kept_value(TAG, vr, found, value, SCOPE) == (None, Do.KEEP)


@pytest.mark.parametrize(
    ("vr", "found", "value"),
    [
        ("IS", "LO", b"seen by Dr Jonas Weber"),
        ("IS", "LO", b"1000"),
        ("IS", "IS", b"Weber "),
        ("IS", "UN", b"Weber "),
        ("DS", "", b"1.5\\Weber "),
        ("FD", "FD", b"Jonas Weber"),
        ("FD", "OB", bytes(8)),
        ("CS", "CS", b"Dr Weber"),
        ("CS", "CS", b"4711-X"),
        ("LO", "LO", "for Müster".encode()),
        ("LO", "SQ", b""),
        ("ST", "UN", b"for Muester, Anna "),
        ("OB", "OB", b"\0\1 4711-X\0"),
        ("UI", "UI", b"Weber "),
    ],
)
def test_what_is_not_what_its_row_says_or_names_the_patient_goes(vr: str, found: str, value: bytes) -> None:
    assert kept_value(TAG, vr, found, value, SCOPE) == GONE


@pytest.mark.parametrize(
    ("vr", "found", "value", "outcome"),
    [
        ("ST", "ST", b"for Dr Jonas Weber, Tel 030 1234567, axial", (("ST", b"for axial "), Do.CLEAN)),
        ("LO", "", b"chest of Gruber ", (("LO", b"chest of"), Do.CLEAN)),
        ("LO", "UN", b"chest of Gruber ", (("UN", b"chest of"), Do.CLEAN)),
        ("LO", "LO", b"Gruber", GONE),
        ("LO", "LO", b"axial ", (None, Do.KEEP)),
        ("CS", "CS", b"DR GRUBER ", GONE),
        ("CS", "CS", b"TRANSVERSAL ", (None, Do.KEEP)),
        ("IS", "IS", b"7 ", (None, Do.KEEP)),
    ],
)
def test_its_text_is_cleaned_as_others_are(vr: str, found: str, value: bytes, outcome: object) -> None:
    assert kept_value(TAG, vr, found, value, CLEANING) == outcome


def test_its_uids_are_replaced_as_the_options_say() -> None:
    new = values.padded(SCOPE.patient.pseudonyms.uid("1.2.3").encode(), "UI")
    for vr, found in (("UI", "UI"), ("UI", "UN"), ("", "UI")):
        assert kept_value(TAG, vr, found, b"1.2.3\0", SCOPE) == ((found, new), Do.KEEP)
    retained = replace(SCOPE, plan=compile_plan(frozenset({"retain_uids"}), NO_RULES, make.MR_IMAGE))
    assert kept_value(TAG, "UI", "UI", b"1.2.3\0", retained) == (None, Do.KEEP)
    with pytest.raises(UndecidableError):
        kept_value(TAG, "", "UI", b"\xff\xfe", SCOPE)


def test_text_that_its_character_set_does_not_decode_is_never_passed_on() -> None:
    with pytest.raises(UnreadableTextError):
        kept_value(TAG, "LO", "LO", b"K\xf6ln", SCOPE)


def test_a_sequence_stays_one_only_where_it_is_listed_as_one_or_kept_by_a_rule() -> None:
    assert may_be_sequence("SQ", "SQ")
    assert may_be_sequence("SQ", "UN")
    assert may_be_sequence("", "SQ")
    assert not may_be_sequence("LO", "SQ")
    assert not may_be_sequence("SQ", "OB")


def test_every_row_of_the_table_has_a_representation_that_is_held_to_or_searched() -> None:
    known = values.FREE_TEXT | values.CODES | values.NUMERALS | values.NUMBERS | values.OPAQUE | {"UI", "SQ"}
    assert set(safe_private().values()) <= known
    assert "AS" not in safe_private().values(), "ages would be capped"
