"""A plan applied to the encoded bytes of a data set and of all it nests (PS3.5 7): no element becomes an object.

What stays is given on as the bytes that it came in, and where it is long as the stretch of the source where it lies,
so that pixels are never loaded. What became of the bytes of one element is remembered, and most of a header is looked
up.
"""

from __future__ import annotations

import struct
from mmap import mmap

from node.dicom import levels
from node.dicom.attributes import VR_BY_TAG, describe, is_creator
from node.dicom.encoding import UNDEFINED, Parse, element
from node.dicom.levels import EXPLICIT, Element, Item, Level
from node.dicom.recurring import Lately
from node.steps.anonymize import coding, decision
from node.steps.anonymize.decision import REMOVED, Change
from node.steps.anonymize.header import Encoded, read_as
from node.steps.anonymize.memory import LONGEST, Memory
from node.steps.anonymize.plan import Action, Do
from node.steps.anonymize.scope import (
    PIXEL_DATA,
    Scope,
    UndecidableError,
    counted,
    entered,
    goes_out,
    is_dummy,
    within,
)

Stretch = tuple[int, int]
"""[begin:end] of the source, given on as it is."""
Written = bytes | list[bytes | Stretch]
"""An element as it is to be written; b"" for one that is removed."""

_ITEM, _ITEM_END, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
_UNDEFINED = UNDEFINED.to_bytes(4, "little")


def rewritten(data: bytes | mmap, top: Level, parse: Parse, scope: Scope, memory: Memory) -> dict[int, Written]:
    """What becomes of each element at the top of a data set, ascending; those that are removed are b"" or not there.

    data    bytes or a mapped file, in little endian; `top` and `parse` are those of its data set

    Raises UndecidableError, UnreadableTextError, UnmappedError, Malformed, and what the crosswalk does.
    """
    return _Rewriting(data, memory).level(top, parse, scope, 0)


def length(written: Written) -> int:
    """Bytes that it will have."""
    if isinstance(written, bytes):
        return len(written)
    return sum(len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in written)


def joined(written: Written, data: bytes | mmap) -> bytes:
    """The bytes that it is, whose stretches are of `data`."""
    if isinstance(written, bytes):
        return written
    return b"".join(piece if isinstance(piece, bytes) else data[piece[0] : piece[1]] for piece in written)


