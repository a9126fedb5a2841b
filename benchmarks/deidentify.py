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
from functools import partial
from pathlib import Path

from benchmarks.figures import table
from benchmarks.images import ct
from benchmarks.machine import machine
from benchmarks.template import Template, Which
from benchmarks.wire import EXPLICIT_LE
from node.certificate.account import Accounts
from node.certificate.keys import Keys
from node.dicom.encoding import element
from node.dicom.part10 import PREAMBLE
from node.steps.anonymize import Anonymize
from node.steps.anonymize.instance import Anonymizer
from node.steps.anonymize.options import AVAILABLE
from node.steps.anonymize.patients import Patients

_SECRET = b"s" * 32
_FACES = "clean_recognizable_visual_features"  # decides by regions, and would hold what names none
_CLEANS = frozenset(name for name in AVAILABLE if name.startswith("clean_")) - {_FACES}
OPTIONS = {
    "Basic Profile": frozenset[str](),
    "modified dates": frozenset({"retain_long_modified_dates"}),
    "descriptors cleaned": frozenset({"clean_descriptors", "clean_structured_content", "clean_graphics"}),
    "pixels by rules": frozenset({"clean_pixel_data"}),
    "all that is cleaned and moved": _CLEANS | {"retain_long_modified_dates", "retain_patient_characteristics"},
    "all, UIDs kept": frozenset(AVAILABLE) - {"retain_long_modified_dates", _FACES},
    "all, other UIDs": frozenset(AVAILABLE) - {"retain_long_full_dates", "retain_uids", _FACES},
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


def milliseconds(paths: list[Path], folder: Path, options: frozenset[str], *, told: bool) -> float:
    """Of processor time for each, as one run of the step does it, into a new folder.

    told  whether an account is made of what was done, for the certificate
    """
    with tempfile.TemporaryDirectory(dir=folder) as out:
        targets = [Path(out) / path.name for path in paths]
        began = time.process_time()
        step = Anonymize(options=tuple(sorted(options)))
        cleaning = step.cleaning()
        anonymizer = Anonymizer(step.plan_for(), Patients(_SECRET), cleaning=cleaning)
        accounts, method = Accounts(Keys(_SECRET).value()), step.method(step.laid_over(), cleaning)
        for path, target in zip(paths, targets, strict=True):
            recording = accounts.begin() if told else None
            anonymizer.anonymize(path, target, recording)
            if recording is not None:
                recording.account(method)
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
            ways = {told: partial(milliseconds, paths, Path(temporary), options, told=told) for told in (False, True)}
            least = [min(way() for _ in range(given.rounds)) for way in ways.values()]
            rows.append([name, *(f"{each:.3f}" for each in least), *(f"{1000 / each:.0f}" for each in least)])
    print(f"{machine()}; CT 512x512, {given.instances} instances, {given.folder}")
    head = ["options", "ms of CPU", "with an account", "instances/s of one core", "with an account"]
    print(table(head, rows))


if __name__ == "__main__":
    main()
