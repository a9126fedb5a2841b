"""What is drawn: the overlay with a patient in its bits, and the answers about all text in pixels."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import FileDataset

from benchmarks.corpus import projections
from benchmarks.corpus.font import Drawn, draw
from benchmarks.corpus.key import Action, Answer
from benchmarks.corpus.standard import TABLE
from benchmarks.corpus.study import Series


def plant_overlay(ds: FileDataset, series: Series) -> None:
    """Overlay Plane (PS3.3 C.9.2) with the patient drawn into its bits, and named in its label."""
    patient = series.study.patient
    bits = np.zeros((ds.Rows, ds.Columns), np.uint8)
    draw(bits, _overlay_line(series), 1)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    values = (
        (0x0010, "US", ds.Rows), (0x0011, "US", ds.Columns), (0x0022, "LO", f"drawn for {patient.person.plain}"[:64]),
        (0x0040, "CS", "G"), (0x0050, "SS", [1, 1]), (0x0100, "US", 1), (0x0102, "US", 0),
        (0x1500, "LO", patient.patient_id), (0x3000, "OW", packed),
    )  # fmt: skip
    for element, vr, value in values:
        ds.add_new(0x60000000 | element, vr, value)


def _overlay_line(series: Series) -> Drawn:
    return Drawn(series.study.patient.patient_id[-7:], 2, 2, 1)


def drawn(ds: FileDataset, series: Series) -> list[Answer]:
    """Of the pixels: what is drawn into them has to go, what is below it, or all of it, has to stay."""
    if "PixelData" not in ds:
        return []
    burned = ds.get("BurnedInAnnotation") == "YES"
    source = "PS3.15 E.3.1"
    found = [
        Answer(action=Action.PIXELS_HIDDEN, place="pixels", drawn=line, source=source)
        for line in (projections.banner(series) if burned else ())
    ]
    # The site's filter covers every image of such a device, whether this one has text or not.
    below = projections.BANNER if burned or series.modality in projections.DRAWING_DEVICES else 0
    found.append(Answer(action=Action.PIXELS_RETAINED, place="pixels", below=below, source=source))
    if 0x60003000 in ds:
        line = _overlay_line(series)
        source = f"{TABLE}: (60xx,3000)"
        found.append(Answer(action=Action.PIXELS_HIDDEN, place="overlay 6000", drawn=line, source=source))
    return found
