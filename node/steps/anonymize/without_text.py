"""Which images are known to come without text in their pixels: by SOP class, modality, and what else they say.

What is not in this list is not known, and waits. The enhanced CT, MR and PET objects, parametric maps and whole slides
may not have burned-in annotation by their definition (PS3.3 C.8.13.1, C.8.15.2, C.8.22.3, C.8.32.2); slices and
projections come from detectors. In the same classes screens are kept as well, which is seen from colour, 8 bits, a
secondary Image Type without a place in the patient, and what captures say of themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from node.dicom.uids import STORAGE_SOP_CLASSES
from node.steps.anonymize.image_facts import Facts

STORAGE = "1.2.840.10008.5.1.4.1.1."

_CT, _MR, _PET, _NM = frozenset({"CT"}), frozenset({"MR"}), frozenset({"PT"}), frozenset({"NM"})
_SLICES = {"2": _CT, "4": _MR, "128": _PET}
_ENHANCED = {"2.1": _CT, "2.2": _CT, "4.1": _MR, "4.4": _MR, "130": _PET, "128.1": _PET, "20": _NM}
"""Nuclear medicine too: of planar images no place is known, and counts may have 8 bits."""
_PROJECTIONS = {
    "1": frozenset({"CR", "DX", "MG"}),
    **dict.fromkeys(("1.1", "1.1.1"), frozenset({"CR", "DX"})),
    **dict.fromkeys(("1.2", "1.2.1", "13.1.3", "13.1.4", "13.1.5"), frozenset({"MG"})),
    "481.1": frozenset({"RTIMAGE"}),
}
_COMPUTED = {
    "66.4": frozenset({"SEG"}),
    "66.7": frozenset({"SEG"}),
    "481.2": frozenset({"RTDOSE"}),
    "30": frozenset({"CT", "MR", "PT", "NM", "OT"}),
}
"""Labels, doses and maps: numbers that nobody drew."""
_SLIDES = {"77.1.6": frozenset({"SM"})}
_KNOWN: Mapping[str, frozenset[str]] = {**_SLICES, **_ENHANCED, **_PROJECTIONS, **_COMPUTED, **_SLIDES}
"""SOP class, below 1.2.840.10008.5.1.4.1.1 -> values of Modality."""

_BELIEVED = frozenset({"CR", "CT", "DX", "IO", "MG", "MR", "NM", "OP", "OPT", "PT", "PX", "RG", "RTIMAGE", "SM"})
"""Modalities of devices whose Burned In Annotation NO is believed, where nothing else speaks against it: their objects
have to say it (PS3.3 C.8.17.2, C.8.17.8), or they are detectors. Not those that print, scan or capture."""

_CAPTURES = frozenset(
    {"SCREEN", "SCREENSAVE", "SCREENSHOT", "CAPTURE", "CAPTURED", "PRINT", "REPORT", "PROTOCOL", "DOSE", "LABEL",
     "OVERVIEW", "CURVE", "GRAPH", "TABLE", "SUMMARY", "RESULT", "RESULTS", "VOLREN", "VRT", "RENDERING"}
)  # fmt: skip
"""Words of Image Type (0008,0008) that vendors give to what is drawn: SCREEN SAVE, DOSE_INFO, CSA REPORT ..."""


def is_computed(facts: Facts) -> bool:
    return facts.modality in _COMPUTED.get(_below(facts), ()) and facts.grey


def is_capture(facts: Facts) -> str | None:
    """What in an image says that it is a capture of a screen, or drawn, whatever class it has; None for nothing."""
    for value in facts.image_type:
        if drawn := _CAPTURES.intersection(re.split(r"[^A-Z0-9]+", value)):
            return f"its Image Type (0008,0008) says {min(drawn)}"
    below = _below(facts)
    if below not in _KNOWN or below in _SLIDES:
        return None
    if not facts.grey:
        return "it has colour, which its SOP class has not unless it is drawn"
    if below in _COMPUTED:
        return None
    if facts.captured:
        return "it has attributes of a secondary capture, such as Conversion Type (0008,0064)"
    if below in _SLICES and not _is_slice(facts):
        return "it is secondary or of 8 bits, and has no place in the patient: it may be a screen"
    return None


def unknown(facts: Facts) -> str | None:
    """Why it is not known that an image comes without text; None where it is, or where it says so and is believed.

    Asked of what `is_capture` says nothing of.
    """
    below = _below(facts)
    if facts.burned_in_annotation == "NO" and facts.modality in _BELIEVED and facts.sop_class in STORAGE_SOP_CLASSES:
        return None
    if facts.modality not in _KNOWN.get(below, ()):
        return "its SOP class and Modality (0008,0060) are of no kind that is known to come without text"
    if below in _SLIDES and "VOLUME" not in facts.image_type:
        return "it is no image of the tissue by its Image Type (0008,0008), and may show the label of the slide"
    if below in _ENHANCED and not _is_primary(facts):
        return "its Image Type (0008,0008) does not say that it is primary"
    if below in _PROJECTIONS and (facts.stored <= 8 or "SECONDARY" in facts.image_type[1:2]):
        return "it is a projection of 8 bits, or a secondary one, as screens and scans of film are"
    return None


def _below(facts: Facts) -> str:
    return facts.sop_class.removeprefix(STORAGE)


def _is_primary(facts: Facts) -> bool:
    return facts.image_type[1:2] == ("PRIMARY",)


def _is_slice(facts: Facts) -> bool:
    deep = facts.stored > 8
    return (_is_primary(facts) and (deep or facts.placed)) or (facts.placed and deep)
