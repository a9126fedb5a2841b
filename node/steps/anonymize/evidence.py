"""What the output says was done to it (PS3.15 E.1.1 steps 7 and 8, E.3.6; PS3.3 C.7.1.1, C.7.5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as Items

from node.dicom import deid_table, levels
from node.dicom.encoding import Parse, element
from node.dicom.part10 import PREAMBLE
from node.dicom.uids import IMPLEMENTATION_CLASS_UID
from node.steps.anonymize import values
from node.steps.anonymize.actions import FEATURES
from node.steps.anonymize.plan import Plan

IMPLEMENTATION_VERSION_NAME = "DICOM_NODE"
"""(0002,0013), SH: which program, not which of its versions, so that an update changes no output."""


WRITTEN = (0x00120062, 0x00120063, 0x00120064, 0x00280303)
"""What `mark` writes: Patient Identity Removed, the method, its codes, and the state of dates. What stood there says
what somebody else did."""

OF_IMAGES = frozenset({FEATURES})
"""Of what `added` gives, that for images alone (PS3.15 E.3.2, PS3.3 C.7.6.1)."""


_MOST_ADDED = 64
_ADDED: dict[tuple[int, bool], tuple[Plan, dict[int, bytes]]] = {}
"""Of plans that came before, which are kept so that no other gets its id: nothing in it is of a patient."""


def added(plan: Plan, parse: Parse) -> dict[int, bytes]:
    """What an output has at its top whatever its input had, encoded: what a recipe adds, and `mark`.

    parse    how the output is laid out: levels.EXPLICIT or levels.IMPLICIT
    """
    key = (id(plan), parse is levels.EXPLICIT)
    found = _ADDED.get(key)
    if found is None:
        if len(_ADDED) >= _MOST_ADDED:
            _ADDED.clear()
        found = _ADDED[key] = (plan, _added(plan, parse))
    return dict(found[1])


def _added(plan: Plan, parse: Parse) -> dict[int, bytes]:
    ds, buffer = Dataset(), DicomBytesIO()
    for tag, value in plan.add.items():
        values.put(ds, tag, value)
    mark(ds, plan)
    if "clean_recognizable_visual_features" in plan.options:
        ds.RecognizableVisualFeatures = "NO"
    buffer.is_implicit_VR, buffer.is_little_endian = parse is not levels.EXPLICIT, True
    write_dataset(buffer, ds)
    data = bytes(buffer.getvalue())
    return {tag: data[start:end] for tag, (_, _, start, _, end, _) in levels.top(data, 0, parse).items()}


def mark(ds: Dataset, plan: Plan) -> None:
    """Write Patient Identity Removed, the method and the state of dates; what an earlier node wrote there goes."""
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = list(method(plan))
    if "DeidentificationMethodCodeSequence" in ds:
        del ds.DeidentificationMethodCodeSequence
    if not plan.weakened:
        ds.DeidentificationMethodCodeSequence = Items(_code(name) for name in ("basic", *sorted(plan.options)))
    if plan.dates is not None:
        ds.LongitudinalTemporalInformationModified = plan.dates
    elif "LongitudinalTemporalInformationModified" in ds:
        del ds.LongitudinalTemporalInformationModified


def mark_pixels(ds: Dataset, digests: Sequence[str] = ()) -> None:
    """Add to what `mark` wrote that pixels were cleaned (PS3.15 E.3.1, CID 7050): for those where they were, alone.

    digests  of a site's own pixel rules

    No code is added where `mark` claimed none. Of Recognizable Visual Features (0028,0302) nothing is said here.
    """
    ds.BurnedInAnnotation = "NO"
    said = ds.get("DeidentificationMethod") or []
    said = list(said) if isinstance(said, MultiValue) else [str(said)]
    ds.DeidentificationMethod = [*said, "clean_pixel_data", *(f"pixel rules {digest}" for digest in digests)]
    if codes := ds.get("DeidentificationMethodCodeSequence"):
        known = [*codes, _code("clean_pixel_data")]
        ds.DeidentificationMethodCodeSequence = Items(sorted(known, key=lambda item: str(item.CodeValue)))


def method(plan: Plan) -> tuple[str, ...]:
    """De-identification Method (0012,0063): values of at most 64 characters (LO).

    A recipe that keeps more than the profile is told here in words, and no code of CID 7050 is claimed.
    """
    lines = [f"dicom-node: PS3.15 {deid_table.edition()} Basic Profile"]
    lines += sorted(plan.options)
    sites = [
        f"site {what} {digest}" for what, digest in (("recipe", plan.digest), ("rules", plan.rules_digest)) if digest
    ]
    if sites and plan.weakened:
        sites[-1] += ", keeps more than the profile"
    lines += sites
    return tuple(lines)


@lru_cache(maxsize=256)
def _same_in_a_series(sop_class: bytes, transfer_syntax: str) -> tuple[bytes, bytes]:
    """What comes before the SOP Instance UID, and behind it."""
    return (
        element(0x00020001, "OB", b"\0\1") + element(0x00020002, "UI", sop_class),
        element(0x00020010, "UI", transfer_syntax.encode("ascii"))
        + element(0x00020012, "UI", IMPLEMENTATION_CLASS_UID.encode("ascii"))
        + element(0x00020013, "SH", IMPLEMENTATION_VERSION_NAME.encode("ascii")),
    )


def file_meta(sop_class: bytes, sop_instance: bytes, transfer_syntax: str) -> bytes:
    """Preamble and file meta information (PS3.10 7.1) afresh: AE titles, addresses and private elements do not pass.

    sop_class, sop_instance   UIDs, without padding
    """
    before, behind = _same_in_a_series(sop_class, transfer_syntax)
    group = before + element(0x00020003, "UI", sop_instance) + behind
    return PREAMBLE + element(0x00020000, "UL", len(group).to_bytes(4, "little")) + group


def _code(name: str) -> Dataset:
    code, meaning = deid_table.METHOD_CODES[name]
    item = Dataset()
    item.CodeValue = code
    item.CodingSchemeDesignator = "DCM"
    item.CodeMeaning = meaning
    return item
