"""Table E.1-1 and the options read for one attribute of a Type (PS3.15 Table E.1-1a, E.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from node.dicom import deid_content, deid_table, iod_types
from node.dicom.attributes import VR_BY_TAG, keyword_of, tag_of
from node.steps.anonymize import content
from node.steps.anonymize.actions import FEATURES, PATIENT_ID, PATIENT_NAME, Do

TIMEZONE, UNFORMATTED_TEXT, _DEVICE_ID = 0x00080201, 0x00700006, 0x00181003

# Not in Table E.1-1, and yet they identify or have lost their meaning once the data set has changed:
BEYOND_THE_TABLE: Mapping[int, Do] = MappingProxyType(
    {
        0x04000500: Do.REMOVE,  # Encrypted Attributes Sequence: the identity itself, under somebody's key
        0x04000305: Do.REMOVE,  # Certified Timestamp Type: of a timestamp that is removed
        0x4FFE0001: Do.REMOVE,  # MAC Parameters Sequence: of signatures that are removed
        0x00880200: Do.REMOVE,  # Icon Image Sequence: in the table; here so that a later edition cannot lose it
        0x00100033: Do.REMOVE,  # Patient's Birth Date in Alternative Calendar
        0x00100034: Do.REMOVE,  # Patient's Death Date in Alternative Calendar
        0x00100035: Do.REMOVE,  # Patient's Alternative Calendar: of these two
        0x00401006: Do.REMOVE,  # Placer Order Number / Procedure, as it was before PS3.3-2001; the three below too
        0x00401007: Do.REMOVE,
        0x00402006: Do.REMOVE,
        0x00402007: Do.REMOVE,
        0x00400400: Do.REMOVE,  # Comments on the Scheduled Procedure Step
        0x00081190: Do.REMOVE,  # Retrieve URL: names a server, and in it a study
        0x00181803: Do.REMOVE,  # NTP Source Address: of the hospital's network
        0x21000160: Do.REMOVE,  # Owner ID: of who printed it
        _DEVICE_ID: Do.REMOVE,  # Device Serial Number (0018,1000) by another name
        0x00080108: Do.REMOVE,  # Extended Code Meaning: free text, where Code Meaning has a term of a scheme
    }
    | {tag: Do.DUMMY for tag, vr in VR_BY_TAG.items() if vr == "PN" and tag not in deid_table.rows()}
)

_UIDS_BEYOND_ARE = """
MultiFrameSourceSOPInstanceUID SOPInstanceUIDOfConcatenationSource RadiopharmaceuticalAdministrationEventUID
TargetFrameOfReferenceUID VolumeFrameOfReferenceUID TableFrameOfReferenceUID EquipmentFrameOfReferenceUID
ReferencedFiducialUID VolumetricPresentationInputSetUID AssertionUID ReferencedAssertionUID ModelGroupUID
FindingsGroupUIDTrial ReferencedFindingsGroupUIDTrial ReferencedColorPaletteInstanceUID SelectorUIValue
RetrieveLocationUID RepositoryUniqueID HomeCommunityID
"""
_UIDS_BEYOND = MappingProxyType(
    {
        tag: Do.UID
        for word in _UIDS_BEYOND_ARE.split()
        if (tag := tag_of(word)) is not None and tag not in deid_table.rows()
    }
)
"""UIDs of instances, events, frames of reference and places that Table E.1-1 does not have: what they refer to has
another UID afterwards (a Fiducial UID (0070,031A) does), and their own tells as much as those that it has. What is the
same for everybody stays: of SOP classes, transfer syntaxes, coding schemes, context groups, creators and templates."""

_DATES_BEYOND = frozenset(tag for tag, vr in VR_BY_TAG.items() if vr in ("DA", "DT") and tag not in deid_table.rows())
"""One date as it was tells by how much the others were moved, or that a study was."""

_SAID_ANEW = MappingProxyType(dict.fromkeys((0x00120062, 0x00120063, 0x00120064, 0x00280303), Do.REMOVE))
"""What an earlier node said of its own work: goes, and evidence.py writes what was done here."""

_OF_FEATURES = MappingProxyType({FEATURES: Do.REMOVE})
"""The same with the option of it: evidence.py writes NO to what could have shown a face and does not."""

_WRITTEN_BY_PEOPLE = re.compile("Description|Comment|Notes|Remarks|Reason")
DESCRIPTORS: frozenset[int] = frozenset(
    tag
    for tag, vr in VR_BY_TAG.items()
    if vr in ("LO", "LT", "ST", "UC", "UT")
    and tag >> 16 > 7
    and tag not in deid_table.rows()
    and _WRITTEN_BY_PEOPLE.search(keyword_of(tag) or "")
)
"""Text that somebody writes, and that Table E.1-1 leaves alone, such as Content Description (0070,0081). Clean
Descriptors cleans it as well: it is for information within any text (PS3.15 E.3.5)."""

# The table says X unless the reference is required. Kept with keyed UIDs always: which image a localizer or
# a derivation refers to is worth keeping and, keyed, tells no more than the instance's own UID.
_MAPPED_REFERENCES = frozenset({0x00081140, 0x00082112})

_SHIFTED = frozenset({"DA", "TM", "DT"})
_CLEANED = frozenset({"AE", "LO", "LT", "SH", "ST", "UC", "UT", "SQ"})
"""Representations that can be cleaned as text, and sequences of them."""


def by_profile(row: deid_table.Row, options: frozenset[str], attribute_type: str) -> Do:
    """The action for an attribute of Type 1, 1C, 2, 2C or 3."""
    cleaned = _cleaned(row, options)
    if cleaned is not None:
        return cleaned  # before K: one date as it was, of a calibration, tells by how much the others were moved
    if row.keeps & options:
        return Do.KEEP
    return basic(row, attribute_type)


def basic(row: deid_table.Row, attribute_type: str) -> Do:
    """The action of the Basic Profile alone.

    A conditional Type counts as its unconditional one: an attribute that is there has its condition, and where it has
    not, a dummy too many harms nobody.
    """
    if row.tag in _MAPPED_REFERENCES:
        return Do.KEEP
    if row.tag in (PATIENT_NAME, PATIENT_ID):
        return Do.PATIENT
    codes = row.basic.rstrip("*").split("/")
    if "U" in codes:
        return Do.UID
    if codes == ["X"]:
        # From an IOD that may not be without it nothing can be removed (PS3.5 7.4.1, 7.4.3), so its value is.
        return {"1": Do.DUMMY, "2": Do.EMPTY}.get(attribute_type, Do.REMOVE)
    if attribute_type == "3" and "X" in codes:
        return Do.REMOVE
    return Do.EMPTY if attribute_type not in ("1", "1C") and "Z" in codes else Do.DUMMY


def _cleaned(row: deid_table.Row, options: frozenset[str]) -> Do | None:
    """What the columns with C ask for; None where they ask for nothing, or for what cannot be done to that
    representation: then the Basic Profile's code stands, which is stricter."""
    asked = row.cleans & options
    if row.tag == UNFORMATTED_TEXT and "clean_graphics" in options:
        return Do.CLEAN  # the text of an annotation is the graphics' own (PS3.15 E.3.3)
    if not asked:
        return None
    vr = VR_BY_TAG.get(row.tag)  # None for attributes newer than our PS3.6: the encoded one decides
    if "retain_long_modified_dates" in asked:
        return Do.SHIFT if vr is None or vr in _SHIFTED or row.tag == TIMEZONE else None
    if "clean_structured_content" in asked:
        return Do.CONTENT
    return Do.CLEAN if vr is None or vr in _CLEANED else None


