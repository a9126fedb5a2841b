"""What may show or say who the patient is where no attribute tells: decided from a few facts, fail closed.

The Basic Profile leaves pixels, documents and dictation as they are (PS3.15 E.1.1), so an object whose kind is known to
carry names in them waits for a person (`suspected`), and so does an image of no kind that is known not to (`unlisted`).
"""

from __future__ import annotations

from functools import lru_cache

from node.steps.anonymize.image_facts import Facts, facts
from node.steps.anonymize.without_text import STORAGE, is_capture, is_computed, unknown

__all__ = ["PIXELS", "Facts", "burned_in", "facts", "is_ultrasound", "is_video", "suspected", "unlisted"]

_CLASSES = {
    "7": "a secondary capture",
    "104": "an encapsulated document",
    "6.1": "an ultrasound image",
    "6.2": "an ultrasound image",
    "3.1": "an ultrasound clip",
    "6": "an ultrasound image",
    "3": "an ultrasound clip",
    "12.1": "an X-ray angiography image",
    "12.2": "an X-ray fluoroscopy image",
    "77.1.1": "an endoscopy image",
    "77.1.4": "a photograph",
    "9.4": "a voice recording",
    "88": "a structured report, whose text is its content; the option clean_structured_content cleans that",
}
"""Below 1.2.840.10008.5.1.4.1.1, with everything below each: what it is."""

_MODALITIES = {
    "US": "ultrasound",
    "IVUS": "ultrasound",
    "XA": "X-ray angiography",
    "RF": "X-ray fluoroscopy",
    "ES": "endoscopy",
    "XC": "photographs",
    "DOC": "documents",
    "SR": "reports",
    "AU": "voice",
    "BMD": "bone densitometry",
    "OT": "of no named modality",
}
_ULTRASOUND = frozenset({"US", "IVUS"})
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
"""Float, Double Float and Pixel Data."""
_VIDEO = "1.2.840.10008.1.2.4.10"  # .100 to .109: MPEG2, MPEG-4 and HEVC (PS3.5 A.4.6 to A.4.10)


def burned_in(facts: Facts) -> str | None:
    """Why an object may identify by its content, for the operator; None when it is known that it does not."""
    return suspected(facts) or unlisted(facts)


@lru_cache(maxsize=1024)
def unlisted(facts: Facts) -> str | None:
    """Why an image that nothing speaks against may have text in it all the same: no list has its kind."""
    return unknown(facts) if facts.has_pixels else None


@lru_cache(maxsize=1024)
def suspected(facts: Facts) -> str | None:
    """What speaks against an object; None for nothing.

    Burned In Annotation NO does not release a kind that is listed: devices set it and capture names all the same.
    """
    if facts.burned_in_annotation == "YES":
        return "Burned In Annotation (0028,0301) is YES"
    kind = _kind(facts.sop_class)
    is_report = kind == _CLASSES["88"]
    if kind and not (is_report and facts.content_cleaned):
        return f"it is {kind}"
    if facts.has_document:
        return "it has an encapsulated document"
    if facts.has_content and not facts.content_cleaned:
        return f"it is {_CLASSES['88']}"
    passes = (is_report and facts.modality == "SR") or is_computed(facts)
    if facts.modality in _MODALITIES and not passes:
        return f"its modality is {facts.modality} ({_MODALITIES[facts.modality]}), which often shows names in the image"
    return _in_pixels(facts) if facts.has_pixels else None


def _in_pixels(facts: Facts) -> str | None:
    if not facts.modality:
        return "it is an image without Modality (0008,0060)"
    if is_video(facts):
        return "it is a video"
    if facts.label_in_image:
        return "Specimen Label in Image (0048,0010) is YES"
    if facts.overlay_in_pixels:
        return "an overlay is stored within its pixel data"
    return is_capture(facts)


def is_video(facts: Facts) -> bool:
    """Whether its frames cannot be taken on their own (PS3.5 A.4.6 to A.4.10, and their fragmentable twins)."""
    syntax = facts.transfer_syntax.removesuffix(".1")
    return syntax.startswith(_VIDEO) and len(syntax) == len(_VIDEO) + 1


def is_ultrasound(facts: Facts) -> bool:
    """Whether it is an image whose regions say where the image is (PS3.3 C.8.5.5)."""
    return facts.modality in _ULTRASOUND or (_kind(facts.sop_class) or "").startswith("an ultrasound")


def _kind(sop_class: str) -> str | None:
    if not sop_class.startswith(STORAGE):
        return None
    words = sop_class[len(STORAGE) :].split(".")
    for end in range(len(words), 0, -1):
        kind = _CLASSES.get(".".join(words[:end]))
        if kind:
            return kind
    return None
