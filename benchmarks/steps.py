"""Steps on one core: a synthetic CT series through anonymize, decompress and nifti; dcm2niix beside it.

python -m benchmarks.steps [--slices 60]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.machine import machine, median_seconds
from node.model import Batch, Item, Kind, ReceiptId, Step
from node.run.perform import perform
from node.steps.anonymize import Anonymize
from node.steps.decompress import Decompress
from node.steps.nifti import Nifti
from tests import make


def series(folder: Path, slices: int) -> Batch:
    """512 x 512, 16 bit, `slices` images."""
    folder.mkdir()
    paths = make.write_all(make.ct_series(slices=slices, rows=512, columns=512), folder)
    return Batch(items=tuple(Item(path=p, kind=Kind.DICOM, sources=(ReceiptId(p.stem),)) for p in paths))


def seconds(step: Step, batch: Batch, out: Path) -> float:
    given = {"secret": b"s" * 32} if "secret" in step.needs else {}

    def once() -> None:
        shutil.rmtree(out, ignore_errors=True)
        perform(step, batch, out, given)

    return median_seconds(once)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=60)
    slices = parser.parse_args().slices
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        batch = series(work / "in", slices)
        print(f"{machine()}; CT 512x512, {slices} slices, medians of 3")
        for step in (Anonymize(), Decompress()):
            taken = seconds(step, batch, work / step.name)
            print(f"{step.name:<12} {slices / taken:8.0f} instances/s")
        ours = seconds(Nifti(), batch, work / "nifti")
        print(f"{'nifti':<12} {ours:8.2f} s to .nii.gz, geometry gate on")
        if shutil.which("dcm2niix"):
            (work / "theirs").mkdir()
            command = ["dcm2niix", "-1", "-z", "y", "-o", str(work / "theirs"), str(work / "in")]
            theirs = median_seconds(lambda: subprocess.run(command, check=True, capture_output=True))
            print(f"{'dcm2niix -1':<12} {theirs:8.2f} s to .nii.gz; ours / theirs {ours / theirs:.2f}")
        else:
            print("dcm2niix is not installed: no ratio")


if __name__ == "__main__":
    main()
