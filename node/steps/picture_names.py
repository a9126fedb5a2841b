"""What pictures are called, and which instances are of one series: no name says anything of a patient.

Series number, modality and hashes of UIDs; after `anonymize` these are the new ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydicom.dataset import Dataset

from node.dicom.uids import mark_of
from node.imaging.functional import number_of, value_of
from node.imaging.pixels import Pixels
from node.model import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictured:
    """One instance of the batch that has pixels."""

    item: Item
    ds: Dataset
    pixels: Pixels

    @property
    def series_uid(self) -> str:
        return str(value_of(self.ds, "SeriesInstanceUID") or "")

    @property
    def series(self) -> str:
        return series_name(self.ds)

    @property
    def instance(self) -> str:
        """The series, the instance number, and a hash of the instance UID: several may have one number."""
        uid = str(value_of(self.ds, "SOPInstanceUID") or "")
        return f"{self.series}_{_number(self.ds, 'InstanceNumber'):04d}_{mark_of(uid)}"


def series_name(ds: Dataset) -> str:
    """The beginning of the names of a series: series number, modality, a hash of the series UID."""
    # Goes into a file name: nothing but what a code string may have.
    modality = re.sub(r"[^A-Z0-9]", "", str(value_of(ds, "Modality") or "").upper())[:16] or "OT"
    return f"{_number(ds, 'SeriesNumber'):03d}_{modality}_{mark_of(str(value_of(ds, 'SeriesInstanceUID') or ''))}"


def frame_name(number: int, frames: int) -> str:
    """`_f0007` for frame number 6 (from 0) of a few or of thousands; nothing for a single frame."""
    return "" if frames == 1 else f"_f{number + 1:0{max(4, len(str(frames)))}d}"


def _number(ds: Dataset, keyword: str) -> int:
    return max(int(number_of(value_of(ds, keyword)) or 0), 0)
