"""Text in pixels: frames are decoded here, and given to whatever recognises characters.

Recognising them takes a model of its own and most of a second a frame, so it is an option that a step which
de-identifies offers; see `run.second_reading`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset

from node.errors import CannotSucceed
from node.imaging.layout import Array
from node.imaging.pixels import read_header

_DATA = 0x3000
"""Overlay Data, in the groups 6000 to 601E."""

TextsOf = Callable[[Array], list[str]]
"""The texts that can be read in one decoded frame: (rows, columns) or (rows, columns, 3). Picklable."""


LooksAt = Callable[[FileDataset], bool]
"""Whether the pixels of an image are looked at, by its header: for it takes its time."""


def at_all(header: FileDataset) -> bool:
    """Every image is looked at."""
    return True


def texts_in(path: Path, texts_of: TextsOf, looks_at: LooksAt = at_all) -> Iterator[tuple[str, str]]:
    """(where, text) for what is seen in the pixels of a DICOM file and in its overlays; one frame in memory at a time.

    Raises CannotSucceed where pixels cannot be decoded: what cannot be seen is not passed on as clean.
    """
    header, pixels = read_header(path)
    if pixels is None or not looks_at(header):
        return
    for number, frame in enumerate(pixels.frames(), 1):
        for text in texts_of(frame):
            yield f"pixels of frame {number}", text
    for group in range(0x6000, 0x6020, 2):
        if (group, _DATA) in header:
            for frame in _frames_of(header, group):
                for text in texts_of(frame):
                    yield f"overlay ({group:04X},{_DATA:04X})", text


def _frames_of(header: FileDataset, group: int) -> Array:
    """(frames, rows, columns), 255 where a bit of the overlay is set (PS3.3 C.9.2, PS3.5 8.1.2)."""
    rows, columns, frames = (header.get((group, element)) for element in (0x0010, 0x0011, 0x0015))
    try:
        shape = (int(frames.value) if frames is not None and frames.value else 1, int(rows.value), int(columns.value))
        bits = np.unpackbits(np.frombuffer(header[group, _DATA].value, np.uint8), bitorder="little")
        return np.asarray(bits[: shape[0] * shape[1] * shape[2]].reshape(shape) * np.uint8(255))
    except (AttributeError, TypeError, ValueError):
        raise CannotSucceed(f"overlay {group:04X} is not as its attributes say") from None
