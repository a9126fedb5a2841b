"""The values by which this patient could be known, from the originals of a unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from mmap import ACCESS_READ, mmap
from pathlib import Path
from types import MappingProxyType

from node.leaks import sources
from node.leaks.dates import Date, parsed
from node.leaks.dicom import NotDicom, read_dicom, readings
from node.leaks.fold import fold
from node.leaks.kept import Kept
from node.leaks.parse import Value, steps, written
from node.leaks.patterns import tokens_of
from node.leaks.what import What

STANDARD_ROOT = "1.2.840.10008."


@dataclass(frozen=True, slots=True)
class Collected:
    """What to look for. Patient data: never logged, and kept no longer than the reading takes."""

    names: frozenset[tuple[What, str]] = frozenset()
    """PN values as they stand."""
    identifiers: frozenset[tuple[What, str]] = frozenset()
    phones: frozenset[str] = frozenset()
    phrases: frozenset[tuple[What, str]] = frozenset()
    """Institutions and addresses."""
    departments: frozenset[str] = frozenset()
    dates: frozenset[tuple[What, Date]] = frozenset()
    uids: frozenset[str] = frozenset()
    makes: frozenset[str] = frozenset()
    """Folded words of the devices' makes, which are no names of institutions."""
    charsets: frozenset[str] = frozenset()
    """Defined terms of the character sets in which the originals are written."""
    unread: frozenset[Path] = frozenset()
    """Originals that cannot be read to their end."""

    def __or__(self, other: Collected) -> Collected:
        return Collected(
            names=self.names | other.names, identifiers=self.identifiers | other.identifiers,
            phones=self.phones | other.phones, phrases=self.phrases | other.phrases,
            departments=self.departments | other.departments, dates=self.dates | other.dates,
            uids=self.uids | other.uids, makes=self.makes | other.makes, charsets=self.charsets | other.charsets,
            unread=self.unread | other.unread,
        )  # fmt: skip


