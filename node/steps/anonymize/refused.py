"""What is held before anything of it is changed: an instance without an identity of its own, and pixel data that are
not what the rest of the instance says."""

from __future__ import annotations

from node.dicom.attributes import describe
from node.dicom.uids import MEDIA_STORAGE_DIRECTORY, STANDARD_ROOT, is_registered
from node.dicom.wholeness import native_length
from node.steps.anonymize import representation
from node.steps.anonymize.burned_in import PIXELS
from node.steps.anonymize.scope import IDENTITY_UIDS, UndecidableError
from node.steps.anonymize.source import Source

SOP_CLASS = 0x00080016
_CHUNK = 1 << 20
_LONGEST_UID = 128
"""Bytes: twice what PS3.5 9.1 allows, for devices that do not keep to it."""


def check_pixels(source: Source) -> None:
    """Raise UndecidableError where pixel data are not what their transfer syntax says, or where pixels that are not
    compressed are followed by bytes that no pixel uses.

    Pixel Data goes on as it came, so what stands there would too. Zeros say nothing, and some devices fill up with
    them.
    """
    tag = next((tag for tag in PIXELS if tag in source.top), None)
    if tag is None:
        return
    encapsulated = source.encapsulated(tag)
    if source.syntax.known and encapsulated != (source.syntax.encapsulated and tag == PIXELS[-1]):
        raise UndecidableError("its pixel data are not encoded as its transfer syntax says")
    if encapsulated:
        return

    def number(tag: int) -> int:
        value = source.raw(tag)
        return int.from_bytes(value, "little") if len(value) == 2 else 0

    frames = source.text(0x00280008)
    expected = native_length(
        rows=number(0x00280010), columns=number(0x00280011), frames=int(frames) if frames.isdecimal() else 1,
        samples=number(0x00280002) or 1, allocated=number(0x00280100), photometric=source.text(0x00280004),
    )  # fmt: skip
    _, _, _, value, end, _ = source.top[tag]
    behind = value + expected + expected % 2
    if any(source.data[at : min(at + _CHUNK, end)].strip(b"\0") for at in range(behind, end, _CHUNK)):
        raise UndecidableError(f"its pixel data have {end - behind} bytes more than an image of its size")


def identity(source: Source) -> dict[int, str]:
    """The instance's own UIDs by tag. Raises UndecidableError where one is missing or is not its own."""
    found = {tag: one_uid(source, tag) for tag in (SOP_CLASS, *IDENTITY_UIDS)}
    if found[SOP_CLASS].startswith(MEDIA_STORAGE_DIRECTORY) or 0x00041220 in source.top:
        raise UndecidableError("it is a DICOMDIR, which lists patients")
    for tag in (SOP_CLASS, *IDENTITY_UIDS[:3]):
        if not found[tag]:
            raise UndecidableError(f"it has no {describe(tag)}")
        if tag != SOP_CLASS and found[tag].startswith(STANDARD_ROOT):
            raise UndecidableError(f"{describe(tag)} is one of the standard's own UIDs")
    if found[SOP_CLASS].startswith(STANDARD_ROOT) and not is_registered(found[SOP_CLASS]):
        raise UndecidableError(f"{describe(SOP_CLASS)} is none of the standard's, under whose root it is")
    return {tag: uid for tag, uid in found.items() if uid and tag != SOP_CLASS}


def one_uid(source: Source, tag: int) -> str:
    """The UID in an attribute, "" for none. Raises UndecidableError where it is not one."""
    value = source.raw(tag)
    if not representation.is_one("UI", value) or b"\\" in value or len(value) > _LONGEST_UID:
        raise UndecidableError(f"{describe(tag)} is not one UID")
    return value.decode("ascii").strip(" \0")
