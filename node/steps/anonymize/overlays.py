"""Overlay planes under Clean Graphics (PS3.15 E.3.3): kept when somebody has looked at them, cleaned of text.

A plane of type G may be bit-mapped text (PS3.3 C.9.2.1.1), and whether it is only the picture of it shows. So a plane
stays where a detector of text is chosen, without the text that it finds; else it goes, as in the Basic Profile. Of its
attributes those stay that say where it lies: what is written about it goes with every profile.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from node.errors import CannotSucceed
from node.imaging.mask import LARGEST, Mask
from node.imaging.ocr import Detector, text_mask
from node.steps.anonymize.header import Header

_GROUPS = range(0x6000, 0x6020, 2)
_ROWS, _COLUMNS, _FRAMES, _TYPE, _ORIGIN, _FIRST = 0x0010, 0x0011, 0x0015, 0x0040, 0x0050, 0x0051
_ALLOCATED, _POSITION, _DATA = 0x0100, 0x0102, 0x3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One overlay with data of its own, bit by bit."""

    group: int
    kind: str
    """Overlay Type: G graphics, R region of interest."""
    rows: int
    columns: int
    frames: int
    """0 where Number of Frames in Overlay (60xx,0015) is absent, which means one."""
    first: int
    """Image Frame Origin (60xx,0051), the image frame of the first, from 1; 0 where it is absent."""
    top: int
    left: int
    """Of its first pixel in the image, from 1; may lie outside."""
    data: bytes

    @property
    def bits(self) -> Mask:
        """(frames, rows, columns)"""
        shape = (max(self.frames, 1), self.rows, self.columns)
        flat = np.unpackbits(np.frombuffer(self.data, np.uint8), bitorder="little")[: shape[0] * shape[1] * shape[2]]
        return flat.reshape(shape).astype(np.bool_)


def planes_of(header: Header) -> tuple[Plane, ...]:
    """The planes that are what their attributes say; any other is no part of the answer, and goes."""
    return tuple(_planes(header))


def _planes(header: Header) -> Iterator[Plane]:
    for number in _GROUPS:
        group = number << 16
        data = header.raw(group | _DATA)
        if not data:
            continue
        rows, columns = _number(header, group | _ROWS), _number(header, group | _COLUMNS)
        frames, first = _whole(header, group | _FRAMES), _number(header, group | _FIRST)
        kind, origin = (
            header.raw(group | _TYPE).decode("ascii", "replace").strip(" \0"),
            header.raw(group | _ORIGIN),
        )
        size = rows * columns * max(frames, 1)
        if kind not in ("G", "R") or not 0 < size <= LARGEST or len(origin) != 4:
            continue
        if (_number(header, group | _ALLOCATED), _number(header, group | _POSITION)) != (1, 0) or len(data) * 8 < size:
            continue
        top, left = struct.unpack("<hh", origin)
        yield Plane(
            group=group,
            kind=kind,
            rows=rows,
            columns=columns,
            frames=frames,
            first=first,
            top=top,
            left=left,
            data=data,
        )


def _number(header: Header, tag: int) -> int:
    value = header.raw(tag)
    return int.from_bytes(value, "little") if len(value) == 2 else 0


def _whole(header: Header, tag: int) -> int:
    said = header.raw(tag).decode("ascii", "replace").strip(" \0")
    return int(said) if said.isdecimal() and len(said) < 7 else 0


def cleaned(plane: Plane, mask: Mask, detector: Detector, *, mask_found: bool) -> Plane:
    """The plane without what lies over blacked pixels, without text that is found, and without anything behind it.

    mask  of the image, True where its pixels are black

    Raises CannotSucceed where text is found and has to wait for a person.
    """
    bits = plane.bits & ~_of_plane(plane, mask)
    nothing = np.zeros((plane.rows, plane.columns), np.bool_)
    found = text_mask((frame.astype(np.uint8) * np.uint8(255) for frame in bits), nothing, detector)
    if found.any() and not mask_found:
        raise CannotSucceed("there is text in an overlay")
    packed = np.packbits((bits & ~found).ravel(), bitorder="little").tobytes()
    return replace(plane, data=packed + bytes(len(packed) % 2))


def _of_plane(plane: Plane, mask: Mask) -> Mask:
    """The mask of the image as it lies over the plane."""
    over = np.zeros((plane.rows, plane.columns), np.bool_)
    top, left = plane.top - 1, plane.left - 1
    rows = slice(max(top, 0), max(min(top + plane.rows, mask.shape[0]), 0))
    columns = slice(max(left, 0), max(min(left + plane.columns, mask.shape[1]), 0))
    part = mask[rows, columns]
    down, right = rows.start - top, columns.start - left
    over[down : down + part.shape[0], right : right + part.shape[1]] = part
    return over


def put(ds: Dataset, plane: Plane) -> None:
    """Write a plane into a data set."""
    elements: list[tuple[int, str, object]] = [
        (_ROWS, "US", plane.rows), (_COLUMNS, "US", plane.columns), (_TYPE, "CS", plane.kind),
        (_ORIGIN, "SS", [plane.top, plane.left]), (_ALLOCATED, "US", 1), (_POSITION, "US", 0),
        (_DATA, "OW", plane.data),
    ]  # fmt: skip
    if plane.frames:
        elements.append((_FRAMES, "IS", plane.frames))
    if plane.first:
        elements.append((_FIRST, "US", plane.first))
    for element, vr, value in elements:
        ds[plane.group | element] = DataElement(plane.group | element, vr, value)
