"""The same series to .nii.gz by this node, dcm2niix, SimpleITK with nibabel, and dicom2nifti: seconds, memory, exact.

    python -m benchmarks.convert [--python PYTHON] [--oracle nifti_oracle.py] [--only ct fmri enhanced]
                                [--series FOLDER] [--rounds 3]
    python -m benchmarks.convert --answers [--series FOLDER] [--rounds 3]      how long a sender waits meanwhile

Series: a CT of 300 x 512x512 (`phantom`: it compresses as a real one), 4-D fMRI of 30 x 64x64 x 100, the same as one
enhanced object. Each conversion is a process of its own; seconds are the work alone, without the start of an
interpreter, which the node's workers have behind them. Ours includes the gate, the report, and publishing (link, fsync,
rename, fsync of the folder), which no other does. Memory is the peak of the process above that of its interpreter with
all imports, dcm2niix' the whole. Tools take turns, round after round. --python has SimpleITK, nibabel and dicom2nifti.
With --oracle every result is judged, frame by frame.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.uid import UID

from benchmarks import answers
from benchmarks.figures import number, table
from benchmarks.ground import memory_at_hand, new_ground
from benchmarks.machine import disk, machine, tree
from benchmarks.phantom import slice_of
from benchmarks.processes import end_on_sigterm, memory
from tests import make

_AT_HAND = 1000
"""MB that a turn may use and that nobody has to find first: every tool takes some hundreds, and some are so slow that
what the one before them used has gone back to the host by then."""

_PEAK = """
def peak():  # MB; not ru_maxrss, in which what the parent had when it started this is included
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024 / 1e6
"""

_OURS = (
    _PEAK
    + """
import os, sys, time
from pathlib import Path
from node.model import Batch, Item, Kind, ReceiptId
from node.run.perform import perform, prepare
from node.steps.nifti import Nifti
prepare()
source, out, share = (Path(x) for x in sys.argv[1:4])
items = tuple(Item(path=p, kind=Kind.DICOM, sources=(ReceiptId(p.stem),)) for p in sorted(source.iterdir()))
before = peak()
began = time.perf_counter()
made, _ = perform(Nifti(), Batch(items=items), out, {})
assert not made.held, made.held[0].reason
share.mkdir()
for item in made.items:  # as deliver/folder.py publishes
    if item.kind is Kind.DICOM:
        continue
    os.link(item.path, share / ".incoming")
    with (share / ".incoming").open("rb") as file:
        os.fsync(file.fileno())
    (share / ".incoming").rename(share / item.path.name)
folder = os.open(share, os.O_RDONLY)
os.fsync(folder)
print(time.perf_counter() - began, peak() - before)
"""
)

_PEER = """
import os, sys, time
{peak}
source, out = sys.argv[1:3]
{imports}
before = peak()
began = time.perf_counter()
{work}
print(time.perf_counter() - began, peak() - before)
"""

_SITK = _PEER.format(
    peak=_PEAK,
    imports="import SimpleITK as sitk, nibabel, numpy as np",
    work="""
reader = sitk.ImageSeriesReader()
reader.SetFileNames(reader.GetGDCMSeriesFileNames(source))
image = reader.Execute()
values = sitk.GetArrayFromImage(image)
values = values.reshape(-1, *values.shape[-2:])
direction = np.array(image.GetDirection())
side = round(len(direction) ** 0.5)
affine = np.eye(4)
affine[:3, :3] = direction.reshape(side, side)[:3, :3] * image.GetSpacing()[:3]
affine[:3, 3] = image.GetOrigin()[:3]
nibabel.save(nibabel.Nifti1Image(values.T, np.diag([-1, -1, 1, 1]) @ affine), os.path.join(out, "a.nii.gz"))
""",
)

_DICOM2NIFTI = _PEER.format(
    peak=_PEAK,
    imports="import dicom2nifti",
    work='dicom2nifti.dicom_series_to_nifti(source, os.path.join(out, "a.nii.gz"), reorient_nifti=False)',
)


@dataclass(slots=True)
class Tool:
    """`run(source, out)` -> (seconds, MB)."""

    name: str
    run: Callable[[Path, Path], tuple[float, float]]
    seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    exact: str = "-"


def ours(source: Path, out: Path) -> tuple[float, float]:
    return _told([sys.executable, "-c", _OURS, str(source), str(out), str(out.with_name("share"))])


def peer(python: str, program: str) -> Callable[[Path, Path], tuple[float, float]]:
    return lambda source, out: _told([python, "-c", program, str(source), str(out)])


def dcm2niix(program: str, *options: str) -> Callable[[Path, Path], tuple[float, float]]:
    def run(source: Path, out: Path) -> tuple[float, float]:
        began = time.perf_counter()
        process = subprocess.Popen(
            [program, *options, "-b", "y", "-o", str(out), str(source)], stdout=subprocess.DEVNULL
        )
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, memory(process.pid, "VmHWM"))
            time.sleep(0.01)
        if process.returncode:
            raise RuntimeError(f"dcm2niix ended with {process.returncode}")
        return time.perf_counter() - began, peak

    return run


def _told(command: Sequence[str]) -> tuple[float, float]:
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise RuntimeError((found.stderr.strip().splitlines() or ["failed"])[-1][:120])
    seconds, megabytes = found.stdout.split()[-2:]
    return float(seconds), float(megabytes)


def ct(folder: Path, quick: bool) -> None:
    count = 20 if quick else 300
    series = make.ct_series(count, spacing=1.0, rows=512, columns=512)
    for k, ds in enumerate(series):
        make.set_pixels(ds, slice_of(512, k, count))
    make.write_all(series, folder)


def fmri(folder: Path, quick: bool) -> None:
    """Numbered volume by volume, acquired 2 s apart."""
    found = []
    for t in range(4 if quick else 100):
        for k, ds in enumerate(make.ct_series(30, rows=64, columns=64, spacing=3.5, series="fmri")):
            ds.SOPClassUID, ds.Modality = make.MR_IMAGE, "MR"
            ds.SOPInstanceUID = UID(make.uid("fmri", t, k))
            ds.file_meta.MediaStorageSOPClassUID = UID(make.MR_IMAGE)
            ds.file_meta.MediaStorageSOPInstanceUID = UID(ds.SOPInstanceUID)
            ds.InstanceNumber, ds.AcquisitionNumber, ds.TemporalPositionIdentifier = 30 * t + k + 1, t + 1, t + 1
            ds.AcquisitionTime = f"{100000 + t // 30 * 100 + t % 30 * 2}.0000"
            ds.RepetitionTime, ds.EchoTime, ds.ImageType = 2000, 30, ["ORIGINAL", "PRIMARY", "M"]
            ds.RescaleIntercept = 0
            make.set_pixels(ds, make.picture(64, 64, seed=30 * t + k, low=0, high=3000))
            found.append(ds)
    make.write_all(found, folder)


def enhanced(folder: Path, quick: bool) -> None:
    ds = make.enhanced_mr(30, 4 if quick else 100, rows=64, columns=64)
    for frame in ds.PerFrameFunctionalGroupsSequence:
        frame.PixelValueTransformationSequence[0].RescaleSlope = 1.0
    make.write(ds, folder / "enhanced.dcm")


SERIES = {"ct": ct, "fmri": fmri, "enhanced": enhanced}


def judged(oracle: Sequence[str], out: Path) -> str:
    """The oracle's verdict: frames exact, and whether the order of volumes differs."""
    found = subprocess.run([*oracle, str(out)], capture_output=True, text=True, check=False).stdout.splitlines()
    wanted = [line for line in found if line.startswith(("frames exact", "volume order"))]
    return "; ".join(line.removeprefix("frames exact: ") for line in wanted) or "not read"


