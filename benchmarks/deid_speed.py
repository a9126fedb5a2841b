"""How fast images are de-identified on one core, from file to file: the step of this node, and other people's."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from benchmarks.corpus.key import OPTIONS
from benchmarks.deid_whole import whole_way
from benchmarks.deidentifiers import DEIDENTIFIERS, run_all
from benchmarks.figures import number, table
from benchmarks.images import ct
from benchmarks.template import Which
from node.model import Batch, Item, Kind, ReceiptId
from node.run.perform import perform
from node.steps.anonymize import Anonymize

_ROUNDS = 3
_ONE_BY_ONE = 40
"""Instances for those that have nothing to remember from one to the next."""


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
    """Instances a second and processor time, on one core, from file to file: median of three rounds.

    The node takes `count` instances as one unit, the others some of them one by one. Then the unit once more the whole
    way, with certificate and second reader; the node's own worker is on the same core then.
    """
    sources = images(folder, count)
    (empty := folder / "no filter").touch()
    lines, rates = [], {}
    with _one_core():
        for name in names:
            some = sources if name == "node" else sources[:_ONE_BY_ONE]
            once = _step(some, folder / name) if name == "node" else _each(name, some, folder / name, empty)
            seconds, used = _median(once, folder / name)
            rates[name] = len(some) / seconds
            ours = number(rates["node"] / rates[name], 1) if name != "node" and "node" in rates else ""
            lines.append([name, number(rates[name]), number(1000 * used / len(some), 2), ours])
        if "node" in names:
            with whole_way(_batch(sources), available(), folder / "whole") as once:
                seconds, _ = _median(once, folder / "whole" / "out")
            lines.append(["node, with certificate and second reader", number(count / seconds), "", ""])
    head = [f"512x512 CT, 230 elements, {count} of a unit", "instances/s", "ms of CPU", "node : it"]
    return table(head, lines)


@contextmanager
def _one_core() -> Iterator[None]:
    """For this process, and for those that it starts."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _median(once: Callable[[], object], out: Path) -> tuple[float, float]:
    """Seconds, and seconds of this process's processor time, once it is warm. Each round writes new files."""
    once()
    return sorted(_timed(once, out) for _ in range(_ROUNDS))[_ROUNDS // 2]


def _timed(work: Callable[[], object], out: Path) -> tuple[float, float]:
    shutil.rmtree(out)
    out.mkdir()
    began, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - used


def _step(sources: Sequence[Path], out: Path) -> Callable[[], object]:
    step = Anonymize(options=available())
    batch = _batch(sources)
    given = {"secret": b"s" * 32} if "secret" in step.needs else {}

    def once() -> None:
        made, _ = perform(step, batch, out, given)
        if len(made.items) != len(sources):
            raise SystemExit(f"the node held {len(made.held)} of the images: {made.held[0].reason}")

    return once


def _batch(sources: Sequence[Path]) -> Batch:
    return Batch(items=tuple(Item(path=p, kind=Kind.DICOM, sources=(ReceiptId(p.stem),)) for p in sources))


def _each(name: str, sources: Sequence[Path], out: Path, pixels: Path) -> Callable[[], object]:
    out.mkdir()

    def once() -> None:
        failed = run_all(DEIDENTIFIERS[name], dict(enumerate(sources)), out, pixels)
        if failed:
            raise SystemExit(f"{name} failed on {failed} of the images")

    return once
