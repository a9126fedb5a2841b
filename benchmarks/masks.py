"""The masks step on one core: a synthetic structure set on a CT series, as masks, as a label map and as a segmentation,
and that segmentation as masks and as a label map.

python -m benchmarks.masks [--rois 30] [--slices 300] [--write masks labels seg]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.machine import machine
from node.model import Batch, Item, Kind, ReceiptId, Referenced
from node.run.perform import perform
from node.steps.masks import Masks
from node.steps.masks.step import Write
from tests import contouring, make

_CORNERS = 180

Made = TypeVar("Made")


def structures(folder: Path, slices: int, rois: int) -> tuple[Batch, Referenced]:
    """Regions of 20 to 180 pixels across on every slice of 512 x 512, their edges moving from slice to slice."""
    images = make.ct_series(slices, rows=512, columns=512, pixel_spacing=(0.9765625, 0.9765625), spacing=1.5)
    ours = np.random.default_rng(1)
    regions = {}
    for n in range(rois):
        middle, radius = ours.uniform(110, 400, 2), ours.uniform(10, 90)
        turn = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
        regions[f"region {n}"] = [
            contouring.Path(
                k=k,
                corners=middle
                + (radius * (1 + 0.1 * np.sin(5 * turn + k / 9)))[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1),
            )
            for k in range(slices)
        ]
    source = make.write(contouring.structure_set(images, regions, decimals=3), folder / "rt.dcm")
    paths = make.write_all(images, folder / "ct")
    looked_up = tuple(Item(path=path, kind=Kind.DICOM, sources=(ReceiptId("f" * 32),)) for path in paths)
    batch = Batch(items=(Item(path=source, kind=Kind.DICOM, sources=(ReceiptId("0" * 32),)),))
    return batch, Referenced(items=looked_up)


def convert(kind: Write, batch: Batch, referenced: Referenced, out: Path) -> str:
    """What it took, in a line. The memory is of this process from its start, so each has one of its own."""
    before = _peak()
    began, used = time.perf_counter(), time.process_time()
    made, _ = perform(Masks(write=(kind,)), batch, out, {"referenced": referenced})
    taken, used = time.perf_counter() - began, time.process_time() - used
    assert not made.held, made.held
    written = sum(path.stat().st_size for path in out.iterdir()) / 1e6
    return f"{taken:6.1f} s ({used:.1f} s processor), {written:.1f} MB, memory {before:.0f} to {_peak():.0f} MB"


def _peak() -> float:
    """The most memory that this process has had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def alone(work: Callable[..., Made], *given: object) -> Made:
    """In a new process: what pydicom takes to make a structure set is ten times what the step takes to read it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(work, *given).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rois", type=int, default=30)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--write", nargs="+", choices=["masks", "labels", "seg"], default=["masks", "labels", "seg"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        batch, referenced = alone(structures, folder / "in", given.slices, given.rois)
        size = batch.items[0].path.stat().st_size / 1e6
        print(
            f"{machine()}; {given.rois} regions on {given.slices} slices of 512x512, a structure set of {size:.0f} MB"
        )
        for kind in given.write:
            print(f"{kind:<24} {alone(convert, kind, batch, referenced, folder / kind)}", flush=True)
            if kind != "seg":
                shutil.rmtree(folder / kind)
        for path in (folder / "seg").glob("*.dcm"):
            drawn = Batch(items=(Item(path=path, kind=Kind.DICOM, sources=(ReceiptId("1" * 32),)),))
            for kind in (kind for kind in given.write if kind != "seg"):
                out = folder / f"{kind} of seg"
                print(f"{out.name:<24} {alone(convert, kind, drawn, referenced, out)}", flush=True)
                shutil.rmtree(out)


if __name__ == "__main__":
    main()
