"""Clean Pixel Data (PS3.15 E.3.1): what of an image has to go, decided from its header; and the cleaning of one file.

An image that shows names by its kind goes on only where something says what to black: a device rule, or the regions of
an ultrasound image, outside which everything goes. Finding no text is no such thing: there a detector only adds to a
rule. It lets pass, once it has looked, what nothing speaks against but that it is of no kind that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from node.dicom.damage import UNREADABLE
from node.dicom.dataset import read, write
from node.errors import CannotSucceed
from node.imaging.mask import LARGEST, Mask, Rectangle, has_strip, mask_of, outside
from node.imaging.masked import write_masked
from node.imaging.ocr import Detector, text_mask
from node.imaging.pixels import read_header
from node.steps.anonymize import evidence, overlays
from node.steps.anonymize.burned_in import Facts, is_ultrasound, is_video, suspected, unlisted
from node.steps.anonymize.device import texts_of, whole_number
from node.steps.anonymize.header import Header
from node.steps.anonymize.overlays import Plane, planes_of
from node.steps.anonymize.pixel_rules import Matched, RuleBook, RuleFile, rule_book

_ROWS, _COLUMNS, _ALLOCATED, _STORED, _SAMPLES = 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280002
_REGIONS = 0x00186011
_CORNERS = (0x00186018, 0x0018601A, 0x0018601C, 0x0018601E)
"""Region Location Min X0, Min Y0, Max X1, Max Y1 (PS3.3 C.8.5.5.1.1)."""

_OVERLAY_BIT = 0x0102
_LEAST_STRIP = (8, 48)
"""Rows, and columns, in which a line of text has room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What is done to the pixels of one image."""

    mask: Mask
    because: tuple[str, ...] = ()
    """The rules behind it, by file and line, and `ultrasound regions`."""
    digests: tuple[str, ...] = ()
    """Of the site's own files that these rules are in."""
    clear_unused_bits: bool = False
    look_for_text: bool = False
    overlays: tuple[Plane, ...] = ()
    """Planes that stay once they are cleaned; all others go by the Basic Profile."""

    @property
    def changes(self) -> bool:
        return self.clear_unused_bits or bool(self.mask.any()) or bool(self.overlays)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an image has to wait for a person."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What was done to the pixels of one file."""

    because: tuple[str, ...]
    frames: int
    masked: int
    """Pixels of each frame that are black now."""
    cleared: bool = False
    """Bits that no value uses were cleared."""
    overlays: int = 0
    """Planes that stayed."""
    looked: bool = False
    """Text was looked for in each frame by the detector."""

    @property
    def of_pixels(self) -> bool:
        return self.masked > 0 or self.cleared

    @property
    def changed(self) -> bool:
        return self.of_pixels or self.overlays > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """The option with what belongs to it."""

    files: tuple[RuleFile, ...]
    ocr: str | tuple[str, ...] = "off"
    """off, suspected (what burned_in.py suspects or does not know), all, or values of Modality."""
    mask_found: bool = False
    """Text that a detector finds is blacked; else its image is held."""
    detector: Callable[[], Detector] | None = None
    keep_overlays: bool = False
    """Clean Graphics is asked for too: planes stay without the text that the detector finds in them."""
    book: RuleBook = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "book", rule_book(self.files))

    def method(self) -> dict[str, object]:
        """By what pixels are cleaned, for the certificate: no name of a file."""
        return {
            "ocr": self.ocr if isinstance(self.ocr, str) else sorted(self.ocr),
            "bundled": next((one.bundled for one in self.files if one.bundled), ""),
            "rules": [one.digest or "bundled" for one in self.files],
            "text_found": "mask" if self.mask_found else "hold",
        }

    def looks_for_text(self, facts: Facts, *, suspected: bool) -> bool:
        if isinstance(self.ocr, tuple):
            return facts.modality in self.ocr
        return self.ocr == "all" or (self.ocr == "suspected" and suspected)


def decide(header: Header, facts: Facts, cleaning: Cleaning) -> Treatment | Refusal | None:
    """What is to be done to an image before it may go on; None where its pixels stay as they are. Pure."""
    facts, in_bits = replace(facts, overlay_in_pixels=False), facts.overlay_in_pixels
    suspicion = suspected(facts)
    doubt = None if suspicion else unlisted(facts)
    rows, columns = whole_number(header, _ROWS), whole_number(header, _COLUMNS)
    if not facts.has_pixels or not rows or not columns:
        return Refusal(suspicion or doubt or "") if suspicion or doubt else None
    if rows * columns > LARGEST:
        return Refusal(f"{rows} rows x {columns} columns are too many to be masked")
    if is_video(facts) or facts.has_document or facts.has_content or facts.label_in_image:
        return Refusal(suspicion or "it is more than an image")
    regions = ultrasound_regions(header)
    matched = cleaning.book.match(texts_of(header), regions)
    if matched.held_by is not None:
        return Refusal(f"the pixel rule {matched.held_by.where} says so")
    mask, covered, because = _mask(matched, regions if is_ultrasound(facts) else (), rows, columns)
    looks = cleaning.looks_for_text(facts, suspected=bool(suspicion or doubt))
    if (suspicion or (doubt and not looks)) and not covered:
        unsized = f"; {matched.rules[0].where} does not say for which size it is" if matched.rules else ""
        return Refusal(f"{suspicion or doubt}, and no pixel rule covers it{unsized}")
    if in_bits and (why := _why_not_cleared(header)):
        return Refusal(why)
    treatment = Treatment(
        mask=mask,
        because=because,
        digests=matched.digests if because else (),
        clear_unused_bits=in_bits,
        look_for_text=looks,
        overlays=planes_of(header) if cleaning.keep_overlays and cleaning.detector is not None else (),
    )
    return treatment if treatment.changes or treatment.look_for_text else None


