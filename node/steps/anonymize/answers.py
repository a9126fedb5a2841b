"""What was decided about a header, remembered by what the decision asked of it: a series has most of that in common.

Which elements a decision looks at follows from what it found in those before. So where two data sets have the same
tags, and the same bytes in all elements that were looked at in one, whoever decides comes to the same end in both.
Nothing here knows what is looked at, and what stands in one header is never the answer for another that differs in it.
Of data sets that are known to have something in common (node/dicom/alike.py), only the rest is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Generic, NamedTuple, TypeVar

from node.dicom import levels
from node.dicom.alike import Shared
from node.dicom.encoding import Buffer
from node.dicom.levels import EXPLICIT, Level
from node.dicom.part10 import MEDIA_STORAGE_SOP_INSTANCE
from node.steps.anonymize.header import Header
from node.steps.anonymize.source import Source

LONGEST = 4096
"""Bytes of an element. What looks at a longer one, such as pixels, is decided anew for each instance."""
_MOST, _MOST_TAGS = 512, 4096
"""Decisions that are remembered, and elements of what they are about."""
_MOST_WAYS = 8
"""Sets of elements that were looked at, where the tags are the same."""

T = TypeVar("T")
Seen = tuple[object, ...]
"""Encoded elements, None for one that is not there; of file meta information its tags as well."""


class Noted:
    """A Header that notes of which elements it was asked. Which tags there are always counts as asked."""

    __slots__ = ("_header", "_meta", "asked", "asked_for_all", "tags")

    def __init__(self, header: Header) -> None:
        self._header = header
        self._meta: Noted | None = None
        self.tags: AbstractSet[int] = header.tags
        self.asked: set[int] = set()
        self.asked_for_all = False
        """What it was asked follows from the representations of all."""

    def raw(self, tag: int) -> bytes:
        self.asked.add(tag)
        return self._header.raw(tag)

    def vr(self, tag: int) -> str:
        self.asked.add(tag)
        return self._header.vr(tag)

    def sequences(self) -> Sequence[int]:
        self.asked_for_all = True
        return self._header.sequences()

    def items(self, tag: int) -> Sequence[Header]:
        self.asked.add(tag)  # with all that is in it
        return self._header.items(tag)

    def meta(self) -> Header | None:
        if self._meta is None:
            meta = self._header.meta()
            self._meta = None if meta is None else Noted(meta)
        return self._meta

    def way(self, shared: Shared | None) -> _Way:
        """`shared`: what data sets of the same key have in common, which need not be compared."""
        meta = None if self._meta is None else tuple(sorted(self._meta._all()))
        tags = self._all() & self.tags if shared is None else self.asked & shared.varying
        return _Way(tuple(sorted(tags)), meta)

    def _all(self) -> AbstractSet[int]:
        return self.tags if self.asked_for_all else self.asked


class _Way(NamedTuple):
    """What a decision looked at, of what data sets do not have in common."""

    tags: tuple[int, ...]
    of_meta: tuple[int, ...] | None
    """Of the file meta information, where it was asked for at all."""

    @property
    def passes_by(self) -> bool:
        """Whether it sees the same of all data sets that have something in common, and of their files."""
        return not self.tags and (self.of_meta is None or MEDIA_STORAGE_SOP_INSTANCE not in self.of_meta)

    def through(self, source: Source) -> Seen | None:
        """What a decision that goes this way sees of a data set with the same tags; None where that is too long."""
        seen = _encoded(source.data, source.top, self.tags)
        if seen is None or self.of_meta is None:
            return seen
        if not source.meta:
            return (*seen, None)
        meta = levels.top(source.meta, 0, EXPLICIT)
        of_meta = _encoded(source.meta, meta, self.of_meta)
        return None if of_meta is None else (*seen, tuple(meta), *of_meta)


def _encoded(data: Buffer, level: Level, tags: Iterable[int]) -> Seen | None:
    found: list[bytes | None] = []
    for tag in tags:
        each = level.get(tag)
        if each is None:
            found.append(None)
            continue
        if each[4] - each[2] > LONGEST:
            return None
        found.append(bytes(data[each[2] : each[4]]))
    return tuple(found)


class Decisions(Generic[T]):
    """A decision with what it came to before. Kept for one run of the step: it holds values of patients."""

    def __init__(self, is_small: Callable[[T], bool] = lambda _: True) -> None:
        """`is_small`: whether what a decision came to may be remembered many times."""
        self._is_small = is_small
        self.known: dict[Hashable, dict[_Way, dict[Seen, T]]] = {}
        self.settled: dict[Hashable, tuple[T]] = {}
        """What was decided without a look at anything in which data sets differ that have the rest in common."""
        self._count = 0

    def of(self, source: Source, given: Hashable, decide: Callable[[Header], T]) -> T:
        """`decide(source.header)`, or what that came to for a header that is the same to it.

        decide  pure: what it gives depends on `given` and on the header alone, and nobody changes it
        """
        if source.shared is None:
            return self._of(source, given, decide)[0]
        key = (given, source.shared, source.around)
        settled = self.settled.get(key)
        if settled is None:
            end, settles = self._of(source, given, decide)
            if not settles:
                return end
            if len(self.settled) >= _MOST:
                self.settled.clear()
            settled = self.settled[key] = (end,)
        return settled[0]

    def _of(self, source: Source, given: Hashable, decide: Callable[[Header], T]) -> tuple[T, bool]:
        """What `of` gives; and whether it is the same for all that have what they have in common with this one."""
        if len(source.top) > _MOST_TAGS:
            return decide(source.header), False
        key = (given, source.shared or (source.parse is EXPLICIT, tuple(source.top)))
        ways = self.known.get(key)
        for way, ends in ways.items() if ways is not None else ():
            seen = way.through(source)
            if seen is not None and seen in ends:
                return ends[seen], way.passes_by
        noted = Noted(source.header)
        end = decide(noted)
        way = noted.way(source.shared)
        seen = way.through(source)
        if seen is not None and self._is_small(end):
            self._keep(key, way, seen, end)
            return end, way.passes_by
        return end, False

    def _keep(self, key: Hashable, way: _Way, seen: Seen, end: T) -> None:
        if self._count >= _MOST:
            self.known.clear()
            self._count = 0
        ways = self.known.setdefault(key, {})
        if way not in ways and len(ways) >= _MOST_WAYS:
            ways.clear()
        ways.setdefault(way, {})[seen] = end
        self._count += 1
