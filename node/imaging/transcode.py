"""Rewrite one data set as Explicit VR Little Endian (PS3.5 A.2), its identity and its meaning unchanged.

The transfer syntax is no part of the SOP Instance: the SOP Instance UID stays (PS3.4 B.4.1.3).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.dicom.dataset import read
from node.errors import CannotSucceed
from node.imaging.codecs import JPEG_LOSSY, VIDEO
from node.imaging.decode import frames
from node.imaging.layout import LIMIT, Layout, layout_of, pixel_keyword
from node.imaging.pixels import READ_ERRORS

EXPLICIT_LITTLE_ENDIAN = str(ExplicitVRLittleEndian)
IMPLICIT_LITTLE_ENDIAN = str(ImplicitVRLittleEndian)

# Syntaxes that lose something, or may: near-lossless JPEG-LS, JPEG 2000 and HTJ2K can be either.
LOSSY = frozenset({*JPEG_LOSSY, "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203", *VIDEO})

OFFSET_TABLES = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
LONGEST_VALUE = 0xFFFFFFFE  # PS3.5 7.1.1: the length has 32 bits, is even, and all ones mean undefined


def transfer_syntax_of(path: Path) -> str:
    """Raises CannotSucceed when the file is no DICOM or does not say."""
    try:
        with path.open("rb") as file:
            found = read(file, stop_before_pixels=True).file_meta.get("TransferSyntaxUID")
    except READ_ERRORS as error:
        raise CannotSucceed(f"not readable as DICOM ({type(error).__name__})") from error
    if not found:
        raise CannotSucceed("no transfer syntax in the file meta information")
    return str(found)


def to_explicit_little_endian(source: Path, target: Path, *, limit: int = LIMIT) -> tuple[str, ...]:
    """Write `source` as Explicit VR Little Endian to `target`; file meta but the transfer syntax is kept.

    limit  bytes that the decoded pixels may take

    Returns what an operator should know (an icon that was dropped). Raises CannotSucceed, naming the frame, when
    it cannot be done with certainty; `target` is then not written.
    """
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")  # values that are not quite legal pass through as they came
        try:
            with source.open("rb") as file:
                ds = read(file)
            notes = _make_native(ds, str(ds.file_meta.TransferSyntaxUID), limit)
            ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            dcmwrite(target, ds, implicit_vr=False, little_endian=True)
        except READ_ERRORS as error:
            target.unlink(missing_ok=True)
            raise CannotSucceed(f"cannot be written as Explicit VR Little Endian ({type(error).__name__})") from error
    return tuple(notes)


def _make_native(ds: FileDataset, syntax: str, limit: int) -> list[str]:
    # By what was read, not by the syntax: some files are implicit whatever they say.
    if any(getattr(ds.get_item(tag), "VR", None) is None for tag in list(ds.keys())):
        parse_all(ds)
    compressed = [holder for holder in holders(ds) if holder["PixelData"].is_undefined_length]
    notes = []
    for holder in compressed:
        try:
            _decompress(holder, syntax, limit)
        except CannotSucceed as error:
            if holder is ds:
                raise
            # An icon is a convenience; compressed bytes in a native object are an error in every reader.
            del holder["PixelData"]
            notes.append(f"a nested image was dropped: {error}")
    _drop_empty_icons(ds)
    return notes


def holders(ds: Dataset) -> Iterator[Dataset]:
    """`ds` and every nested data set that has pixel data. Looks only into sequences: the rest stays unparsed."""
    if "PixelData" in ds:
        yield ds
    for tag in list(ds.keys()):
        element = ds.get_item(tag)
        if element is not None and element.VR == "SQ":
            for item in ds[tag].value or ():
                yield from holders(item)


def _decompress(ds: Dataset, syntax: str, limit: int) -> None:
    layout = layout_of(ds, syntax, limit=limit)
    if layout.bytes_decoded > LONGEST_VALUE:
        raise CannotSucceed(f"{layout.bytes_decoded} bytes of pixels do not fit one element of {LONGEST_VALUE}")
    # '<': the machine's order is little-endian on all we run on, but the file must be so on any.
    native = layout.dtype.newbyteorder("<")
    data = b"".join(frame.astype(native, copy=False).tobytes() for frame in frames(layout, ds.PixelData))
    ds["PixelData"] = DataElement("PixelData", "OB" if layout.allocated <= 8 else "OW", data + b"\0" * (len(data) % 2))
    if layout.samples > 1:
        ds.PhotometricInterpretation = "RGB"
        ds.PlanarConfiguration = 0
    for keyword in OFFSET_TABLES:
        if keyword in ds:
            del ds[keyword]
    mark_lossy(ds, layout)


def mark_lossy(ds: Dataset, layout: Layout) -> None:
    """Once lossy, always lossy (PS3.3 C.7.6.1.1.5); without its syntax nothing else would tell."""
    if layout.transfer_syntax not in JPEG_LOSSY:
        return
    ds.LossyImageCompression = "01"
    if not ds.get("LossyImageCompressionMethod"):
        ds.LossyImageCompressionMethod = "ISO_10918_1"


def _drop_empty_icons(ds: Dataset) -> None:
    if "IconImageSequence" in ds and not all(pixel_keyword(item) for item in ds.IconImageSequence):
        del ds.IconImageSequence


def parse_all(ds: Dataset) -> None:
    """Give every element its VR: the writer copies what is unparsed byte by byte, in the old encoding."""
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                parse_all(item)
