"""Whether objects are as valid de-identified as they were received: asked of dciodvfy and dcentvfy, file by file.

    python -m benchmarks.validity [FOLDER ...] [--only "basic,dates moved"] [--patients 16] [--seed 1]

Every file of the folders (the real images, where they are there, and a corpus of benchmarks.corpus) goes through the
anonymize step under each set of options. An error of a kind that a file did not have before is new, and so is a
disagreement of one study's files; exit 1 for any. Warnings do not count. What the step holds is told by its reason.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from benchmarks import verifiers
from benchmarks.corpus.generate import FILTER, PATIENTS, generate
from benchmarks.figures import table
from benchmarks.machine import machine, tree
from benchmarks.verifiers import Kinds
from node.model import Batch, Item, Kind, ReceiptId
from node.run.perform import perform
from node.steps.anonymize import Anonymize
from node.steps.anonymize.pixel_options import PixelOptions
from tests.data import real_folders

_SECRET = b"s" * 32
_TEXTS = ("clean_descriptors", "clean_structured_content", "clean_graphics")

CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "basic": (),
        "retained": (
            "retain_long_full_dates", "retain_uids", "retain_device_identity", "retain_institution_identity",
            "retain_patient_characteristics",
        ),
        "dates moved": ("retain_long_modified_dates",),
        "texts cleaned": _TEXTS,
        "all cleaned": (
            *_TEXTS, "clean_pixel_data", "retain_long_modified_dates", "retain_safe_private",
            "retain_patient_characteristics",
        ),
    }
)  # fmt: skip
"""Sets of options that differ in what they do to an attribute of a Type."""

_OF_SINGLE_IMAGES = re.compile("Element=<DeidentificationMethod(CodeSequence)?>")
"""PS3.3 C.7.1.1 has the method at the patient, of whom dcentvfy wants one in all images; that pixels were cleaned is
claimed by those where they were, alone. Such a difference is meant, and told apart."""


@dataclass(frozen=True, slots=True)
class Original:
    """A file as it was received."""

    name: str
    path: Path
    study: str
    """Study Instance UID, with the folder that was given: two folders may hold one study in two states."""
    kinds: Kinds


@dataclass(slots=True)
class Found:
    """What a set of options comes to; each kind with the names of the files or studies that it is new in."""

    given: int = 0
    held: Counter[str] = field(default_factory=Counter)
    new: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    studies: int = 0
    disagree: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    told: Counter[str] = field(default_factory=Counter)
    """Disagreements that are meant."""

    @property
    def is_as_valid(self) -> bool:
        return not self.new and not self.disagree


def originals(folders: Iterable[Path], pool: ThreadPoolExecutor) -> list[Original]:
    """Every DICOM file of the folders, and what dciodvfy finds in it."""
    named = [
        (f"{folder.name}/{path.relative_to(folder)}", path, f"{folder} {study}")
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (study := _study(path)) is not None
    ]
    every = pool.map(verifiers.of_instance, [path for _, path, _ in named])
    return [Original(*one, found) for one, found in zip(named, every, strict=True)]


def _study(path: Path) -> str | None:
    """None for what is no DICOM."""
    try:
        return str(dcmread(path, specific_tags=["StudyInstanceUID"]).get("StudyInstanceUID", ""))
    except InvalidDicomError:
        return None


def step_of(name: str, folder: Path) -> Anonymize:
    """The step under a set of options, with the pixel rules of the corpus where it cleans pixels."""
    if "clean_pixel_data" not in CHOICES[name]:
        return Anonymize(options=CHOICES[name])
    rules = folder / "pixels.dicom"
    rules.write_text(FILTER)
    return Anonymize(options=CHOICES[name], pixels=PixelOptions(rules=(rules,)))


def compared(step: Anonymize, files: Sequence[Original], out: Path, pool: ThreadPoolExecutor) -> Found:
    """What becomes of the files in `out`, a new folder, and what is new in it."""
    found, links = Found(), out / "in"
    links.mkdir(parents=True)
    receipts = {ReceiptId(f"{number:032x}"): one for number, one in enumerate(files)}
    items = []
    for receipt, one in receipts.items():
        (link := links / f"{receipt}.dcm").symlink_to(one.path.resolve())  # files of two folders may be called alike
        items.append(Item(path=link, kind=Kind.DICOM, sources=(receipt,)))
    batch, _ = perform(step, Batch(items=tuple(items)), out / "made", {"secret": _SECRET, "crosswalk": None})
    found.held.update(held.reason for held in batch.held for _ in held.sources)
    made = [(receipts[item.sources[0]], item.path) for item in batch.items]
    found.given = len(made)
    for (one, _), after in zip(made, pool.map(verifiers.of_instance, [path for _, path in made]), strict=True):
        for kind in after - one.kinds:
            found.new[kind].append(one.name)
    _agree(made, found, pool)
    return found


def _agree(made: Sequence[tuple[Original, Path]], found: Found, pool: ThreadPoolExecutor) -> None:
    studies: defaultdict[str, list[tuple[Original, Path]]] = defaultdict(list)
    for one, path in made:
        studies[one.study].append((one, path))
    found.studies = len(studies)
    before = pool.map(verifiers.of_study, [[one.path for one, _ in study] for study in studies.values()])
    after = pool.map(verifiers.of_study, [[path for _, path in study] for study in studies.values()])
    for study, had, has in zip(studies.values(), before, after, strict=True):
        for kind in has - had:
            if _OF_SINGLE_IMAGES.search(kind):
                found.told[kind] += 1
            else:
                found.disagree[kind].append(study[0][0].name)


def shown(every: Mapping[str, Found]) -> str:
    """A line for each set of options; then what is new, and why files are held."""
    head = [
        "options", "files", "held", "new error kinds", "files with one", "studies", "new disagreements",
        "claims of single images",
    ]  # fmt: skip
    lines = [
        [
            name, str(one.given + one.held.total()), str(one.held.total()), str(len(one.new)),
            str(len({file for files in one.new.values() for file in files})), str(one.studies), str(len(one.disagree)),
            str(one.told.total()),
        ]
        for name, one in every.items()
    ]  # fmt: skip
    parts = [table(head, lines)]
    for name, one in every.items():
        for title, new in (("new with", one.new), ("new over a study with", one.disagree)):
            told = (f"  {kind}\n    in {len(files)}, such as {files[0]}" for kind, files in sorted(new.items()))
            parts += ["\n".join([f"{title} {name}", *told])] if new else []
        reasons = (f"  {count:4} {reason}" for reason, count in one.held.most_common())
        parts += ["\n".join([f"held with {name}", *reasons])] if one.held else []
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER", help="instead of real images and corpus")
    parser.add_argument("--only", default="", help=f"some of: {', '.join(CHOICES)}")
    parser.add_argument("--patients", type=int, default=PATIENTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where temporary files go")
    parser.add_argument("--quick", action="store_true", help="shows that it works: few files")
    given = parser.parse_args()
    names = [name.strip() for name in given.only.split(",")] if given.only else list(CHOICES)
    if unknown := set(names) - set(CHOICES):
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(CHOICES)}")
    if not verifiers.installed():
        raise SystemExit("dciodvfy and dcentvfy are not installed (Debian: dicom3tools)")
    warnings.simplefilter("ignore")  # of values that were invalid before; what counts is what the verifiers say
    temporary = tempfile.TemporaryDirectory(prefix="validity-", dir=given.folder)
    with temporary as made, ThreadPoolExecutor(os.cpu_count()) as pool:
        work, folders = Path(made), given.folders
        if not folders:
            folders = [] if given.quick else real_folders()
            generate(work / "corpus", patients=1 if given.quick else given.patients, seed=given.seed)
            folders = [*folders, work / "corpus" / "files"]
        files = originals(folders, pool)
        print(f"{machine()}; dicom-node {tree()}; {len(files)} files, {sum(map(bool, (f.kinds for f in files)))} "
              "of them with errors as received", flush=True)  # fmt: skip
        every = {}
        for name in names:
            with tempfile.TemporaryDirectory(dir=work) as out:
                every[name] = compared(step_of(name, Path(out)), files, Path(out), pool)
        print(shown(every))
    raise SystemExit(not all(one.is_as_valid for one in every.values()))


if __name__ == "__main__":
    main()
