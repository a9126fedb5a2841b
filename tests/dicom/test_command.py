from __future__ import annotations

import contextlib
import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dsutils import decode

from node.dicom import command as dimse
from node.dicom.command import encode_command, encode_store_response, number_of, parse_command, uid_of
from node.dicom.encoding import Malformed

elements = st.dictionaries(st.integers(1, 0xFFFF), st.binary(max_size=70), max_size=20)


@given(elements)
def test_what_is_encoded_is_read_again(values: dict[int, bytes]) -> None:
    found = parse_command(encode_command(dict(values)))
    assert {number: value for number, value in found.items() if number} == values


@given(st.binary(max_size=100))
def test_any_bytes_are_a_command_or_malformed(noise: bytes) -> None:
    with contextlib.suppress(Malformed):
        parse_command(noise)


def test_an_answer_is_what_another_library_reads() -> None:
    encoded = encode_command(
        {
            dimse.COMMAND_FIELD: dimse.C_STORE_RSP, dimse.MESSAGE_ID_RESPONDED_TO: 7,
            dimse.DATA_SET_TYPE: dimse.NO_DATA_SET, dimse.STATUS: 0xA700, dimse.AFFECTED_SOP_CLASS: "1.2.3",
        }
    )  # fmt: skip
    read = decode(BytesIO(encoded), True, True)
    assert read.CommandGroupLength == len(encoded) - 12
    assert (read.CommandField, read.MessageIDBeingRespondedTo, read.Status) == (0x8001, 7, 0xA700)
    assert (read.AffectedSOPClassUID, read.CommandDataSetType) == ("1.2.3", 0x0101)


uids = st.none() | st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,9}){0,5}", fullmatch=True)


@given(message_id=st.integers(0, 0xFFFF), status=st.integers(0, 0xFFFF), sop_class=uids, instance=uids)
def test_a_store_response_is_what_its_elements_are_one_by_one(
    message_id: int, status: int, sop_class: str | None, instance: str | None
) -> None:
    values: dict[int, bytes | int | str] = {
        dimse.COMMAND_FIELD: dimse.C_STORE_RSP, dimse.MESSAGE_ID_RESPONDED_TO: message_id,
        dimse.DATA_SET_TYPE: dimse.NO_DATA_SET, dimse.STATUS: status,
    }  # fmt: skip
    for element, uid in ((dimse.AFFECTED_SOP_CLASS, sop_class), (dimse.AFFECTED_SOP_INSTANCE, instance)):
        if uid is not None:
            values[element] = uid
    assert encode_store_response(message_id, status, sop_class, instance) == encode_command(values)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<HHL", 0, 0x0100, 4) + b"\1\0",
        struct.pack("<HHL", 8, 0x0100, 2) + b"\1\0",
        b"\0\0\0",
    ],
    ids=["cut off", "another group", "half an element"],
)
def test_what_is_no_command_set_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_command(data)


@pytest.mark.parametrize(
    ("value", "uid"),
    [
        (b"1.2.3\0", "1.2.3"), (b"1.2.3 ", "1.2.3"), (b"", None), (b"1.2\\1.3", None), (b"1" * 65, None),
        (b"../../etc", "../../etc"), (b"\xff\xfe", "\xff\xfe"),
    ],
)  # fmt: skip
def test_a_uid_is_the_text_that_stands_there(value: bytes, uid: str | None) -> None:
    assert uid_of({0x1000: value}, 0x1000) == uid


@pytest.mark.parametrize(("value", "number"), [(b"\1\0", 1), (b"\1", None), (b"\1\0\2\0", None), (b"", None)])
def test_a_number_is_one_us(value: bytes, number: int | None) -> None:
    assert number_of({0x0110: value}, 0x0110) == number
    assert number_of({}, 0x0110) is None
