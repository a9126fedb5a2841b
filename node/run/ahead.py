"""The first step of a route, on instances whose unit is about to be complete: in its quiet time, when nothing else is
to be done.

What such a step makes of an instance depends on nothing but that instance, its options and what the node supplies. So
it may be made before anybody knows whether the unit closes as it is. Nothing follows from it: it is in no row and in no
record, and only a job whose plan has the same step takes it over, instance by instance. What no job takes is removed.

Kept by this process in memory. After a kill nobody knows these files: the job makes them again, retention removes them.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path

from node.errors import NodeError
from node.model import Batch, Item, Kind, ReceiptId, Step
from node.pool import Bug, Pool
from node.run.contents import of_instances
from node.run.forereads import Forereads
from node.run.known import Known
from node.run.parts import Made, in_parts, one_for_one, together
from node.run.perform import perform
from node.run.second_reading import readers
from node.spool import Files, set_apart

_PART = 12
_KEPT = 600.0
"""Seconds: a unit that is still open then has changed, or waits for something else than time."""
_MOST_OVER = 20_000
"""Names remembered of what jobs have begun with."""
_LONGEST = 30.0
"""Seconds for a part: a guess must not keep a worker from jobs for as long as a step may."""
_PATIENCE = 1.0
"""Seconds that a job waits for parts under way; it makes again what has not come by then."""

_Key = tuple[str, ReceiptId]


@dataclass(frozen=True, slots=True)
class _Ready:
    batch: Batch
    """One item, and what the step says of its disclosure."""
    at: float
    """On the monotonic clock."""

    @property
    def path(self) -> Path:
        return self.batch.items[0].path

    def moved(self, path: Path) -> _Ready:
        return replace(self, batch=replace(self.batch, items=(replace(self.batch.items[0], path=path),)))


def may_go_ahead(step: Step) -> bool:
    """Whether a step takes instances one by one, and its options say all that it depends on."""
    return (
        not step.whole
        and one_for_one(step)
        and step.name != "forward"
        and step.needs <= {"secret", "crosswalk"}  # which answers the same to the job, whoever asks first
        # A file, as a recipe is, may be edited before the job reads it.
        and not _names_a_file(step)
        and not getattr(step, "gives_numbers", False)  # a patient whose job never comes would have one
    )


def _names_a_file(option: object) -> bool:
    if is_dataclass(option):
        return any(_names_a_file(getattr(option, field.name)) for field in fields(option))
    return isinstance(option, Path) or (isinstance(option, tuple | frozenset) and any(map(_names_a_file, option)))


class Ahead:
    """What was made ahead. `work` is for one thread; `perform` for the threads of jobs, at any time."""

    def __init__(self, files: Files | None = None) -> None:
        self.known = Known()
        """What was read of the files that will be sent."""
        self.forereads = Forereads()
        self._files = files or Files()
        self._changed = threading.Condition()
        self._ready: dict[_Key, _Ready] = {}
        self._under_way: set[_Key] = set()
        self._over: set[_Key] = set()
        """What a job has begun with: too late for it."""
        self._folders: dict[Path, float] = {}
        """Those of files made ahead -> when the first was; see node/spool/ground.py for why there are several."""

    def work(
        self, pool: Pool, step: Step, items: Sequence[Item], folder: Path, given: Mapping[str, object],
        stop: Callable[[], bool], *, to_send: bool = False,
    ) -> None:  # fmt: skip
        """Run `step` on received instances, each with one receipt, below a folder for such files alone.

        to_send     a forward follows: what that will ask of the files is begun as well, their sync, their hash, and the
                    second reading

        What fails is left to the job, which says why. Ends early when `stop` says so, or a job is quicker.
        """
        self.forget()
        if not may_go_ahead(step):
            return
        folder = self._folder(folder, step)
        parts = [items[begin : begin + _PART] for begin in range(0, len(items), _PART)]
        whole = bool(getattr(step, "deidentifies", False))

        def one(part: Sequence[Item]) -> None:
            with self._claimed(step, part) as free:
                if not free or stop():
                    return
                made, notes = pool.call_within(_LONGEST, perform, step, Batch(items=tuple(free)), folder, given)
                self._keep(step, made, folder, worded=any(not counts for _, counts in notes))
            if to_send:  # no longer claimed: a job that comes now takes the files, and need not wait for this
                self._prepare(pool, [i.path for i in made.items if i.kind is Kind.DICOM], folder, whole=whole)

        with contextlib.suppress(NodeError, Bug, OSError):
            # Twice as many as workers: while the disk syncs what one part made, the next is made.
            with ThreadPoolExecutor(max_workers=2 * pool.size) as threads:
                list(threads.map(one, parts))
            if to_send and readers([step]) and not stop():
                self._read(pool, step, items, folder)

    def _folder(self, below: Path, step: Step) -> Path:
        """One for each step, because two would give their files the same names, and another one after a while."""
        now = time.monotonic()
        folder = below / f"{hashlib.sha256(_name(step).encode()).hexdigest()[:16]}-{now // _KEPT:.0f}"
        if folder not in self._folders:
            with contextlib.suppress(OSError):  # whoever writes into it says so
                below.mkdir(parents=True, exist_ok=True)
                set_apart(below)
            self._folders[folder] = now
        return folder

    def _read(self, pool: Pool, step: Step, items: Sequence[Item], folder: Path) -> None:
        keys = [_key(_name(step), item) for item in items]
        with self._changed:
            if not self._over.isdisjoint(keys):
                return
            made = [self._ready[key].batch.items[0] for key in keys if key in self._ready]
        self.forereads.read(pool, step, items, made, folder)

    def perform(self, pool: Pool, step: Step, batch: Batch, out: Path, given: Mapping[str, object]) -> Made:
        """`in_parts` of the first step of a job, for those that were not made ahead."""
        if not may_go_ahead(step):
            return in_parts(pool, step, batch, out, given)
        taken = self._take(step, batch, out)
        if not taken:
            return in_parts(pool, step, batch, out, given)
        rest = replace(batch, items=tuple(i for i in batch.items if i.sources[0] not in taken))
        parts: list[Made] = [(ready.batch, []) for ready in taken.values()]
        if rest.items:
            parts.append(in_parts(pool, step, replace(rest, held=(), dropped=()), out, given, alone=False))
        made, notes = together(batch, parts)
        order = {item.sources[0]: place for place, item in enumerate(batch.items)}
        items = sorted(made.items, key=lambda item: order[item.sources[0]])
        made = replace(
            made, items=tuple(items), held=(*batch.held, *made.held), dropped=(*batch.dropped, *made.dropped)
        )
        return made, [*notes, ("{} made in the quiet time", (len(taken),))]

    @contextlib.contextmanager
    def _claimed(self, step: Step, part: Sequence[Item]) -> Iterator[list[Item]]:
        with self._changed:
            name = _name(step)
            free = {key: i for i in part if (key := _key(name, i)) not in self._over and key not in self._ready}
            self._under_way |= free.keys()
        try:
            yield list(free.values())
        finally:
            with self._changed:
                self._under_way -= free.keys()
                self._changed.notify_all()

    def _keep(self, step: Step, made: Batch, folder: Path, *, worded: bool) -> None:
        """What is a new file, and the only one of its instance.

        worded  the step said more than counts of it: that belongs into the history of a job, which makes it itself
        """
        now, name = time.monotonic(), _name(step)
        each = Counter(item.sources for item in made.items)
        with self._changed:
            for item in made.items:
                if item.path.parent != folder:
                    continue  # what a step hands back is not ours to move
                if worded or len(item.sources) != 1 or each[item.sources] > 1:
                    item.path.unlink(missing_ok=True)
                    continue
                # One that a job did not wait for stays too, and is removed with what nobody took.
                one = Batch(items=(item,), disclosure=made.disclosure)
                self._ready[_key(name, item)] = _Ready(one, now)

    def _prepare(self, pool: Pool, paths: Sequence[Path], folder: Path, *, whole: bool) -> None:
        """The outbox syncs again, for only that is a promise, and has nothing to wait for then.

        whole   a certificate will ask for the hash of each file
        """
        before = {path: path.stat() for path in paths if path.parent == folder and path.exists()}
        for path in before:
            self._files.sync_path(path)
        read = pool.call_within(_LONGEST, functools.partial(of_instances, whole=whole), list(before))
        for path, content in zip(before, read, strict=True):
            self.known.learn(path, before[path], content)

    def _take(self, step: Step, batch: Batch, out: Path) -> dict[ReceiptId, _Ready]:
        name = _name(step)
        keys = [_key(name, item) for item in batch.items]
        with self._changed:
            if len(self._over) > _MOST_OVER:
                self._over.clear()
            self._over.update(keys)
            self._changed.wait_for(lambda: self._under_way.isdisjoint(keys), _PATIENCE)
            found = {key[1]: ready for key in keys if (ready := self._ready.pop(key, None)) is not None}
        taken = {}
        if found:
            out.mkdir(parents=True, exist_ok=True)
        for receipt, ready in found.items():
            path = out / ready.path.name
            with contextlib.suppress(FileNotFoundError):
                ready.path.rename(path)
                taken[receipt] = ready.moved(path)
        return taken

    def forget(self) -> None:
        """Remove what nobody took; to be called now and then."""
        before = time.monotonic() - _KEPT
        self.forereads.forget(before)
        with self._changed:
            old = [key for key, ready in self._ready.items() if ready.at < before]
            paths = [self._ready.pop(key).path for key in old]
        for path in paths:
            path.unlink(missing_ok=True)
        for folder in [folder for folder, began in self._folders.items() if began < before - _KEPT]:
            with contextlib.suppress(OSError):
                folder.rmdir()
            del self._folders[folder]


def _name(step: Step) -> str:
    """A step with its options; one text for all its instances."""
    return sys.intern(repr(step))


def _key(name: str, item: Item) -> _Key:
    return name, item.sources[0]
