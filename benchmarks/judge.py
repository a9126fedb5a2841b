"""Every folder of real images through `nifti`, judged by a program that is not ours: what it prints of each folder.

    python -m benchmarks.judge FOLDER [--oracle nifti_oracle.py] [--python PYTHON] [--tilt sheared] [--kept FOLDER]

The oracle reads the DICOM headers itself and looks for every frame in the files. A folder passes when every frame that
has geometry is exact, or its instance was held. Exits 1 when a folder does not. Folders named with --one-by-one are
converted and judged file by file: the same instance in many encodings.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from node.errors import CannotSucceed
from node.imaging.transcode import transfer_syntax_of
from node.model import Batch, Item, Kind, ReceiptId
from node.run.perform import perform
from node.steps.nifti import Nifti

_FOR_DCMTK = {f"1.2.840.10008.1.2.4.{n}" for n in (51, 53, 55)}


def converted(paths: Sequence[Path], out: Path, step: Nifti) -> tuple[int, Counter[str], list[Path]]:
    """Volumes written, reasons of what was held with their counts, and the files that were held."""
    items = tuple(Item(path=path, kind=Kind.DICOM, sources=(ReceiptId(str(n)),)) for n, path in enumerate(paths))
    try:
        made, _ = perform(step, Batch(items=items), out, {})
    except CannotSucceed as error:
        return 0, Counter({str(error): len(paths)}), list(paths)
    held = [paths[int(receipt)] for one in made.held for receipt in one.sources]
    return (
        sum(item.kind is Kind.REPORT for item in made.items),
        Counter(one.reason for one in made.held),
        held,
    )


def judged(source: Path, out: Path, oracle: Sequence[str]) -> tuple[int, int, str]:
    """(exact, judged, the oracle's last lines)."""
    found = subprocess.run([*oracle, str(source), str(out)], capture_output=True, text=True, check=False)
    lines = found.stdout.strip().splitlines() or [found.stderr.strip()[-200:]]
    words = lines[-1].split()
    if lines[-1].startswith("frames exact:"):
        rest = [line for line in lines[:-1] if "order" in line]
        return int(words[2]), int(words[4]), "; ".join([lines[-1], *rest])
    return 0, 1, lines[-1]


def one(
    paths: Sequence[Path], folder: Path, step: Nifti, oracle: Sequence[str]
) -> tuple[int, int, int, Counter[str], str]:
    """Convert `paths` and judge what was not held: (volumes, exact, judged, held by reason, line)."""
    out, source = folder / "out", folder / "in"
    source.mkdir(parents=True)
    volumes, held, files = converted(paths, out, step)
    for path in paths:
        if path not in files:
            readable(path, source / path.name)
    if len(files) == len(paths):
        return 0, 0, 0, held, "all held"
    exact, total, line = judged(source, out, oracle)
    return volumes, exact, total, held, line


def readable(path: Path, target: Path) -> None:
    """The file as the oracle can read it: pydicom has no decoder for some JPEG, for which DCMTK is asked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        syntax = transfer_syntax_of(path)
    if syntax in _FOR_DCMTK and shutil.which("dcmdjpeg"):
        subprocess.run(["dcmdjpeg", str(path), str(target)], check=True, capture_output=True)
    else:
        target.symlink_to(path.resolve())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--oracle", type=Path, help="default: ../../tools/nifti_oracle.py of the folder")
    parser.add_argument("--python", default=sys.executable, help="that runs the oracle, with all decoders of pydicom")
    parser.add_argument("--tilt", choices=["sheared", "resample", "hold"], default="sheared")
    parser.add_argument("--one-by-one", nargs="*", default=["ct_16ts"])
    parser.add_argument("--only", nargs="*", help="names of folders")
    parser.add_argument("--kept", type=Path, help="a folder for the files that were written")
    given = parser.parse_args()
    step = Nifti(tilt=given.tilt)
    program = given.oracle or given.folder.resolve().parents[1] / "tools" / "nifti_oracle.py"
    oracle = [given.python, str(program)]
    bad, all_exact, all_judged = [], 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        for folder in sorted(path for path in given.folder.iterdir() if path.is_dir() and path.name != "LICENSES"):
            if given.only and folder.name not in given.only:
                continue
            paths = sorted(path for path in folder.iterdir() if path.is_file())
            groups = [[path] for path in paths] if folder.name in given.one_by_one else [paths]
            results = [
                one(group, Path(temporary) / folder.name / str(n), step, oracle) for n, group in enumerate(groups)
            ]
            exact, total = sum(r[1] for r in results), sum(r[2] for r in results)
            held: Counter[str] = sum((r[3] for r in results), Counter())
            orders = sorted({r[4] for r in results if "order" in r[4]})
            all_exact, all_judged = all_exact + exact, all_judged + total
            if exact < total or orders:
                bad.append(folder.name)
            print(f"{folder.name:22} {sum(r[0] for r in results):3} volumes, frames exact: {exact} of {total}"
                  f"{'; ' + '; '.join(orders) if orders else ''}")  # fmt: skip
            for reason, count in held.items():
                print(f"{'':22} held {count}: {reason}")
        if given.kept:
            shutil.copytree(temporary, given.kept, dirs_exist_ok=True, symlinks=True)
    print(f"all: frames exact: {all_exact} of {all_judged}{'; not right: ' + ', '.join(bad) if bad else ''}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