class _Rewriting:
    """One data set."""

    def __init__(self, data: bytes | mmap, memory: Memory) -> None:
        self._data = data
        self._memory = memory
        self._passing = 0
        """How many elements were met that cannot be remembered, nor what they lie in."""

    def level(self, elements: Level, parse: Parse, scope: Scope, depth: int) -> dict[int, Written]:
        data, header = self._data, Encoded(self._data, elements, parse, depth)
        scope = entered(scope, header)
        private = decision.kept_private(elements, header.raw, scope.plan)
        meanings_stay = coding.is_standard(header.raw(coding.SCHEME))
        memory = self._memory.of(scope, parse)
        known, written = memory.latest.get, dict[int, Written]()
        for tag, each in elements.items():
            if tag & 0x10000:
                if tag in private:
                    written[tag] = self._private(each, *private[tag], parse, scope, depth)
                continue
            if tag == coding.MEANING and not meanings_stay:
                written[tag] = _encoded(tag, "LO", decision.dummy(tag, "LO"), parse)
                continue
            start, end = each[2], each[4]
            if end - start > LONGEST:
                written[tag] = self._public(each, parse, scope, depth)
                continue
            encoded = data[start:end]
            found = known(encoded)
            if found is None:
                found = memory.find(encoded)
            written[tag] = self._learnt(each, encoded, memory, parse, scope, depth) if found is None else found
        return written

    def _learnt(
        self, each: Element, encoded: bytes, memory: Lately[bytes], parse: Parse, scope: Scope, depth: int
    ) -> Written:
        before = self._passing
        written = self._public(each, parse, scope, depth)
        if self._passing == before and isinstance(written, bytes):
            memory.keep(encoded, written)
        return written

    def _public(self, each: Element, parse: Parse, scope: Scope, depth: int) -> Written:
        tag, _, _, value, end, _ = each
        action, known = scope.action(tag), VR_BY_TAG.get(tag)
        if decision.always_goes(tag) or decision.goes(tag, action):
            return b""
        vr = read_as(each, known)
        if vr == "SQ":
            if known not in (None, "SQ"):
                raise UndecidableError(f"{describe(tag)} is encoded as SQ, not {known}")
            return self._sequence(each, action, parse, scope, depth)
        if known is None and vr in ("", "UN"):
            return b""  # newer than our PS3.6 and of unknown representation: no dummy would be valid
        if not decision.looked_at(vr, action):
            decision.check_representation(tag, vr, there=value < end)
            return self._kept(each, parse)
        raw = self._data[value:end]
        self._passing += not decision.lasting(vr, raw, action, scope)
        return self._changed(each, decision.new_value(tag, vr, raw, action, scope), parse)

    def _private(self, each: Element, vr: str, action: Action, parse: Parse, scope: Scope, depth: int) -> Written:
        """A private element on the list: its sequences are walked, its UIDs replaced (PS3.15 E.3.10)."""
        tag, _, _, value, end, _ = each
        if is_creator(tag):
            return self._kept(each, parse)
        found = read_as(each, None)
        if action is not Do.KEEP:
            as_read = vr if found in ("", "UN") else found
            change = decision.new_private_value(as_read, self._data[value:end], action, scope)
            return self._changed(each, change, parse)
        if "SQ" in (vr, found):
            if found == "SQ" or value == end or self._data[value : value + 4] == _ITEM:
                return self._sequence(each, Do.KEEP, parse, scope, depth)
            return b""  # listed as a sequence, but not readable as one
        if "UI" in (vr, found) and scope.plan.maps_uids:
            uids = decision.mapped(tag, self._data[value:end], scope, always=True)
            return _encoded(tag, found or "UI", uids, parse)
        return self._kept(each, parse)

    def _sequence(self, each: Element, action: Action | None, parse: Parse, scope: Scope, depth: int) -> Written:
        tag, _, start, value, _, _ = each
        if action is Do.EMPTY:
            return _encoded(tag, "SQ", b"", parse)
        inner = within(tag, action, scope)
        found = levels.items(self._data, each, parse, depth)
        if is_dummy(action):
            found = found[:1]
        items = [(item, levels.level(self._data, item, depth + 1)) for item in found]
        if action is Do.CONTENT:
            headers = [Encoded(self._data, level, item.parse, depth + 1) for item, level in items]
            inner = counted(inner, headers)
            items = [one for one, header in zip(items, headers, strict=True) if not goes_out(header, inner)]
            if not items:
                return b""  # it may not be empty
        body: list[bytes | Stretch] = []
        for item, level in items:
            body += self._item(item, level, inner, depth + 1)
        head = _head(self._data[start:value])
        if head.endswith(_UNDEFINED):
            body.append(_SEQUENCE_END)
        else:
            head = head[:-4] + struct.pack("<I", length(body))
        return _together([head, *body])

    def _item(self, item: Item, level: Level, scope: Scope, depth: int) -> list[bytes | Stretch]:
        body: list[bytes | Stretch] = []
        for written in self.level(level, item.parse, scope, depth).values():
            body += [written] if isinstance(written, bytes) else written
        if item.defined:
            return [_ITEM + struct.pack("<I", length(body)), *body]
        return [_ITEM + _UNDEFINED, *body, _ITEM_END]

    def _changed(self, each: Element, change: Change, parse: Parse) -> Written:
        if change is None:
            return self._kept(each, parse)
        return b"" if change is REMOVED else _encoded(each[0], *change, parse)

    def _kept(self, each: Element, parse: Parse) -> Written:
        tag, _, start, value, end, _ = each
        head = _head(self._data[start:value])
        odd = tag == PIXEL_DATA and (end - value) % 2 and not head.endswith(_UNDEFINED)
        if odd and (len(head) == 12 or parse is not EXPLICIT):  # one device sends them so; PS3.5 7.1.1 forbids it
            return [head[:-4] + struct.pack("<I", end - value + 1), (value, end), b"\0"]
        if end - start <= LONGEST:
            return head + self._data[value:end]
        return [head, (value, end)]


def _head(head: bytes) -> bytes:
    """Tag, VR and length, the two reserved bytes 0 (PS3.5 7.1.2): a device may have left anything in them."""
    return head if len(head) != 12 or head[6:8] == b"\0\0" else head[:6] + b"\0\0" + head[8:]


def _encoded(tag: int, vr: str, value: bytes, parse: Parse) -> bytes:
    """A new element. Raises UndecidableError for a value that its representation cannot hold."""
    if parse is not EXPLICIT:
        return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value
    try:
        return element(tag, vr, value)
    except ValueError:
        raise UndecidableError(f"{describe(tag)} would be too long for {vr}") from None


def _together(pieces: list[bytes | Stretch]) -> Written:
    """One piece where all are bytes."""
    own = [piece for piece in pieces if isinstance(piece, bytes)]
    return b"".join(own) if len(own) == len(pieces) else pieces
