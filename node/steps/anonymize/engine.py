"""A plan applied to the encoded bytes of a data set and of all it nests (PS3.5 7): no element becomes an object.

What stays is given on as the bytes that it came in, and where it is long as the stretch of the source where it lies,
so that pixels are never loaded. What became of the bytes of one element is remembered, and most of a header is looked
up.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from mmap import mmap
from typing import NamedTuple

from node.certificate.actions import PIXELS, Again, Done, Recorder, Told
from node.dicom import levels
from node.dicom.alike import Placed, Shared
from node.dicom.attributes import VR_BY_TAG, describe, is_creator
from node.dicom.encoding import UNDEFINED, Parse
from node.dicom.levels import EXPLICIT, Element, Item, Level
from node.dicom.recurring import Lately
from node.steps.anonymize import coding, decision, representation, runs
from node.steps.anonymize.decision import REMOVED, Change
from node.steps.anonymize.header import Encoded, read_as
from node.steps.anonymize.memory import LONGEST, Memory, Remembered, SharedRuns
from node.steps.anonymize.plan import Action, Do
from node.steps.anonymize.private import kept_value, may_be_sequence
from node.steps.anonymize.runs import Layout, Run, Safe
from node.steps.anonymize.scope import (
    PIXEL_DATA,
    Scope,
    UndecidableError,
    check_no_image,
    counted,
    entered,
    goes_out,
    is_dummy,
    may_be_empty,
    within,
)
from node.steps.anonymize.telling import Account, of_sequence
from node.steps.anonymize.written import Stretch, Written, encoded_as, head_of, in_blocks, length, together

_ITEM, _ITEM_END, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
_UNDEFINED = UNDEFINED.to_bytes(4, "little")
_SHORT_HEAD = 8
"""Bytes before a value, where none of them is reserved (PS3.5 7.1.2, 7.1.3)."""


def rewritten(
    data: bytes | mmap, top: Level, parse: Parse, scope: Scope, memory: Memory, recorder: Recorder | None = None, *,
    shared: Shared | None = None, apart: tuple[int, ...] | None = None,
) -> dict[int, Written]:  # fmt: skip
    """What becomes of each element at the top of a data set, ascending; those that are removed are b"" or not there.

    data      bytes or a mapped file, in little endian; `top` and `parse` are those of its data set
    shared    what the data set has in common with others that came with the same memory
    apart     which elements are given each by itself; others may stand in blocks (written.in_blocks). None: each does
    recorder  is told of each element, when nothing is raised; not of the values of pixel data that stay

    Raises UndecidableError, UnreadableTextError, UnmappedError, Malformed, and what the crosswalk does.
    """
    account = None if recorder is None else Account()
    elements = _Rewriting(data, memory, account, shared, apart).level(top, parse, scope, 0)
    if recorder is not None and account is not None:
        recorder.did_all(account.told)
    return elements


class _Here(NamedTuple):
    """What holds for each element of a level."""

    parse: Parse
    scope: Scope
    depth: int
    safe: Mapping[int, Safe]
    """The private ones that stay."""
    meanings_stay: bool
    memory: Lately[Remembered]
    gone: Lately[Remembered] | None
    """Of private elements that are removed; where it is told."""


class _Rewriting:
    """One data set."""

    def __init__(
        self, data: bytes | mmap, memory: Memory, account: Account | None, shared: Shared | None,
        apart: tuple[int, ...] | None,
    ) -> None:  # fmt: skip
        self._data, self._memory, self._account = data, memory, account
        self._shared, self._apart = shared, apart
        self._passing = 0
        """How many elements were met that cannot be remembered, nor what they lie in."""

    def level(self, elements: Level, parse: Parse, scope: Scope, depth: int) -> dict[int, Written]:
        header = Encoded(self._data, elements, parse, depth)
        scope = entered(scope, header)
        layout = None if depth else self._memory.layouts.of(elements, self._shared)
        if layout is None:
            safe: Mapping[int, Safe] = decision.kept_private(elements, header.raw, scope.plan)
        else:
            safe = layout.safe(header.raw, scope.plan)
        telling = self._account is not None
        here = _Here(
            parse=parse, scope=scope, depth=depth, safe=safe,
            meanings_stay=coding.is_standard(header.raw(coding.SCHEME)),
            memory=self._memory.of(scope, parse, telling=telling),
            gone=self._memory.of(scope, parse, telling=True, gone=True) if telling else None,
        )  # fmt: skip
        if layout is None:
            return self._each(elements.values(), here, [])
        if self._shared is not None and isinstance(elements, Placed):
            return self._as_in_others(elements, self._shared, layout, here)
        return self._in_runs(list(elements.values()), layout, here)

    def _as_in_others(self, elements: Placed, shared: Shared, layout: Layout, here: _Here) -> dict[int, Written]:
        """Elements of a data set that has most of them in common with others: what does not vary becomes what it became
        there, in the same scope."""
        account, written = self._account, dict[int, Written]()
        memory = self._memory.shared(
            shared, here.scope, here.parse, here.safe, self._apart,
            meanings_stay=here.meanings_stay, telling=account is not None,
        )  # fmt: skip
        for run in layout.runs:
            found = memory.get(run)
            if found is None:
                written |= self._not_yet_known(elements, run, layout, memory, here)
                continue
            written |= found[0]
            if account is not None:
                account.told += found[1]
        return written

    def _not_yet_known(
        self, elements: Placed, run: Run, layout: Layout, memory: SharedRuns, here: _Here
    ) -> dict[int, Written]:
        begin, end, is_run = run
        account, unknown = self._account, list[int]()
        before, since = self._passing, 0 if account is None else len(account.told)
        made = self._each(elements.between(begin, end), here, unknown)
        if not is_run:
            return made
        if self._apart is not None:
            made = in_blocks(made, self._apart)
        if not unknown and self._passing == before:
            memory[run] = (made, () if account is None else account.in_runs(since))
        elif run in memory:  # for the second time: what is unknown now is never known
            layout.learn(unknown)
        else:
            memory[run] = None
        return made

    def _in_runs(self, elements: list[Element], layout: Layout, here: _Here) -> dict[int, Written]:
        """Elements that lie one behind the other: what these bytes are, and become, their bytes say."""
        data, account, telling = self._data, self._account, self._account is not None
        memory = self._memory.runs(
            here.scope, here.parse, here.safe, self._apart, meanings_stay=here.meanings_stay, telling=telling
        )
        unknown, written = list[int](), dict[int, Written]()
        for begin, end, is_run in layout.runs:
            start, stop = elements[begin][2], elements[end - 1][4]
            if not is_run or stop - start > runs.LONGEST:
                written |= self._each(elements[begin:end], here, unknown)
                continue
            encoded = data[start:stop]
            found = memory.find(encoded)
            if found is None:
                before, since, new = self._passing, 0 if account is None else len(account.told), len(unknown)
                made = self._each(elements[begin:end], here, unknown)
                if self._apart is not None:
                    made = in_blocks(made, self._apart)
                if self._passing == before and len(unknown) == new:
                    memory.keep(encoded, (made, () if account is None else account.in_runs(since)))
                written |= made
                continue
            written |= found[0]
            if account is not None:
                account.told += found[1]
        layout.learn(unknown)
        return written

    def _each(self, elements: Iterable[Element], here: _Here, unknown: list[int]) -> dict[int, Written]:
        """What becomes of elements of one level. `unknown`: is given those of which nothing was remembered."""
        data, account, parse, scope, depth, safe, _, memory, gone = self._data, self._account, *here
        known, written = memory.latest.get, dict[int, Written]()
        for each in elements:
            tag = each[0]
            if tag & 0x10000:
                if tag in safe:
                    unknown.append(tag)
                    written[tag] = self._private(each, *safe[tag], parse, scope, depth)
                    continue
                if account is not None and gone is not None:
                    found = gone.latest.get(data[each[2] : each[4]]) if each[4] - each[2] <= LONGEST else None
                    if found is None:
                        unknown.append(tag)
                    account.told.append(self._private_gone(each, account, gone, scope) if found is None else found[1])
                continue
            if tag == coding.MEANING and not here.meanings_stay:
                unknown.append(tag)
                change = ("LO", decision.dummy(tag, "LO"))
                written[tag] = self._changed(each, "LO", change, scope.action(tag), parse, scope)
                continue
            start, end = each[2], each[4]
            if end - start > LONGEST:
                unknown.append(tag)
                written[tag] = self._public(each, parse, scope, depth)
                continue
            encoded = data[start:end]
            found = known(encoded)
            if found is None:
                found = memory.find(encoded)
            if found is None:
                unknown.append(tag)
                written[tag] = self._learnt(each, encoded, memory, parse, scope, depth)
                continue
            written[tag] = found[0]
            if account is not None:
                told = found[1]
                if not isinstance(told, Again):  # it did come again, which most of what varies does not
                    memory.keep(encoded, (found[0], told := Again(told)))
                account.told.append(told)
        return written

    def _learnt(
        self, each: Element, encoded: bytes, memory: Lately[Remembered], parse: Parse, scope: Scope, depth: int
    ) -> Written:
        tag, account, told = each[0], self._account, tuple[Told, ...]()
        form = decision.form_that_stays(tag, read_as(each, VR_BY_TAG.get(tag)), scope.action(tag))
        if form is not None and each[3] - each[2] == _SHORT_HEAD and form.fullmatch(encoded, _SHORT_HEAD):
            if account is not None:
                value = encoded[_SHORT_HEAD:]
                account.did(scope, tag, Done.KEPT, value, value)
                told = account.told[-1]
            memory.keep(encoded, (encoded, told))
            return encoded
        before, since = self._passing, 0 if account is None else len(account.told)
        written = self._public(each, parse, scope, depth)
        if self._passing == before and isinstance(written, bytes):
            if account is not None:
                told = account.together(since)
            memory.keep(encoded, (written, told))
        return written

    def _public(self, each: Element, parse: Parse, scope: Scope, depth: int) -> Written:
        tag, _, _, value, end, _ = each
        action, known = scope.action(tag), VR_BY_TAG.get(tag)
        if decision.always_goes(tag) or decision.goes(tag, action):
            return self._gone(each, scope)
        vr = read_as(each, known)
        if vr == "SQ":
            if known not in (None, "SQ"):
                raise UndecidableError(f"{describe(tag)} is encoded as SQ, not {known}")
            return self._sequence(each, action, parse, scope, depth)
        if known is None and vr in ("", "UN"):
            return self._gone(each, scope)  # newer than our PS3.6 and of unknown representation: no dummy is valid
        if not decision.looked_at(vr, action):
            representation.check_encoding(tag, vr, end - value)
            return self._changed(each, vr, None, action, parse, scope)
        raw = self._data[value:end]
        self._passing += not decision.lasting(vr, raw, action, scope)
        change, done = decision.new_value(tag, vr, raw, action, scope)
        return self._changed(each, vr, change, done, parse, scope)

    def _private_gone(
        self, each: Element, account: Account, memory: Lately[Remembered], scope: Scope
    ) -> tuple[Told, ...]:
        """That it is not on the list others of its level say: what is remembered is only how that is told."""
        self._gone(each, scope)
        told = account.told.pop()
        if each[4] - each[2] > LONGEST:
            return told
        memory.keep(self._data[each[2] : each[4]], (b"", again := Again(told)))
        return again

    def _private(self, each: Element, vr: str, action: Action, parse: Parse, scope: Scope, depth: int) -> Written:
        """A private element on the list: what private.py says; its sequences are walked (PS3.15 E.3.10)."""
        tag, _, _, value, end, _ = each
        found = read_as(each, None)
        if is_creator(tag):
            return self._changed(each, found, None, scope.action(tag), parse, scope)
        change: Change = None
        done: Action | None = action
        if action is not Do.KEEP:
            as_read = vr if found in ("", "UN") else found
            change = decision.new_private_value(as_read, self._data[value:end], action, scope)
        elif "SQ" in (vr, found):
            readable = found == "SQ" or value == end or self._data[value : value + 4] == _ITEM
            if may_be_sequence(vr, found) and readable:
                return self._sequence(each, Do.KEEP, parse, scope, depth)
            return self._gone(each, scope)  # listed as a sequence, but not readable as one
        else:
            change, done = kept_value(tag, vr, found, self._data[value:end], scope)
        return self._changed(each, found, change, done, parse, scope)

    def _sequence(self, each: Element, action: Action | None, parse: Parse, scope: Scope, depth: int) -> Written:
        tag, _, start, value, _, _ = each
        if action is Do.EMPTY:
            self._stays(tag, action, scope)
            return encoded_as(tag, "SQ", b"", parse)
        inner = within(tag, action, scope)
        found = levels.items(self._data, each, parse, depth)
        if is_dummy(action):
            found = found[:1]
        items = [(item, levels.level(self._data, item, depth + 1)) for item in found]
        if action is Do.CONTENT:
            items, inner = self._content(items, inner, depth + 1)
            if not items and not may_be_empty(tag, scope):
                return self._gone(each, scope)
        body: list[bytes | Stretch] = []
        for item, level in items:
            check_no_image(tag, level.keys())
            body += self._item(item, level, inner, depth + 1)
        head = head_of(self._data[start:value])
        if head.endswith(_UNDEFINED):
            body.append(_SEQUENCE_END)
        else:
            head = head[:-4] + struct.pack("<I", length(body))
        self._stays(tag, action, scope)
        return together([head, *body])

    def _content(
        self, items: list[tuple[Item, Level]], scope: Scope, depth: int
    ) -> tuple[list[tuple[Item, Level]], Scope]:
        """The content items that stay, and what holds within them."""
        headers = [Encoded(self._data, level, item.parse, depth) for item, level in items]
        scope, stay = counted(scope, headers), []
        for one, header in zip(items, headers, strict=True):
            if not goes_out(header, scope):
                stay.append(one)
                continue
            for each in one[1].values():
                self._gone(each, scope)
        return stay, scope

    def _item(self, item: Item, level: Level, scope: Scope, depth: int) -> list[bytes | Stretch]:
        body: list[bytes | Stretch] = []
        for written in self.level(level, item.parse, scope, depth).values():
            body += [written] if isinstance(written, bytes) else written
        if item.defined:
            return [_ITEM + struct.pack("<I", length(body)), *body]
        return [_ITEM + _UNDEFINED, *body, _ITEM_END]

    def _changed(
        self, each: Element, vr: str, change: Change, done: Action | None, parse: Parse, scope: Scope
    ) -> Written:
        """An element of `vr` that is no sequence, as it is written; `done` to it was what the recorder is told."""
        if change is REMOVED:
            return self._gone(each, scope)
        if self._account is not None:
            self._account.value(scope, each[0], vr, self._value(each), change, done)
        return self._kept(each, parse) if change is None else encoded_as(each[0], *change, parse)

    def _stays(self, tag: int, action: Action | None, scope: Scope) -> None:
        if self._account is not None:
            self._account.did(scope, tag, of_sequence(action, empty=action is Do.EMPTY))

    def _gone(self, each: Element, scope: Scope) -> bytes:
        tag, vr = each[0], read_as(each, VR_BY_TAG.get(each[0]))
        if self._account is not None:
            self._account.did(scope, tag, Done.REMOVED, None if vr == "SQ" else self._value(each))
        return b""

    def _value(self, each: Element) -> bytes | None:
        """Not of pixels, which are read only where it must be."""
        return None if each[0] in PIXELS else self._data[each[3] : each[4]]

    def _kept(self, each: Element, parse: Parse) -> Written:
        tag, _, start, value, end, _ = each
        head = head_of(self._data[start:value])
        odd = tag == PIXEL_DATA and (end - value) % 2 and not head.endswith(_UNDEFINED)
        if odd and (len(head) == 12 or parse is not EXPLICIT):  # one device sends them so; PS3.5 7.1.1 forbids it
            return [head[:-4] + struct.pack("<I", end - value + 1), (value, end), b"\0"]
        if end - start <= LONGEST:
            return head + self._data[value:end]
        return [head, (value, end)]
