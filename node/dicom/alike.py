"""The top levels of data sets that come one after the other and have most of their bytes in common: what is the same in
all of them is compared as stretches of bytes, and only what lies between is read element by element.

Equal bytes are equal elements, wherever they lie (PS3.5 7.1): so a stretch that is known need not be read again. Those
of undefined length are always read, for the places of what is in them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, KeysView, Mapping, Sequence
from typing import Any, NamedTuple

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


_Piece = tuple[tuple[Element, ...], int]
"""Elements that lie one behind the other, and by how much further on they do than these say."""


def _at(each: Element, by: int) -> Element:
    tag, vr, start, value, end, items = each
    return tag, vr, start + by, value + by, end + by, items  # what has items is in a piece that did not move


class Shared:
    """What several data sets have in common. Those that have the same one, which is known by its identity, have the
    same tags, one element behind the other, the same value representations, and the same bytes in all elements but
    those that vary."""

    __slots__ = ("_stretches", "places", "tags", "varying")

    def __init__(self, pieces: Sequence[_Piece], varying: frozenset[int], stretches: list[Stretch]) -> None:
        self.places = {
            each[0]: (number, at) for number, (elements, _) in enumerate(pieces) for at, each in enumerate(elements)
        }
        """Of each tag, in which piece its element is, and where in that."""
        self.tags, self.varying = tuple(self.places), varying
        self._stretches = stretches  # so that no other gets the ids of these


class Placed(Mapping[int, Element]):
    """The level of a data set that has something in common with others: only elements that are asked for are made."""

    __slots__ = ("_pieces", "_places", "_shared")

    def __init__(self, shared: Shared, pieces: list[_Piece]) -> None:
        self._shared, self._places, self._pieces = shared, shared.places, pieces

    def __getitem__(self, tag: int) -> Element:
        number, at = self._places[tag]
        elements, by = self._pieces[number]
        return _at(elements[at], by) if by else elements[at]

    def get(self, tag: int, default: Any = None) -> Any:
        return self[tag] if tag in self._places else default

    def __contains__(self, tag: object) -> bool:
        return tag in self._places

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def keys(self) -> KeysView[int]:
        return self._places.keys()

    def between(self, begin: int, end: int) -> list[Element]:
        """Those of the tags `Shared.tags[begin:end]`."""
        return [self[tag] for tag in self._shared.tags[begin:end]]


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
        pieces, missed, parts = _read(data, start, parse, stretches)
        shared = None if missed else self.shared.get(parts)
        if shared is not None:
            return Placed(shared, pieces), shared
        elements = [_at(each, by) if by else each for several, by in pieces for each in several]
        found = levels.in_order(elements)
        if missed:
            if len(found) <= _MOST_IN_ALL:
                self.known[kind] = _learnt(data, found, stretches, missed)
            return found, None
        if list(found.values()) != elements or len(found) > _MOST_IN_ALL:
            return found, None
        shared = self._learn(parts, pieces, stretches)
        return Placed(shared, pieces), shared

    def _learn(self, parts: tuple[_Part, ...], pieces: list[_Piece], stretches: list[Stretch]) -> Shared:
        if len(self.shared) >= _MOST_SHARED:
            self.shared.clear()
        varying = frozenset(part[0] for part in parts if isinstance(part, tuple))
        shared = self.shared[parts] = Shared(pieces, varying, stretches)
        return shared


def _read(
    data: Buffer, position: int, parse: Parse, stretches: list[Stretch]
) -> tuple[list[_Piece], list[Stretch], tuple[_Part, ...]]:
    """The elements in the order of their bytes, the stretches that are not there, and of what it is made up. Raises
    Malformed, Truncated."""
    end, last, pieces, missed, parts = len(data), -1, list[_Piece](), list[Stretch](), list[_Part]()
    for stretch in stretches:
        encoded, known = stretch
        first, length = known[0], len(encoded)
        while position < end:
            if data[position : position + length] == encoded:
                pieces.append((known, position - first[2]))
                parts.append(id(stretch))
                position += length
                last = known[-1][0]
                break
            if last >= first[0]:
                missed.append(stretch)
                break
            element = levels.one(data, position, parse)
            pieces.append(((element,), 0))
            parts.append((element[0], element[1], element[5] is None))
            last, position = element[0], element[4]
    rest = levels.rest(data, position, parse)
    pieces += [((each,), 0) for each in rest]
    parts += [(each[0], each[1], each[5] is None) for each in rest]
    return pieces, missed, (parse is levels.EXPLICIT, *parts)


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
