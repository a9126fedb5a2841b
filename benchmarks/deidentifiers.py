"""Other people's de-identifiers on one file at a time, each as its documents say to use it; those that are installed.

Every one gets the same wish (benchmarks/corpus/key.py): the Basic Profile of PS3.15 with clean pixels and descriptors,
shifted dates, patient characteristics and safe private elements. What one has no option for, it is not given.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydicom import dcmread

from benchmarks.corpus import projections
from benchmarks.corpus.key import OPTIONS
from node.dicom import deid_table
from node.dicom.attributes import VR_BY_TAG

Work = Callable[[Path, Path], None]
"""From a file to a file; raises whatever it raises where it cannot."""

_SEED = "a seed of the benchmark"
_DAYS = -45


@dataclass(frozen=True, slots=True)
class Deidentifier:
    """A program to compare with."""

    package: str
    """What is imported when it is installed."""
    start: Callable[[Path], Work]
    """Given the filter file of a corpus (deid's form), or an empty one: all that is done once."""

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


def _deid(pixels: Path) -> Work:
    """Header by a recipe made of the whole table, then pixels by the site's filter, as its documents do it."""
    from deid.config import DeidRecipe
    from deid.dicom import DicomCleaner
    from deid.dicom.parser import DicomParser
    from deid.logger import bot

    bot.level = -1
    folder = Path(tempfile.mkdtemp(prefix="benchmark-deid-", dir=pixels.parent))
    (folder / "header.dicom").write_text(recipe())
    (folder / "pixels.dicom").write_text(pixels.read_text() + _ULTRASOUND if pixels.stat().st_size else _NO_FILTER)
    rules = DeidRecipe(str(folder / "header.dicom"))
    cleaner = DicomCleaner(output_folder=str(folder), deid=str(folder / "pixels.dicom"))

    def work(source: Path, target: Path) -> None:
        parser = DicomParser(dcmread(source), recipe=rules)
        parser.define("keyed_uid", lambda item, value, field, dicom: _uid(str(field.element.value)))
        parser.define("keyed_id", lambda item, value, field, dicom: _digest(str(field.element.value))[:16])
        parser.parse(strip_sequences=False, remove_private=True)
        parser.dicom.save_as(target)
        if "PixelData" in parser.dicom and cleaner.detect(str(target))["flagged"]:
            cleaner.clean()
            shutil.move(cleaner.save_dicom(), target)

    return work


def recipe() -> str:
    """Table E.1-1 and the key's options in deid's words; what those have no word for gets the stricter one."""
    lines = ["FORMAT dicom", "%header"]
    for row in deid_table.rows().values():
        field, vr = f"({row.tag >> 16:04x},{row.tag & 0xFFFF:04x})", VR_BY_TAG.get(row.tag)
        if row.keeps & set(OPTIONS) or row.tag >> 16 < 8:
            continue
        if row.tag == 0x00100020:
            lines.append(f"REPLACE {field} func:keyed_id")
        elif row.basic == "U":
            lines.append(f"REPLACE {field} func:keyed_uid")
        elif "retain_long_modified_dates" in row.cleans and vr in ("DA", "DT"):
            lines.append(f"JITTER {field} {_DAYS}")
        elif "D" in row.basic and vr in ("LO", "SH", "PN", "ST", "LT", "UT"):
            lines.append(f"REPLACE {field} ANONYMIZED")
        elif "Z" in row.basic or "D" in row.basic:
            lines.append(f"BLANK {field}")
        elif "retain_long_modified_dates" not in row.cleans:
            lines.append(f"REMOVE {field}")
    return "\n".join([*lines, *(f"REMOVE select:GROUP:{group}" for group in ("5000", "6000")), ""])


def _dicom_anonymizer(pixels: Path) -> Work:
    program = importlib.import_module("dicomanonymizer.simpledicomanonymizer")

    return lambda source, target: program.anonymize_dicom_file(str(source), str(target))


def _dicognito(pixels: Path) -> Work:
    anonymizer = importlib.import_module("dicognito.anonymizer").Anonymizer(seed=_SEED)

    def work(source: Path, target: Path) -> None:
        ds: Any = dcmread(source)
        anonymizer.anonymize(ds)
        ds.save_as(target)

    return work


def _dcmanon(pixels: Path) -> Work:
    anonymizer = importlib.import_module("dcmanon").Anonymizer()

    def work(source: Path, target: Path) -> None:
        target.write_bytes(anonymizer.anonymize(str(source)))

    return work


def run_all(which: Deidentifier, sources: Mapping[int, Path], out: Path, pixels: Path) -> int:
    """Each file into `out`, named by its number, so that no name of a file is passed on. How many failed.

    These programs raise their own errors of many kinds; an object that one fails on is one that it does not give.
    """
    logging.disable(logging.WARNING)
    failed = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        work = which.start(pixels)
        for number, source in sources.items():
            target = out / f"{number}.dcm"
            try:
                work(source, target)
            except Exception:  # whatever it raises, the next object is tried
                target.unlink(missing_ok=True)
                failed += 1
    logging.disable(logging.NOTSET)
    return failed


def _uid(uid: str) -> str:
    return uid if uid.startswith("1.2.840.10008.") else f"2.25.{int(_digest(uid)[:24], 16)}"


def _digest(text: str) -> str:
    return hashlib.sha256((_SEED + text).encode()).hexdigest()


_NO_FILTER = "FORMAT dicom\n\n%filter graylist\n\nLABEL none\n  contains Modality NONE\n  coordinates 0,0,1,1\n"
_ULTRASOUND = (
    "\nLABEL invented US\n  contains ManufacturerModelName US MODEL 7\n"
    f"  coordinates 0,0,{projections.COLUMNS},{projections.BANNER}\n"
)
"""deid knows no Sequence of Ultrasound Regions; with a filter it can do as well."""

DEIDENTIFIERS: Mapping[str, Deidentifier] = MappingProxyType(
    {
        "deid": Deidentifier("deid", _deid),
        "dicom-anonymizer": Deidentifier("dicomanonymizer", _dicom_anonymizer),
        "dicognito": Deidentifier("dicognito", _dicognito),
        "dcmanon": Deidentifier("dcmanon", _dcmanon),
    }
)
