"""The elements at the top of a data set in runs: what lies between those in which the instances of a series differ.

Which these are is learnt, for each list of tags: an element whose bytes are new where its neighbours' are known parts
the run that it stood in. So most of a header is a few stretches of bytes, each looked up once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter

from node.dicom.alike import Shared
from node.dicom.attributes import is_private
from node.dicom.levels import Level
from node.steps.anonymize import decision
from node.steps.anonymize.plan import Action, Plan

Safe = tuple[str, Action]
"""What decision.kept_private says of a private element."""

Run = tuple[int, int, bool]
"""(begin, end, whether it is one) of tags in turn; what is none differs from instance to instance."""

LONGEST = 4096
"""Bytes of a run that is remembered."""
_MOST_TAGS = 64
"""Elements of a run."""
_MOST_LAYOUTS, _MOST_IN_ALL = 64, 4096
"""Layouts, and elements of one."""

_start, _end = itemgetter(2), itemgetter(4)


class Layout:
    """What data sets with the same tags have in common."""

    def __init__(self, tags: tuple[int, ...], shared: Shared | None = None) -> None:
        """`shared`: what they have in common besides; then runs are of what does not vary."""
        self._private = tuple(filter(is_private, tags))
        creators = {tag & 0xFFFF0000 | tag >> 8 & 0xFF for tag in self._private if tag & 0xFFFF >= 0x1000}
        self._creators = sorted(creators if shared is None else creators & shared.varying)
        self._safe: dict[tuple[int, tuple[bytes, ...]], tuple[Plan, Mapping[int, Safe]]] = {}
        self._tags = tags
        self._parting = set[int]() if shared is None else set(shared.varying)
        self._fresh = shared is None
        self.runs: tuple[Run, ...] = self._parted()
        """Of every tag in turn."""

    def safe(self, value_of: Callable[[int], bytes], plan: Plan) -> Mapping[int, Safe]:
        """decision.kept_private, which depends on the plan and on what creators there are."""
        creators = tuple(map(value_of, self._creators)) if plan.keeps_private else ()
        known = self._safe.get((id(plan), creators))
        if known is None:
            if len(self._safe) >= _MOST_LAYOUTS:
                self._safe.clear()
            # The plan goes along, so that no other gets its id.
            known = self._safe[id(plan), creators] = (plan, decision.kept_private(self._private, value_of, plan))
        return known[1]

    def learn(self, unknown: Iterable[int]) -> None:
        """Told of the elements of a data set that were not known; of the first one that is all of them."""
        if self._fresh:
            self._fresh = False
        elif not self._parting.issuperset(unknown):
            self._parting.update(unknown)
            self.runs = self._parted()

    def _parted(self) -> tuple[Run, ...]:
        runs: list[Run] = []
        for at, tag in enumerate(self._tags):
            fixed = tag not in self._parting
            if runs and runs[-1][2] is fixed and at - runs[-1][0] < _MOST_TAGS:
                runs[-1] = (runs[-1][0], at + 1, fixed)
            else:
                runs.append((at, at + 1, fixed))
        return tuple(runs)


class Layouts:
    """Those that came lately, by their tags."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], Layout] = {}
        self._of_shared: dict[Shared, Layout] = {}

    def of(self, level: Level, shared: Shared | None = None) -> Layout | None:
        """None where the elements do not lie one behind the other in the order of their tags: then the bytes from the
        first to the last of some hold others as well; and where they are too many to be remembered.

        shared   what the data set has in common with others; one that has any is in order
        """
        if shared is not None:
            found = self._of_shared.get(shared)
            if found is None:
                if len(self._of_shared) >= _MOST_LAYOUTS:
                    self._of_shared.clear()
                found = self._of_shared[shared] = Layout(shared.tags, shared)
            return found
        if len(level) > _MOST_IN_ALL:
            return None
        elements = level.values()
        starts, ends = list(map(_start, elements)), list(map(_end, elements))
        if starts[1:] != ends[:-1]:
            return None
        return self._of(tuple(level))

    def _of(self, tags: tuple[int, ...]) -> Layout:
        found = self._known.get(tags)
        if found is None:
            if len(self._known) >= _MOST_LAYOUTS:
                self._known.clear()
            found = self._known[tags] = Layout(tags)
        return found
