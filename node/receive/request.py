"""An association request as it came, made such that pynetdicom reads it, or why nobody can. Pure.

Items that are not known are to be skipped (PS3.8 9.3.1), and so are here those whose content is nobody's business;
pynetdicom gives up the whole request for one of them, without a word that says which.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from node.receive.pdata import Unreadable

A_ASSOCIATE_RQ = 0x01
_FIXED = struct.Struct(">HH16s16s32s")
"""Protocol version, reserved, called and calling AE title, reserved (PS3.8 Table 9-11)."""
_HEAD = struct.Struct(">BBH")
_APPLICATION, _CONTEXT, _USER_INFORMATION = 0x10, 0x20, 0x50
_CONTEXT_PARTS = (0x30, 0x40)
_MAXIMUM_LENGTH, _ROLES, _VERSION_NAME, _IDENTITY = 0x51, 0x54, 0x55, 0x58
_UNSAID = 16384
"""Bytes of a PDU that one takes who does not say how many; without a number nobody could answer."""
_USER_PARTS = range(0x51, 0x59)
"""From the maximum length to the user identity (PS3.7 D.3.3)."""
_LONGEST_UID = 64 + 1  # some pad it
_KINDS = range(1, 6)
"""Of a user identity (PS3.7 Table D.3-14)."""


def readable(pdu: bytes) -> bytes:
    """The PDU for pynetdicom: an association request without what is to be skipped, every other as it is.

    Raises Unreadable with what is wrong, in words for whoever has set the peer up.
    """
    if not pdu or pdu[0] != A_ASSOCIATE_RQ:
        return pdu
    body = pdu[6:]
    if len(body) < _FIXED.size:
        raise Unreadable(f"an association request of {len(body)} bytes, which is less than it begins with")
    version, _, called, calling, reserved = _FIXED.unpack_from(body)
    if version & 1:  # the only bit that may be looked at (PS3.8 Table 9-11)
        version = 1
    fixed = _FIXED.pack(version, 0, _title(called, "called"), _title(calling, "calling"), reserved)
    known = [one for one in _items(body[_FIXED.size :]) if one[0] in (_APPLICATION, _CONTEXT, _USER_INFORMATION)]
    if all(kind != _USER_INFORMATION for kind, _ in known):
        known.append((_USER_INFORMATION, b""))
    items = b"".join(_item(kind, _of_request(kind, value)) for kind, value in known)
    return struct.pack(">BBL", A_ASSOCIATE_RQ, 0, len(fixed) + len(items)) + fixed + items


def _title(raw: bytes, which: str) -> bytes:
    """An AE title, padded with spaces as it has to be; some pad with zeros."""
    title = raw.rstrip(b"\0 ")
    if not title.strip():
        raise Unreadable(f"an association request whose {which} AE title is empty; set it there")
    if not all(0x20 <= byte <= 0x7E and byte != 0x5C for byte in title):
        shown = ascii(title.decode("latin-1"))
        raise Unreadable(f"an association request whose {which} AE title {shown} is not of letters, digits and signs "
                         "of ASCII without backslash; change it there")  # fmt: skip
    return title.ljust(16)


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, value) of each."""
    at = 0
    while at < len(data):
        if len(data) - at < _HEAD.size:
            raise Unreadable("an association request with bytes behind its last item")
        kind, _, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if len(data) - at < length:
            raise Unreadable(f"an association request whose item of type 0x{kind:02X} is longer than what is there")
        yield kind, data[at : at + length]
        at += length


def _item(kind: int, value: bytes) -> bytes:
    return _HEAD.pack(kind, 0, len(value)) + value


def _of_request(kind: int, value: bytes) -> bytes:
    """The value of one of its items."""
    if kind == _CONTEXT:
        return _context(value)
    if kind == _USER_INFORMATION:
        wanted = [one for one in _items(value) if _wanted(*one)]
        if all(part != _MAXIMUM_LENGTH for part, _ in wanted):
            wanted.insert(0, (_MAXIMUM_LENGTH, _UNSAID.to_bytes(4)))
        return b"".join(_item(part, what) for part, what in wanted)
    return value


def _context(value: bytes) -> bytes:
    if len(value) < 4:
        raise Unreadable("an association request with a presentation context of less than 4 bytes")
    if not value[0] & 1:
        raise Unreadable(f"an association request whose presentation context ID {value[0]} is not odd")
    parts = [(part, what) for part, what in _items(value[4:]) if part in _CONTEXT_PARTS]
    if any(len(what) > _LONGEST_UID for _, what in parts):
        raise Unreadable(f"an association request whose presentation context {value[0]} names what is no UID")
    return value[:4] + b"".join(_item(part, what) for part, what in parts)


def _wanted(part: int, value: bytes) -> bool:
    """Whether an item of the user information is to be read."""
    if part == _VERSION_NAME:  # up to 16 characters, and says nothing that is needed (PS3.7 D.3.3.2.2)
        return len(value) <= 16 and value.isascii() and value.decode("ascii").isprintable()
    if part == _ROLES:  # without it the roles are as they are by default (PS3.7 D.3.3.4)
        return all(role in (0, 1) for role in value[-2:])
    if part == _IDENTITY:
        return bool(value) and value[0] in _KINDS
    return part in _USER_PARTS
