"""What may show or say who the patient is where no attribute tells: decided from a few facts, fail closed.

The Basic Profile leaves pixels, documents and dictation as they are (PS3.15 E.1.1), so an object whose kind
is known to carry names in them waits for a person.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.steps.anonymize.header import Header

_STORAGE = "1.2.840.10008.5.1.4.1.1."
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
    "OT": "of no named modality",
}
_ULTRASOUND = frozenset({"US", "IVUS"})
_SCREENS = frozenset({"SCREEN SAVE", "SCREENSAVE", "DOSE_INFO", "LABEL", "OVERVIEW"})
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
"""Float, Double Float and Pixel Data."""
_PLANE, _OVERLAY_DATA = 0x0010, 0x3000
_VIDEO = "1.2.840.10008.1.2.4.10"  # .100 to .109: MPEG2, MPEG-4 and HEVC (PS3.5 A.4.6 to A.4.10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the decision looks at; text without padding, "" for what is absent or empty."""

    sop_class: str
    transfer_syntax: str
    modality: str
    burned_in_annotation: str
    image_type: tuple[str, ...]
    has_pixels: bool
    has_document: bool = False
    has_content: bool = False
    """A Content Sequence at the top: the tree of a structured report (PS3.3 C.17.3)."""
    content_cleaned: bool = False
    """The plan cleans structured content (PS3.15 E.3.4)."""
    label_in_image: bool = False
    overlay_in_pixels: bool = False
    """An overlay in unused bits of Pixel Data (retired in PS3.3 2004): it would survive the removal of group 60xx."""


def facts(header: Header, transfer_syntax: str, *, content_cleaned: bool = False) -> Facts:
    """What there is to look at in the header of an instance. Pure."""

    def words(tag: int) -> str:
        return header.raw(tag).decode("ascii", "replace").strip(" \0")

    tags = header.tags
    planes = {tag & 0xFFFF0000 for tag in tags if 0x60000000 <= tag < 0x61000000 and not tag & 0x10000}
    return Facts(
        sop_class=words(0x00080016),
        transfer_syntax=transfer_syntax,
        modality=words(0x00080060).upper(),
        burned_in_annotation=words(0x00280301).upper(),
        image_type=tuple(word.strip().upper() for word in words(0x00080008).split("\\")),
        has_pixels=any(tag in tags for tag in PIXELS),
        has_document=0x00420011 in tags,
        has_content=0x0040A730 in tags,
        content_cleaned=content_cleaned,
        label_in_image=words(0x00480010).upper() == "YES",
        overlay_in_pixels=any(plane | _OVERLAY_DATA not in tags and plane | _PLANE in tags for plane in planes),
    )


def burned_in(facts: Facts) -> str | None:
    """Why an object may identify by its content, for the operator; None when nothing says so.

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
    if facts.modality in _MODALITIES and not (is_report and facts.modality == "SR"):
        return f"its modality is {facts.modality} ({_MODALITIES[facts.modality]}), which often shows names in the image"
    if not facts.has_pixels:
        return None
    return _in_pixels(facts)


def _in_pixels(facts: Facts) -> str | None:
    if not facts.modality:
        return "it is an image without Modality (0008,0060)"
    if is_video(facts):
        return "it is a video"
    screens = sorted(_SCREENS.intersection(facts.image_type))
    if screens:
        return f"its Image Type (0008,0008) says {screens[0]}"
    if facts.label_in_image:
        return "Specimen Label in Image (0048,0010) is YES"
    if facts.overlay_in_pixels:
        return "an overlay is stored within its pixel data"
    return None


def is_video(facts: Facts) -> bool:
    """Whether its frames cannot be taken on their own (PS3.5 A.4.6 to A.4.10, and their fragmentable twins)."""
    syntax = facts.transfer_syntax.removesuffix(".1")
    return syntax.startswith(_VIDEO) and len(syntax) == len(_VIDEO) + 1


def is_ultrasound(facts: Facts) -> bool:
    """Whether it is an image whose regions say where the image is (PS3.3 C.8.5.5)."""
    return facts.modality in _ULTRASOUND or (_kind(facts.sop_class) or "").startswith("an ultrasound")


def _kind(sop_class: str) -> str | None:
    if not sop_class.startswith(_STORAGE):
        return None
    words = sop_class[len(_STORAGE) :].split(".")
    for end in range(len(words), 0, -1):
        kind = _CLASSES.get(".".join(words[:end]))
        if kind:
            return kind
    return None