@lru_cache(maxsize=256)
def at_top(options: frozenset[str], sop_class: str) -> Mapping[int, Do]:
    """The actions at the top of instances of a SOP class."""
    actions = {row.tag: by_profile(row, options, _type_at_top(row, sop_class)) for row in deid_table.rows().values()}
    anew = {**_SAID_ANEW, **(_OF_FEATURES if "clean_recognizable_visual_features" in options else {})}
    return MappingProxyType({**actions, **beyond(options), **_descriptors(options), **anew})


def _type_at_top(row: deid_table.Row, sop_class: str) -> str:
    return iod_types.of_removed(sop_class).get((row.tag,)) or iod_types.type_at_top(row.tag, sop_class)


@lru_cache(maxsize=32)
def in_items(options: frozenset[str]) -> Mapping[int, Do]:
    """The actions within sequences that the tables of PS3.3 do not name."""
    actions = {
        row.tag: by_profile(row, options, iod_types.type_in_any_item(row.tag)) for row in deid_table.rows().values()
    }
    return MappingProxyType({**actions, **beyond(options), **_descriptors(options)})


@lru_cache(maxsize=32)
def beyond(options: frozenset[str]) -> Mapping[int, Do]:
    """What is done beyond the table beside some options: Device ID goes and stays with Device Serial Number (E.3.8),
    dates and UIDs with all others (E.3.6, E.3.9)."""
    uids = {} if "retain_uids" in options else _UIDS_BEYOND
    moved = Do.SHIFT if "retain_long_modified_dates" in options else Do.DUMMY
    dates = {} if "retain_long_full_dates" in options else dict.fromkeys(_DATES_BEYOND, moved)
    kept = {_DEVICE_ID} if "retain_device_identity" in options else set()
    found = {**BEYOND_THE_TABLE, **uids, **dates}
    return MappingProxyType({tag: action for tag, action in found.items() if tag not in kept})


