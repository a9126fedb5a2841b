"""The options of Clean Pixel Data as they stand in rules.yaml, what is wrong with them, and what they come to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from node.imaging import ocr
from node.steps.anonymize import pixel_rules
from node.steps.anonymize.pixels import Cleaning

CLEAN_PIXELS = "clean_pixel_data"
"""The option of PS3.15 E.3.1 that all of this belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelOptions:
    """How pixels are cleaned, with clean_pixel_data in `options`."""

    rules: tuple[Path, ...] = ()
    """Files of rectangles by device: deid filters (FORMAT dicom, %filter) and RSNA CTP pixel scripts."""
    bundled: bool = True
    """Also use the rectangles that deid ships."""
    ocr: Literal["off", "suspected", "all"] | tuple[str, ...] = "off"
    """Where text is looked for beside the rules, at 0.3 to 0.8 s a frame: `suspected`, the kinds that burn names in or
    are not known not to; `all` images; or a list of values of Modality. It needs `pip install dicom-node[ocr]`, and
    releases nothing that shows names by its kind. The second reader then reads what is left in the same images."""
    text_found: Literal["hold", "mask"] = "hold"
    """What is done about text that is found and that no rule covers."""


AS_USUAL = PixelOptions()


def cleaning_of(options: Sequence[str], pixels: PixelOptions, recipe: Path | None = None) -> Cleaning | None:
    """What the option does; None without it. The files of rules must have no problems.

    recipe  one that may have %filter sections too
    """
    if CLEAN_PIXELS not in options:
        return None
    files = [pixel_rules.load(path)[0] for path in pixels.rules]
    if recipe is not None and (of_recipe := pixel_rules.of_recipe(recipe)[0]).rules:
        files.append(of_recipe)
    if pixels.bundled:
        files.append(pixel_rules.bundled())
    return Cleaning(
        files=tuple(files),
        ocr=pixels.ocr,
        mask_found=pixels.text_found == "mask",
        detector=None if pixels.ocr == "off" else ocr.rapid_ocr,
        keep_overlays="clean_graphics" in options,
    )


def pixel_problems(options: Sequence[str], pixels: PixelOptions, recipe: Path | None = None) -> list[str]:
    """What is wrong with the options, a sentence each; for a file of rules with its file and line."""
    if CLEAN_PIXELS not in options:
        return [] if pixels == AS_USUAL else [f'pixels: is of use only with the option "{CLEAN_PIXELS}"']
    found = [problem for path in pixels.rules for problem in pixel_rules.load(path)[1]]
    found += pixel_rules.of_recipe(recipe)[1] if recipe is not None else ()
    if pixels.bundled and not pixel_rules.bundled().rules:
        found.append("pixels: the rules that deid ships are not found; install deid again, or say bundled: false")
    if pixels.ocr != "off" and not ocr.is_installed():
        found.append("pixels: ocr needs a package that is not installed: pip install dicom-node[ocr]")
    if isinstance(pixels.ocr, tuple):
        wrong = [word for word in pixels.ocr if not re.fullmatch(r"[A-Z0-9_ ]{1,16}", word)]
        found += [f'pixels: ocr: "{word}" is no value of Modality' for word in wrong]
    return found
