"""A header as JSON, and as few bytes for the index."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

from isal import isal_zlib

from node.model import Header

_VERSION = b"\x01"
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def pack(header: Header) -> bytes:
    """The header as few bytes for the index."""
    return pack_text(_bytes(_encode(header)))


def pack_text(text: bytes) -> bytes:
    """What `pack` makes of a header, from its text: that of `data_set`."""
    # In the format of zlib, at a third of zlib's time.
    return _VERSION + isal_zlib.compress(text, 1)


def unpack(packed: bytes) -> Header:
    """What `pack` was given. Raises ValueError for anything else."""
    if packed[:1] != _VERSION:
        raise ValueError("not a packed header of a version known here")
    try:
        return read(zlib.decompress(packed[1:]))
    except zlib.error as error:
        raise ValueError(f"a packed header is damaged: {error}") from None


def read(text: bytes) -> dict[str, Any]:
    """The header of which this is the text. Raises ValueError."""
    header: dict[str, Any] = json.loads(text.decode("utf-8", "surrogatepass"))
    return header


def element(key: str, vr: str, values: Sequence[str | int | float] | None) -> bytes:
    """One element of a header, as it stands in the text of its data set."""
    if values is None:
        return _bytes(f'"{key}":["{vr}",null]')
    # One by one: for a single text the encoder goes a short way, and numbers are as `repr` writes them.
    plain = ",".join([_encode(value) if isinstance(value, str) else repr(value) for value in values])
    return _bytes(f'"{key}":["{vr}",[{plain}]]')


def sequence(key: str, items: Sequence[bytes]) -> bytes:
    """A sequence with the texts of its items."""
    return b'"%b":["SQ",[%b]]' % (key.encode("ascii"), b",".join(items))


def data_set(elements: Sequence[bytes]) -> bytes:
    """A data set, or an item, with the texts of its elements."""
    return b"{%b}" % b",".join(elements)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
