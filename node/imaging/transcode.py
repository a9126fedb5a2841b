"""One data set in another transfer syntax, its meaning unchanged.

The transfer syntax is no part of the SOP Instance: where nothing is lost the SOP Instance UID stays (PS3.4 B.4.1.3).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ImplicitVRLittleEndian

from node.dicom.damage import UNREADABLE
from node.dicom.dataset import read
from node.errors import CannotSucceed
from node.imaging import compress, lossy
from node.imaging.codecs import JPEG_LOSSY, VIDEO
from node.imaging.codestream import sniff
from node.imaging.compress import Loss, Unfit
from node.imaging.decode import frames
from node.imaging.fragments import Fragments
from node.imaging.layout import LIMIT, Layout, layout_of, pixel_keyword
from node.imaging.pixels import DEFLATED, HEADER_LIMIT, inflated, transfer_syntax_in
from node.imaging.targets import TARGETS, Target

EXPLICIT_LITTLE_ENDIAN = TARGETS["explicit"].uid
IMPLICIT_LITTLE_ENDIAN = str(ImplicitVRLittleEndian)

# Syntaxes that lose something, or may: near-lossless JPEG-LS, JPEG 2000, HTJ2K and JPEG XL can be either.
LOSSY = frozenset({
    *JPEG_LOSSY, "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.93",
    "1.2.840.10008.1.2.4.203", "1.2.840.10008.1.2.4.111", "1.2.840.10008.1.2.4.112", *VIDEO,
})  # fmt: skip

LONGEST_VALUE = 0xFFFFFFFE  # PS3.5 7.1.1: the length has 32 bits, is even, and all ones mean undefined


def transfer_syntax_of(path: Path) -> str:
    """Raises CannotSucceed when the file is no DICOM or does not say."""
    try:
        with path.open("rb") as file:
            found = transfer_syntax_in(file) or read(file, stop_before_pixels=True).file_meta.get("TransferSyntaxUID")
    except UNREADABLE as error:
        raise CannotSucceed(f"not readable as DICOM ({type(error).__name__})") from error
    if not found:
        raise CannotSucceed("no transfer syntax in the file meta information")
    return str(found)


def is_lossy(path: Path) -> bool:
    """Whether 'Lossy Image Compression' says 01. Raises CannotSucceed when the file is no DICOM."""
    try:
        with path.open("rb") as file:
            return str(read(file, stop_before_pixels=True).get("LossyImageCompression")) == "01"
    except UNREADABLE as error:
        raise CannotSucceed(f"not readable as DICOM ({type(error).__name__})") from error


def to_explicit_little_endian(source: Path, target: Path, *, limit: int = LIMIT) -> tuple[str, ...]:
    """`transcode` to Explicit VR Little Endian (PS3.5 A.2)."""
    return transcode(source, target, TARGETS["explicit"], limit=limit)


def transcode(
    source: Path, target: Path, to: Target, loss: Loss | None = None, *, limit: int = LIMIT
) -> tuple[str, ...]:
    """Write `source` in the transfer syntax `to` to `target`; file meta but that and the SOP Instance UID is kept.

    loss   how much, where `to` loses something: the instance then is a new one, derived from the old
    limit  bytes that the decoded pixels may take

    An object without pixels becomes Explicit VR Little Endian, which is how the others are written around them (PS3.5
    A.4). Pixels are what they were, sample by sample, but compressed colour becomes RGB where it is uncompressed.
    Returns what an operator should know (an icon that was dropped). Raises CannotSucceed, naming the frame, when it
    cannot be done with certainty; `target` is then not written.
    """
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")  # values that are not quite legal pass through as they came
        try:
            ds = _whole(source, limit)
            notes = _change(ds, str(ds.file_meta.TransferSyntaxUID), to, loss, limit)
            applies = not to.encapsulated or "PixelData" in ds
            ds.file_meta.TransferSyntaxUID = UID(to.uid if applies else EXPLICIT_LITTLE_ENDIAN)
            ds.file_meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", "")
            dcmwrite(target, ds, implicit_vr=False, little_endian=True)
        except UNREADABLE as error:
            target.unlink(missing_ok=True)
            raise CannotSucceed(f"cannot be written as {to.words} ({type(error).__name__})") from error
    return tuple(notes)


def _whole(source: Path, limit: int) -> FileDataset:
    with source.open("rb") as file:
        if transfer_syntax_in(file) == DEFLATED:
            return inflated(source, limit + HEADER_LIMIT)
        return read(file)


def _change(ds: FileDataset, syntax: str, to: Target, loss: Loss | None, limit: int) -> list[str]:
    # By what was read, not by the syntax: some files are implicit whatever they say.
    if any(getattr(ds.get_item(tag), "VR", None) is None for tag in list(ds.keys())):
        parse_all(ds)
    notes = []
    for holder in list(holders(ds)):
        if holder is ds and to.encapsulated:
            _lost_before(ds, syntax, limit)
            compress.compress(ds, syntax, to, loss, limit)
        elif holder["PixelData"].is_undefined_length:
            try:
                _decompress(holder, syntax, limit, whole=holder is ds)
            except CannotSucceed as error:
                if holder is ds:
                    raise
                # An icon is a convenience; compressed bytes in a native object are an error in every reader.
                del holder["PixelData"]
                notes.append(f"a nested image was dropped: {error}")
    _drop_empty_icons(ds)
    if to.encapsulated and pixel_keyword(ds) not in (None, "PixelData"):
        raise Unfit(f"floating point pixels cannot be {to.words}")
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


def _decompress(ds: Dataset, syntax: str, limit: int, *, whole: bool) -> None:
    layout = layout_of(ds, syntax, limit=limit)
    if layout.bytes_decoded > LONGEST_VALUE:
        raise CannotSucceed(f"{layout.bytes_decoded} bytes of pixels do not fit one element of {LONGEST_VALUE}")
    if whole:
        _lost_before(ds, syntax, limit)
    # '<': the machine's order is little-endian on all we run on, but the file must be so on any.
    native = layout.dtype.newbyteorder("<")
    if layout.allocated == 1:
        data = compress.packed(frames(layout, ds.PixelData))
    else:
        data = b"".join(frame.astype(native, copy=False).tobytes() for frame in frames(layout, ds.PixelData))
    ds["PixelData"] = DataElement("PixelData", "OB" if layout.allocated <= 8 else "OW", data + b"\0" * (len(data) % 2))
    if layout.samples > 1:
        ds.PhotometricInterpretation = "RGB"
        ds.PlanarConfiguration = 0
    compress.remove_offset_tables(ds)


def _lost_before(ds: Dataset, syntax: str, limit: int) -> None:
    if ds["PixelData"].is_undefined_length:
        layout = layout_of(ds, syntax, limit=limit)
        mark_lossy(ds, layout, Fragments(BytesIO(ds.PixelData), 0, layout.frames))


def mark_lossy(ds: Dataset, layout: Layout, fragments: Fragments) -> None:
    """Once lossy, always lossy (PS3.3 C.7.6.1.1.5), by what the first frame is; without it nothing else would tell."""
    if _loses(layout, fragments):
        lossy.mark(ds, layout, fragments.size())


def _loses(layout: Layout, fragments: Fragments) -> bool:
    if layout.native or layout.transfer_syntax == "1.2.840.10008.1.2.5":
        return False
    stream = sniff(fragments.first())
    return stream is not None and stream.exact is False


def _drop_empty_icons(ds: Dataset) -> None:
    if "IconImageSequence" in ds and not all(pixel_keyword(item) for item in ds.IconImageSequence):
        del ds.IconImageSequence


def parse_all(ds: Dataset) -> None:
    """Give every element its VR: the writer copies what is unparsed byte by byte, in the old encoding."""
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                parse_all(item)
