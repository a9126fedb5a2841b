"""A plan applied to the encoded bytes of a data set and of all it nests (PS3.5 7): no element becomes an object.

What stays is given on as the bytes that it came in, and where it is long as the stretch of the source where it lies,
so that pixels are never loaded. The instances of a series have nine of ten elements in common: what becomes of the
bytes of one is remembered, and most of a header is looked up.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from mmap import mmap

from node.dicom import levels
from node.dicom.attributes import VR_BY_TAG, describe, is_creator
from node.dicom.encoding import UNDEFINED, Parse, element
from node.dicom.levels import EXPLICIT, Element, Item, Level
from node.dicom.recurring import Lately
from node.steps.anonymize import coding, decision, text
from node.steps.anonymize.decision import CHARACTER_SET, ISSUER, PIXEL_DATA, Scope, UndecidableError
from node.steps.anonymize.plan import PATIENT_ID, Action, Do, Plan

Stretch = tuple[int, int]
"""[begin:end] of the source, given on as it is."""
Written = bytes | list[bytes | Stretch]
"""An element as it is to be written; b"" for one that is removed."""

LONGEST = 512
"""Bytes of an element, or of a whole sequence, that is remembered."""
_MOST_ELEMENTS, _MOST_FRAMES = 2048, 16
_ITEM, _ITEM_END, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
_UNDEFINED = UNDEFINED.to_bytes(4, "little")

_Frame = tuple[int, Sequence[str], str, str, bool, bool, bool]


@dataclass(slots=True)
class Memory:
    """What became of elements, by their bytes. Kept for one run of the step: it holds values of patients.

    What becomes of one depends on what a frame has, and on nothing else that stands around it, but for private
    elements, code meanings and UIDs that may be the instance's own: those are not remembered by themselves, and what
    has the last in it is not at all.
    """

    known: dict[_Frame, Lately[bytes]] = field(default_factory=dict)
    plans: dict[int, Plan] = field(default_factory=dict)
    """Kept, so that no other plan gets the id of one."""

    def of(self, scope: Scope, parse: Parse) -> Lately[bytes]:
        words = scope.own_words.pattern if scope.own_words else ""
        frame = (
            id(scope.plan), scope.encodings, scope.patient, words, scope.nested, scope.in_dummy, parse is EXPLICIT,
        )  # fmt: skip
        found = self.known.get(frame)
        if found is None:
            if len(self.known) >= _MOST_FRAMES:
                self.known.clear()
                self.plans.clear()
            self.plans[frame[0]] = scope.plan
            found = self.known[frame] = Lately(_MOST_ELEMENTS)
        return found


def rewritten(data: bytes | mmap, top: Level, parse: Parse, scope: Scope, memory: Memory) -> dict[int, Written]:
    """What becomes of each element at the top of a data set, ascending; those that are removed are b"" or not there.

    data    bytes or a mapped file, in little endian; `top` and `parse` are those of its data set

    Raises UndecidableError, UnreadableTextError, and Malformed.
    """
    return _Rewriting(data, memory).level(top, parse, scope, 0)


def length(written: Written) -> int:
    """Bytes that it will have."""
    if isinstance(written, bytes):
        return len(written)
    return sum(len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in written)


class _Rewriting:
    """One data set."""

    def __init__(self, data: bytes | mmap, memory: Memory) -> None:
        self._data = data
        self._memory = memory
        self._passing = 0
        """How many elements were met that cannot be remembered, nor what they lie in."""

    def level(self, elements: Level, parse: Parse, scope: Scope, depth: int) -> dict[int, Written]:
        data, value_of = self._data, self._values(elements)
        encodings = text.encodings(value_of(CHARACTER_SET)) if CHARACTER_SET in elements else None
        scope = decision.entered(scope, encodings, value_of(PATIENT_ID), value_of(ISSUER))
        private = decision.kept_private(elements, value_of, scope.plan)
        meanings_stay = coding.is_standard(value_of(coding.SCHEME))
        memory = self._memory.of(scope, parse)
        known, written = memory.latest.get, dict[int, Written]()
        for tag, each in elements.items():
            if tag & 0x10000:
                if tag in private:
                    written[tag] = self._private(each, private[tag], parse, scope, depth)
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

    def _values(self, elements: Level) -> Callable[[int], bytes]:
        def value_of(tag: int) -> bytes:
            """The encoded value of an element that is no sequence; b"" when it is absent."""
            found = elements.get(tag)
            if found is None or found[1] == "SQ" or found[5] is not None:
                return b""
            return self._data[found[3] : found[4]]

        return value_of

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
        vr = _read_as(each, known)
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
        self._passing += not decision.lasting(vr, raw, action)
        changed = decision.new_value(tag, vr, raw, action, scope)
        return self._kept(each, parse) if changed is None else _encoded(tag, *changed, parse)

    def _private(self, each: Element, vr: str, parse: Parse, scope: Scope, depth: int) -> Written:
        """A private element on the list: its sequences are walked, its UIDs replaced (PS3.15 E.3.10)."""
        tag, _, _, value, end, _ = each
        if is_creator(tag):
            return self._kept(each, parse)
        found = _read_as(each, None)
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
        items = levels.items(self._data, each, parse, depth)
        inner = replace(scope, nested=True)
        if action not in (None, Do.KEEP, Do.UID):
            items, inner = items[:1], replace(inner, in_dummy=True)
        body: list[bytes | Stretch] = []
        for item in items:
            body += self._item(item, inner, depth + 1)
        head = _head(self._data[start:value])
        if head.endswith(_UNDEFINED):
            body.append(_SEQUENCE_END)
        else:
            head = head[:-4] + struct.pack("<I", length(body))
        return _together([head, *body])

    def _item(self, item: Item, scope: Scope, depth: int) -> list[bytes | Stretch]:
        body: list[bytes | Stretch] = []
        for written in self.level(levels.level(self._data, item, depth), item.parse, scope, depth).values():
            body += [written] if isinstance(written, bytes) else written
        if item.defined:
            return [_ITEM + struct.pack("<I", length(body)), *body]
        return [_ITEM + _UNDEFINED, *body, _ITEM_END]

    def _kept(self, each: Element, parse: Parse) -> Written:
        tag, _, start, value, end, _ = each
        head = _head(self._data[start:value])
        odd = tag == PIXEL_DATA and (end - value) % 2 and not head.endswith(_UNDEFINED)
        if odd and (len(head) == 12 or parse is not EXPLICIT):  # one device sends them so; PS3.5 7.1.1 forbids it
            return [head[:-4] + struct.pack("<I", end - value + 1), (value, end), b"\0"]
        if end - start <= LONGEST:
            return head + self._data[value:end]
        return [head, (value, end)]


def _read_as(each: Element, known: str | None) -> str:
    """The VR to read an element by; a UN of the standard by PS3.6 (PS3.5 6.2.2), "" for unknown.

    known    what PS3.6 says; None for what it does not have, and for private elements
    """
    _, vr, _, _, _, items = each
    if items is not None:
        return "SQ"  # also one that is written as UN
    return known or vr if vr in ("", "UN") else vr


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
