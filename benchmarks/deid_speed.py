"""How fast images are de-identified on one core, from file to file: the step of this node, and other people's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from statistics import median

from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from benchmarks.corpus.key import OPTIONS
from benchmarks.deid_whole import whole_way
from benchmarks.deidentifiers import DEIDENTIFIERS, run_all
from benchmarks.figures import number, table
from benchmarks.ground import give_back, quick_place
from benchmarks.images import ct
from benchmarks.template import Which
from node.model import Batch, Item, Kind, ReceiptId
from node.run.perform import perform
from node.steps.anonymize import Anonymize

_ROUNDS = 9


def available() -> tuple[str, ...]:
    """The options of the key that the step does not refuse."""
    return tuple(option for option in OPTIONS if not Anonymize(options=(option,)).problems())


def images(folder: Path, count: int) -> list[Path]:
    """Files of the synthetic CT of 512 x 512 that every benchmark uses."""
    template, paths = ct(), []
    for n in range(count):
        which = Which(1, 0, n)
        ds = dcmread(BytesIO(template.instance(which)), force=True)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.MediaStorageSOPClassUID = UID(template.sop_class)
        ds.file_meta.MediaStorageSOPInstanceUID = UID(which.instance)
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        paths.append(folder / f"{n}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    return paths


def speeds(names: Sequence[str], folder: Path, count: int) -> str:
    """Instances a second and processor time, on one core, from file to file into new files: medians of nine rounds.

    All take turns in every round, for the processor of a shared machine may be half as fast a second later; a ratio is
    the median of what each round says. The node takes `count` instances as one unit, the others the same one by one:
    fewer would stay in the processor's caches from round to round. Then the unit once more the whole way, with
    certificate and second reader; the node's own worker is on the same core then.
    """
    sources = images(folder, count)
    (empty := folder / "no filter").touch()
    with _one_core(), ExitStack() as stack:
        turns = [_Turn(x, _step(sources), count) if x == "node" else _each(x, sources, empty) for x in names]
        if "node" in names:
            once = stack.enter_context(whole_way(_batch(sources), available(), folder / "whole"))
            turns.append(_Turn("node, with certificate and second reader", once, count))
        places = [quick_place(folder) for _ in turns]
        for n in range(_ROUNDS + 1):
            for turn, at in zip(turns, places, strict=True):
                turn.take(at / str(n))
    head = [f"512x512 CT, 230 elements, {count} of a unit", "instances/s", "ms of CPU", "node : it"]
    return table(head, [turn.line(turns[0]) for turn in turns])


@dataclass
class _Turn:
    name: str
    work: Callable[[Path], object]
    """Takes all instances, into a folder."""
    count: int
    each: list[float] = field(default_factory=list)
    """Seconds for an instance, in every round; the first does not count."""
    used: list[float] = field(default_factory=list)
    """Of them this process's processor time."""

    def take(self, out: Path) -> None:
        """Write new files beside those of the round before: the place on the disk is warm, and nothing was removed
        there (see benchmarks/ground.py)."""
        out.mkdir()
        began, used = time.perf_counter(), time.process_time()
        self.work(out)
        self.each.append((time.perf_counter() - began) / self.count)
        self.used.append((time.process_time() - used) / self.count)
        give_back(out)

    def line(self, first: _Turn) -> list[str]:
        ratio = median(theirs / ours for ours, theirs in zip(first.each[1:], self.each[1:], strict=True))
        alone = first is self or first.name != "node" or self.name.startswith("node")
        cost = "" if self.name.startswith("node,") else number(1000 * median(self.used[1:]), 2)
        return [self.name, number(1 / median(self.each[1:])), cost, "" if alone else number(ratio, 2)]


@contextmanager
def _one_core() -> Iterator[None]:
    """For this process, and for those that it starts."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _step(sources: Sequence[Path]) -> Callable[[Path], object]:
    step = Anonymize(options=available())
    batch = _batch(sources)
    given = {"secret": b"s" * 32} if "secret" in step.needs else {}

    def once(out: Path) -> None:
        made, _ = perform(step, batch, out, given)
        if len(made.items) != len(sources):
            raise SystemExit(f"the node held {len(made.held)} of the images: {made.held[0].reason}")

    return once


def _batch(sources: Sequence[Path]) -> Batch:
    return Batch(items=tuple(Item(path=p, kind=Kind.DICOM, sources=(ReceiptId(p.stem),)) for p in sources))


def _each(name: str, sources: Sequence[Path], pixels: Path) -> _Turn:
    def once(out: Path) -> None:
        failed = run_all(DEIDENTIFIERS[name], dict(enumerate(sources)), out, pixels)
        if failed:
            raise SystemExit(f"{name} failed on {failed} of the images")

    return _Turn(name, once, len(sources))
