"""Text in pixels: frames are decoded here, and given to whatever recognises characters.

Recognising them takes a model of its own and most of a second a frame, so it is an option that a step which
de-identifies offers; see `run.second_reading`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from pydicom.dataset import FileDataset

from node.imaging.layout import Array
from node.imaging.pixels import read_header

TextsOf = Callable[[Array], list[str]]
"""The texts that can be read in one decoded frame: (rows, columns) or (rows, columns, 3). Picklable."""


LooksAt = Callable[[FileDataset], bool]
"""Whether the pixels of an image are looked at, by its header: for it takes its time."""


def at_all(header: FileDataset) -> bool:
    """Every image is looked at."""
    return True


def texts_in(path: Path, texts_of: TextsOf, looks_at: LooksAt = at_all) -> Iterator[tuple[int, str]]:
    """(frame number from 1, text) for what is seen in the pixels of a DICOM file; one frame in memory at a time.

    Raises CannotSucceed where pixels cannot be decoded: what cannot be seen is not passed on as clean.
    """
    header, pixels = read_header(path)
    if pixels is None or not looks_at(header):
        return
    for number, frame in enumerate(pixels.frames(), 1):
        for text in texts_of(frame):
            yield number, text
