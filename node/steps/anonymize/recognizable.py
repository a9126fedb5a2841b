"""Clean Recognizable Visual Features (PS3.15 E.3.2) without touching a pixel: what may show a face waits for a person.

Nothing here removes a face. An instance passes where its kind cannot show one, or where kind and region are both known
and nothing it says contradicts; by lists, so that what is not known waits. Or where the site says that it has looked
at what is of that class, or removed the faces in it (`reviewed.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from node.certificate.actions import PIXELS
from node.steps.anonymize import regions
from node.steps.anonymize.actions import FEATURES
from node.steps.anonymize.device import Texts, texts_of
from node.steps.anonymize.header import Header
from node.steps.anonymize.reviewed import Reviewed
from node.steps.anonymize.without_text import STORAGE

OPTION = "clean_recognizable_visual_features"

_SOP_CLASS, _MODALITY, _IMAGE_TYPE, _BODY_PART = 0x00080016, 0x00080060, 0x00080008, 0x00180015
_REGION, _FRAME_ANATOMY, _FUNCTIONAL_GROUPS = 0x00082218, 0x00209071, (0x52009229, 0x52009230)
_CODE, _SCHEME, _MEANING = 0x00080100, 0x00080102, 0x00080104
_TEXTS = {
    0x00081030: "Study Description", 0x0008103E: "Series Description", 0x00181030: "Protocol Name",
    0x00321060: "Requested Procedure Description", 0x00400254: "Performed Procedure Step Description",
    0x00189423: "Acquisition Protocol Name", 0x00189424: "Acquisition Protocol Description",
    0x00204000: "Image Comments", 0x00181250: "Receive Coil Name", 0x00181160: "Filter Type",
}  # fmt: skip
_CODED_TEXTS = {
    0x00081032: "Procedure Code Sequence", 0x00321064: "Requested Procedure Code Sequence",
    0x00082228: "Primary Anatomic Structure Sequence", 0x00082218: "Anatomic Region Sequence",
}  # fmt: skip

_X_RAY = frozenset({"CR", "DX"})
_PROJECTIONS = {
    **dict.fromkeys(("1", "1.1", "1.1.1"), _X_RAY),
    **dict.fromkeys(("12.1", "12.1.1"), frozenset({"XA"})),
    **dict.fromkeys(("12.2", "12.2.1"), frozenset({"RF"})),
    **dict.fromkeys(("3.1", "6.1"), frozenset({"US"})),
    "481.1": frozenset({"RTIMAGE"}),
}
_VOLUMES = {
    **dict.fromkeys(("2", "2.1", "2.2"), frozenset({"CT"})),
    **dict.fromkeys(("4", "4.1", "4.3", "4.4"), frozenset({"MR"})),
    **dict.fromkeys(("13.1.1", "13.1.2"), frozenset({"XA", "DX"})),
    **dict.fromkeys(("66.4", "66.7"), frozenset({"SEG"})),
    "6.2": frozenset({"US"}), "20": frozenset({"NM"}), "30": frozenset({"CT", "MR", "NM"}),
    "481.2": frozenset({"RTDOSE"}), "481.3": frozenset({"RTSTRUCT"}),
}  # fmt: skip
"""Also what was drawn or computed on them: an outline of the skin is a face. Not PET, nor maps of it: it reaches from
the head on, whatever body part its headers name."""
_WHATEVER_THE_REGION = {
    **dict.fromkeys(("1.2", "1.2.1", "13.1.3", "13.1.4", "13.1.5"), frozenset({"MG"})),
    **dict.fromkeys(("77.1.2", "77.1.3", "77.1.6"), frozenset({"GM", "SM"})),
}
"""A breast, and tissue under a microscope."""
_WITHOUT_IMAGE = """
9.1.1 9.1.2 9.1.3 9.2.1 9.3.1 9.5.1 9.6.1 11.1 11.2 11.3 11.4 11.5 66.1 66.2 67 481.4 481.5 481.6 481.7 481.8 481.9
88.11 88.22 88.33 88.34 88.35 88.40 88.50 88.59 88.65 88.67 88.68 88.69 88.70 88.71
"""
"""Waveforms, presentation states, rigid registrations, fiducials, plans and records of treatment, reports."""
_NO_IMAGE = frozenset(_WITHOUT_IMAGE.split())


class Why(StrEnum):
    """Why an instance passes. The words of the certificate."""

    KIND = "its kind shows none"
    REGION = "its kind and region show none"
    REVIEWED = "reviewed by the site"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an instance has to wait for a person: names attributes, never a value."""

    reason: str


