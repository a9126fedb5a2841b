"""Files that are no DICOM -> all that can be read in them, and where: NIfTI and other volumes, pictures, JSON, text.

A file of any other kind is read as bytes, and refused: what it packs or encodes would not be seen.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from struct import unpack_from
from typing import Any

from node.leaks import arrays, pictures
from node.leaks.dicom import in_bytes
from node.leaks.parse import Data
from node.leaks.what import Place, Read, UnreadableError

_GZIP = b"\x1f\x8b"
_MOST_TEXT = 64 << 20
"""Bytes of a file that is taken for text as a whole."""
_MOST_INFLATED = 256 << 20
_CHUNK = 1 << 16

# Text fields of NIfTI-1 and NIfTI-2 headers: (offset, length).
_FIELDS = {
    348: ((4, 10), (14, 18), (148, 80), (228, 24), (328, 16)),
    540: ((240, 80), (320, 24), (508, 16), (524, 15)),
}


def read(data: Data) -> Read:
    """Raises UnreadableError where a file breaks off, does not inflate, or is of no kind that is known here."""
    head = data[:16]
    if head.startswith(_GZIP):
        yield from _gzip(data)
    elif head.startswith(pictures.PNG):
        yield from pictures.png(data)
    elif head.startswith(pictures.JPEG):
        yield from pictures.jpeg(data)
    elif _nifti_size(head[:4]) is not None:
        yield from _nifti(lambda n: data[:n])
    elif head.startswith(arrays.NRRD):
        yield from _nrrd(data)
    elif head.startswith(arrays.META_IMAGE):
        yield from arrays.meta_image(data)
    elif head.startswith(arrays.NUMPY):
        yield from arrays.numpy(data)
    elif len(data) <= _MOST_TEXT and (text := _as_text(data)) is not None:
        yield from _text(text)
    else:
        yield from _any(data, "binary")
        raise UnreadableError("it is of a kind that the second reader does not know")


def names(name: str) -> Read:
    """A file or folder name."""
    yield name, Place.TEXT, "its name"
    stem = name.rpartition(".")[0]
    if stem:
        yield stem, Place.TEXT, "its name"


def _any(data: bytes | Data, where: str) -> Read:
    for text, place in in_bytes(data[:]):
        yield text, place, where


def _as_text(data: Data) -> str | None:
    try:
        text = data[:].decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _text(text: str) -> Read:
    """JSON string by string, so that what is escaped in it is found; anything else line by line."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        for number, line in enumerate(text.splitlines(), 1):
            yield line, Place.TEXT, f"line {number}"
        return
    yield from _json(parsed, "JSON")


def _json(value: Any, where: str) -> Read:
    """Places count from 1 and name no key: a key may be a name too."""
    if isinstance(value, dict):
        for number, (key, inner) in enumerate(value.items(), 1):
            yield key, Place.TEXT, f"{where}, key {number}"
            yield from _json(inner, f"{where}, value {number}")
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            yield from _json(inner, f"{where}, item {number}")
    elif isinstance(value, str):
        yield value, Place.TEXT, where
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value), Place.NUMBER, where


def _nifti_size(head: bytes) -> int | None:
    """348 or 540, the size of the header, in either byte order."""
    if len(head) < 4:
        return None
    return next((n for n in _FIELDS if head in (n.to_bytes(4, "little"), n.to_bytes(4, "big"))), None)


def _nifti(first: Callable[[int], bytes]) -> Read:
    """Text fields, intent and extensions of a NIfTI header; the voxels are not read.

    first   gives the first n bytes of the file
    """
    size = _nifti_size(first(4))
    assert size is not None
    header = first(size)
    if len(header) < size:
        raise UnreadableError("its NIfTI header is cut short")
    order = "<" if header[:4] == size.to_bytes(4, "little") else ">"
    for offset, length in _FIELDS[size]:
        for text, place in in_bytes(header[offset : offset + length].split(b"\0")[0]):
            yield text, place, f"NIfTI header, byte {offset}"
        # What is behind the end of the field's text is still in the file.
        for text, place in in_bytes(header[offset : offset + length]):
            yield text, place, f"NIfTI header, byte {offset}"
    offset = int(unpack_from(order + "f", header, 108)[0]) if size == 348 else unpack_from(order + "q", header, 168)[0]
    if not size <= offset <= _MOST_INFLATED:
        raise UnreadableError("its NIfTI header says no place of its voxels")
    yield from _extensions(first(offset)[size:], size, order)


