"""Layouts of test frames by what matters about them."""

from __future__ import annotations

import numpy as np

from node.imaging.layout import Layout

EXPLICIT = "1.2.840.10008.1.2.1"


def layout(
    shape: tuple[int, ...],
    syntax: str = EXPLICIT,
    *,
    dtype: object = np.uint16,
    stored: int | None = None,
    **changes: object,
) -> Layout:
    """Of frames of `shape`, (rows, columns) or (rows, columns, 3), whose samples are of `dtype`."""
    kind = np.dtype(dtype)  # type: ignore[call-overload]  # any way of naming one
    values: dict[str, object] = {
        "transfer_syntax": syntax,
        "keyword": "PixelData",
        "rows": shape[0],
        "columns": shape[1],
        "samples": 3 if len(shape) == 3 else 1,
        "frames": 1,
        "allocated": 8 * kind.itemsize,
        "stored": stored or 8 * kind.itemsize,
        "signed": kind.kind == "i",
        "photometric": "RGB" if len(shape) == 3 else "MONOCHROME2",
        "planar": False,
        "encapsulated": syntax not in (EXPLICIT, "1.2.840.10008.1.2.2"),
    }
    return Layout(**{**values, **changes})  # type: ignore[arg-type]  # one dict of several types
