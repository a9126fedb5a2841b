"""Overlay planes: what was drawn over an image, one bit for each of its pixels (PS3.3 C.9.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from node.dicom.damage import UNREADABLE
from node.errors import CannotSucceed
from node.imaging.functional import number_of, numbers_of
from node.imaging.layout import Array, Layout
from node.imaging.reading import Attributes, value_at

GROUPS = range(0x6000, 0x6020, 2)
_ROWS, _COLUMNS, _FRAMES, _ORIGIN, _FIRST, _ALLOCATED, _DATA = 0x10, 0x11, 0x15, 0x50, 0x51, 0x100, 0x3000

IN_PIXELS = "an overlay in unused bits of the pixels, which the standard has retired, is not drawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """One group 60xx."""

    rows: int
    columns: int
    frames: int
    top: int
    left: int
    """Row and column of the image, from 0, that its first pixel lies on; both may be outside."""
    first: int
    """The frame of the image, from 0, that its first frame is for."""
    data: bytes
    """Lowest bit first, row after row, frame after frame without a gap."""

    def paint(self, picture: Array, number: int, value: int) -> None:
        """Set what it covers in `picture`, (rows, columns[, 3]) of frame `number` (from 0), to `value`."""
        # PS3.3 C.9.2.1.3: one frame of overlay is for all frames of the image, unless it says which one.
        own = 0 if self.frames == 1 and self.first < 0 else number - max(self.first, 0)
        if not 0 <= own < self.frames:
            return
        top, left = max(self.top, 0), max(self.left, 0)
        part = self._plane(own)[top - self.top :, left - self.left :]
        window = picture[top : top + part.shape[0], left : left + part.shape[1]]
        window[part[: window.shape[0], : window.shape[1]]] = value

    def _plane(self, number: int) -> npt.NDArray[np.bool_]:
        """(rows, columns); frames need not begin on a byte."""
        size = self.rows * self.columns
        begin, end = number * size, (number + 1) * size
        raw = np.frombuffer(self.data, np.uint8, -(-end // 8) - begin // 8, begin // 8)
        bits = np.unpackbits(raw, bitorder="little")[begin % 8 :][:size]
        return bits.reshape(self.rows, self.columns).astype(np.bool_)


_IN_BIT = tuple(tuple(Tag(group, element) for element in (_ALLOCATED, 0x102, _DATA)) for group in GROUPS)


def bit_in_values(ds: Attributes, stored: int) -> int | None:
    """The lowest bit, from 0, in which an overlay stands that is among the `stored` bits of the values; None for none.

    Overlays in the pixels were for unused bits alone (PS3.5-2004 8.1.2, retired), which decoding clears.
    """
    found = []
    for allocated, position, data in _IN_BIT:
        if position not in ds or data in ds:
            continue
        # One bit allocated is an overlay of its own, whose data may have gone with another element.
        bits, bit = number_of(value_at(ds, allocated)), number_of(value_at(ds, position))
        if bits is not None and bits > 1 and bit is not None and bit < stored:
            found.append(int(bit))
    return min(found, default=None)


def overlays_of(ds: Dataset, layout: Layout) -> tuple[tuple[Overlay, ...], tuple[str, ...]]:
    """The overlays of an instance in the order of their groups, and what of them is not drawn.

    Raises CannotSucceed for one that is not whole: a part of a drawing may mean something else.
    """
    found, notes = [], dict[str, None]()
    for group in GROUPS:
        if (group, _DATA) in ds:
            found.append(_overlay(ds, group, layout))
        elif (group, _ROWS) in ds and (_number(ds, group, _ALLOCATED) or 1) > 1:
            notes[IN_PIXELS] = None
    return tuple(found), tuple(notes)


def _overlay(ds: Dataset, group: int, layout: Layout) -> Overlay:
    rows, columns = (_number(ds, group, element) or 0 for element in (_ROWS, _COLUMNS))
    frames, first = _number(ds, group, _FRAMES), _number(ds, group, _FIRST)
    origin = numbers_of(_value(ds, group, _ORIGIN)) or (1.0, 1.0)
    frames = 1 if frames is None else frames
    if min(rows, columns, frames) < 1 or len(origin) != 2:
        raise CannotSucceed(f"overlay {group:04X}: {frames} frames of {rows} rows x {columns} columns, not to be drawn")
    data = _value(ds, group, _DATA)
    data = bytes(data) if isinstance(data, bytes) else b""
    if len(data) * 8 < rows * columns * frames:
        raise CannotSucceed(f"overlay {group:04X}: {len(data)} bytes for {frames} frames of {rows} x {columns} bits")
    if not layout.little_endian and ds[group, _DATA].VR == "OW":
        data = np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes()
    return Overlay(
        rows=rows, columns=columns, frames=frames, top=int(origin[0]) - 1, left=int(origin[1]) - 1,
        first=-1 if first is None else first - 1, data=data,
    )  # fmt: skip


def _number(ds: Dataset, group: int, element: int) -> int | None:
    found = number_of(_value(ds, group, element))
    return None if found is None else int(found)


def _value(ds: Dataset, group: int, element: int) -> Any:
    try:
        found = ds.get((group, element))
        return None if found is None else found.value
    except UNREADABLE:
        return None


def painted(picture: Array, overlays: tuple[Overlay, ...], number: int) -> Array:
    """A copy of the picture of frame `number` with its overlays in white, or the picture where it has none."""
    if not overlays:
        return picture
    drawn = picture.copy()
    for overlay in overlays:
        overlay.paint(drawn, number, 2 ** (8 * drawn.dtype.itemsize) - 1)
    return drawn
