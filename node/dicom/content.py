"""Whether two data sets say the same, however they are encoded: what a duplicate is judged by.

Compared is what the bytes mean, so the implicit, explicit and big endian encodings of one data set are equal,
and so is one text in two character sets. Pixel Data is left out of the header; native samples are compared
as bytes, compressed ones by imaging/, which can decode them.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from node.dicom.attributes import is_private
from node.dicom.byte_order import swap
from node.dicom.elements import ITEM, PIXEL_DATA, Place, is_big_endian, is_encapsulated, walk
from node.dicom.encoding import Buffer, Encoding, encoding_of, inflate
from node.dicom.text import CharacterSet, character_set
from node.dicom.uids import transfer_syntax
from node.dicom.values import TEXT, value_of

VOLATILE: Final = frozenset(
    {
        0x00080001,  # Length to End, retired
        0x00080005,  # Specific Character Set: the text that it makes is compared
        0x00080054,  # Retrieve AE Title
        0x00080056,  # Instance Availability
        0x00081190,  # Retrieve URL
        0x00880130,  # Storage Media File-set ID
        0x00880140,  # Storage Media File-set UID
        0x0040E010,  # Retrieve URI
        0xFFFCFFFC,  # Data Set Trailing Padding
    }
)
"""Attributes that say where an instance lies or how it is encoded; an archive sets them when it sends."""

MAX_INFLATED = 1 << 30
_ANY_LENGTH = 1 << 32
_HASH_FROM = 4096
_CHUNK = 1 << 20


def header_difference(
    a: Buffer, a_syntax: str, b: Buffer, b_syntax: str, fallback_charset: str | None = None
) -> tuple[str, ...]:
    """Where two encoded data sets differ: paths such as `00081140[0].00081155`, in order; () when they are equal.

    Left out: Pixel Data, group lengths and VOLATILE, at every depth. Numbers written as text compare as numbers
    (1.0 = 1), other text without padding, private elements byte by byte. Raises Malformed.
    """
    ours, theirs = _contents(a, a_syntax, fallback_charset), _contents(b, b_syntax, fallback_charset)
    differing = {path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path)}
    return tuple(sorted(differing))


def pixel_bytes_equal_when_native(a: Buffer, a_syntax: str, b: Buffer, b_syntax: str) -> bool | None:
    """Whether the samples of two data sets are the same; None when that takes decoding, or one has none.

    Reads 1 MiB at a time, so that mapped files may be of any size. Raises Malformed.
    """
    ours, theirs = _native_pixels(a, a_syntax), _native_pixels(b, b_syntax)
    if ours is None or theirs is None:
        return None
    if ours.length != theirs.length:
        return False
    bounds = [*range(0, ours.length, _CHUNK), ours.length]
    return all(ours.part(begin, end) == theirs.part(begin, end) for begin, end in pairwise(bounds))


@dataclass(frozen=True, slots=True)
class _Samples:
    data: Buffer
    vr: str
    begin: int
    length: int
    big_endian: bool

    def part(self, begin: int, end: int) -> bytes:
        raw = bytes(self.data[self.begin + begin : self.begin + end])
        return swap(self.vr, raw) if self.big_endian else raw


def _native_pixels(data: Buffer, syntax: str) -> _Samples | None:
    data = _plain(data, syntax)
    encoding = encoding_of(syntax)
    last = deque(walk(data, encoding, stop_at=PIXEL_DATA), maxlen=1)
    place = last[0] if last else None
    if place is None or place[0] not in PIXEL_DATA or is_encapsulated(data, place):
        return None
    _, vr, _, begin, end = place
    return _Samples(data, vr, begin, min(end, len(data)) - begin, is_big_endian(data, place, encoding))


def _plain(data: Buffer, syntax: str) -> Buffer:
    return inflate(data, MAX_INFLATED) if transfer_syntax(syntax).deflated else data


def _contents(data: Buffer, syntax: str, fallback: str | None) -> dict[str, object]:
    data, encoding = _plain(data, syntax), encoding_of(syntax)
    contents = _Contents(data, encoding, fallback, character_set((), fallback))
    for place in walk(data, encoding):
        contents.take(place)
    return contents.found


@dataclass(slots=True)
class _Contents:
    """The meaning of every element by its path, built from the flat stream of places."""

    data: Buffer
    encoding: Encoding
    fallback: str | None
    charset: CharacterSet
    found: dict[str, object] = field(default_factory=dict)
    path: str = ""
    outer: list[tuple[str, CharacterSet]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    """Items so far of each open sequence."""

    def take(self, place: Place) -> None:
        tag, vr = place[0], place[1]
        if vr == "SQ":
            self.outer.append((self.path, self.charset))
            self.path += f"{tag:08X}"
            self.counts.append(0)
        elif tag == ITEM:
            self.outer.append((self.path, self.charset))
            self.path += f"[{self.counts[-1]}]."
            self.counts[-1] += 1
        elif not vr:
            self._close()
        elif tag & 0xFFFF and (tag not in PIXEL_DATA or self.outer):
            self._element(place)

    def _close(self) -> None:
        if not self.path.endswith("."):  # a sequence: how many items it had tells an empty one from none
            self.found[self.path] = self.counts.pop()
        self.path, self.charset = self.outer.pop()

    def _element(self, place: Place) -> None:
        tag, _, _, begin, end = place
        raw = bytes(self.data[begin:end])
        if tag == 0x00080005:
            terms, _ = value_of("CS", raw, self.charset, False, _ANY_LENGTH)
            self.charset = character_set([str(term) for term in terms or ()], self.fallback)
        if tag not in VOLATILE:
            self.found[f"{self.path}{tag:08X}"] = self._meaning(place, raw)

    def _meaning(self, place: Place, raw: bytes) -> object:
        tag, vr = place[0], place[1]
        if vr in TEXT and not is_private(tag):
            values, _ = value_of(vr, raw, self.charset, False, _ANY_LENGTH)
            return values
        if is_big_endian(self.data, place, self.encoding):
            raw = swap(vr, raw)
        return raw if len(raw) < _HASH_FROM else hashlib.sha256(raw).digest()
