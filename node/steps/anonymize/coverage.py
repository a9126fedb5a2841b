"""What a folder of images has that no rule speaks of yet: burned-in layouts, devices, private creators. For the person
who writes the rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pydicom.dataset import Dataset, FileDataset

from node.dicom.attributes import is_creator, is_private
from node.steps.anonymize.burned_in import burned_in, facts
from node.steps.anonymize.device import texts_of
from node.steps.anonymize.pixels import Cleaning, Refusal, Treatment, decide
from node.steps.anonymize.plain import Plain, element_of
from node.steps.anonymize.plan import Plan

_MANUFACTURER, _MODEL, _ROWS, _COLUMNS = 0x00080070, 0x00081090, 0x00280010, 0x00280011


class Verdict(StrEnum):
    HELD = "held"
    """It would wait for a person."""
    CLEANED = "cleaned"
    """A rule, or its regions, cover it."""
    UNTOUCHED = "untouched"
    """Nothing suspects it and no rule speaks of it."""


@dataclass(frozen=True, slots=True, order=True)
class Layout:
    """Images that pixel rules cannot tell apart any further: one device, one size."""

    modality: str
    manufacturer: str
    model: str
    rows: str
    columns: str

    def __str__(self) -> str:
        words = (self.modality, self.manufacturer, self.model, f"{self.columns}x{self.rows}" if self.rows else "")
        return " ".join(word for word in words if word) or "of no named device"


@dataclass(frozen=True, slots=True, order=True)
class Creator:
    """A private creator in its group (PS3.5 7.8.1)."""

    group: int
    name: str

    def __str__(self) -> str:
        return f'({self.group:04X},"{self.name}")' if self.name else f"({self.group:04X},) without a creator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One instance."""

    layout: Layout
    verdict: Verdict
    why: str
    """Why it would be held, or what covers it."""
    elements: Counter[Creator]
    """Private elements by creator, at every depth."""
    kept: Counter[Creator]
    """Those of them that the plan keeps."""


@dataclass(slots=True)
class Coverage:
    """All instances together."""

    layouts: Counter[tuple[Verdict, Layout, str]] = field(default_factory=Counter)
    """Instances."""
    creators: Counter[Creator] = field(default_factory=Counter)
    """Instances that have elements of a creator."""
    elements: Counter[Creator] = field(default_factory=Counter)
    kept: Counter[Creator] = field(default_factory=Counter)

    def add(self, seen: Seen) -> None:
        self.layouts[seen.verdict, seen.layout, seen.why] += 1
        self.creators.update(seen.elements.keys())
        self.elements.update(seen.elements)
        self.kept.update(seen.kept)

    def of(self, verdict: Verdict) -> list[tuple[Layout, int, str]]:
        """The layouts with this verdict: how many instances, and why; most frequent first."""
        found = [(layout, count, why) for (given, layout, why), count in self.layouts.items() if given is verdict]
        return sorted(found, key=lambda one: (-one[1], one[0], one[2]))

    def uncovered(self) -> list[tuple[Creator, int, int]]:
        """Creators of which nothing is kept: in how many instances, how many elements; most frequent first."""
        found = [(c, self.creators[c], self.elements[c]) for c in self.creators if not self.kept[c]]
        return sorted(found, key=lambda one: (-one[1], one[0]))


def look(ds: FileDataset, transfer_syntax: str, plan: Plan, cleaning: Cleaning | None) -> Seen:
    """What the rules would do with an instance, from its header alone: `ds` need not have its pixels.

    Raises what pydicom does where the header is damaged.
    """
    header = Plain(ds)
    found = facts(header, transfer_syntax)
    # The pixels are not read: what describes an image is taken for one.
    found = replace(found, has_pixels=found.has_pixels or _ROWS in ds)
    decided: Treatment | Refusal | None
    verdict, why = Verdict.UNTOUCHED, ""
    if cleaning is None:
        suspicion = burned_in(found)
        decided = Refusal(suspicion) if suspicion else None
    else:
        decided = decide(header, found, cleaning)
    if isinstance(decided, Refusal):
        verdict, why = Verdict.HELD, decided.reason
    elif decided is not None and decided.changes:
        verdict, why = Verdict.CLEANED, ", ".join(decided.because)
    elements: Counter[Creator] = Counter()
    kept: Counter[Creator] = Counter()
    for creator, element in _private(ds):
        elements[creator] += 1
        kept[creator] += (creator.group, creator.name, element) in plan.private
    texts = texts_of(header)
    said = ["\\".join(texts((tag,)) or ()) for tag in (_MANUFACTURER, _MODEL, _ROWS, _COLUMNS)]
    return Seen(layout=Layout(found.modality, *said), verdict=verdict, why=why, elements=elements, kept=kept)


def _private(ds: Dataset) -> Iterator[tuple[Creator, int]]:
    """Every private element but the creators themselves: its creator, "" for none, and the low byte of its number."""
    texts = texts_of(Plain(ds))
    tags = list(map(int, ds.keys()))
    for tag in tags:
        if is_private(tag) and not is_creator(tag) and tag & 0xFFFF:
            named = texts((tag & 0xFFFF0000 | (tag & 0xFF00) >> 8,)) if tag & 0xFF00 >= 0x1000 else None
            yield Creator(tag >> 16, "\\".join(named or ())), tag & 0xFF
    for tag in tags:  # afterwards: pydicom decodes in place what it is asked for
        for item in _items(ds, tag):
            yield from _private(item)


def _items(ds: Dataset, tag: int) -> Iterable[Dataset]:
    """The items of a sequence; of an element without a representation, and of UN, pydicom's judgement."""
    vr = element_of(ds, tag).VR
    return list(ds[tag].value or ()) if vr in (None, "UN", "SQ") and ds[tag].VR == "SQ" else ()