def _mask(
    matched: Matched, regions: Sequence[Rectangle], rows: int, columns: int
) -> tuple[Mask, bool, tuple[str, ...]]:
    """The mask of all rules together, whether they cover the image, and which they are.

    Rules cover an image when one of them asks for its size, or when what they black goes from edge to edge of it, a
    banner: one that was written for another layout may black a corner and leave the name beside. Regions cover it when
    they leave out a strip that has room for a line of text.
    """
    mask = mask_of((), rows, columns)
    because: list[str] = []
    for layer in matched.layers:
        mask |= mask_of(layer, rows, columns)
    covered = matched.releases or (bool(mask.any()) and matched.sized) or has_strip(mask, 1, 1)
    because += [rule.where for rule in matched.rules] if covered or mask.any() else []
    if regions:
        beside = outside(regions, rows, columns)
        if not beside.all() and has_strip(beside, *_LEAST_STRIP):
            covered = True
            because.append("ultrasound regions")
            mask |= beside
    return mask, covered, tuple(because)


def ultrasound_regions(header: Header) -> tuple[Rectangle, ...]:
    """The rectangles of Sequence of Ultrasound Regions, both corners belonging to them (PS3.3 C.8.5.5.1.1).

    One that lacks a corner, or has them the wrong way round, is left out: its pixels then go.
    """
    found = []
    for item in header.items(_REGIONS):
        corners = [whole_number(item, tag) for tag in _CORNERS]
        match corners:
            case [int(left), int(top), int(right), int(bottom)] if left <= right and top <= bottom:
                found.append(Rectangle(left, top, right + 1, bottom + 1))
    return tuple(found)


def _why_not_cleared(header: Header) -> str | None:
    """Why overlays within the pixel data cannot be cleared; None where they stand in bits that no value uses."""
    stored, allocated = whole_number(header, _STORED), whole_number(header, _ALLOCATED)
    planes = {tag & 0xFFFF0000 for tag in header.tags if tag >> 24 == 0x60 and not tag & 0x10000}
    bits = [whole_number(header, plane | _OVERLAY_BIT) for plane in planes if plane | 0x3000 not in header.tags]
    if not stored or not allocated or whole_number(header, _SAMPLES) not in (1, None):
        return "an overlay is stored within its pixel data, and in which bits is not said"
    if any(bit is None or not stored <= bit < allocated for bit in bits):
        return "an overlay is stored within its pixel data, in bits that its values use"
    return None


def clean(source: Path, target: Path, treatment: Treatment, cleaning: Cleaning) -> Cleaned:
    """Move `source`, which is de-identified but for its pixels, to `target` with the pixels cleaned.

    Returns what was done; where that is no change `target` is `source` as it was, and claims nothing. Raises
    CannotSucceed when it cannot be done with certainty, or when text was found that waits for a person.
    """
    because, mask = treatment.because, treatment.mask
    if treatment.look_for_text:
        found = _text(source, mask, cleaning)
        if found.any():
            if not cleaning.mask_found:
                raise CannotSucceed("there is text in its pixels that no rule covers")
            mask, because = mask | found, (*because, "text found")
    planes = _overlays(treatment, mask, cleaning)

    def change(ds: Dataset) -> None:
        for plane in planes:
            overlays.put(ds, plane)
        if mask.any():  # to clear the bits of an overlay claims nothing more: it is gone by the Basic Profile
            evidence.mark_pixels(ds, treatment.digests)

    masked, frames = int(np.count_nonzero(mask)), 0
    if treatment.clear_unused_bits or masked:
        frames = write_masked(source, target, mask, change, clear_unused_bits=treatment.clear_unused_bits)
        source.unlink()
    elif planes:
        _write_with(source, target, change)
    else:
        source.rename(target)
    return Cleaned(
        because=because, frames=frames, masked=masked, cleared=treatment.clear_unused_bits, overlays=len(planes),
        looked=treatment.look_for_text,
    )  # fmt: skip


def _overlays(treatment: Treatment, mask: Mask, cleaning: Cleaning) -> list[Plane]:
    if not treatment.overlays:
        return []
    if cleaning.detector is None:
        raise CannotSucceed("text was to be looked for in an overlay, and nothing is there that does")
    detector = cleaning.detector()
    return [overlays.cleaned(plane, mask, detector, mask_found=cleaning.mask_found) for plane in treatment.overlays]


def _write_with(source: Path, target: Path, change: Callable[[Dataset], None]) -> None:
    """What is added to the header, and the pixels as they were. Raises CannotSucceed."""
    try:
        with source.open("rb") as file:
            ds = read(file)
        change(ds)
        write(ds, target)
    except UNREADABLE as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise
        raise CannotSucceed(f"it cannot be written with its overlays ({type(error).__name__})") from error
    source.unlink()


def _text(source: Path, mask: Mask, cleaning: Cleaning) -> Mask:
    if cleaning.detector is None:
        raise CannotSucceed("text was to be looked for, and nothing is there that does")
    _, pixels = read_header(source)
    if pixels is None:
        raise CannotSucceed("it has no pixels to look at")
    return text_mask(pixels.frames(), mask, cleaning.detector())
