"""What became of elements, by their bytes: the instances of a series have nine of ten in common.

What becomes of one depends on the bytes, on what a frame here has, and on nothing else that stands around it, but for
private elements, code meanings and UIDs that may be the instance's own: those are not remembered by themselves, and
what has the last in it is not at all. What is missing in a frame gives one patient's values to another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from node.certificate.actions import Told
from node.dicom.alike import Shared
from node.dicom.encoding import Parse
from node.dicom.levels import EXPLICIT
from node.dicom.recurring import Lately
from node.steps.anonymize.runs import Layouts, Run
from node.steps.anonymize.scope import Scope
from node.steps.anonymize.written import Written

LONGEST = 512
"""Bytes of an element, or of a whole sequence, that is remembered."""
_MOST_FRAMES, _MOST_SHARED = 128, 32
_MOST_AT_TOP, _MOST_IN_ITEMS, _MOST_RUNS = 2048, 256, 64
"""Elements of a frame, or runs of them, and as many again that came before them."""

Remembered = tuple[bytes, tuple[Told, ...]]
"""An element as it is written, b"" for one that is removed; and what a Recorder is told of it and all that is in it."""

RememberedRun = tuple[dict[int, Written], tuple[tuple[Told, ...], ...]]
"""The elements of a run, or blocks of them, as they are written, and what a Recorder is told of them."""

SharedRuns = dict[Run, RememberedRun | None]
"""Of runs that data sets have in common; None for one that was met and is not known yet."""

_Place = int | tuple[int, ...]
_Frame = tuple[object, ...]


@dataclass(slots=True)
class Memory:
    """Kept for one run of the step: it holds values of patients."""

    known: dict[_Frame, Lately[Remembered]] = field(default_factory=dict)
    layouts: Layouts = field(default_factory=Layouts)
    _runs: dict[_Frame, Lately[RememberedRun]] = field(default_factory=dict)
    _shared: dict[_Frame, SharedRuns] = field(default_factory=dict)
    _objects: dict[int, object] = field(default_factory=dict)
    """Those that a frame knows by their id, kept so that no other gets it."""
    _last: tuple[Scope, Parse, bool, _Frame] | None = None

    def of(self, scope: Scope, parse: Parse, *, telling: bool = False, gone: bool = False) -> Lately[Remembered]:
        """What is remembered of elements within a scope that are laid out as `parse` reads them.

        telling  whether it is also told what was done to them: then the whole path counts
        gone     of private ones that are removed, whatever their bytes are
        """
        frame = (self._frame(scope, parse, telling), gone)
        found = self.known.get(frame)
        if found is None:
            self._make_room(scope)
            found = self.known[frame] = Lately(_MOST_IN_ITEMS if scope.nested else _MOST_AT_TOP)
        return found

    def runs(
        self, scope: Scope, parse: Parse, private: Mapping[int, object], apart: tuple[int, ...] | None, *,
        meanings_stay: bool, telling: bool,
    ) -> Lately[RememberedRun]:  # fmt: skip
        """What is remembered of runs at the top of data sets. The frame has the patient, as that of elements has.

        private        the private elements that stay: what says so stands in others, perhaps of another run
        apart          what is in no block (written.in_blocks); None where no blocks are made
        meanings_stay  the same of Code Meaning
        """
        frame = (self._frame(scope, parse, telling), tuple(private.items()), apart, meanings_stay)
        found = self._runs.get(frame)
        if found is None:
            self._make_room(scope)
            found = self._runs[frame] = Lately(_MOST_RUNS)
        return found

    def shared(
        self, shared: Shared, scope: Scope, parse: Parse, private: Mapping[int, object], apart: tuple[int, ...] | None,
        *, meanings_stay: bool, telling: bool,
    ) -> SharedRuns:  # fmt: skip
        """The same as `runs`, of what data sets have in common: there is no need to look at their bytes."""
        frame = (shared, self._frame(scope, parse, telling), tuple(private.items()), apart, meanings_stay)
        found = self._shared.get(frame)
        if found is None:
            self._make_room(scope)
            found = self._shared[frame] = {}
        return found

    def _frame(self, scope: Scope, parse: Parse, telling: bool) -> _Frame:
        """That of the last scope is at hand: it is asked for several times."""
        last = self._last
        if last is None or last[0] is not scope or last[1] is not parse or last[2] is not telling:
            self._last = last = (scope, parse, telling, _frame(scope, parse, telling))
        return last[3]

    def _make_room(self, scope: Scope) -> None:
        if len(self.known) + len(self._runs) >= _MOST_FRAMES or len(self._shared) >= _MOST_SHARED:
            self.known.clear()
            self._runs.clear()
            self._shared.clear()
            self._objects.clear()
        for kept in (scope.plan, scope.patient, scope.cleaner):
            self._objects[id(kept)] = kept


def _frame(scope: Scope, parse: Parse, telling: bool) -> _Frame:
    """All of a scope but the crosswalk, which is one for all, and the instance's own UIDs.

    Where an item lies counts by its sequence (Plan.items), and by all above it only where a rule names a path, or where
    it is told.
    """
    words = scope.own_words.pattern if scope.own_words else ""
    place: _Place = 0
    if scope.nested:
        place = scope.path if scope.plan.paths or telling else scope.path[-1]
    return (
        id(scope.plan), id(scope.patient), id(scope.cleaner), scope.days, scope.encodings, words, scope.nested, place,
        scope.in_dummy, scope.in_clean, scope.in_content, scope.by_place, scope.own, parse is EXPLICIT, telling,
    )  # fmt: skip
