"""What a de-identifier made of a corpus, found again: by Instance Number, whatever the files are called now."""

from __future__ import annotations

import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.charset import decode_bytes
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.valuerep import TEXT_VR_DELIMS

from benchmarks.corpus import places
from benchmarks.corpus.key import Action, Answer, Instance, of_kind
from benchmarks.corpus.standard import text_of

_PIXEL_DATA = 0x7FE00010
_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")

UNREADABLE = (AttributeError, EOFError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
"""What pydicom and its codecs raise on a value or on pixels that a de-identifier has broken."""


@dataclass(frozen=True)
class Output:
    """One file that came out."""

    path: str
    """Below the folder of results."""
    data: bytes
    ds: FileDataset

    def text(self, place: str) -> str | None:
        """The value at a place as text; None where there is none, all of the file where it cannot be read."""
        try:
            element = places.find(self.ds, place)
            return None if element is None else self._text(element)
        except UNREADABLE:
            return self.data.decode("latin_1")

    def _text(self, element: DataElement) -> str:
        """Of bytes, as implicit VR gives private text back, also what they say in the character set of the object."""
        text = text_of(element)
        if isinstance(element.value, bytes) and (not text.isascii() or "\x1b" in text):  # ISO 2022 is ASCII and escapes
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # most of it is no text
                text += "\n" + decode_bytes(element.value, places.encodings_of(self.ds), TEXT_VR_DELIMS)
        return text

    @cached_property
    def all_text(self) -> str:
        """Every value of the data set at every depth, and the bytes of the header as they are; without pixels."""
        pixels = self.ds.get("PixelData") if "PixelData" in self.ds else None
        raw = self.data.replace(pixels, b"") if pixels else self.data
        return "\n".join([*self._texts(self.ds), *self._texts(self.ds.file_meta), raw.decode("latin_1")]).casefold()

    def _texts(self, ds: Dataset) -> Iterator[str]:
        for tag in sorted(ds.keys()):
            try:
                element = ds[tag]
                items = places.items_of(element, places.encodings_of(self.ds))
                own = "" if items or element.VR == "SQ" or tag == _PIXEL_DATA else self._text(element)
            except UNREADABLE:
                continue  # its bytes are looked at as they are
            yield own
            for item in items:
                yield from self._texts(item)

    @cached_property
    def pixels(self) -> np.ndarray | None:
        """Decoded; None where there are none, or none that can be decoded."""
        try:
            return self.ds.pixel_array
        except UNREADABLE:
            return None

    def planes(self, place: str) -> list[np.ndarray]:
        """Every sample of every frame as (rows, columns): of `pixels`, or of an `overlay`."""
        if place.startswith("overlay"):
            return [] if self.overlay is None else [self.overlay]
        values = self.pixels
        if values is None:
            return []
        if int(self.ds.get("SamplesPerPixel", 1)) > 1:
            values = np.moveaxis(values, -1, 0)
        return list(values.reshape(-1, *values.shape[-2:]))

    @cached_property
    def overlay(self) -> np.ndarray | None:
        """(rows, columns) of group 6000; None where it is gone."""
        data = self.ds.get_item(0x60003000)
        if data is None or not data.value:
            return None
        rows, columns = int(self.ds[0x60000010].value), int(self.ds[0x60000011].value)
        little = self.ds.file_meta.TransferSyntaxUID.is_little_endian
        octets = np.frombuffer(data.value, np.uint8 if little else ">u2").astype(np.uint8 if little else "<u2")
        bits = np.unpackbits(octets.view(np.uint8), bitorder="little")[: rows * columns]
        return bits.reshape(rows, columns) if bits.size == rows * columns else None


def read(path: Path, name: str) -> Output | None:
    """None for a file that is no DICOM: reports and the like stand beside the objects."""
    data = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that were invalid before; what counts is looked at
            return Output(name, data, dcmread(path))
    except (InvalidDicomError, EOFError):
        return None


def read_all(folder: Path) -> dict[int, Output]:
    """By Instance Number. Raises ValueError where two files have the same one: which would then be the answer?"""
    found: dict[int, Output] = {}
    for path in sorted(folder.rglob("*")):
        output = read(path, str(path.relative_to(folder))) if path.is_file() else None
        number = output.ds.get("InstanceNumber") if output else None
        if output and number is not None:
            if int(number) in found:
                raise ValueError(f"two results have Instance Number {number}")
            found[int(number)] = output
    return found


@dataclass(slots=True)
class Consistency:
    """Which replacement each UID, patient and date of the corpus has in most places."""

    _votes: defaultdict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _chosen: dict[tuple[str, str], str] = field(default_factory=dict)
    _taken: Counter[tuple[str, str]] = field(default_factory=Counter)

    def vote(self, kind: str, old: str, new: str) -> None:
        self._votes[kind, old][new] += 1

    def close(self) -> None:
        """After the last vote."""
        self._chosen = {key: votes.most_common(1)[0][0] for key, votes in self._votes.items()}
        self._taken = Counter((kind, new) for (kind, _), new in self._chosen.items())

    def is_right(self, kind: str, old: str, new: str) -> bool:
        """Whether it is the one of most places, another than before, and nobody else's."""
        return new not in ("", old) and self._chosen.get((kind, old)) == new and self._taken[kind, new] == 1

    def days(self, patient: str) -> str | None:
        """The patient's date shift in days; "0" is one."""
        return self._chosen.get(("days", patient))


def consistency(instances: Sequence[Instance], outputs: Mapping[int, Output]) -> Consistency:
    """Of all places that the key asks about."""
    found = Consistency()
    for instance, answer in of_kind(instances, Action.UID_CONSISTENT):
        for old, new in _pairs(outputs, instance, answer):
            found.vote("uid", old, new)
    for instance, answer in of_kind(instances, Action.PATIENT_ID_CONSISTENT):
        for old, new in _pairs(outputs, instance, answer):
            found.vote("patient", old, new)
    for instance, answer in of_kind(instances, Action.DATE_SHIFTED):
        for old, new in _pairs(outputs, instance, answer):
            shift = shifted(old, new)
            if shift is not None:
                found.vote("days", instance.patient, str(shift))
    found.close()
    return found


def shifted(old: str, new: str) -> int | None:
    """Days from one DA or DT to another; None where one is no date."""
    try:
        return (_day(new) - _day(old)).days
    except ValueError:
        return None


def is_uid(text: str) -> bool:
    """PS3.5 9.1."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def _day(text: str) -> date:
    if not re.match(r"\d{8}", text):
        raise ValueError("no day")
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def _pairs(outputs: Mapping[int, Output], instance: Instance, answer: Answer) -> Iterable[tuple[str, str]]:
    output = outputs.get(instance.number)
    new = output.text(answer.place) if output else None
    return zip(answer.values, new.split("\\"), strict=False) if new else ()
