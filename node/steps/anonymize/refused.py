"""What is held before anything of it is changed: an instance without an identity of its own, and pixel data that are
not what the rest of the instance says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from node.dicom.attributes import describe
from node.dicom.uids import MEDIA_STORAGE_DIRECTORY, STANDARD_ROOT, is_registered
from node.dicom.wholeness import native_length
from node.errors import CannotSucceed
from node.imaging.encapsulated import Expected, beside_pixels
from node.imaging.markers import Stretch
from node.steps.anonymize import representation
from node.steps.anonymize.answers import Decisions
from node.steps.anonymize.burned_in import PIXELS
from node.steps.anonymize.header import Header
from node.steps.anonymize.scope import IDENTITY_UIDS, UndecidableError
from node.steps.anonymize.source import Source

SOP_CLASS, SOP_INSTANCE = 0x00080016, 0x00080018
_OFFSETS, _LENGTHS = 0x7FE00001, 0x7FE00002
"""Extended Offset Table, and its lengths."""
_CHUNK = 1 << 20
_LONGEST_UID = 128
"""Bytes: twice what PS3.5 9.1 allows, for devices that do not keep to it."""


class _Said(NamedTuple):
    """What a data set says of its pixels."""

    frames: int
    planes: int
    """Bytes of a pixel."""
    of_frame: int
    """Bytes of one frame that is not compressed."""
    of_all: int


@dataclass(frozen=True, slots=True)
class Looked:
    """What was decided about data sets before, each with what it depends on."""

    said: Decisions[_Said] = field(default_factory=Decisions)
    uids: Decisions[dict[int, str]] = field(default_factory=Decisions)


def check_pixels(source: Source, looked: Looked) -> list[Stretch]:
    """What of encapsulated pixel data no decoder reads: stretches of `source.data`, to be overwritten with zeros.

    Pixel Data goes on as it came, so what stands there would too. Raises UndecidableError where pixel data are not what
    their transfer syntax says, where there are several, or where they have in them what is no pixel: fragments of no
    frame, tables of no offsets, bytes behind the last pixel. Zeros say nothing, and some devices fill up with them.
    """
    tags = [tag for tag in PIXELS if tag in source.top]
    if not tags:
        return []
    if len(tags) > 1:
        raise UndecidableError(f"it has {' and '.join(map(describe, tags))}, and an image has one of them")
    tag = tags[0]
    encapsulated = source.encapsulated(tag)
    if source.syntax.known and encapsulated != (source.syntax.encapsulated and tag == PIXELS[-1]):
        raise UndecidableError("its pixel data are not encoded as its transfer syntax says")
    said, (_, _, _, value, end, _) = looked.said.of(source, (), _said), source.top[tag]
    if encapsulated:
        expected = Expected(
            transfer_syntax=source.syntax.uid, frames=said.frames, frame_length=said.of_frame, planes=said.planes,
            offsets=source.raw(_OFFSETS), lengths=source.raw(_LENGTHS),
        )  # fmt: skip
        try:
            return beside_pixels(source.data, value, end, expected)
        except CannotSucceed as error:
            raise UndecidableError(str(error)) from None
    behind = value + said.of_all + said.of_all % 2
    if any(source.data[at : min(at + _CHUNK, end)].strip(b"\0") for at in range(behind, end, _CHUNK)):
        raise UndecidableError(f"its pixel data have {end - behind} bytes more than an image of its size")
    return []


def _said(header: Header) -> _Said:
    def number(tag: int) -> int:
        value = header.raw(tag)
        return int.from_bytes(value, "little") if len(value) == 2 else 0

    def said(tag: int) -> str:
        return header.raw(tag).decode("ascii", "replace").strip(" \0")

    frames, photometric = said(0x00280008), said(0x00280004)
    count, samples, allocated = int(frames) if frames.isdecimal() else 1, number(0x00280002) or 1, number(0x00280100)
    of_frame, of_all = (
        native_length(
            rows=number(0x00280010), columns=number(0x00280011), frames=several, samples=samples, allocated=allocated,
            photometric=photometric,
        )
        for several in (1, count)
    )  # fmt: skip
    return _Said(frames=count, planes=samples * allocated // 8, of_frame=of_frame, of_all=of_all)


def identity(source: Source, looked: Looked) -> dict[int, str]:
    """The instance's own UIDs by tag. Raises UndecidableError where one is missing or is not its own."""
    own = _one_uid(source.raw(SOP_INSTANCE))
    if not own or own.startswith(STANDARD_ROOT):
        return _identity(source.header, (SOP_CLASS, *IDENTITY_UIDS))  # raises, what stands first
    others = looked.uids.of(source, (), lambda header: _identity(header, (SOP_CLASS, *IDENTITY_UIDS[1:])))
    return {SOP_INSTANCE: own, **others}


def _identity(header: Header, tags: Sequence[int]) -> dict[int, str]:
    found = {tag: one_uid(header, tag) for tag in tags}
    if found[SOP_CLASS].startswith(MEDIA_STORAGE_DIRECTORY) or 0x00041220 in header.tags:
        raise UndecidableError("it is a DICOMDIR, which lists patients")
    for tag in (one for one in (SOP_CLASS, *IDENTITY_UIDS[:3]) if one in found):
        if not found[tag]:
            raise UndecidableError(f"it has no {describe(tag)}")
        if tag != SOP_CLASS and found[tag].startswith(STANDARD_ROOT):
            raise UndecidableError(f"{describe(tag)} is one of the standard's own UIDs")
    if found[SOP_CLASS].startswith(STANDARD_ROOT) and not is_registered(found[SOP_CLASS]):
        raise UndecidableError(f"{describe(SOP_CLASS)} is none of the standard's, under whose root it is")
    return {tag: uid for tag, uid in found.items() if uid and tag != SOP_CLASS}


def one_uid(header: Header | Source, tag: int) -> str:
    """The UID in an attribute, "" for none. Raises UndecidableError where it is not one."""
    found = _one_uid(header.raw(tag))
    if found is None:
        raise UndecidableError(f"{describe(tag)} is not one UID")
    return found


@lru_cache(maxsize=256)
def _one_uid(value: bytes) -> str | None:
    """None where it is not one. The instances of a series have all but one of theirs in common."""
    if not representation.is_one("UI", value) or b"\\" in value or len(value) > _LONGEST_UID:
        return None
    return value.decode("ascii").strip(" \0")
