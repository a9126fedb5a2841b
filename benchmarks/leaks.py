"""The second reader: how often it holds what says nothing of the patient, and its speed on one core.

python -m benchmarks.leaks [--full | --patients 60] [--headers DIR ...]

Each unit (a folder of instances) is de-identified once by the anonymize step, and read for each of 60 invented patients
(`--full`: 400) who have nothing to do with it: whatever is found is a false hold. The same is done with the received
headers as they are, an upper bound for options that keep more text; without the places for names and identifiers, where
real ones stand.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pydicom

from benchmarks.figures import table
from benchmarks.images import ct
from benchmarks.invented import invented
from benchmarks.machine import machine, median_seconds
from benchmarks.template import Which
from node.dicom.part10 import file_meta
from node.leaks import Kept, Output, Reader, collect, dicom
from node.leaks.automaton import Automaton
from node.leaks.what import Place
from node.model import UID, Batch, Identity, Item, Kind, Origin, ReceiptId
from node.moment import utc_now
from node.run.perform import perform
from node.steps.anonymize import Anonymize
from tests.data import real_folders

Texts = frozenset[tuple[str, Place]]
ASKED = 1.0
"""Per cent of units that may be held falsely, at most."""
FEW, MANY = 60, 400
"""Invented patients: for a figure within a minute or two, and for one to quote."""
_SECRET = {"secret": b"s" * 32}


def units(folders: Iterable[Path]) -> dict[str, list[Path]]:
    """Files by folder; of pydicom's, which do not belong together, each is a unit."""
    found = {str(folder): sorted(p for p in folder.rglob("*") if p.is_file()) for folder in folders}
    bundled = Path(pydicom.__file__).parent / "data"
    return found | {str(p): [p] for p in sorted(bundled.rglob("*")) if p.suffix in (".dcm", "") and p.is_file()}


def texts(paths: Iterable[Path]) -> Texts:
    """All that the second reader sees in a unit."""
    found: set[tuple[str, Place]] = set()
    for path in paths:
        with contextlib.suppress(dicom.NotDicom):
            file = dicom.read_dicom(path.read_bytes())
            for value in (*file.meta.values, *file.parsed.values):
                found.update(dicom.texts(value))
            found.update((text, place) for text, place, _ in dicom.around(file))
    return frozenset(found)


def anonymized(paths: Iterable[Path], out: Path) -> Iterator[Path]:
    for number, path in enumerate(paths):
        batch = Batch(items=(Item(path=path, kind=Kind.DICOM, sources=(ReceiptId(f"{number:032x}"),)),))
        made, _ = perform(Anonymize(), batch, out / str(number), _SECRET)
        yield from (item.path for item in made.items)


def held(units: Mapping[str, Texts], patients: int) -> tuple[int, int]:
    """(units that would be held, units read), over all patients."""
    count = 0
    for seed in range(patients):
        automaton = Automaton(invented(seed), Kept())
        count += sum(any(automaton.search(*text) for text in found) for found in units.values())
    return count, len(units) * patients


def speed(work: Path, instances: int) -> dict[str, float]:
    """Instances a second on one core: collecting from originals, and reading what was made of them."""
    template, paths = ct(), []
    for number in range(instances):
        which = Which(0, 0, number)
        identity = Identity(
            sop_class=UID(template.sop_class), sop_instance=UID(which.instance), study=UID("1.2.3"),
            series=UID("1.2.4"), transfer_syntax=UID("1.2.840.10008.1.2.1"),
        )  # fmt: skip
        origin = Origin(calling_ae="CT", called_ae="NODE", sender="127.0.0.1")
        meta, _ = file_meta(identity, origin, ReceiptId(f"{number:032x}"), utc_now())
        path = work / f"{number}.dcm"
        path.write_bytes(meta + template.instance(which))
        paths.append(path)
    made = list(anonymized(paths, work / "made"))
    outputs = [Output(path=p, number=n, originals=(o,)) for n, (o, p) in enumerate(zip(paths, made, strict=True), 1)]
    found = collect(paths, Kept())

    def read() -> None:
        reader = Reader(found, Kept())
        assert not [finding for output in outputs for finding in reader.read(output)]

    taken = {"collect": median_seconds(lambda: collect(paths, Kept())), "read": median_seconds(read)}
    return {name: instances / seconds for name, seconds in (taken | {"both": sum(taken.values())}).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=FEW)
    parser.add_argument("--full", action="store_true", help=f"{MANY} patients, which takes several minutes")
    parser.add_argument("--instances", type=int, default=100)
    parser.add_argument("--headers", type=Path, nargs="*", help="folders of instances; the real images by default")
    parser.add_argument("--folder", type=Path, help="where temporary files go")
    parser.add_argument("--quick", action="store_true", help="show that it works")
    given = parser.parse_args()
    if given.full:
        given.patients = MANY
    if given.quick:
        given.patients, given.instances = 3, 5
    warnings.simplefilter("ignore")
    print(machine())
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary:
        work = Path(temporary)
        by_unit = units(given.headers if given.headers is not None else real_folders())
        named = (Place.PERSON, Place.IDENTIFIER)
        before = {name: frozenset(t for t in texts(paths) if t[1] not in named) for name, paths in by_unit.items()}
        after = {
            name: texts(anonymized(paths, work / str(number))) for number, (name, paths) in enumerate(by_unit.items())
        }
        lines = []
        for name, read in (("after anonymize", after), ("as received", before)):
            count, total = held({unit: found for unit, found in read.items() if found}, given.patients)
            lines.append((name, str(total), str(count), f"{100 * count / max(total, 1):.2f} %", f"{ASKED:.0f} %"))
        print(table(("false holds", "units read", "held", "rate", "asked at most"), lines), flush=True)
        (work / "speed").mkdir()
        rates = speed(work / "speed", given.instances)
    print(table(("CT 512x512, one core", "instances/s"), [(name, f"{rate:.0f}") for name, rate in rates.items()]))
    print(f"{given.patients} invented patients, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