def _extensions(data: bytes, at: int, order: str) -> Read:
    """NIfTI-1 extensions: 4 bytes of flags, then size, code and content of each."""
    if len(data) >= 4 and data[0]:
        position = 4
        while position + 8 <= len(data):
            size, _ = unpack_from(order + "2i", data, position)
            if size < 8 or position + size > len(data):
                break
            for text, place, _ in _content(data[position + 8 : position + size]):
                yield text, place, f"NIfTI extension, byte {at + position}"
            position += size
        data, at = data[position:], at + position
    for text, place in in_bytes(data.strip(b"\0")):
        yield text, place, f"behind the NIfTI header, byte {at}"


def _content(content: bytes) -> Read:
    text = _as_text(content.rstrip(b"\0"))
    if text is not None:
        yield from _text(text)
    else:
        yield from _any(content, "")


def _gzip(data: Data) -> Read:
    """Name and comment in the header of gzip (RFC 1952), then what is compressed; also of members that follow."""
    position = 0
    while position < len(data) and data[position : position + 2] == _GZIP:
        labels, begin = _gzip_header(data, position)
        yield from labels
        inflating = _Inflating(data, begin)
        if _nifti_size(inflating.first(4)) is not None:
            yield from _nifti(inflating.first)
            return  # the voxels end the file, or what follows is not read by anything as NIfTI
        content = inflating.first(_MOST_TEXT)
        for text, place, where in read(content):
            yield text, place, f"compressed {where}"
        end = inflating.end()
        position = len(data) if end is None else end + 8  # CRC and length
    for text, place in in_bytes(data[position:].strip(b"\0")):
        yield text, place, f"behind the compressed data, byte {position}"


def _nrrd(data: Data) -> Read:
    read, packed = arrays.nrrd(data)
    yield from read
    if packed is not None:
        if data[packed : packed + 2] != _GZIP:
            raise UnreadableError("its NRRD voxels are not compressed as its header says")
        labels, _ = _gzip_header(data, packed)  # its voxels end the file, as those of NIfTI do
        yield from labels


def _gzip_header(data: Data, at: int) -> tuple[list[tuple[str, Place, str]], int]:
    """What a header says, and where it ends."""
    found: list[tuple[str, Place, str]] = []
    if len(data) < at + 10:
        raise UnreadableError("its gzip header is cut short")
    flags, position = data[at + 3], at + 10
    if flags & 4:
        length = int.from_bytes(data[position : position + 2], "little")
        extra = in_bytes(data[position + 2 : position + 2 + length])
        found += [(text, place, "gzip header, extra field") for text, place in extra]
        position += 2 + length
    for flag, what in ((8, "file name"), (16, "comment")):
        if flags & flag:
            end = data.find(b"\0", position)
            if end < 0:
                raise UnreadableError("its gzip header is cut short")
            found.append((data[position:end].decode("latin-1"), Place.TEXT, f"gzip header, {what}"))
            position = end + 1
    return found, position + (2 if flags & 2 else 0)


class _Inflating:
    """The first bytes of a deflated stream, inflated as far as they are asked for."""

    def __init__(self, data: Data, begin: int) -> None:
        self._data, self._at, self._machine, self._out = data, begin, zlib.decompressobj(-15), bytearray()

    def first(self, count: int) -> bytes:
        while len(self._out) < count and self._at < len(self._data) and not self._machine.eof:
            try:
                self._out += self._machine.decompress(self._data[self._at : self._at + _CHUNK])
            except zlib.error:
                raise UnreadableError("it does not inflate") from None
            self._at += _CHUNK
        if len(self._out) < count and not self._machine.eof:
            raise UnreadableError("it is compressed, and cut short")
        return bytes(self._out[:count])

    def end(self) -> int | None:
        """Where the stream ends, if it was read so far."""
        return min(self._at, len(self._data)) - len(self._machine.unused_data) if self._machine.eof else None
