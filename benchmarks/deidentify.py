"""Processor time to de-identify one instance, from file to file in the page cache: read, engine, write.

    python -m benchmarks.deidentify [--instances 300] [--rounds 5] [--folder /dev/shm]

One core, time of this process alone (user and system), the least of some rounds: what else the machine does hardly
shows. A synthetic 512 x 512 CT with some 230 elements; every instance has other UIDs, number and position, as those of
a series have. Every round writes new files, as the node does.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.figures import table
from benchmarks.images import ct
from benchmarks.machine import machine
from benchmarks.template import Template, Which
from benchmarks.wire import EXPLICIT_LE
from node.dicom.encoding import element
from node.dicom.part10 import PREAMBLE
from node.steps.anonymize import Anonymize
from node.steps.anonymize.instance import Anonymizer
from node.steps.anonymize.options import AVAILABLE
from node.steps.anonymize.patients import Patients

_CLEANS = frozenset(name for name in AVAILABLE if name.startswith("clean_"))
OPTIONS = {
    "Basic Profile": frozenset[str](),
    "modified dates": frozenset({"retain_long_modified_dates"}),
    "descriptors cleaned": frozenset({"clean_descriptors", "clean_structured_content", "clean_graphics"}),
    "pixels by rules": frozenset({"clean_pixel_data"}),
    "all that is cleaned and moved": _CLEANS | {"retain_long_modified_dates", "retain_patient_characteristics"},
    "all, UIDs kept": frozenset(AVAILABLE) - {"retain_long_modified_dates"},
    "all, other UIDs": frozenset(AVAILABLE) - {"retain_long_full_dates", "retain_uids"},
}


def series(template: Template, instances: int, folder: Path) -> list[Path]:
    """One series of files, 100 instances or so of which are 50 MB."""
    folder.mkdir()
    syntax = element(0x00020010, "UI", EXPLICIT_LE.encode())
    meta = PREAMBLE + element(0x00020000, "UL", len(syntax).to_bytes(4, "little")) + syntax
    paths = [folder / f"{number}.dcm" for number in range(instances)]
    for number, path in enumerate(paths):
        path.write_bytes(meta + template.instance(Which(0, 0, number)))
    return paths


def milliseconds(paths: list[Path], folder: Path, options: frozenset[str]) -> float:
    """Of processor time for each, as one run of the step does it, into a new folder."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        targets = [Path(out) / path.name for path in paths]
        began = time.process_time()
        step = Anonymize(options=tuple(sorted(options)))
        anonymizer = Anonymizer(step.plan_for(), Patients(b"s" * 32), cleaning=step.cleaning())
        for path, target in zip(paths, targets, strict=True):
            anonymizer.anonymize(path, target)
        return (time.process_time() - began) * 1000 / len(paths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary:
        paths = series(ct(), given.instances, Path(temporary) / "in")
        for name, options in OPTIONS.items():
            each = min(milliseconds(paths, Path(temporary), options) for _ in range(given.rounds))
            rows.append([name, f"{each:.3f}", f"{1000 / each:.0f}"])
    print(f"{machine()}; CT 512x512, {given.instances} instances, {given.folder}")
    print(table(["options", "ms of CPU", "instances/s of one core"], rows))


if __name__ == "__main__":
    main()
