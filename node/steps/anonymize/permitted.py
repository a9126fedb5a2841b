"""What a recipe or a rule may do to an attribute: checked when rules.yaml is loaded. Each raises FieldError."""

from __future__ import annotations

from collections.abc import Iterable

from node.dicom.attributes import VR_BY_TAG, PrivateTag, describe
from node.dicom.deid_table import is_repeating, rows, safe_private
from node.steps.anonymize.actions import Action, Do
from node.steps.anonymize.changes import CLEANED, HASHED, SHIFTED
from node.steps.anonymize.fields import NEVER_KEPT, SAID_OF_PIXELS, FieldError
from node.steps.anonymize.profile import beyond, by_profile
from node.steps.anonymize.values import fits


def check_kept(tag: int, options: frozenset[str]) -> None:
    """That an attribute may leave as it is, or cleaned."""
    if tag in NEVER_KEPT:
        raise FieldError(f"{describe(tag)} identifies the patient and may not be kept")
    row = rows().get(tag)
    if row and row.basic == "U" and by_profile(row, options, "1") is not Do.KEEP:
        raise FieldError(f"{describe(tag)} is a UID; to keep UIDs use the option retain_uids")
    if is_repeating(tag):
        raise FieldError("curves and overlays may not be kept")


def check_literal(tag: int, value: str, *, instead_of_uid: str) -> None:
    """That a text is a value of the attribute, in every character set."""
    vr = VR_BY_TAG.get(tag)
    if vr is None:
        raise FieldError(f"{describe(tag)} is not in the data dictionary")
    if vr == "UI":
        raise FieldError(f"{describe(tag)} is a UID; use {instead_of_uid}")
    if tag in SAID_OF_PIXELS and value.upper() != "YES":
        raise FieldError(f"{describe(tag)} says what was done to pixels, which the step writes itself")
    wrong = fits(vr, value)
    if wrong:
        raise FieldError(f"{describe(tag)}: {wrong}")


def check_representation(tag: int, action: Do, options: frozenset[str]) -> None:
    """That SHIFT, CLEAN or HASH can be done to the attribute's representation."""
    vr = VR_BY_TAG.get(tag)
    if vr is None:
        raise FieldError(f"{describe(tag)} is not in the data dictionary")
    if action is Do.SHIFT and "retain_long_full_dates" in options:
        raise FieldError("the option retain_long_full_dates keeps dates as they are, so none can be shifted beside it")
    takes = {Do.SHIFT: SHIFTED, Do.CLEAN: CLEANED | {"SQ"}, Do.HASH: HASHED | {"UI"}}[action]
    if vr not in takes:
        raise FieldError(f"{describe(tag)} is {vr}; {_NAMES[action]} takes {', '.join(sorted(takes))}")


_CLEANING = frozenset({"clean_descriptors", "clean_structured_content", "clean_graphics"})

_NAMES = {Do.SHIFT: "shift", Do.CLEAN: "clean", Do.HASH: "hash"}


def is_safe(tag: PrivateTag, options: frozenset[str]) -> bool:
    """Whether the option retain_safe_private keeps a private element anyway."""
    return "retain_safe_private" in options and (tag.group, tag.creator, tag.element) in safe_private()


def keeps_a_date(kept: Iterable[int], options: frozenset[str]) -> bool:
    """Whether, of attributes that rules keep, one is a date or time that stays as it is by that alone."""
    return any(VR_BY_TAG.get(tag) in SHIFTED and weakens(tag, Do.KEEP, options) for tag in kept)


def weakens(tag: int, action: Action, options: frozenset[str]) -> bool:
    """Whether an action leaves more of an attribute than the profile would have left in some data set.

    Where texts are cleaned, to keep one that the table leaves alone takes it out of that (PS3.15 E.3.5).
    """
    if action not in (Do.KEEP, Do.CLEAN, Do.SHIFT):
        return False
    row = rows().get(tag)
    if row is None:
        spared = action is Do.KEEP and VR_BY_TAG.get(tag) in CLEANED and bool(options & _CLEANING)
        return tag in beyond(options) or spared
    return by_profile(row, options, "3") not in (Do.KEEP, action)
