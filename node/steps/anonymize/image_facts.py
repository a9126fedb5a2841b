"""What a decision on burned-in text looks at, read from a header."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from node.certificate.actions import PIXELS
from node.steps.anonymize.header import Header

_LOOKED_AT = (0x00080016, 0x00080060, 0x00280301, 0x00080008, 0x00280004, 0x00480010, 0x00280002, 0x00280101)
"""SOP Class UID, Modality, Burned In Annotation, Image Type, Photometric Interpretation, Specimen Label in Image,
Samples per Pixel, Bits Stored."""
_PLANE, _OVERLAY_DATA = 0x0010, 0x3000
_POSITION, _ORIENTATION = 0x00200032, 0x00200037
_CAPTURE = (0x00080064, 0x00181016, 0x00181018, 0x00181019)
"""Conversion Type, and maker, model and software of the device: of the SC Equipment Module (PS3.3 C.8.6.1), those that
the profile leaves, so that an output says it as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of one instance; text without padding and in capitals, "" for what is absent or empty."""

    sop_class: str
    transfer_syntax: str
    modality: str
    burned_in_annotation: str
    image_type: tuple[str, ...]
    has_pixels: bool
    grey: bool = True
    """One sample a pixel, MONOCHROME1 or 2."""
    stored: int = 16
    """Bits Stored; 0 where that is not said."""
    placed: bool = False
    """Image Position and Image Orientation (Patient) are there: a slice, not a screen."""
    captured: bool = False
    """Something of the SC Equipment Module is there."""
    has_document: bool = False
    has_content: bool = False
    """A Content Sequence at the top: the tree of a structured report (PS3.3 C.17.3)."""
    content_cleaned: bool = False
    """The plan cleans structured content (PS3.15 E.3.4)."""
    label_in_image: bool = False
    overlay_in_pixels: bool = False
    """An overlay in unused bits of Pixel Data (retired in PS3.3 2004): it would survive the removal of group 60xx."""


def facts(header: Header, transfer_syntax: str, *, content_cleaned: bool = False) -> Facts:
    """What there is to look at in the header of an instance. Pure.

    Nothing is read that differs from one image of a series to the next, so that what comes of it can be remembered.
    """
    tags, raw = header.tags, header.raw
    planes = {tag & 0xFFFF0000 for tag in tags if 0x60000000 <= tag < 0x61000000 and not tag & 0x10000}
    return _facts(
        tuple(map(raw, _LOOKED_AT)),
        transfer_syntax,
        content_cleaned,
        not tags.isdisjoint(PIXELS),
        _POSITION in tags and raw(_ORIENTATION).count(b"\\") == 5,
        any(raw(tag).strip(b" \0") for tag in _CAPTURE if tag in tags),
        0x00420011 in tags,
        0x0040A730 in tags,
        any(plane | _OVERLAY_DATA not in tags and plane | _PLANE in tags for plane in planes),
    )


@lru_cache(maxsize=1024)
def _facts(
    raw: tuple[bytes, ...],
    transfer_syntax: str,
    content_cleaned: bool,
    has_pixels: bool,
    placed: bool,
    captured: bool,
    has_document: bool,
    has_content: bool,
    overlay_in_pixels: bool,
) -> Facts:
    """The images of a series have all of it in common. `raw`: the values of _LOOKED_AT."""
    words = [value.decode("ascii", "replace").strip(" \0") for value in raw]
    samples, stored = (int.from_bytes(value, "little") if len(value) == 2 else 0 for value in raw[-2:])
    sop_class, modality, burned_in_annotation, image_type, photometric, label, *_ = words
    return Facts(
        sop_class=sop_class,
        transfer_syntax=transfer_syntax,
        modality=modality.upper(),
        burned_in_annotation=burned_in_annotation.upper(),
        image_type=tuple(word.strip().upper() for word in image_type.split("\\")),
        has_pixels=has_pixels,
        grey=samples <= 1 and photometric.upper() in ("MONOCHROME1", "MONOCHROME2"),
        stored=stored,
        placed=placed,
        captured=captured,
        has_document=has_document,
        has_content=has_content,
        content_cleaned=content_cleaned,
        label_in_image=label.upper() == "YES",
        overlay_in_pixels=overlay_in_pixels,
    )
