"""The first bits of a JPEG XL codestream: its size, depth and number of samples (ISO/IEC 18181-1, Annexes A and D)."""

from __future__ import annotations

import struct

_BARE = b"\xff\x0a"
_CONTAINER = b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a"
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_SIZE = ((9, 1), (13, 1), (18, 1), (30, 1))
_GREY = 1


def sniff(data: bytes) -> tuple[int, int, int, int] | None:
    """(rows, columns, samples, bits per sample), or None: no JPEG XL, or with parts that no DICOM image has (alpha,
    animation, a preview, floating point). Raises IndexError when it is cut short."""
    if data.startswith(_CONTAINER):
        data = _codestream(data)
    if not data.startswith(_BARE):
        return None
    bits = _Bits(data[2:34])
    rows, columns = _size(bits)
    if bits.take(1):  # all default
        return rows, columns, 3, 8
    if bits.take(1):  # further fields: orientation, and then three that say what follows
        bits.take(3)
        if bits.take(3):
            return None
    if bits.take(1):  # floating point
        return None
    precision = bits.choice((0, 8), (0, 10), (0, 12), (6, 1))
    bits.take(1)
    if bits.choice((0, 0), (0, 1), (4, 2), (12, 1)):  # extra channels
        return None
    bits.take(1)
    if bits.take(1):  # default colour
        return rows, columns, 3, precision
    bits.take(1)
    samples = 1 if bits.choice((0, 0), (0, 1), (4, 2), (6, 18)) == _GREY else 3
    return rows, columns, samples, precision


def _codestream(data: bytes) -> bytes:
    """The beginning of the codestream in the boxes of a container."""
    at = 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"jxlc":
            return data[at + 8 : at + 64]
        if name == b"jxlp":
            return data[at + 12 : at + 64]
        if length < 8:
            break
        at += length
    return b""


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)

    def one() -> int:
        return (bits.take(5) + 1) * 8 if small else bits.choice(*_SIZE)

    rows = one()
    ratio = bits.take(3)
    if ratio == 0:
        return rows, one()
    wide, high = _RATIOS[ratio - 1]
    return rows, rows * wide // high


class _Bits:
    """Numbers of some bits, the least significant first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError("no more bits")
        found = self._value & ((1 << count) - 1)
        self._value >>= count
        return found

    def choice(self, *ways: tuple[int, int]) -> int:
        """U32: two bits choose among four ways, each a number of bits and what is added to them."""
        count, more = ways[self.take(2)]
        return self.take(count) + more
