"""The original attributes, sealed for one recipient in Encrypted Attributes Sequence (0400,0500), and back again.

PS3.15 E.1.1: of every top-level attribute that was changed or removed the original goes into the one item of Modified
Attributes Sequence (0400,0550), which is encrypted as a data set of its own (PS3.3 C.12.1.1.4). E.1.2 is the way back.
Whoever has the private key has the identity: it belongs to neither the node nor the receiver.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from io import BytesIO
from mmap import mmap
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from node.dicom import envelope, levels
from node.dicom.attributes import VR_BY_TAG, vr_of
from node.dicom.encoding import Parse, element
from node.dicom.levels import EXPLICIT
from node.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from node.errors import CannotSucceed
from node.steps.anonymize import evidence
from node.steps.anonymize.header import CHARACTER_SET, read_as
from node.steps.anonymize.source import Source
from node.steps.anonymize.written import Written, joined

ENCRYPTED_ATTRIBUTES, MODIFIED_ATTRIBUTES = 0x04000500, 0x04000550
_SYNTAX, _CONTENT = 0x04000510, 0x04000520
_SOP_INSTANCE = 0x00080018
_PIXEL_GROUP = 0x7FE0
_ITEM = struct.Struct("<HHI")
_WITH_ALL = frozenset({*evidence.WRITTEN, CHARACTER_SET})

Seal = Callable[[Source, Mapping[int, Written]], bytes]
"""(the instance as it was received, its elements de-identified) -> Encrypted Attributes Sequence, encoded."""


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

    def seal(source: Source, after: Mapping[int, Written]) -> bytes:
        content = envelope.sealed(originals(source, after), recipient)
        write = _explicit if source.parse is EXPLICIT else _implicit
        item = write(_SYNTAX, "UI", EXPLICIT_VR_LITTLE_ENDIAN.encode()) + write(_CONTENT, "OB", content)
        return write(ENCRYPTED_ATTRIBUTES, "SQ", _ITEM.pack(0xFFFE, 0xE000, len(item)) + item)

    return seal


def originals(source: Source, after: Mapping[int, Written]) -> bytes:
    """The data set to encrypt, explicit little endian: what `source` has at its top and `after` has not, or otherwise.

    Changed or not, with the character set that the text is in, because within the envelope nothing else says it; and
    with the marks of an earlier de-identification, because ours go when the identity comes back. Raises Malformed.
    """
    kept = []
    for tag, each in source.top.items():
        if tag >> 16 >= _PIXEL_GROUP or tag & 0xFFFF == 0:
            continue
        came = source.data[each[2] : each[4]]
        if tag in _WITH_ALL or came != joined(after.get(tag, b""), source.data):
            kept.append(came if source.parse is EXPLICIT else _turned(source.data, each, source.parse, 0))
    item = b"".join(kept)
    return element(MODIFIED_ATTRIBUTES, "SQ", _ITEM.pack(0xFFFE, 0xE000, len(item)) + item)


def _turned(data: bytes | mmap, each: levels.Element, parse: Parse, depth: int) -> bytes:
    """An implicit element in explicit little endian, and all that is in it."""
    tag, _, _, value, end, _ = each
    vr = read_as(each, VR_BY_TAG.get(tag)) or vr_of(tag)
    if vr != "SQ":
        return _explicit(tag, vr, data[value:end])
    body = []
    for item in levels.items(data, each, parse, depth):
        elements = levels.level(data, item, depth + 1).values()
        content = b"".join(_turned(data, one, item.parse, depth + 1) for one in elements)
        body += [_ITEM.pack(0xFFFE, 0xE000, len(content)), content]
    return _explicit(tag, vr, b"".join(body))


def _explicit(tag: int, vr: str, value: bytes) -> bytes:
    try:
        return element(tag, vr, value)
    except ValueError:
        return element(tag, "UN", value)  # PS3.5 6.2.2 note 1: longer than its representation may be


def _implicit(tag: int, _: str, value: bytes) -> bytes:
    value += bytes(len(value) % 2)
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def restore(ds: Dataset, owner: envelope.Owner) -> int:
    """Put the original attributes back into a data set, in place (PS3.15 E.1.2). Returns how many.

    Patient Identity Removed becomes NO unless it was there before; what else the de-identification wrote goes. Raises
    NotReversibleError when there is no envelope, or none for this recipient; then nothing was changed.
    """
    found = _opened(ds, owner)
    for tag in (ENCRYPTED_ATTRIBUTES, *evidence.WRITTEN):
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
