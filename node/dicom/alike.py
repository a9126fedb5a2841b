"""The top levels of data sets that come one after the other and have most of their bytes in common: what is the same in
all of them is compared as stretches of bytes, and only what lies between is read element by element.

Equal bytes are equal elements, wherever they lie (PS3.5 7.1): so a stretch that is known need not be read again. Those
of undefined length are always read, for the places of what is in them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from node.dicom import levels
from node.dicom.encoding import Buffer, Parse
from node.dicom.levels import Element, Level

_MOST_ELEMENTS, _LONGEST = 64, 4096
"""Of a stretch; an element that is longer is in none."""
_MOST_SHARED = 64
_MOST_KINDS, _MOST_IN_ALL = 16, 4096
"""Kinds, and elements of a data set that is remembered."""
_START = 48
"""Bytes by whose likeness data sets are taken for ones of a kind: character set and Image Type stand there."""

_Part = int | tuple[int, str, bool]
"""The id of a stretch; or of an element in none: its tag, its VR, and whether it has a defined length."""


class Stretch(NamedTuple):
    """Elements that lie one behind the other."""

    encoded: bytes
    elements: tuple[Element, ...]

    def at(self, position: int) -> Iterable[Element]:
        by = position - self.elements[0][2]
        if not by:
            return self.elements
        return [(tag, vr, start + by, value + by, end + by, None) for tag, vr, start, value, end, _ in self.elements]


class Shared:
    """What several data sets have in common. Those that have the same one, which is known by its identity, have the
    same tags, one element behind the other, the same value representations, and the same bytes in all elements but
    those that vary."""

    __slots__ = ("_stretches", "tags", "varying")

    def __init__(self, tags: tuple[int, ...], varying: frozenset[int], stretches: list[Stretch]) -> None:
        self.tags, self.varying = tags, varying
        self._stretches = stretches  # so that no other gets the ids of these


class Alike:
    """What data sets had in common so far. Holds values of patients."""

    def __init__(self) -> None:
        self.known: dict[tuple[Parse, bytes], list[Stretch]] = {}
        self.shared: dict[tuple[_Part, ...], Shared] = {}

    def top(self, data: Buffer, start: int, parse: Parse) -> Level:
        """What `levels.top` gives, and raises."""
        return self.read(data, start, parse)[0]

    def read(self, data: Buffer, start: int, parse: Parse) -> tuple[Level, Shared | None]:
        """The same, and what the data set has in common with others that it is told by; None before that is known."""
        kind = (parse, bytes(data[start : start + _START]))
        stretches = self.known.get(kind)
        if stretches is None:
            found = levels.top(data, start, parse)
            if len(self.known) >= _MOST_KINDS:
                self.known.clear()
            if len(found) <= _MOST_IN_ALL:
                self.known[kind] = list(_stretches(data, found.values()))
            return found, None
        elements, missed, parts = _read(data, start, parse, stretches)
        if missed:
            found = levels.in_order(elements)
            if len(found) <= _MOST_IN_ALL:
                self.known[kind] = _learnt(data, found, stretches, missed)
            return found, None
        shared = self.shared.get(parts)
        if shared is not None:
            return dict(zip(shared.tags, elements, strict=True)), shared
        found = levels.in_order(elements)
        if list(found.values()) != elements or len(found) > _MOST_IN_ALL:
            return found, None
        return found, self._learn(parts, tuple(found), stretches)

    def _learn(self, parts: tuple[_Part, ...], tags: tuple[int, ...], stretches: list[Stretch]) -> Shared:
        if len(self.shared) >= _MOST_SHARED:
            self.shared.clear()
        varying = frozenset(part[0] for part in parts if isinstance(part, tuple))
        shared = self.shared[parts] = Shared(tags, varying, stretches)
        return shared


def _read(
    data: Buffer, position: int, parse: Parse, stretches: list[Stretch]
) -> tuple[list[Element], list[Stretch], tuple[_Part, ...]]:
    """The elements in the order of their bytes, the stretches that are not there, and of what it is made up. Raises
    Malformed, Truncated."""
    end, elements, missed, parts = len(data), list[Element](), list[Stretch](), list[_Part]()
    for stretch in stretches:
        encoded, first = stretch.encoded, stretch.elements[0][0]
        start = encoded[:8]
        while position < end:
            if data[position : position + 8] == start and data[position : position + len(encoded)] == encoded:
                elements += stretch.at(position)
                parts.append(id(stretch))
                position += len(encoded)
                break
            if elements and elements[-1][0] >= first:
                missed.append(stretch)
                break
            element = levels.one(data, position, parse)
            elements.append(element)
            parts.append((element[0], element[1], element[5] is None))
            position = element[4]
    rest = levels.rest(data, position, parse)
    parts += [(each[0], each[1], each[5] is None) for each in rest]
    return elements + rest, missed, (parse is levels.EXPLICIT, *parts)


def _learnt(data: Buffer, level: Level, stretches: list[Stretch], missed: list[Stretch]) -> list[Stretch]:
    """The stretches without what is other now; where that is most of it, those of this data set."""
    kept: list[Stretch] = []
    for stretch in stretches:
        if not any(stretch is one for one in missed):
            kept.append(stretch)
            continue
        begin = stretch.elements[0][2]
        same = {
            each[0]
            for each in stretch.elements
            if (now := level.get(each[0])) is not None
            and data[now[2] : now[4]] == stretch.encoded[each[2] - begin : each[4] - begin]
        }
        other = {each[0] for each in stretch.elements} - same
        kept += _stretches(stretch.encoded, stretch.elements, other, begin)
    if sum(len(one.elements) for one in kept) * 2 < len(level):
        return list(_stretches(data, level.values()))
    return kept


def _stretches(
    data: Buffer, elements: Iterable[Element], without: Collection[int] = (), begin: int = 0
) -> Iterator[Stretch]:
    """Elements in stretches, without those of some tags. `begin`: where `data` begin, by their places."""
    run: list[Element] = []
    for each in elements:
        fits = each[5] is None and each[4] - each[2] <= _LONGEST and each[0] not in without
        if run and not (
            fits and len(run) < _MOST_ELEMENTS and each[2] == run[-1][4] and each[4] - run[0][2] <= _LONGEST
        ):
            yield Stretch(bytes(data[run[0][2] - begin : run[-1][4] - begin]), tuple(run))
            run = []
        if fits:
            run.append(each)
    if run:
        yield Stretch(bytes(data[run[0][2] - begin : run[-1][4] - begin]), tuple(run))
