"""Text in pixels: how much of it the detector covers, and how much it covers that is no text.

    python -m benchmarks.ocr [--frames 24] [--images DIR ...] [--quick]

Frames of real images (without them, noise with shapes) are looked at as they came, and once more with an invented
name, a number and a day drawn into them: in the strokes of OpenCV's fonts and in a bitmap font, small and large, in the
brightest value and in half of it. A line counts as covered when nine in ten of its pixels are masked, so that nobody
reads it. `pip install dicom-node[ocr]` brings the detector.
"""

from __future__ import annotations

import argparse
import importlib
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.corpus.font import Drawn, draw
from benchmarks.figures import table
from benchmarks.machine import machine
from node.errors import CannotSucceed
from node.imaging import ocr
from node.imaging.layout import Array
from node.imaging.pixels import read_header
from tests.data import real_folders

MODALITIES = ("CT", "MR", "PT", "NM", "CR", "DX", "MG")
"""Whose images come without text."""
COVERED = 0.9
_LEAST = 128
"""Rows and columns of a frame that is used."""
_ALIKE = 0.7
"""Correlation of neighbours, from which on a frame is used."""
_NAMES = ("KOWALCZYK ANNA", "O'BRIEN^MARY", "Nguyen Van Tuan", "MUELLER HANS", "Garcia Lopez J")
HEIGHTS = (10, 14, 21, 28)
"""Pixels of a capital letter."""

Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Style:
    """How a line is drawn."""

    font: str
    """`strokes` or `bitmap`."""
    height: int
    """Pixels of a capital letter."""
    bright: bool
    """In the greatest value of the frame; else half way to it."""

    @property
    def words(self) -> str:
        return f"{self.font}, {self.height} pixels, {'bright' if self.bright else 'half'}"


def styles() -> list[Style]:
    """Every one; a bitmap has no heights between whole numbers of its 7 rows."""
    return [
        Style(font, height, bright)
        for font in ("strokes", "bitmap")
        for height in HEIGHTS
        for bright in (True, False)
        if font == "strokes" or height % 7 == 0
    ]


def frames(folders: Sequence[Path], most: int) -> Iterator[Array]:
    """Middle frames of one file of each folder and modality, grey, no noise and not too small; at most so many."""
    count = 0
    for folder in folders:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in files[len(files) // 2 :][:1]:
            found = _frame(path)
            if found is not None and count < most:
                count += 1
                yield found


def _frame(path: Path) -> Array | None:
    try:
        ds, pixels = read_header(path)
        if pixels is None or ds.get("Modality") not in MODALITIES:
            return None
        number = pixels.layout.frames // 2
        frame = next(iter(pixels.frames([number])))
    except (CannotSucceed, OSError, ValueError):
        return None
    return frame if frame.ndim == 2 and min(frame.shape) >= _LEAST and not is_noise(frame) else None


def is_noise(frame: Array) -> bool:
    """Whether neighbours have nothing in common: pixels that somebody put in the place of an image, to publish it."""
    values = frame.astype(np.float64)
    one, other = values[:, :-1].ravel(), values[:, 1:].ravel()
    return not values.any() or float(np.corrcoef(one, other)[0, 1]) < _ALIKE


def shapes(seed: int) -> Array:
    """Noise with discs in it: what there is without images."""
    noise = np.random.default_rng(seed)
    rows, columns = np.mgrid[:256, :256]
    found = noise.normal(100, 12, (256, 256))
    for _ in range(6):
        row, column, radius = (int(noise.integers(low, high)) for low, high in ((30, 226), (30, 226), (8, 60)))
        found[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] += noise.integers(50, 600)
    return found.astype(np.int16)


def drawn(frame: Array, style: Style, seed: int) -> tuple[Array, list[Bits]]:
    """The frame with three lines in it, and of each the pixels that it took."""
    choose = Random(seed)
    texts = (
        choose.choice(_NAMES),
        f"{choose.randrange(10**6, 10**8)}",
        f"19{choose.randrange(30, 99)}-07-1{seed % 10}",
    )
    made, lines = frame.copy(), []
    low, high = float(frame.min()), float(frame.max())
    value = int(high if style.bright else low + (high - low) / 2)
    top = choose.randrange(4, 12)
    for text in texts:
        bits = _line(frame.shape, style, text, top)
        if bits is not None and bits.any():
            made[bits] = value
            lines.append(bits)
        top += style.height * 2
    return made, lines


def _line(shape: tuple[int, ...], style: Style, text: str, top: int) -> Bits | None:
    """The pixels of one line; None where it does not fit."""
    canvas = np.zeros(shape, np.uint8)
    if style.font == "bitmap":
        letters = "".join(letter for letter in text.upper() if letter not in "'^")
        try:
            draw(canvas, Drawn(letters, top, 6, style.height // 7), 1)
        except ValueError:
            return None
        return canvas > 0
    cv2: Any = importlib.import_module("cv2")  # comes with the detector
    scale = style.height / 21.0  # capitals of this font have 21 pixels at 1.0
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    if width + 6 > shape[1] or top + style.height + 6 > shape[0]:
        return None
    cv2.putText(canvas, text, (6, top + style.height), cv2.FONT_HERSHEY_SIMPLEX, scale, 1, max(1, style.height // 12))
    return canvas > 0


def covered(mask: Bits, lines: Sequence[Bits]) -> list[float]:
    """Of each line the part of its pixels that is masked."""
    return [float(mask[line].mean()) for line in lines]


def recall(found: Sequence[Array], detector: ocr.Detector) -> list[tuple[str, int, int, int]]:
    """For each style (words, lines, lines that are covered, lines of which nothing is)."""
    lines = []
    for style in styles():
        parts: list[float] = []
        for number, frame in enumerate(found):
            made, where = drawn(frame, style, number)
            if where:
                parts += covered(ocr.text_mask([made], np.zeros(made.shape, np.bool_), detector), where)
        whole, none = sum(part >= COVERED for part in parts), sum(part == 0 for part in parts)
        lines.append((style.words, len(parts), whole, none))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--images", type=Path, nargs="*", help="folders of instances; the real images by default")
    parser.add_argument("--quick", action="store_true", help="a frame or two: only to see that it works")
    given = parser.parse_args()
    if not ocr.is_installed():
        raise SystemExit("the detector is not installed: pip install dicom-node[ocr]")
    warnings.simplefilter("ignore")
    most = 2 if given.quick else given.frames
    found = list(frames(given.images if given.images is not None else real_folders(), most))
    what = f"{len(found)} frames of real images" if found else "made-up frames"
    found = found or [shapes(number) for number in range(min(most, 8))]
    detector = ocr.rapid_ocr()
    began = time.perf_counter()
    masks = [ocr.text_mask([frame], np.zeros(frame.shape, np.bool_), detector) for frame in found]
    seconds = (time.perf_counter() - began) / len(found)
    hit = sum(bool(mask.any()) for mask in masks)
    pixels = 100 * float(np.mean([mask.mean() for mask in masks]))
    print(f"{machine()}\n{what}, {seconds:.2f} s each\n")
    lines = recall(found, detector)
    total = tuple(sum(counts) for counts in zip(*(line[1:] for line in lines), strict=True))
    each = [*lines, ("all", total[0], total[1], total[2])]
    print(table(
        ("drawn text", "lines", "covered", "nothing of it covered"),
        [(w, str(n), f"{100 * whole / max(n, 1):.0f} %", str(none)) for w, n, whole, none in each],
    ))  # fmt: skip
    print(f"\nas they came: a mask in {hit} of {len(found)} frames, over {pixels:.2f} % of the pixels")


if __name__ == "__main__":
    main()
