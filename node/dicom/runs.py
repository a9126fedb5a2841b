"""Runs of elements and sequences that come from instance to instance as they are: compared with one look, taken in
one go.

Nine of ten elements of a series are the same in each instance, and stand between the few that are not. A run that does
not go on as it did is cut there, so that what changes comes to stand between runs; none ever grows.
"""

from __future__ import annotations

import copy
from itertools import accumulate
from mmap import mmap
from typing import Any, NamedTuple, NoReturn

from node.dicom import packing
from node.dicom.recurring import Element, Lately, Sequence
from node.dicom.text import CharacterSet

_LONGEST = 64
"""Elements, those in its sequences too: a bound of the memory that a run takes, whoever sends what it is made of, and a
run that is cut is compared twice."""


class Shared(list[Any]):
    """A list that many headers have in common: equal to any other of the same values, and no one changes it."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a value that several headers share cannot be changed; copy it")

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = extend = insert = pop = remove = clear = sort = reverse = _refuse

    def __reduce__(self) -> tuple[type[list[Any]], tuple[list[Any]]]:
        return list, ([*self],)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return [copy.deepcopy(value, memo) for value in self]

    def __copy__(self) -> list[Any]:
        return [*self]


class SharedItem(dict[str, Any]):
    """An item of a sequence that many headers have in common, likewise."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("an item that several headers share cannot be changed; copy it")

    __setitem__ = __delitem__ = __ior__ = _refuse
    pop = popitem = clear = update = setdefault = _refuse

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, ({**self},)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return {key: copy.deepcopy(value, memo) for key, value in self.items()}

    def __copy__(self) -> dict[str, Any]:
        return {**self}


def shared(value: Any) -> Any:
    """A value of a header as one that nobody can change, to any depth."""
    if isinstance(value, dict):
        return SharedItem((key, shared(each)) for key, each in value.items())
    return Shared(map(shared, value)) if isinstance(value, list) else value


class Part(NamedTuple):
    """An element or a sequence of a run."""

    encoded: bytes
    key: str
    value: Shared
    """What it is in a header."""
    text: bytes
    creator: tuple[int, str] | None
    cost: int
    cost_at_top: int
    places: int = 1
    """How many elements.walk gives for it."""
    guessed: int = 0
    charset: CharacterSet | None = None
    """In which it is this; None: in any."""

    @classmethod
    def element(cls, encoded: bytes, element: Element) -> Part:
        key, vr, values, text, cost, cost_at_top, creator = element
        return cls(encoded, key, shared([vr, None if values is None else [*values]]), text, creator, cost, cost_at_top)

    @classmethod
    def sequence(cls, sequence: Sequence, charset: CharacterSet) -> Part:
        ((key, value),) = packing.read(packing.data_set([sequence.text])).items()
        return cls(
            sequence.encoded, key, shared(value), sequence.text, None, sequence.cost, sequence.cost, sequence.places,
            sequence.guessed, charset,
        )  # fmt: skip


class Run(NamedTuple):
    """Elements and sequences that came one behind the other: compared and taken in one go.

    Each is known by its bytes alone, or by them and the character set of the run. An element is the first.
    """

    encoded: bytes
    ends: tuple[int, ...]
    """Of each part, in `encoded`."""
    parts: tuple[Part, ...]
    header: dict[str, Shared]
    """What they are in a header, for `update`."""
    texts: tuple[bytes, ...]
    creators: tuple[tuple[int, str], ...]
    cost: int
    cost_at_top: int
    places: int
    guessed: int
    charset: CharacterSet | None

    @classmethod
    def of(cls, parts: tuple[Part, ...]) -> Run:
        """Of parts in one character set."""
        return cls(
            encoded=b"".join([part.encoded for part in parts]),
            ends=tuple(accumulate([len(part.encoded) for part in parts])),
            parts=parts,
            header={part.key: part.value for part in parts},
            texts=tuple([part.text for part in parts]),
            creators=tuple([part.creator for part in parts if part.creator is not None]),
            cost=sum([part.cost for part in parts]), cost_at_top=sum([part.cost_at_top for part in parts]),
            places=sum([part.places for part in parts]), guessed=sum([part.guessed for part in parts]),
            charset=next((part.charset for part in parts if part.charset is not None), None),
        )  # fmt: skip

    def as_far_as(self, data: bytes | mmap, position: int) -> Run:
        """Of this run the parts that are at `position` too: the first one is."""
        count = 1
        while count < len(self.ends):
            begin, end = self.ends[count - 1], self.ends[count]
            if data[position + begin : position + end] != self.encoded[begin:end]:
                break
            count += 1
        return Run.of(self.parts[:count])


class Streak:
    """A run in the making, in one character set."""

    def __init__(self, charset: CharacterSet) -> None:
        self._charset = charset
        self._encoded: list[bytes] = []
        self._found: list[Element | Sequence] = []
        self._places = 0

    def add(self, encoded: bytes, found: Element | Sequence) -> None:
        """A sequence not as the first: a run is looked up by the bytes of an element."""
        places = found.places if isinstance(found, Sequence) else 1
        if self._places + places > _LONGEST:
            self.over()
        if (self._found or not isinstance(found, Sequence)) and places <= _LONGEST:
            self._encoded.append(encoded)
            self._found.append(found)
            self._places += places

    def over(self) -> None:
        """Something comes that is not known, or where another run begins."""
        if len(self._found) > 1:
            RUNS.keep(self._encoded[0], Run.of(tuple(map(self._part, self._encoded, self._found))))
        if self._found:
            self._encoded, self._found, self._places = [], [], 0

    def _part(self, encoded: bytes, found: Element | Sequence) -> Part:
        return Part.sequence(found, self._charset) if isinstance(found, Sequence) else Part.element(encoded, found)


RUNS: Lately[Run] = Lately(512)
"""By the bytes of their first element."""
