"""How an object is written: transfer syntaxes, lengths of sequences, and sequences that came as UN."""

from __future__ import annotations

import numpy as np
from pydicom.charset import convert_encodings
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_sequence
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

SYNTAXES = (
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, ExplicitVRBigEndian, JPEG2000Lossless,
    DeflatedExplicitVRLittleEndian,
)  # fmt: skip

_AS_UNKNOWN = (0x00400275, 0x00081110, 0x00091008, 0x00660035)
"""Request Attributes Sequence, in which every object names its patient, Referenced Study Sequence, one of a private
block, and the first of three that are nested."""
_WORDS = (0x7FE00010, 0x60003000)
"""What is in 16-bit words."""


def suited(ds: Dataset, wanted: UID) -> UID:
    """The transfer syntax nearest to a wanted one that an object can have."""
    pixels = "PixelData" in ds
    if wanted == JPEG2000Lossless and not pixels:
        return DeflatedExplicitVRLittleEndian
    if wanted == DeflatedExplicitVRLittleEndian and pixels:
        return ExplicitVRLittleEndian
    if wanted not in (RLELossless, JPEG2000Lossless):
        return wanted
    # JPEG 2000 in colour asks for another Photometric Interpretation (PS3.5 8.2.4), which the key would not know.
    compressible = pixels and ds.BitsAllocated > 1 and (ds.SamplesPerPixel == 1 or wanted == RLELossless)
    return wanted if compressible else ExplicitVRLittleEndian


def encode(ds: FileDataset, syntax: UID) -> None:
    """Give the object a `suited` transfer syntax; pydicom swaps no bytes of OW by itself."""
    if syntax in (RLELossless, JPEG2000Lossless):
        ds.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        for tag in _WORDS:
            if tag in ds and ds[tag].VR == "OW":
                ds[tag].value = np.frombuffer(ds[tag].value, "<u2").astype(">u2").tobytes()
    ds.file_meta.TransferSyntaxUID = syntax


def shape_sequences(ds: FileDataset, syntax: UID, number: int) -> None:
    """In every third object sequences and items end by delimiters (PS3.5 7.5.2), and one is a UN."""
    if number % 3 == 0:
        _undefined(ds)
    explicit = syntax not in (ImplicitVRLittleEndian, ExplicitVRBigEndian)
    if explicit:
        _as_unknown(ds, _AS_UNKNOWN[number % len(_AS_UNKNOWN)])


def _undefined(ds: Dataset) -> None:
    for element in ds:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                _undefined(item)


def _as_unknown(ds: Dataset, tag: int) -> None:
    """As a device writes a sequence whose VR it does not know: UN, implicit VR little endian within (PS3.5 6.2.2)."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    terms = ds.get("SpecificCharacterSet", "")
    write_sequence(buffer, ds[tag], convert_encodings(terms if isinstance(terms, str) else list(terms)))
    value = buffer.getvalue()
    ds[tag] = RawDataElement(Tag(tag), "UN", len(value), value, 0, False, True)  # pydicom would see that it is none
