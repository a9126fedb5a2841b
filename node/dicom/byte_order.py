"""A data set in the other byte order of explicit VR (PS3.5 7.3), as bytes: no value is decoded and nothing moves.

What is written as UN is implicit little endian in both, its own value and all that lies in it (PS3.5 6.2.2 note 2),
so it stays as it is. The fragments of encapsulated pixel data are little endian in both as well (PS3.5 A.4).
"""

from __future__ import annotations

from array import array
from collections.abc import Collection

from node.dicom.attributes import describe
from node.dicom.elements import ITEM, walk
from node.dicom.encoding import UNDEFINED, Buffer, Encoding, Malformed, looks_explicit

_WORD = {
    **dict.fromkeys(("US", "SS", "OW", "AT"), 2),
    **dict.fromkeys(("UL", "SL", "FL", "OL", "OF"), 4),
    **dict.fromkeys(("UV", "SV", "FD", "OV", "OD"), 8),
}
_CODE = {2: "H", 4: "I", 8: "Q"}
_BITS_ALLOCATED, _PIXEL_DATA = 0x00280100, 0x7FE00010


def swapped(data: Buffer, encoding: Encoding, *, start: int = 0, stop_at: Collection[int] = ()) -> bytearray:
    """`data` with the data set that begins at `start` in the other byte order; what stands before it stays.

    encoding    what it is in now, explicit
    stop_at     the result ends before the first element at the top that has one of these tags

    Every element stays where it was. Raises Malformed.
    """
    turned = bytearray(data[:start])
    allocated = [0]  # Bits Allocated of the data set and of every open item; sequences count too
    unknown = 0  # how many of them were open where that began which is written as UN; 0 outside one
    for tag, vr, begin, value, end in walk(data, encoding, start=start, stop_at=stop_at):
        if tag in stop_at and len(allocated) == 1:
            return turned
        head = bytes(data[begin:value])
        if vr and len(head) == 8 and not unknown and not looks_explicit(data, begin):
            raise Malformed(begin, f"{describe(tag)} has no value representation")
        turned += head if unknown else _head(head, vr)
        if vr == "SQ" or tag == ITEM:
            if vr and head[4:6] == b"UN" and not unknown:
                unknown = len(allocated)
            allocated.append(0)
        elif not vr:
            allocated.pop()
            if len(allocated) == unknown:
                unknown = 0
        else:
            raw, written = bytes(data[value:end]), "UN" if unknown else head[4:6].decode("latin-1")
            if tag == _BITS_ALLOCATED and len(raw) == 2:
                big_endian = encoding.big_endian and written != "UN"
                allocated[-1] = int.from_bytes(raw, "big" if big_endian else "little")
            fragments = head[-4:] == UNDEFINED.to_bytes(4, "big")
            # Samples of 32 bits are swapped as wholes, as those who write and read them do.
            sample = allocated[-1] // 8 if tag == _PIXEL_DATA else 0
            turned += raw if fragments else swap(written, raw, sample)
    turned += data[len(turned) :]  # zeros behind the last element
    return turned


def swap(vr: str, value: bytes, sample: int = 0) -> bytes:
    """A value in the other byte order; as it is where its VR has no words, and so what is left over behind them.

    sample    bytes of one sample, where `value` is made of longer ones than its VR says
    """
    word = _WORD.get(vr, 1)
    if vr == "OW" and sample in _CODE:
        word = max(word, sample)
    if word == 1:
        return value
    whole = len(value) - len(value) % word
    words = array(_CODE[word], value[:whole])
    words.byteswap()
    return words.tobytes() + value[whole:]


def _head(head: bytes, vr: str) -> bytes:
    """Tag, VR and length; items and delimiters have no VR, and those at the end of a defined length no bytes."""
    tag = head[1::-1] + head[3:1:-1]
    if len(head) == 12:
        return tag + head[4:8] + head[:7:-1]
    return tag + (head[4:6] + head[:5:-1] if vr else head[:3:-1])
