"""Command sets of DIMSE messages: group 0, implicit VR little endian (PS3.7 6.3.1, Annex E)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from node.dicom.encoding import Malformed, Truncated

AFFECTED_SOP_CLASS = 0x0002
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_RESPONDED_TO = 0x0120
DATA_SET_TYPE = 0x0800
STATUS = 0x0900
AFFECTED_SOP_INSTANCE = 0x1000
EVENT_TYPE_ID = 0x1002
"""Element numbers of group 0000 (PS3.7 Table E.1-1)."""

C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
C_CANCEL_RQ = 0x0FFF
N_EVENT_REPORT_RQ = 0x0100
WITH_DATA_SET, NO_DATA_SET = 0x0001, 0x0101

LONGEST = 1 << 16
"""Bytes; a real command set has a few hundred."""

_ELEMENT = struct.Struct("<HHL")
_US = struct.Struct("<H")
_head_at = _ELEMENT.unpack_from
_ANSWER = struct.Struct("<" + "HHLH" * 4)
"""The four elements of a C-STORE-RSP that are numbers: they stand one behind the other."""


def parse_command(data: bytes | bytearray) -> dict[int, bytes]:
    """Element number -> value as it stands there. Raises Malformed for what is no command set."""
    found: dict[int, bytes] = {}
    data = bytes(data)
    position, end = 0, len(data)
    while position < end:
        value = position + 8
        if value > end:
            raise Truncated(position, "a command element is cut off")
        group, number, length = _head_at(data, position)
        if group:
            raise Malformed(value, f"group {group:04X} in a command set")
        position = value + length
        if position > end:
            raise Truncated(value, f"a command element says {length} bytes, {end - value} are left")
        found[number] = data[value:position]
    return found


def number_of(command: Mapping[int, bytes], element: int) -> int | None:
    """The value of a US element; None where it is missing or is not one number."""
    value = command.get(element, b"")
    return int(_US.unpack(value)[0]) if len(value) == _US.size else None


def uid_of(command: Mapping[int, bytes], element: int) -> str | None:
    """The text of a UI element, whatever it says; None where it is missing, empty, of several values or too long."""
    text = command.get(element, b"").decode("latin-1").strip("\0 ")
    return text if text and len(text) <= 64 and "\\" not in text else None


def encode_command(values: Mapping[int, bytes | int | str]) -> bytes:
    """A command set with its group length. Values: bytes as they are, int as US, str as UI."""
    body = b"".join(_encoded(number, values[number]) for number in sorted(values))
    return _ELEMENT.pack(0, 0, 4) + struct.pack("<L", len(body)) + body


def encode_store_response(message_id: int, status: int, sop_class: str | None, sop_instance: str | None) -> bytes:
    """A C-STORE-RSP (PS3.7 9.3.1.2), as `encode_command` gives it; a UID that is None is left out."""
    body = b"" if sop_class is None else _encoded(AFFECTED_SOP_CLASS, sop_class)
    body += _ANSWER.pack(
        0, COMMAND_FIELD, 2, C_STORE_RSP, 0, MESSAGE_ID_RESPONDED_TO, 2, message_id,
        0, DATA_SET_TYPE, 2, NO_DATA_SET, 0, STATUS, 2, status,
    )  # fmt: skip
    if sop_instance is not None:
        body += _encoded(AFFECTED_SOP_INSTANCE, sop_instance)
    return _ELEMENT.pack(0, 0, 4) + len(body).to_bytes(4, "little") + body


def _encoded(number: int, value: bytes | int | str) -> bytes:
    if isinstance(value, int):
        value = _US.pack(value)
    elif isinstance(value, str):
        value = value.encode("ascii")
        value += b"\0" * (len(value) % 2)
    return _ELEMENT.pack(0, number, len(value)) + value
