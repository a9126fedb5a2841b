"""What an instance says about pixels that lost something (PS3.3 C.7.6.1.1.5 and C.12.4.1).

An image compressed with loss is a new instance that is derived from the one before, and says from which, how and how
much. Once lossy, always lossy: what earlier compressions wrote stays, and ours comes after it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as Items

from node.dicom.uids import derived_uid
from node.imaging.layout import Layout
from node.imaging.targets import Target

_LOSSY_COMPRESSION = ("113040", "Lossy Compression")  # CID 7203
_UNCOMPRESSED_PREDECESSOR = ("121320", "Uncompressed predecessor")  # CID 7202
_SOURCE_IMAGE = ("121322", "Source image for image processing operation")
_LONGEST_TEXT = 1024  # ST, characters (PS3.5 6.2)
_METHODS = {"50": "ISO_10918_1", "51": "ISO_10918_1", "52": "ISO_10918_1", "53": "ISO_10918_1", "54": "ISO_10918_1",
            "55": "ISO_10918_1", "56": "ISO_10918_1", "57": "ISO_10918_1", "70": "ISO_10918_1", "81": "ISO_14495_1",
            "91": "ISO_15444_1", "93": "ISO_15444_2", "203": "ISO_15444_15"}  # fmt: skip
# What statistics of the pixels say is of those before.
_OF_THE_PIXELS = ("SmallestImagePixelValue", "LargestImagePixelValue")


def mark(ds: Dataset, layout: Layout, size: int) -> None:
    """Say that pixels which were decoded had lost something: without their syntax nothing else would tell.

    layout  of the pixels in their old syntax
    size    bytes of them there; the ratio is measured where none is given
    """
    ds.LossyImageCompression = "01"
    if not ds.get("LossyImageCompressionMethod"):
        ds.LossyImageCompressionMethod = _METHODS.get(layout.transfer_syntax.rpartition(".")[2], "ISO_10918_1")
        if not ds.get("LossyImageCompressionRatio") and size:
            ds.LossyImageCompressionRatio = _ratio(layout.bytes_decoded / size)


def derive(ds: Dataset, target: Target, ratio: float, level: str) -> None:
    """Make `ds`, whose pixels were just compressed `ratio` to 1 with loss, a new instance derived from what it was.

    level  what the codec was asked for, as in "quality 90": it goes into the UID with the target, so that a repeat
           gives the same instance and another compression another one
    """
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    before = _SOURCE_IMAGE if ds.get("LossyImageCompression") == "01" else _UNCOMPRESSED_PREDECESSOR
    source.PurposeOfReferenceCodeSequence = Items([_code(*before)])
    ds.SOPInstanceUID = derived_uid("transcode", str(ds.SOPInstanceUID), target.name, level)
    ds.LossyImageCompression = "01"
    ds.LossyImageCompressionRatio = [*_values(ds.get("LossyImageCompressionRatio")), _ratio(ratio)]
    ds.LossyImageCompressionMethod = [*_values(ds.get("LossyImageCompressionMethod")), target.method]
    ds.ImageType = _derived(_values(ds.get("ImageType")))
    text = f"Lossy compression: {target.words}, {level}, ratio {_ratio(ratio)}:1"
    for level_of in (ds, *_groups(ds, source)):
        _describe(level_of, text)
        _append(level_of, "DerivationCodeSequence", _code(*_LOSSY_COMPRESSION))
    _append(ds, "SourceImageSequence", source)
    for frame_type in _frame_types(ds):
        frame_type.FrameType = _derived(_values(frame_type.get("FrameType")))
    for keyword in _OF_THE_PIXELS:
        if keyword in ds:
            del ds[keyword]


def _groups(ds: Dataset, source: Dataset) -> Iterator[Dataset]:
    """Of a multi-frame image with functional groups, the items of Derivation Image Sequence that now hold: one for each
    frame where frames have their own, else one for all (PS3.3 C.7.6.16.2.6)."""
    frames = ds.get("PerFrameFunctionalGroupsSequence") or []
    shared = ds.get("SharedFunctionalGroupsSequence") or []
    own = [group for group in frames if "DerivationImageSequence" in group]
    for group in frames if own else shared[:1]:
        item = Dataset()
        item.SourceImageSequence = Items([_plain(source)])
        _append(group, "DerivationImageSequence", item)
        yield item


def _plain(source: Dataset) -> Dataset:
    """A copy: an item belongs to one sequence."""
    item = Dataset()
    item.ReferencedSOPClassUID = source.ReferencedSOPClassUID
    item.ReferencedSOPInstanceUID = source.ReferencedSOPInstanceUID
    code = source.PurposeOfReferenceCodeSequence[0]
    item.PurposeOfReferenceCodeSequence = Items([_code(code.CodeValue, code.CodeMeaning)])
    return item


def _frame_types(ds: Dataset) -> Iterator[Dataset]:
    """Every item in the functional groups that has a Frame Type: its first value is that of Image Type."""
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in ds.get(keyword) or []:
            for element in group:
                if element.VR == "SQ":
                    yield from (item for item in element.value or [] if "FrameType" in item)


def _describe(ds: Dataset, text: str) -> None:
    before = str(ds.get("DerivationDescription") or "")
    whole = f"{before}; {text}" if before else text
    ds.DerivationDescription = whole if len(whole) <= _LONGEST_TEXT else text


def _append(ds: Dataset, keyword: str, item: Dataset) -> None:
    setattr(ds, keyword, Items([*(ds.get(keyword) or []), item]))


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _derived(image_type: list[str]) -> list[str]:
    return ["DERIVED", *(image_type[1:] or ["PRIMARY"])]


def _ratio(ratio: float) -> str:
    return f"{ratio:.4g}"


def _values(value: object) -> list[str]:
    if value is None or value == "":
        return []
    return [str(each) for each in value] if isinstance(value, MultiValue | list | tuple) else [str(value)]
