"""The original attributes, sealed for one recipient in Encrypted Attributes Sequence (0400,0500), and back again.

PS3.15 E.1.1: of every top-level attribute that was changed or removed the original goes into the one item of Modified
Attributes Sequence (0400,0550), which is encrypted as a data set of its own (PS3.3 C.12.1.1.4). E.1.2 is the way back.
Whoever has the private key has the identity: it belongs to neither the node nor the receiver.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_data_element
from pydicom.sequence import Sequence as Items

from node.dicom import envelope
from node.dicom.attributes import VR_BY_TAG, vr_of
from node.dicom.dataset import read
from node.dicom.encoding import UNDEFINED, element
from node.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from node.errors import CannotSucceed
from node.steps.anonymize.walk import element_of

ENCRYPTED_ATTRIBUTES, MODIFIED_ATTRIBUTES = 0x04000500, 0x04000550
_CHARACTER_SET, _SOP_INSTANCE = 0x00080005, 0x00080018
_PIXEL_GROUP = 0x7FE0
_ITEM = struct.Struct("<HHI")
_WRITTEN = (0x00120062, 0x00120063, 0x00120064, 0x00280303)
"""What `evidence.mark` writes: it goes when the identity comes back."""

Seal = Callable[[Path, Dataset], DataElement]
"""(the instance as it was received, its data set de-identified) -> Encrypted Attributes Sequence."""


class NotReversibleError(ValueError):
    """An instance has nothing that can be brought back; `str()` says why."""


def problems(certificate: Path) -> tuple[str, ...]:
    """What is wrong with the certificate that a step names, a sentence each."""
    try:
        _recipient(certificate)
    except envelope.EnvelopeError as error:
        return (f"reversible: {certificate}: {error}",)
    return ()


def seal_for(certificate: Path) -> Seal:
    """What seals for the owner of a certificate. Raises CannotSucceed when it is of no use."""
    try:
        recipient = _recipient(certificate)
    except envelope.EnvelopeError as error:
        raise CannotSucceed(f"reversible: {certificate}: {error}") from None

    def seal(source: Path, after: Dataset) -> DataElement:
        with source.open("rb") as file:
            before = read(file, stop_before_pixels=True)
        item = Dataset()
        item.EncryptedContentTransferSyntaxUID = EXPLICIT_VR_LITTLE_ENDIAN
        content = envelope.sealed(originals(before, after), recipient)
        item.EncryptedContent = content + bytes(len(content) % 2)
        return DataElement(ENCRYPTED_ATTRIBUTES, "SQ", Items([item]))

    return seal


def originals(before: Dataset, after: Dataset) -> bytes:
    """The data set to encrypt, explicit little endian: what `before` has at its top and `after` has not, or otherwise.

    Changed or not, with the character set that the text is in, because within the envelope nothing else says it; and
    with the marks of an earlier de-identification, because ours go when the identity comes back.
    """
    kept = []
    for tag in sorted(map(int, before.keys())):
        if tag >> 16 >= _PIXEL_GROUP or tag & 0xFFFF == 0:
            continue
        value = _encoded(before, tag)
        if tag in (_CHARACTER_SET, *_WRITTEN) or tag not in after or _encoded(after, tag) != value:
            kept.append(value)
    item = b"".join(kept)
    return element(MODIFIED_ATTRIBUTES, "SQ", _ITEM.pack(0xFFFE, 0xE000, len(item)) + item)


def restore(ds: Dataset, owner: envelope.Owner) -> int:
    """Put the original attributes back into a data set, in place (PS3.15 E.1.2). Returns how many.

    Patient Identity Removed becomes NO unless it was there before; what else the de-identification wrote goes. Raises
    NotReversibleError when there is no envelope, or none for this recipient; then nothing was changed.
    """
    found = _opened(ds, owner)
    for tag in (ENCRYPTED_ATTRIBUTES, *_WRITTEN):
        if tag in ds:
            del ds[tag]
    ds.PatientIdentityRemoved = "NO"
    for one in found:
        ds[one.tag] = one
    if _SOP_INSTANCE in found and getattr(ds, "file_meta", None) is not None:
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return len(found)


def _opened(ds: Dataset, owner: envelope.Owner) -> Dataset:
    """The item of Modified Attributes Sequence, decoded through and through: `ds` may be encoded otherwise."""
    sequence = ds.get(ENCRYPTED_ATTRIBUTES)
    if sequence is None or not sequence.value:
        raise NotReversibleError("it has no Encrypted Attributes Sequence (0400,0500)")
    why = ""
    for item in sequence.value:
        if item.get("EncryptedContentTransferSyntaxUID") != EXPLICIT_VR_LITTLE_ENDIAN:
            why = "its Encrypted Content is in a transfer syntax other than Explicit VR Little Endian"
            continue
        try:
            content = envelope.opened(item.get("EncryptedContent") or b"", owner)
        except envelope.EnvelopeError as error:
            why = str(error)
            continue
        items = read_dataset(BytesIO(content), is_implicit_VR=False, is_little_endian=True).get(MODIFIED_ATTRIBUTES)
        if items is None or len(items.value) != 1:
            raise NotReversibleError("what was encrypted is no Modified Attributes Sequence (0400,0550) of one item")
        for _ in items.value[0].iterall():
            pass  # decodes each element
        return Dataset(items.value[0])
    raise NotReversibleError(why)


def _encoded(ds: Dataset, tag: int) -> bytes:
    """One element in explicit little endian; its value as it was read, where it is no sequence."""
    raw = element_of(ds, tag)
    if isinstance(raw, RawDataElement) and raw.length != UNDEFINED:
        vr = str(raw.VR or VR_BY_TAG.get(tag) or vr_of(tag))
        if vr != "SQ" and (vr in ("OB", "OW", "UN", "UT", "UC", "UR") or len(raw.value or b"") < 0xFFFF):
            return element(tag, vr, raw.value or b"")
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_data_element(buffer, ds[tag], convert_encodings(ds.get("SpecificCharacterSet", "ISO_IR 6")))
    return bytes(buffer.getvalue())


@lru_cache(maxsize=8)
def _certificate(path: Path, _: tuple[int, ...]) -> envelope.Recipient:
    return envelope.read_certificate(path)


def _recipient(path: Path) -> envelope.Recipient:
    """Read again when the file has changed."""
    try:
        about = path.stat()
    except OSError as error:
        raise envelope.EnvelopeError(f"it cannot be read ({error.strerror})") from None
    return _certificate(path, (about.st_mtime_ns, about.st_size, about.st_ino))
