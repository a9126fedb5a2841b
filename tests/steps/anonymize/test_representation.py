"""What keeps to its representation, as devices write it, and what was put there by somebody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.attributes import VR_BY_TAG
from node.steps.anonymize.representation import check_encoding, check_form, is_code, is_one
from node.steps.anonymize.scope import UndecidableError

THICKNESS, ROWS, LUT, KERNEL, CONTEXT_UID, AGE, BODY_PART = (
    0x00180050, 0x00280010, 0x00281101, 0x00181210, 0x00080117, 0x00101010, 0x00180015,
)  # fmt: skip
_AS_DEVICES_WRITE = {
    "DA": ["", "20200102", "2020.01.02", "2020-1-2", "20040826185730.123000", "0000.00.00"],
    "DS": ["", "1.5", " -1.123456789012345678901 ", "1,5", "+.5", "1.e5", "nan", "-inf", "-1.#IND", "7\0"],
    "DT": ["", "2020", "20200102101112.123456+0100", "2020-01-02 10:11:12", "2020-01-02T10:11:12Z"],
    "IS": ["", "-3", "1.000000", " 12 "],
    "TM": ["", "10", "101112.1234567", "10:11", "10:11:12.5"],
    "UI": ["", "1.2.840.10008.1\0", "1.2.3 ", "1.02.3"],
}
_BY_SOMEBODY = {
    "DA": ["2020 by Weber", "030-1234567", "today", "1234567890"],
    "DS": ["seen by Dr Weber", "030 1234567", "1.5.6", "1-2", "nanette", "1" * 33],
    "DT": ["2020 Weber", "20200102 101112 x"],
    "IS": ["1A", "Weber", "12 13"],
    "TM": ["10 Weber", "0301234567", "10:11 am"],
    "UI": ["MUELLER^ANNEGRET", "1.2.x", "1.2 3"],
}


@pytest.mark.parametrize(("vr", "value"), [(vr, value) for vr, found in _AS_DEVICES_WRITE.items() for value in found])
def test_what_devices_write_is_a_value_alone_and_among_others(vr: str, value: str) -> None:
    for several in (value, f"{value}\\{value}", f"\\{value}", f"{value} \\"):
        assert is_one(vr, several.encode())


@pytest.mark.parametrize(("vr", "value"), [(vr, value) for vr, found in _BY_SOMEBODY.items() for value in found])
def test_what_somebody_wrote_is_none_alone_and_among_others(vr: str, value: str) -> None:
    good = _AS_DEVICES_WRITE[vr][1]
    for several in (value, f"{good}\\{value}", f"{value}\\{good}"):
        assert not is_one(vr, several.encode())


@given(st.floats() | st.integers(-(2**31), 2**31 - 1), st.sampled_from(["%s", "%f", "%.16g", "%e"]))
def test_any_number_is_one_however_it_is_printed(number: float, form: str) -> None:
    printed = form % number
    assert is_one("DS", printed.encode()) == (len(printed.lstrip("-").partition(".")[0]) <= 32)


@given(st.text(st.characters(categories=("L",)), min_size=4))
def test_no_word_is_a_number_a_time_or_a_uid(word: str) -> None:
    assert not any(is_one(vr, word.encode()) for vr in _AS_DEVICES_WRITE)


def test_a_long_value_takes_time_that_grows_with_it_alone() -> None:
    assert not is_one("DS", b"1" * 100_000)
    assert not is_one("DS", b"\\".join([b"-12.5"] * 20_000) + b"x")


@pytest.mark.parametrize("value", ["HEAD", "T2_FLAIR 3", "", "RETROSPECTIVELY_MOTION_CORRECTED"])
def test_a_code_has_capitals_digits_and_spaces(value: str) -> None:
    assert is_code("CS", value)


@pytest.mark.parametrize("value", ["seen by Dr Weber", "Head", "A-B", "SEEN BY DR JONAS WEBER"])
def test_what_has_more_is_no_code(value: str) -> None:
    assert not is_code("CS", value)
    assert is_code("LO", value)


def test_an_application_entity_has_sixteen_characters() -> None:
    assert is_code("AE", "Store-1 (main)")
    assert not is_code("AE", "of Dr Jonas Weber")


@pytest.mark.parametrize(
    ("tag", "vr", "length"),
    [(ROWS, "US", 2), (ROWS, "US", 0), (LUT, "SS", 6), (LUT, "US", 4), (0x00089459, "FL", 4), (0x00280120, "SS", 2)],
)
def test_numbers_in_binary_have_their_size(tag: int, vr: str, length: int) -> None:
    check_encoding(tag, vr, length)


@pytest.mark.parametrize(
    ("tag", "vr", "length", "why"),
    [
        (ROWS, "US", 30, r"\(0028,0010\) Rows is no valid US"),
        (ROWS, "US", 1, "no valid US"),
        (0x00280009, "AT", 6, "no valid AT"),
        (KERNEL, "US", 32, r"\(0018,1210\) Convolution Kernel is encoded as US, not SH"),
        (KERNEL, "OB", 32, "encoded as OB, not SH"),
        (THICKNESS, "FD", 8, "encoded as FD, not DS"),
        (THICKNESS, "LO", 4, "encoded as LO, not DS"),
        (CONTEXT_UID, "CS", 4, "encoded as CS, not UI"),
        (AGE, "CS", 4, "encoded as CS, not AS"),
    ],
)
def test_text_cannot_pass_for_numbers_nor_hide_in_them(tag: int, vr: str, length: int, why: str) -> None:
    with pytest.raises(UndecidableError, match=why):
        check_encoding(tag, vr, length)


@given(st.sampled_from(sorted(VR_BY_TAG)), st.sampled_from(["CS", "DS", "LO", "OB", "US", "UI"]))
def test_nothing_is_wrong_with_a_value_that_is_not_there(tag: int, vr: str) -> None:
    check_encoding(tag, vr, 0)
    check_form(tag, vr, b"")


@pytest.mark.parametrize(
    ("tag", "vr", "value", "why"),
    [
        (THICKNESS, "CS", b"WEBER ", "no valid DS"),
        (ROWS, "CS", b"WEBER ", "no valid DS"),
        (0x00080020, "IS", b"0301234567", "no valid DA"),
        (CONTEXT_UID, "UI", b"MUELLER^ANNEGRET", "no UID"),
    ],
)
def test_a_value_keeps_to_the_form_that_it_is_written_in_and_to_that_of_ps36(
    tag: int, vr: str, value: bytes, why: str
) -> None:
    with pytest.raises(UndecidableError, match=why) as raised:
        check_form(tag, vr, value)
    assert "eber" not in str(raised.value).casefold().replace("number", "")


def test_a_code_in_the_place_of_a_text_or_of_a_code_is_one() -> None:
    check_form(BODY_PART, "CS", b"HEAD")
    check_form(KERNEL, "CS", b"B30")
    check_form(THICKNESS, "IS", b"5 ")
