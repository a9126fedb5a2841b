"""What becomes of one element, by its tag, representation and bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.attributes import VR_BY_TAG
from node.dicom.text import folded
from node.steps.anonymize import values
from node.steps.anonymize.cleaning import cleaner_for
from node.steps.anonymize.decision import (
    REMOVED,
    always_goes,
    form_that_stays,
    goes,
    kept_private,
    lasting,
    looked_at,
    new_private_value,
    new_value,
)
from node.steps.anonymize.known import Known
from node.steps.anonymize.patients import Patient, Patients
from node.steps.anonymize.plan import NO_RULES, Do, compile_plan
from node.steps.anonymize.pseudonyms import Pseudonyms
from node.steps.anonymize.scope import Scope, UndecidableError
from node.steps.anonymize.text import UnreadableTextError, words
from node.steps.anonymize.vocabulary import shipped
from tests import make
from tests.steps.anonymize.driver import SECRET

MANUFACTURER, BODY_PART, THICKNESS, CONTEXT_UID, SPACING = 0x00080070, 0x00180015, 0x00180050, 0x00080117, 0x00280030
SCOPE = Scope(
    plan=compile_plan(frozenset(), NO_RULES, make.CT_IMAGE), patients=Patients(SECRET), encodings=("utf8",),
    patient=Patient("0123456789abcdef", Pseudonyms(SECRET), -400, folded("4711-X")),
    own_uids=frozenset({"1.2.3"}), own_words=words("Müster^Anna", "4711-X"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("tag", "vr", "value", "action", "becomes"),
    [
        (MANUFACTURER, "LO", b"ACME", None, None),
        (MANUFACTURER, "LO", "for müster".encode(), None, ("LO", b"ANONYMIZED")),
        (MANUFACTURER, "LO", b"ACME", Do.EMPTY, ("LO", b"")),
        (MANUFACTURER, "LO", b"ACME", "OURS!", ("LO", b"OURS! ")),
        (BODY_PART, "CS", b"HEAD\\4711-X", Do.KEEP, ("CS", b"HEAD\\ANONYMIZED ")),
        (THICKNESS, "DS", b"1,5 ", None, None),
        (THICKNESS, "DS", b"1.5\\nan ", Do.KEEP, None),
        (CONTEXT_UID, "UI", b"1.2.840.10008.1\0", None, ("UI", b"1.2.840.10008.1\0")),
        (0x00100010, "PN", b"Anna", Do.PATIENT, ("PN", b"0123456789abcdef")),
        (0x00080020, "DA", b"20200102", Do.DUMMY, ("DA", b"19000101")),
        (0x00080020, "LO", b"20200102", Do.DUMMY, ("DA", b"19000101")),
        (0x00281201, "OW", b"\1\2", None, None),
    ],
)  # fmt: skip
def test_a_value_stays_or_becomes(
    tag: int, vr: str, value: bytes, action: Do | str | None, becomes: tuple[str, bytes] | None
) -> None:
    assert new_value(tag, vr, value, action, SCOPE) == (becomes, action)


@pytest.mark.parametrize(
    ("tag", "vr", "value", "action", "becomes", "done"),
    [
        (0x00080020, "DA", b"20200102", Do.SHIFT, ("DA", b"20191228"), Do.SHIFT),
        (0x00080020, "DA", b"soon", Do.SHIFT, ("DA", b""), Do.EMPTY),
        (0x0008103E, "LO", b"CT chest of Gruber", Do.CLEAN, ("LO", b"CT chest of "), Do.CLEAN),
        (0x0008103E, "LO", b"Gruber", Do.CLEAN, REMOVED, Do.REMOVE),
        (0x0040A160, "UT", b"Gruber", Do.CLEAN, ("UT", b"ANONYMIZED"), Do.DUMMY),
        (0x00200010, "SH", b"7 ", Do.HASH, ("SH", SCOPE.patient.pseudonyms.value("7").encode()), Do.HASH),
        (MANUFACTURER, "LO", b"of Gruber", None, ("LO", b"of"), Do.CLEAN),
        (0x00080104, "LO", b"of Gruber", None, ("LO", b"ANONYMIZED"), None),
        (0x00080104, "LO", b"of nobody", None, None, None),
        (0x00101010, "AS", b"093Y", None, ("AS", b"090Y"), None),
    ],
)  # fmt: skip
def test_what_was_done_in_the_end_is_told(
    tag: int, vr: str, value: bytes, action: Do, becomes: tuple[str, bytes] | None, done: Do
) -> None:
    """A value that cannot be moved or cleaned becomes what the Basic Profile makes of it."""
    cleaner = cleaner_for(Known(names=frozenset({"Gruber"})), shipped())
    scope = replace(SCOPE, cleaner=cleaner, days=-5, in_clean=True, own_words=None)
    assert new_value(tag, vr, value, action, scope) == (becomes, done)


@pytest.mark.parametrize(
    ("value", "becomes", "done"),
    [
        (b"seen by Gruber", ("LO", b"seen by "), Do.CLEAN),
        (b"made for AC-123456, GRUBER", ("LO", b"made for"), Do.CLEAN),
        (b"Gruber", ("LO", b"ANONYMIZED"), Do.DUMMY),
        (b"filter of Dr. Huber", ("LO", b"filter of "), Do.CLEAN),
        (b"lesion, (555) 867-5309", ("LO", b"lesion"), Do.CLEAN),
        (b"HELIX of nobody", None, None),
        (b"syngo MR 2004A 4VA25A 1.5.0.2/20140305", None, None),
        (b"number 77", None, None),
    ],
)
def test_a_text_that_the_table_leaves_is_cleaned_where_it_says_who_somebody_is(
    value: bytes, becomes: tuple[str, bytes] | None, done: Do | None
) -> None:
    known = Known(names=frozenset({"Gruber^Eva", "Head"}), numbers=frozenset({"AC123456", "77"}))
    scope = replace(SCOPE, cleaner=cleaner_for(known, shipped()), own_words=None)
    assert new_value(0x00700081, "LO", value, None, scope) == (becomes, done)
    assert new_value(0x00700081, "LO", value, Do.KEEP, scope) == (None, Do.KEEP), "a rule may keep it"
    assert new_value(0x00080102, "SH", b"Gruber", None, scope) == (None, None), "a code says no text of a person"


def test_a_code_that_says_anybodys_name_is_replaced_where_texts_are_cleaned_and_a_term_stays() -> None:
    known = Known(names=frozenset({"Gruber^Eva", "Head"}), numbers=frozenset({"AC123456"}))
    scope = replace(SCOPE, cleaner=cleaner_for(known, shipped()), own_words=None)
    assert new_value(BODY_PART, "CS", b"HEAD\\DR GRUBER ", None, scope)[0] == ("CS", b"HEAD\\ANONYMIZED ")
    assert new_value(BODY_PART, "CS", b"HEAD", None, scope)[0] is None
    assert new_value(BODY_PART, "CS", b"DR GRUBER ", None, replace(scope, cleaner=None))[0] is None


@pytest.mark.parametrize(
    ("value", "becomes"),
    [
        (b"seen by Dr Weber", b"ANONYMIZED"),
        (b"HEAD\\Dr Weber", b"HEAD\\ANONYMIZED "),
        (b"PHONE 030 1234567 WEBER ", b"ANONYMIZED"),
        (b"Chest", None),
        (b"T2-weighted\\M \\-", None),
        (b"male", None),
        (b"WEBER ", None),
    ],
)
def test_what_is_no_code_stays_as_far_as_its_words_are_of_the_vocabulary(value: bytes, becomes: bytes | None) -> None:
    """Devices write codes in small letters; who writes a sentence there may name anybody."""
    for action in (None, Do.KEEP):
        assert new_value(BODY_PART, "CS", value, action, SCOPE)[0] == (becomes and ("CS", becomes))
    ours = compile_plan(frozenset(), NO_RULES, make.CT_IMAGE, keep_words=frozenset({"Weber"}))
    assert new_value(BODY_PART, "CS", b"Weber ", None, replace(SCOPE, plan=ours))[0] is None


def test_a_meaning_that_somebody_added_to_is_replaced_whatever_the_options() -> None:
    for scope in (SCOPE, replace(SCOPE, cleaner=cleaner_for(Known(), shipped()))):
        assert new_value(0x00080104, "LO", b"Thorax, ask Dr Jonas Weber", None, scope)[0] == ("LO", b"ANONYMIZED")
        assert new_value(0x00080104, "LO", b"Thorax", None, scope)[0] is None


def test_a_uid_that_is_none_of_the_standards_is_replaced_under_its_root_too() -> None:
    made_up = "1.2.840.10008.774213.19500102.101112"
    other = values.padded(SCOPE.patient.pseudonyms.uid(made_up).encode(), "UI")
    assert other.startswith(b"2.25.")
    for action in (None, Do.KEEP, Do.UID):
        assert new_value(CONTEXT_UID, "UI", made_up.encode(), action, SCOPE)[0] == ("UI", other)


def test_the_patients_name_is_found_in_other_spellings() -> None:
    for said in ("MUSTER", "Muester ", "müster"):
        assert new_value(0x00700081, "LO", said.encode("utf8"), None, SCOPE)[0] == ("LO", b"ANONYMIZED")


def test_a_pseudonym_that_is_too_long_for_its_place_is_undecidable() -> None:
    scope = replace(SCOPE, patient=replace(SCOPE.patient, name="a pseudonym of 24 letters"))
    assert new_value(0x00100020, "LO", b"4711", Do.PATIENT, scope)[0] == ("LO", b"a pseudonym of 24 letters ")
    for tag, vr in ((0x00200010, "SH"), (BODY_PART, "CS"), (0x00080055, "AE")):
        with pytest.raises(UndecidableError, match="longer than that may be"):
            new_value(tag, vr, b"4711", Do.PATIENT, scope)


def test_an_age_that_is_none_is_undecidable() -> None:
    with pytest.raises(UndecidableError, match="no valid AS"):
        new_value(0x00101010, "AS", b"old ", None, SCOPE)


@pytest.mark.parametrize(
    ("vr", "value", "action", "becomes"),
    [
        ("LO", b"ACME", Do.EMPTY, ("LO", b"")),
        ("SH", b"7 ", Do.HASH, ("SH", SCOPE.patient.pseudonyms.value("7").encode())),
        ("DA", b"20200102", Do.SHIFT, ("DA", b"20200102")),
        ("DA", b"soon", Do.SHIFT, REMOVED),
        ("LO", b"ACME", "OURS!", ("LO", b"OURS! ")),
        ("DS", b"1 ", "OURS!", REMOVED),
        ("SQ", b"", Do.EMPTY, REMOVED),
        ("UN", b"??", Do.HASH, REMOVED),
    ],
)
def test_a_private_element_becomes_what_a_rule_makes_of_it_or_goes(
    vr: str, value: bytes, action: Do | str, becomes: tuple[str, bytes]
) -> None:
    assert new_private_value(vr, value, action, SCOPE) == becomes


def test_own_uids_are_replaced_anywhere_and_others_where_the_plan_says_so() -> None:
    own, other = SCOPE.patient.pseudonyms.uid("1.2.3").encode(), SCOPE.patient.pseudonyms.uid("1.2.4").encode()
    assert new_value(CONTEXT_UID, "UI", b"1.2.3\\1.2.4 ", None, SCOPE)[0] == (
        "UI",
        values.padded(own + b"\\1.2.4", "UI"),
    )
    assert new_value(CONTEXT_UID, "UI", b"1.2.4\0", Do.UID, SCOPE)[0] == ("UI", values.padded(other, "UI"))


def test_all_text_of_an_item_that_stands_for_a_sequence_is_replaced() -> None:
    dummy = replace(SCOPE, in_dummy=True)
    assert new_value(MANUFACTURER, "LO", b"ACME", None, dummy)[0] == ("LO", b"ANONYMIZED")
    assert new_value(BODY_PART, "CS", b"HEAD", None, dummy)[0] is None


@pytest.mark.parametrize(
    ("tag", "vr", "value", "action"),
    [
        (SPACING, "LO", b"Smith", None),
        (MANUFACTURER, "OB", b"Smith^", None),
        (CONTEXT_UID, "UI", b"\xff\xfe", Do.UID),
        (0x00082218, "DS", b"1 ", Do.DUMMY),
    ],
)
def test_what_it_cannot_tell_is_undecidable(tag: int, vr: str, value: bytes, action: Do | None) -> None:
    with pytest.raises(UndecidableError) as raised:
        new_value(tag, vr, value, action, SCOPE)
    assert "Smith" not in str(raised.value)


@pytest.mark.parametrize("action", [None, Do.KEEP])
@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (THICKNESS, "DS", b"seen by Dr Weber"),
        (THICKNESS, "DS", b"1.5\\Weber"),
        (0x00200013, "IS", b"Weber "),
        (0x00080020, "DA", b"2020 by Weber "),
        (0x00080030, "TM", b"10 Weber"),
        (0x0008002A, "DT", b"2020 Weber"),
        (CONTEXT_UID, "UI", b"MUELLER^ANNEGRET"),
        (CONTEXT_UID, "UI", b"1.2.840.10008.1\\MUELLER "),
    ],
)
def test_what_stays_in_the_place_of_a_number_or_a_uid_must_be_one(
    tag: int, vr: str, value: bytes, action: Do | None
) -> None:
    """Whoever it names: nobody can tell whether a surname is one, and a dummy would be a number nobody measured."""
    for plan in (SCOPE.plan, compile_plan(frozenset({"retain_uids"}), NO_RULES, make.CT_IMAGE)):
        with pytest.raises(UndecidableError, match=f"no (valid )?{'UID' if vr == 'UI' else vr}") as raised:
            new_value(tag, vr, value, action, replace(SCOPE, plan=plan))
        assert "eber" not in str(raised.value)


@pytest.mark.parametrize(("tag", "vr"), [(MANUFACTURER, "LO"), (BODY_PART, "CS")])
def test_text_that_stays_must_decode(tag: int, vr: str) -> None:
    with pytest.raises(UnreadableTextError):
        new_value(tag, vr, b"M\xfcster", None, SCOPE)


def test_what_ps36_does_not_have_goes_unless_the_plan_has_it() -> None:
    """Table E.1-1 and a rule may be newer than our PS3.6."""
    assert goes(0x0018FFF1, None)
    assert not goes(0x0018FFF1, Do.KEEP)
    assert not goes(0x0018FFF1, Do.EMPTY)
    assert goes(MANUFACTURER, Do.REMOVE)
    assert not goes(MANUFACTURER, None)


def test_a_private_element_is_kept_with_its_creator_and_by_it() -> None:
    plan = compile_plan(frozenset({"retain_safe_private"}), NO_RULES, make.MR_IMAGE)
    level = {
        0x00190010: b"SIEMENS MR HEADER ",
        0x00190011: b"OTHER ",
        0x0019100C: b"1 ",
        0x0019110C: b"1 ",
        0x0019000C: b"",
    }
    assert kept_private(level, level.__getitem__, plan) == {
        0x00190010: ("LO", Do.KEEP),
        0x0019100C: ("IS", Do.KEEP),
    }
    assert kept_private(level, level.__getitem__, SCOPE.plan) == {}


@given(
    st.sampled_from([tag for tag, vr in VR_BY_TAG.items() if vr != "SQ"]),
    st.sampled_from([b"", b"1.2.3", b"1.2.840.10008.1.1", b"1.2.840.10008.1\\1.2.3", b"ABCD"]),
    st.sampled_from([None, Do.KEEP, Do.EMPTY, Do.UID, Do.PATIENT]),
)
def test_what_lasts_is_the_same_for_an_instance_with_other_uids(tag: int, value: bytes, action: Do | None) -> None:
    vr = VR_BY_TAG[tag]
    other = replace(SCOPE, own_uids=frozenset({"1.2.9"}))
    if lasting(vr, value, action, SCOPE):
        assert _outcome(tag, vr, value, action, SCOPE) == _outcome(tag, vr, value, action, other)
    if not looked_at(vr, action) and value:
        assert _outcome(tag, vr, value, action, SCOPE) == _outcome(tag, vr, b"?" * len(value), action, SCOPE)


def _outcome(tag: int, vr: str, value: bytes, action: Do | None, scope: Scope) -> object:
    """The new value, or why the instance is held."""
    try:
        return new_value(tag, vr, value, action, scope)
    except UndecidableError as error:
        return str(error)


_NUMERAL_TAGS = sorted(tag for tag, vr in VR_BY_TAG.items() if vr in ("DA", "DS", "DT", "IS", "TM"))
_CLEANS = cleaner_for(Known(), shipped())


@given(
    tag=st.sampled_from(_NUMERAL_TAGS) | st.sampled_from(sorted(VR_BY_TAG)),
    value=st.from_regex(rb"(?:[-+0-9. :eE]{1,6}\\?){0,4}", fullmatch=True) | st.binary(max_size=8),
    action=st.sampled_from([None, Do.KEEP, Do.EMPTY, Do.SHIFT, Do.CLEAN, Do.UID, "literal"]),
    scope=st.sampled_from([SCOPE, replace(SCOPE, cleaner=_CLEANS, in_clean=True), replace(SCOPE, in_dummy=True)]),
)
def test_a_value_in_the_form_that_stays_is_left_by_whoever_decides_on_it(
    tag: int, value: bytes, action: Do | str | None, scope: Scope
) -> None:
    vr = VR_BY_TAG[tag]
    form = form_that_stays(tag, vr, action)
    if form is not None:
        assert not always_goes(tag)
        assert not goes(tag, action)
        assert lasting(vr, value, action, scope)
        if form.fullmatch(value):
            assert new_value(tag, vr, value, action, scope) == (None, action)


def test_numbers_that_the_plan_leaves_have_a_form_and_what_needs_a_look_has_none() -> None:
    assert form_that_stays(THICKNESS, "DS", None) is not None
    assert form_that_stays(0x00080020, "DA", Do.KEEP) is not None
    for tag, vr, action in (
        (THICKNESS, "DS", Do.EMPTY),
        (THICKNESS, "LO", None),
        (0x00101010, "AS", None),
        (CONTEXT_UID, "UI", None),
        (BODY_PART, "CS", None),
        (0x00190010, "DS", None),
    ):
        assert form_that_stays(tag, vr, action) is None