def _descriptors(options: frozenset[str]) -> Mapping[int, Do]:
    return dict.fromkeys(DESCRIPTORS, Do.CLEAN) if "clean_descriptors" in options else {}


@lru_cache(maxsize=256)
def in_named_items(options: frozenset[str], sop_class: str = "") -> Mapping[tuple[int, int], Do]:
    """(sequence, attribute) -> action, for the sequences that they do name, where it is another."""
    rows, others = deid_table.rows(), in_items(options)
    kinds = {**iod_types.in_items(), **dict(_of_removed_in_items(sop_class))}
    found = {(sequence, tag): by_profile(rows[tag], options, kind) for (sequence, tag), kind in kinds.items()}
    return MappingProxyType({place: action for place, action in found.items() if action is not others[place[1]]})


def _of_removed_in_items(sop_class: str) -> list[tuple[tuple[int, int], str]]:
    return [((place[0], place[1]), kind) for place, kind in iod_types.of_removed(sop_class).items() if len(place) == 2]


@lru_cache(maxsize=256)
def otherwise(sop_class: str) -> Mapping[int, Do]:
    """What the Basic Profile does to values that cannot be cleaned or moved; at any depth, so by the stricter Type."""

    removed = iod_types.of_removed(sop_class).items()

    def strictest(tag: int) -> str:
        kinds = [iod_types.type_at_top(tag, sop_class), iod_types.type_in_any_item(tag)]
        return min(*kinds, *(kind for place, kind in removed if place[-1] == tag), key=iod_types.STRICTNESS.index)

    actions = {row.tag: basic(row, strictest(row.tag)) for row in deid_table.rows().values()}
    return MappingProxyType(actions | dict.fromkeys(content.VALUES.values(), Do.DUMMY))


_REFERENCES = ("IMAGE", "COMPOSITE", "WAVEFORM", "UIDREF")


@lru_cache(maxsize=32)
def of_content(options: frozenset[str]) -> Mapping[deid_content.Concept, Do]:
    """Content items by Table E.3.4-1, and by value type where it does not list them (PS3.15 E.3.4).

    What refers to an instance stays with keyed UIDs where the table removes it, as `_MAPPED_REFERENCES` do.
    """
    dated = next(
        (do for option, do in (("retain_long_modified_dates", Do.SHIFT), ("retain_long_full_dates", Do.KEEP))
         if option in options), Do.REMOVE,
    )  # fmt: skip
    others: dict[deid_content.Concept, Do] = {
        ("", "", "TEXT"): Do.CLEAN if "clean_descriptors" in options else Do.DUMMY,
        ("", "", "PNAME"): Do.DUMMY,
    }
    others |= {("", "", kind): dated for kind in ("DATE", "TIME", "DATETIME")}
    listed = {concept: _of_row(concept[2], row, options) for concept, row in deid_content.rows().items()}
    return MappingProxyType({**listed, **others})


def _of_row(value_type: str, row: deid_content.ContentRow, options: frozenset[str]) -> Do:
    if value_type in _REFERENCES:
        return Do.KEEP  # the UIDs in it are attributes of Table E.1-1
    if "retain_long_modified_dates" in row.cleans & options:
        return Do.SHIFT
    if row.cleans & options:
        return Do.CLEAN
    if row.keeps & options:
        return Do.KEEP
    return Do.REMOVE if row.basic == "X" else Do.DUMMY
