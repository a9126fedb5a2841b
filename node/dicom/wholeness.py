"""Whether a data set is all there: a copy that stopped in the middle looks like a file like any other."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from node.dicom.elements import PIXEL_DATA, SEQUENCE_END, Place, is_big_endian, is_encapsulated, walk
from node.dicom.encoding import Buffer, Encoding, Malformed, encoding_of
from node.dicom.uids import transfer_syntax

_SAMPLES, _PHOTOMETRIC, _FRAMES, _ROWS, _COLUMNS, _ALLOCATED = (
    0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011, 0x00280100,
)  # fmt: skip
_ELSEWHERE = 0x00287FE0
"""Pixel Data Provider URL: the pixels are not in the data set (PS3.3 C.7.6.3, PS3.5 A.6)."""

_CHUNK = 1 << 20


def cut_off(data: Buffer, transfer_syntax_uid: str, start: int = 0) -> str | None:
    """Why a data set that begins at `start` and should end with `data` has no end; None when it is whole.

    By what it says of itself: every declared length, the delimiters of sequences and of encapsulated pixel data,
    the end of a deflated stream, and the bytes that an image of this size must have. One that breaks off between
    two elements, before it says that it is an image, cannot be told from one that is over.
    """
    if transfer_syntax(transfer_syntax_uid).deflated:
        return _deflated(memoryview(data)[start:])
    encoding = encoding_of(transfer_syntax_uid)
    try:
        found = _top(data, encoding, start)
    except Malformed as error:
        return f"its data set cannot be read to its end: {error}"
    return _pixels(data, found, encoding)


def native_length(*, rows: int, columns: int, frames: int, samples: int, allocated: int, photometric: str) -> int:
    """Bytes of pixel data that are not compressed, without padding (PS3.5 8.1.1, 8.2).

    allocated    bits per sample; frames of one-bit pixels follow each other without a gap
    """
    # PS3.3 C.7.6.3.1.2: two pixels of YBR_FULL_422 share their colour.
    per_pixel = 2 if photometric == "YBR_FULL_422" and samples == 3 else samples
    return (rows * columns * frames * per_pixel * allocated + 7) // 8


def _deflated(data: memoryview) -> str | None:
    """Nothing is kept of what it inflates to, which may be any size."""
    stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        for begin in range(0, len(data), _CHUNK):
            rest, came = data[begin : begin + _CHUNK], _CHUNK
            while not stream.eof and (rest or came == _CHUNK):
                came = len(stream.decompress(rest, _CHUNK))
                rest = memoryview(stream.unconsumed_tail)
    except zlib.error:
        return "its data set does not inflate"
    return None if stream.eof else "its deflated data set has no end"


def _top(data: Buffer, encoding: Encoding, start: int) -> dict[int, Place]:
    """The elements at the top that say how large the image is. Raises Malformed, or Truncated."""
    wanted = {_SAMPLES, _PHOTOMETRIC, _FRAMES, _ROWS, _COLUMNS, _ALLOCATED, _ELSEWHERE, *PIXEL_DATA}
    found: dict[int, Place] = {}
    depth = 0
    for place in walk(data, encoding, start=start):
        tag, vr = place[0], place[1]
        if vr == "SQ":
            depth += 1
        elif tag == SEQUENCE_END:
            depth -= 1
        elif not depth and tag in wanted:
            found[tag] = place
    return found


def _pixels(data: Buffer, found: Mapping[int, Place], encoding: Encoding) -> str | None:
    def number(tag: int, default: int = 0) -> int:
        raw = bytes(data[found[tag][3] : found[tag][4]]) if tag in found else b""
        if tag == _FRAMES:
            text = raw.decode("ascii", "replace").strip(" \0")
            return int(text) if text.isdecimal() else default
        big_endian = tag in found and is_big_endian(data, found[tag], encoding)
        return int.from_bytes(raw, "big" if big_endian else "little") if len(raw) == 2 else default

    place = next((found[tag] for tag in PIXEL_DATA if tag in found), None)
    rows, columns, allocated = number(_ROWS), number(_COLUMNS), number(_ALLOCATED)
    if place is None:
        image = rows and columns and allocated and _ELSEWHERE not in found
        return "it describes an image and has no pixel data" if image else None
    if is_encapsulated(data, place):
        return None  # `walk` saw its end
    photometric = bytes(data[found[_PHOTOMETRIC][3] : found[_PHOTOMETRIC][4]]) if _PHOTOMETRIC in found else b""
    expected = native_length(
        rows=rows, columns=columns, frames=number(_FRAMES, 1), samples=number(_SAMPLES, 1), allocated=allocated,
        photometric=photometric.decode("ascii", "replace").strip(" \0"),
    )  # fmt: skip
    there = place[4] - place[3]
    return f"its pixel data have {there} bytes, and an image of this size {expected}" if there < expected else None
