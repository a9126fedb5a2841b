"""Every output of a unit, read for the values of its originals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from node.errors import CannotSucceed
from node.leaks import dicom, files, pixels
from node.leaks.automaton import Automaton
from node.leaks.collect import Collected
from node.leaks.dates import parsed
from node.leaks.kept import Kept
from node.leaks.parse import Data, Value, written
from node.leaks.what import Place, UnreadableError, What

_REMEMBERED = 50_000
_LONGEST = 256
"""Bytes of a value that is remembered when it said nothing."""
_DATES = frozenset({What.DATE, What.BIRTH})


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One file that is to leave."""

    path: Path
    number: int
    """From 1, of all files of the unit: what the operator is told, since a name may be a leak itself."""
    names: tuple[str, ...] = ()
    """Names that it will be known by: its own, and those of its folders."""
    originals: tuple[Path, ...] = ()
    """What it was made from."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something of the originals in an output. Never has the value."""

    what: What
    number: int
    """Of the output."""
    where: str

    def __str__(self) -> str:
        return f"{self.what.value} in file {self.number} ({self.where})"


class Reader:
    """Reads outputs of one unit. Stateful only in what it remembers to have said nothing."""

    def __init__(
        self, collected: Collected, kept: Kept, texts_of: pixels.TextsOf | None = None,
        looks_at: pixels.LooksAt = pixels.at_all,
    ) -> None:  # fmt: skip
        self._automaton = Automaton(collected, kept)
        self._kept, self._texts_of, self._looks_at = kept, texts_of, looks_at
        self._unread = collected.unread
        self._charsets = tuple(sorted(collected.charsets))
        self._clean: set[tuple[str, bool, bytes, bytes]] = set()

    def read(self, output: Output) -> list[Finding]:
        """What an output says of the patient. Empty: nothing that was looked for. Raises OSError."""
        found: list[tuple[What, str]] = []
        if self._unread.intersection(output.originals):
            found.append((What.UNREADABLE, "its original breaks off: what is in the rest of it is not known"))
        for name in output.names:
            found += self._searched(files.names(name))
        size = output.path.stat().st_size
        if size:
            with output.path.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
                found += self._content(data, output)
        return [Finding(what, output.number, where) for what, where in dict.fromkeys(found)]

    def said(self, text: bytes, name: str) -> list[Finding]:
        """What a text says of the patient that is no file yet, and the name that it will have."""
        found = (*self._searched(files.names(name)), *self._searched(files.read(text)))
        return [Finding(what, 0, where) for what, where in dict.fromkeys(found)]

    def _content(self, data: Data, output: Output) -> Iterator[tuple[What, str]]:
        try:
            file = dicom.read_dicom(data)
        except dicom.NotDicom:
            try:
                yield from self._searched(files.read(data))
            except UnreadableError as error:
                yield What.UNREADABLE, str(error)
            return
        yield from self._dicom(file, output)
        if self._texts_of is not None:
            yield from self._pixels(output.path, self._texts_of)

    def _dicom(self, file: dicom.DicomFile, output: Output) -> Iterator[tuple[What, str]]:
        if file.broken is not None:
            yield What.UNREADABLE, f"its data set cannot be read from byte {file.broken} on"
        for value in (*file.meta.values, *file.parsed.values):
            whats = self._value(value)
            if whats and self._kept.shifted and whats <= _DATES and self._is_shifted(value, output):
                continue
            for what in whats:
                yield what, dicom.located(value)
        yield from self._searched(dicom.around(file))

    def _value(self, value: Value) -> frozenset[What]:
        raw = value.raw
        key = (value.vr, dicom.is_identifier(value), raw, value.charset)
        if not raw or key in self._clean:
            return frozenset()
        found = frozenset[What]().union(*(self._automaton.search(*text) for text in dicom.texts(value, self._charsets)))
        if dicom.document(value):
            found |= {What.UNREADABLE}
        if not found and len(raw) <= _LONGEST:
            if len(self._clean) >= _REMEMBERED:
                self._clean.clear()
            self._clean.add(key)
        return found

    def _searched(self, read: Iterable[tuple[str, Place, str]]) -> Iterator[tuple[What, str]]:
        for text, place, where in read:
            for what in self._automaton.search(text, place):
                yield what, where

    def _pixels(self, path: Path, texts_of: pixels.TextsOf) -> Iterator[tuple[What, str]]:
        try:
            for where, text in pixels.texts_in(path, texts_of, self._looks_at):
                for what in self._automaton.search(text):
                    yield what, where
        except CannotSucceed:
            yield What.UNREADABLE, "its pixels"

    def _is_shifted(self, value: Value, output: Output) -> bool:
        """Whether a date that some original has elsewhere is another one at this place of this instance: then it was
        shifted, and is that date by chance."""
        if value.vr not in ("DA", "DT"):
            return False
        here = written(value.path, value.tag)
        new = parsed(value.raw.decode("latin-1"))
        return bool(output.originals) and all(
            new != parsed(old.raw.decode("latin-1"))
            for path in output.originals
            for old in _values_of(path)
            if old.tag == value.tag and written(old.path, old.tag) == here
        )


def _values_of(path: Path) -> Sequence[Value]:
    with path.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
        return dicom.read_dicom(data).parsed.values