def compare(tools: list[Tool], source: Path, work: Path, rounds: int, oracle: Sequence[str]) -> None:
    for turn in range(rounds + 1):  # the first is not counted
        for tool in tools:
            if tool.exact.startswith("failed"):
                continue
            shutil.rmtree(work, ignore_errors=True)
            (work / "out").mkdir(parents=True)
            memory_at_hand(_AT_HAND)
            try:
                seconds, megabytes = tool.run(source, work / "out")
            except RuntimeError as error:
                tool.exact = f"failed: {error}"
                continue
            if turn == 0:
                tool.exact = judged(oracle, work / "out") if oracle else "-"
            else:
                tool.seconds.append(seconds)
                tool.megabytes.append(megabytes)


def lines(tools: Sequence[Tool]) -> list[list[str]]:
    mine = statistics.median(tools[0].seconds) if tools[0].seconds else np.nan
    found = []
    for tool in tools:
        if not tool.seconds:
            found.append([tool.name, "-", "-", "-", tool.exact])
            continue
        seconds, megabytes = statistics.median(tool.seconds), statistics.median(tool.megabytes)
        found.append([tool.name, f"{seconds:.2f}", f"{mine / seconds:.2f}", number(megabytes), tool.exact])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has the peers")
    parser.add_argument("--dcm2niix", default=shutil.which("dcm2niix"))
    parser.add_argument("--oracle", type=Path)
    parser.add_argument("--only", nargs="*", choices=list(SERIES), default=list(SERIES))
    parser.add_argument("--tools", nargs="*", help="beginnings of names: this, dcm2niix, SimpleITK, dicom2nifti")
    parser.add_argument("--series", type=Path, help="a folder of one real series instead")
    parser.add_argument("--answers", action="store_true", help="how long a C-STORE waits while the node converts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="a folder on the disk; default: the one for temporary files")
    parser.add_argument("--quick", action="store_true", help="small series, once: only to see that it works")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.gettempdir())
    end_on_sigterm()
    print(f"{machine()}, {disk(folder)}; dicom-node {tree()}")
    if given.answers:
        with new_ground(folder, "dicom-node-convert-") as temporary:
            made = temporary / "in"
            if not given.series:
                ct(made, given.quick)
            answers.measure(given.series or made, temporary, 1 if given.quick else given.rounds)
        return
    for name in [given.series.name] if given.series else given.only:
        tools = [Tool("this node", ours)]
        if given.dcm2niix:
            for options in (["-z", "y", "-1"], ["-z", "y"]):
                tools.append(Tool(f"dcm2niix {' '.join(options)}", dcm2niix(given.dcm2niix, *options)))
        tools += [
            Tool("SimpleITK + nibabel", peer(given.python, _SITK)),
            Tool("dicom2nifti", peer(given.python, _DICOM2NIFTI)),
        ]
        tools = [tool for tool in tools if not given.tools or tool.name.startswith(tuple(given.tools))]
        with new_ground(folder, "dicom-node-convert-") as temporary:
            source, work = temporary / "in", temporary / "work"
            if given.series:
                shutil.copytree(given.series, source)
            else:
                SERIES[name](source, given.quick)
            size = sum(path.stat().st_size for path in source.iterdir()) / 1e6
            oracle = [given.python, str(given.oracle), str(source)] if given.oracle else []
            compare(tools, source, work, 1 if given.quick else given.rounds, oracle)
            count = sum(1 for _ in source.iterdir())
            head = [f"{name}: {count} files, {size:.0f} MB", "s", "ours / it", "MB", "frames exact"]
            print(f"\n{table(head, lines(tools))}", flush=True)


if __name__ == "__main__":
    main()
