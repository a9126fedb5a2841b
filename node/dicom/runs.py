"""Runs of elements that come from instance to instance as they are: compared with one look, taken in one go.

Nine of ten elements of a series are the same in each instance, and stand between the few that are not. A run that does
not go on as it did is cut there, so that what changes comes to stand between runs; none ever grows.
"""

from __future__ import annotations

import copy
from itertools import accumulate
from mmap import mmap
from typing import Any, NamedTuple, NoReturn

from node.dicom.recurring import Element, Lately

_LONGEST = 64
"""Elements: a run that is cut is compared twice."""


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


class Run(NamedTuple):
    """Elements that came one behind the other, each known by its bytes alone: compared and taken in one go."""

    encoded: bytes
    ends: tuple[int, ...]
    """Of each element, in `encoded`."""
    elements: tuple[Element, ...]
    header: dict[str, Shared]
    """What they are in a header, for `update`."""
    texts: tuple[bytes, ...]
    creators: tuple[tuple[int, str], ...]
    cost: int
    cost_at_top: int

    @classmethod
    def of(cls, encoded: bytes, ends: tuple[int, ...], elements: tuple[Element, ...]) -> Run:
        return cls(
            encoded=encoded, ends=ends, elements=elements,
            header={key: Shared([vr, None if values is None else Shared(values)]) for key, vr, values, *_ in elements},
            texts=tuple([element[3] for element in elements]),
            creators=tuple([element[6] for element in elements if element[6] is not None]),
            cost=sum([element[4] for element in elements]), cost_at_top=sum([element[5] for element in elements]),
        )  # fmt: skip

    def as_far_as(self, data: bytes | mmap, position: int) -> Run:
        """Of this run the elements that are at `position` too: the first one is."""
        count = 1
        while count < len(self.ends):
            begin, end = self.ends[count - 1], self.ends[count]
            if data[position + begin : position + end] != self.encoded[begin:end]:
                break
            count += 1
        return Run.of(self.encoded[: self.ends[count - 1]], self.ends[:count], self.elements[:count])


class Streak:
    """A run in the making."""

    def __init__(self) -> None:
        self._encoded: list[bytes] = []
        self._elements: list[Element] = []

    def add(self, encoded: bytes, element: Element) -> None:
        self._encoded.append(encoded)
        self._elements.append(element)
        if len(self._encoded) == _LONGEST:
            self.over()

    def over(self) -> None:
        """Something comes that is not known, or where another run begins."""
        if len(self._encoded) > 1:
            ends = tuple(accumulate([len(encoded) for encoded in self._encoded]))
            RUNS.keep(self._encoded[0], Run.of(b"".join(self._encoded), ends, tuple(self._elements)))
        if self._encoded:
            self._encoded, self._elements = [], []


RUNS: Lately[Run] = Lately(1024)
"""By the bytes of their first element."""