def decide(header: Header, reviewed: Sequence[Reviewed] = ()) -> Why | Refusal:
    """Whether an instance is known not to show a face, by its header alone. Pure."""
    texts = texts_of(header)
    if any(each.means(texts) for each in reviewed):
        return Why.REVIEWED
    if "YES" in _words(texts, FEATURES):
        return Refusal("Recognizable Visual Features (0028,0302) is YES")
    sop_class, modality = "".join(_words(texts, _SOP_CLASS)), "".join(_words(texts, _MODALITY))
    below = sop_class.removeprefix(STORAGE) if sop_class.startswith(STORAGE) else ""
    if below in _NO_IMAGE and header.tags.isdisjoint(PIXELS):
        return Why.KIND
    if modality in _WHATEVER_THE_REGION.get(below, ()):
        return Why.KIND
    volume = modality in _VOLUMES.get(below, ())
    if not volume and modality not in _PROJECTIONS.get(below, ()):
        return Refusal("its SOP class and Modality (0008,0060) are of no kind that is known to show no face")
    reason = _why_not_by_region(header, texts, volume=volume)
    return Why.REGION if reason is None else Refusal(reason)


def _why_not_by_region(header: Header, texts: Texts, *, volume: bool) -> str | None:
    if any("WHOLE" in word for word in _words(texts, _IMAGE_TYPE)):
        return "its Image Type (0008,0008) says that it is of the whole body"
    said = [word for word in _words(texts, _BODY_PART) if word]
    if not all(regions.is_below_the_neck(word, volume=volume) for word in said):
        return "its Body Part Examined (0018,0015) is of no region that is known to be without head and neck"
    coded = list(_coded(header))
    if not all(regions.is_code_below_the_neck(*code, volume=volume) for code in coded):
        return "its Anatomic Region Sequence (0008,2218) has a code of no region known to be without head and neck"
    if not said and not coded:
        return "neither Body Part Examined (0018,0015) nor Anatomic Region Sequence (0008,2218) says what it shows"
    for tag, name in _TEXTS.items():
        if any(map(regions.speaks_of_the_head, texts((tag,)) or ())):
            return f"its {name} ({tag >> 16:04X},{tag & 0xFFFF:04X}) may speak of the head or of the whole body"
    for tag, name in _CODED_TEXTS.items():
        for item in header.items(tag):
            if any(map(regions.speaks_of_the_head, texts_of(item)((_MEANING,)) or ())):
                return f"its {name} ({tag >> 16:04X},{tag & 0xFFFF:04X}) may speak of the head or of the whole body"
    return None


def _words(texts: Texts, tag: int) -> list[str]:
    return [word.strip().upper() for word in texts((tag,)) or ()]


def _coded(header: Header) -> Iterator[tuple[str, str]]:
    """(code, scheme) of each region that it names, at the top and for its frames (PS3.3 10.5, C.7.6.16.2.8)."""
    for item in header.items(_REGION):
        texts = texts_of(item)
        yield "".join(_words(texts, _CODE)), "".join(_words(texts, _SCHEME))
    for tag in (*_FUNCTIONAL_GROUPS, _FRAME_ANATOMY):
        for item in header.items(tag):
            yield from _coded(item)