@dataclass(slots=True)
class _Collecting:
    kept: Kept
    names: set[tuple[What, str]] = field(default_factory=set)
    identifiers: set[tuple[What, str]] = field(default_factory=set)
    phones: set[str] = field(default_factory=set)
    phrases: set[tuple[What, str]] = field(default_factory=set)
    departments: set[str] = field(default_factory=set)
    dates: set[tuple[What, Date]] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)
    makes: set[str] = field(default_factory=set)
    charsets: set[str] = field(default_factory=set)
    unread: set[Path] = field(default_factory=set)
    seen: set[tuple[int | str, int, str, bytes, bytes, str]] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    """Values of attributes that the route leaves as they are: another attribute with the same one tells no more."""

    def take(self, value: Value, peers: str = "") -> None:
        # Of a place that a rule keeps the whole path counts.
        sequence = written(value.path, 0) if self.kept.places else value.path[1] if value.path else 0
        if not value.raw or (key := (sequence, value.tag, value.vr, value.raw, value.charset, peers)) in self.seen:
            return
        self.seen.add(key)
        into = self._into(value)
        if into is None:
            return
        what, found = into
        for text in readings(value.raw, value.charset, peers=peers)[:1]:
            for one in text.split("\\"):
                if one := one.strip(" \0"):
                    self.left.add(one) if self._stays(value) else self._add(what, found, one)

    def _stays(self, value: Value) -> bool:
        if value.tag in self.kept.tags:
            return True
        return bool(self.kept.places) and (*(tag for tag, _ in steps(value.path)), value.tag) in self.kept.places

    def _into(self, value: Value) -> tuple[What, str] | None:
        """What the value of an element is, and the collection for it."""
        tag, vr = value.tag, value.vr
        if vr == "PN":
            own = tag >> 16 == 0x0010 or tag >> 16 == 0x0038
            return What.PATIENT if own else What.PERSON, "names"
        if vr == "UI":
            return (What.UID, "uids") if tag not in sources.SHARED_UIDS and tag >> 16 != 0x0002 else None
        if vr in ("DA", "DT"):
            return What.BIRTH if tag in sources.BIRTH_DATES else What.DATE, "dates"
        if tag in sources.IDENTIFIERS:
            return What.ID, "identifiers"
        if tag in sources.DEVICES:
            return What.DEVICE, "identifiers"
        if tag in sources.PHONES:
            return What.CONTACT, "phones"
        if tag in sources.ADDRESSES:
            return What.INSTITUTION if tag in sources.INSTITUTION_ADDRESS else What.CONTACT, "addresses"
        if tag in sources.INSTITUTIONS:
            return What.INSTITUTION, "phrases"
        if tag in sources.DEPARTMENTS:
            return What.INSTITUTION, "departments"
        if tag in sources.MAKES:
            return What.DEVICE, "makes"
        if tag == 0x00080005:
            return What.UNREADABLE, "charsets"
        return _of_code(value)

    def _add(self, what: What, found: str, text: str) -> None:
        match found:
            case "uids":
                if not text.startswith(STANDARD_ROOT):
                    self.uids.add(text)
            case "dates":
                if (date := parsed(text)) is not None:
                    self.dates.add((what, date))
            case "makes":
                self.makes.update(tokens_of(fold(text)))
            case "addresses":
                # Its words are a town and a street, whosever address it is.
                if what not in self.kept.whats:
                    self.phrases.add((What.CONTACT, text))
            case "departments":
                self.departments.add(text)
            case "phones":
                self.phones.add(text)
            case "charsets":
                self.charsets.add(text)
            case "names":
                self.names.add((what, text))
            case "identifiers":
                self.identifiers.add((what, text))
            case _:
                self.phrases.add((what, text))

    def over(self) -> Collected:
        left = self.left
        dates = {date for one in left if (date := parsed(one)) is not None}
        return Collected(
            names=frozenset(one for one in self.names if one[1] not in left),
            identifiers=frozenset(one for one in self.identifiers if one[1] not in left),
            phones=frozenset(self.phones - left),
            phrases=frozenset(one for one in self.phrases if one[1] not in left),
            departments=frozenset(self.departments - left),
            dates=frozenset(one for one in self.dates if one[1] not in dates),
            uids=frozenset(self.uids - left),
            makes=frozenset(self.makes),
            charsets=frozenset(self.charsets),
            unread=frozenset(self.unread),
        )


def _of_code(value: Value) -> tuple[What, str] | None:
    """A person or an institution that is identified by a code (PS3.3 10.1, C.7.5.1)."""
    sequence = value.path[1] if value.path else 0
    if value.tag in sources.CODE_MEANINGS:
        if sequence in sources.PERSON_CODES:
            return What.PERSON, "names"
        return (What.INSTITUTION, "phrases") if sequence in sources.INSTITUTION_CODES else None
    if value.tag in sources.CODE_VALUES and sequence in sources.PERSON_CODES:
        return What.ID, "identifiers"
    return None


def collect(originals: Iterable[Path], kept: Kept, charsets: Mapping[Path, str] = MappingProxyType({})) -> Collected:
    """What identifies the patient, the physicians, the institution and the study in DICOM files.

    charsets    defined terms of the sets in which peers write what names none, or another, by what they sent

    UIDs of the standard and of classes, and dates that stand for none, are left out. Raises OSError.
    """
    into = _Collecting(kept)
    for path in originals:
        peers = charsets.get(path, "")
        into.charsets.update({peers} - {""})
        with path.open("rb") as opened:
            if not path.stat().st_size:
                into.unread.add(path)
                continue
            # The original's pixels are not wanted: only the pages of its header are read.
            with mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
                try:
                    file = read_dicom(data)
                except NotDicom:
                    into.unread.add(path)
                    continue
                for value in file.parsed.values:
                    into.take(value, peers)
                for value in file.meta.values:
                    if value.tag == 0x00020003:
                        into.uids.add(value.raw.decode("ascii", "replace").strip(" \0"))
                if file.broken is not None:
                    into.unread.add(path)
    return into.over()


def merged(parts: Iterable[Collected]) -> Collected:
    return reduce(Collected.__or__, parts, Collected())
