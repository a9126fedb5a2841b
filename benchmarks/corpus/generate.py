"""The corpus in a folder: `files/`, `key.json`, and `pixels.dicom`, the filter that a site would write for its devices.

    python -m benchmarks.corpus.generate FOLDER [--patients 16] [--seed 1]

The same seed gives the same bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType

from pydicom import dcmwrite
from pydicom.dataset import FileDataset
from pydicom.uid import ImplicitVRLittleEndian

from benchmarks.corpus import derived, documents, projections, volumes
from benchmarks.corpus.documents import Reference
from benchmarks.corpus.encoding import SYNTAXES, encode, shape_sequences, suited
from benchmarks.corpus.graphics import drawn, plant_overlay
from benchmarks.corpus.key import Action, Answer, Instance, save
from benchmarks.corpus.people import patient, site
from benchmarks.corpus.planting import (
    plant_around,
    plant_curve,
    plant_private,
    plant_rows,
    plant_trial,
    plant_written,
    share,
)
from benchmarks.corpus.standard import About, answers
from benchmarks.corpus.study import Series, Study

PATIENTS = 16
SHARE = 24
"""Rows of the table planted in one object: with 16 patients each row stands in some four."""
FIRST = 10_001
"""The Instance Number of the first object."""

_IMAGES: Mapping[str, tuple[Callable[[Series, int, int], FileDataset], int]] = MappingProxyType(
    {
        "CT": (volumes.ct, 3), "MR": (volumes.mr, 3), "PT": (volumes.pt, 3), "NM": (volumes.nm, 1),
        "CR": (projections.cr, 2), "DX": (projections.dx, 1), "MG": (projections.mg, 2), "US": (projections.us, 2),
        "OT": (projections.sc, 1),
    }
)  # fmt: skip
"""Modality -> what makes one, and how many a series has."""
_VISITS = ("CT SR RTSTRUCT SEG", "MR DOC", "US OT", "CR DX PR", "MG SR", "CT PT", "NM CR")
"""The modalities of a visit, in the order of its series; what refers to images comes after them."""
_REGIONS = ("CHEST", "HEAD", "ABDOMEN", "CHEST", "BREAST", "PELVIS", "CHEST")

FILTER = "FORMAT dicom\n\n%filter graylist\n" + "".join(
    f"\nLABEL invented {modality}\n  contains ManufacturerModelName {model}\n"
    f"  coordinates 0,0,{projections.COLUMNS},{projections.BANNER}\n"
    for modality, model in projections.DRAWING_DEVICES.items()
)
"""A deid filter (pydicom.github.io/deid): x and y of the upper left and the lower right corner."""


@dataclass(slots=True)
class Corpus:
    """What is made so far."""

    folder: Path
    seed: int
    instances: list[Instance] = field(default_factory=list)

    @property
    def next(self) -> int:
        return FIRST + len(self.instances)

    def add(self, ds: FileDataset, series: Series, number: int, place: int) -> None:
        """Plant, encode and write one object, and note its answers. `place` counts within its series."""
        study = series.study
        syntax = suited(ds, SYNTAXES[(series.number + study.patient.number) % len(SYNTAXES)])
        _plant(ds, series, number, place, implicit=syntax == ImplicitVRLittleEndian)
        found = answers(ds, _about(series)) + drawn(ds, series)
        name = study.patient.person.burned.replace(" ", "_")
        path = f"{name}_{study.patient.patient_id}/{study.da()}/{series.modality}_{number}_{study.accession}.dcm"
        parts = (*study.patient.person.burned.split()[1:], study.patient.patient_id, study.accession)
        found.append(_without("file name", parts))
        found += [_without("preamble", parts[:2]), _without("anywhere", _sure(study))]
        shape_sequences(ds, syntax, number)
        encode(ds, syntax)
        (self.folder / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        dcmwrite(self.folder / "files" / path, ds, enforce_file_format=True)
        codecs = study.patient.repertoire.codecs
        self.instances.append(
            Instance(
                number=number, file=path, patient=study.patient.patient_id, kind=series.modality,
                withheld=series.modality == "DOC", tokens=_sure(study), codecs=codecs, answers=tuple(found),
            )
        )  # fmt: skip


def generate(folder: Path, *, patients: int = PATIENTS, seed: int = 1) -> tuple[Instance, ...]:
    """Write a corpus to an empty folder, and give its key."""
    corpus = Corpus(folder, seed)
    for study in studies(patients, seed):
        _study(corpus, study, _VISITS[(study.patient.number + 3 * (study.number - 1)) % len(_VISITS)].split())
    save(corpus.instances, folder / "key.json")
    (folder / "pixels.dicom").write_text(FILTER)
    return tuple(corpus.instances)


def studies(patients: int, seed: int) -> Iterator[Study]:
    """Every second patient comes back after 37 days."""
    for number in range(patients):
        for visit in range(1 + number % 2):
            day = date(2019, 11, 20) + timedelta(days=11 * number + 37 * visit)
            region = _REGIONS[(number + 3 * visit) % len(_REGIONS)]
            yield Study(
                seed=seed, patient=patient(seed, number), site=site(seed, number % 3), number=visit + 1, day=day,
                region=region,
            )  # fmt: skip


def _study(corpus: Corpus, study: Study, modalities: Sequence[str]) -> None:
    images: list[Reference] = []
    for number, modality in enumerate(modalities, 1):
        label = f"{modality.lower()} axial {study.patient.person.plain}"[:64]
        series = Series(study=study, modality=modality, number=number, label=label)
        if modality in _IMAGES:
            make, count = _IMAGES[modality]
            for place in range(count):
                ds = make(series, corpus.next, place)
                images.append((series.uid, str(ds.SOPClassUID), str(ds.SOPInstanceUID)))
                corpus.add(ds, series, corpus.next, place)
        else:
            corpus.add(_on(images, series, corpus.next), series, corpus.next, 0)


def _on(images: Sequence[Reference], series: Series, number: int) -> FileDataset:
    """An object that refers to the images of its study, or stands alone."""
    if series.modality == "DOC":
        return documents.pdf(series, number)
    makers = {"SR": documents.sr, "RTSTRUCT": derived.rtstruct, "SEG": derived.seg, "PR": derived.pr}
    return makers[series.modality](series, number, images)


def _plant(ds: FileDataset, series: Series, number: int, place: int, *, implicit: bool) -> None:
    if "PixelData" in ds:
        plant_written(ds, series, number)
    plant_rows(ds, series, share(number - FIRST, SHARE), unsafe=not implicit)
    plant_around(ds, series)
    plant_private(ds, series)
    if series.study.patient.number % 3 == 0:
        plant_trial(ds, series)
    if "PixelData" in ds and series.modality != "SEG" and place == 0:
        plant_curve(ds, series)
        plant_overlay(ds, series)


def _about(series: Series) -> About:
    return About(
        tokens=series.study.tokens, modality=series.modality, surname=series.study.patient.person.plain.split()[0]
    )


def _without(place: str, values: Sequence[str]) -> Answer:
    return Answer(action=Action.TEXT_REMOVED, place=place, values=tuple(values), source="PS3.15 E.1.1")


def _sure(study: Study) -> tuple[str, ...]:
    """What cannot stand in an object by chance: no bare dates, which another date may be shifted to."""
    return tuple(token for token in study.tokens if not token.isdecimal())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patients", type=int, default=PATIENTS)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.folder.exists() and any(given.folder.iterdir()):
        raise SystemExit(f"{given.folder} is not empty: name a new folder")
    made = generate(given.folder, patients=given.patients, seed=given.seed)
    print(f"{len(made)} objects of {given.patients} patients, {sum(len(one.answers) for one in made)} required actions")


if __name__ == "__main__":
    main()
