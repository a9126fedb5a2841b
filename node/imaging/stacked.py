"""Regions slice by slice as they wait to be written: eight pixels to a byte, and nothing of what is empty around them.

As arrays thirty regions on 300 slices of 512 x 512 would be 2.4 GB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np

from node.imaging.layout import Array
from node.imaging.raster import Patch

_Slice = TypeVar("_Slice", covariant=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """A part of a slice from `row` and `column` on: as bits where it has only 0 and 1, else as it is."""

    row: int
    column: int
    data: Array
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    bits: bool

    @classmethod
    def of(cls, row: int, column: int, part: Array) -> Self:
        bits = part.dtype == np.bool_ or (part.dtype == np.uint8 and int(part.max(initial=0)) <= 1)
        # A copy in any case: a view would keep all of what it is a part of.
        data = np.packbits(part.view(np.bool_)) if bits else part.copy()
        return cls(row, column, data, part.shape, part.dtype, bits)

    def part(self) -> Array:
        if not self.bits:
            return self.data
        count = self.shape[0] * self.shape[1]
        return np.unpackbits(self.data.view(np.uint8), count=count).view(self.dtype).reshape(self.shape)


class _BySlice(Mapping[int, _Slice]):
    """Slice number -> what is there, made anew each time that it is asked for."""

    def __init__(self) -> None:
        self._kept: dict[int, _Cut] = {}

    def __contains__(self, k: object) -> bool:
        return k in self._kept

    def __iter__(self) -> Iterator[int]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


class KeptPatches(_BySlice[Patch]):
    """Of a region that was drawn."""

    def keep(self, k: int, patch: Patch) -> None:
        """Take the patch of slice `k`, in place of one that is there."""
        self._kept[k] = _Cut.of(patch.row, patch.column, patch.pixels)

    def __getitem__(self, k: int) -> Patch:
        cut = self._kept[k]
        return Patch(row=cut.row, column=cut.column, pixels=cut.part().view(np.bool_))


class KeptFrames(_BySlice[Array]):
    """Of a segment as it is stored: whole slices, (rows, columns), of the values and the type that they were kept with.

    shape  of each
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        self._shape = shape

    def keep(self, k: int, frame: Array) -> None:
        """Take slice `k`, in place of one that is there."""
        rows = np.flatnonzero(frame.any(axis=1))
        top, bottom = (int(rows[0]), int(rows[-1]) + 1) if rows.size else (0, 0)
        columns = np.flatnonzero(frame[top:bottom].any(axis=0))
        left, right = (int(columns[0]), int(columns[-1]) + 1) if columns.size else (0, 0)
        self._kept[k] = _Cut.of(top, left, frame[top:bottom, left:right])

    def __getitem__(self, k: int) -> Array:
        cut = self._kept[k]
        found = np.zeros(self._shape, cut.dtype)
        found[cut.row : cut.row + cut.shape[0], cut.column : cut.column + cut.shape[1]] = cut.part()
        return found
