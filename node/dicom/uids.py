"""Unique identifiers: which are valid, how ours are made, and what each transfer syntax and SOP class is.

Names come from pydicom's copy of PS3.6 Table A-1; the properties of a transfer syntax (PS3.5 Annex A) are
not in that table and stand here.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

from pydicom._uid_dict import UID_dictionary  # the public pydicom.uid offers no iteration over the table

from node.model import UID

IMPLEMENTATION_CLASS_UID = UID("2.25.67372301636196376314613331895903182786")
"""(0002,0012) and association negotiation: identifies this program, whatever its version (PS3.7 D.3.3.2)."""

MEDIA_STORAGE_DIRECTORY = UID("1.2.840.10008.1.3.10")
IMPLICIT_VR_LITTLE_ENDIAN = UID("1.2.840.10008.1.2")
EXPLICIT_VR_LITTLE_ENDIAN = UID("1.2.840.10008.1.2.1")
EXPLICIT_VR_BIG_ENDIAN = UID("1.2.840.10008.1.2.2")
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = UID("1.2.840.10008.1.2.1.99")

_CONSONANTS = str.maketrans("0123456789abcdef", "bcdfghjklmnpqrst")

_VALID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*")
_TOLERABLE = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_PREFIX = "1.2.840.10008.1.2"
_JPIP = frozenset(f"{_PREFIX}.4.{n}" for n in (94, 95, 204, 205))
_UNCOMPRESSED = frozenset({_PREFIX, f"{_PREFIX}.1", f"{_PREFIX}.1.99", f"{_PREFIX}.2", "1.2.840.10008.1.20"})
_LOSSLESS_CODED = frozenset(
    {f"{_PREFIX}.1.98", f"{_PREFIX}.5"} | {f"{_PREFIX}.4.{n}" for n in (57, 58, 65, 66, 70, 80, 90, 92, 201, 202)}
)
NOT_DATA_SETS = frozenset({f"{_PREFIX}.6.1", f"{_PREFIX}.6.2"})
"""MIME and XML, both retired: what they encode cannot be read as PS3.5 says."""
_STORAGE_ARC = "1.2.840.10008.5.1.4.1.1."
_GE_IMPLICIT = "1.2.840.113619.5.2"
STANDARD_ROOT = "1.2.840.10008."
"""Under it the standard registers (PS3.6 Annex A), and nobody else."""
_REGISTERED = re.compile(r"1\.2\.840\.10008\.(?:6\.1(?:\.[1-9]\d{0,3})?|(?:[1-9]|1\d)(?:\.(?:0|[1-9]\d{0,2})){0,9})")
"""The form of those in PS3.6: no component of more than three digits, but for context groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSyntax:
    """How a data set is encoded (PS3.5 Annex A)."""

    uid: UID
    name: str
    explicit: bool = True
    big_endian: bool = False
    deflated: bool = False
    encapsulated: bool = False
    """Pixel Data is a sequence of fragments (PS3.5 A.4), even where the frames in them are not compressed."""
    lossless: bool = False
    """What is sent is exactly what was there before encoding. False also for those that allow either."""
    video: bool = False
    referenced: bool = False
    """Pixels are not in the data set: JPIP and SMPTE ST 2110 keep them elsewhere."""
    known: bool = True
    """False: not in PS3.6 Table A-1. Read as if it were explicit little endian, like every one since 1993."""

    @property
    def native(self) -> bool:
        """Pixel Data, if any, is there as plain samples."""
        return not (self.encapsulated or self.referenced)


def valid_uid(text: str) -> bool:
    """Whether `text` keeps to PS3.5 9.1: at most 64 characters, components of digits without leading zeros."""
    return len(text) <= 64 and _is_valid(text)


def tolerable_uid(text: str) -> bool:
    """Like valid_uid, but components may begin with zeros: devices send those, and they are unique all the same."""
    return len(text) <= 64 and _is_tolerable(text)


# Each UID of an instance is asked about several times, and most of them again with every instance of a series.
@lru_cache(maxsize=512)
def _is_valid(text: str) -> bool:
    return _VALID.fullmatch(text) is not None


@lru_cache(maxsize=512)
def _is_tolerable(text: str) -> bool:
    return _TOLERABLE.fullmatch(text) is not None


def is_registered(uid: str) -> bool:
    """Whether the standard has a UID, or may have it in a later edition than pydicom's; not dates and numbers that
    somebody put under its root."""
    return uid.startswith(STANDARD_ROOT) and (uid in UID_dictionary or _REGISTERED.fullmatch(uid) is not None)


def derived_uid(*parts: str) -> UID:
    """A UID that is always the same for the same parts, under 2.25 (PS3.5 B.2).

    128 bits of SHA-256 over the parts, marked as a version 8 UUID (RFC 9562 5.8): made by us, from a name.
    """
    digest = bytearray(hashlib.sha256("\0".join(parts).encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return UID(f"2.25.{int.from_bytes(digest, 'big')}")


def transfer_syntax(uid: str) -> TransferSyntax:
    """The properties of a transfer syntax; `known=False` for one outside the standard."""
    return TRANSFER_SYNTAXES.get(uid) or TransferSyntax(uid=UID(uid), name="unknown", encapsulated=True, known=False)


def is_storage(sop_class: str) -> bool:
    """Whether C-STORE of this SOP class is a storage service of PS3.4 B.5 (also a retired one) or private.

    Private classes are storage as far as anyone can tell: a C-STORE names nothing else. Of the standard's own
    root it is what PS3.6 names so, and the whole arc of image storage, where later editions add classes.
    """
    if sop_class in STORAGE_SOP_CLASSES:
        return True
    named = sop_class in UID_dictionary and UID_dictionary[sop_class][0] != ""
    elsewhere = sop_class.startswith("1.2.840.10008.") and not sop_class.startswith(_STORAGE_ARC)
    return not named and not elsewhere and tolerable_uid(sop_class)


def name_of(uid: str) -> str:
    """The standard's name for a UID, or the UID itself."""
    entry = UID_dictionary.get(uid)
    return entry[0] if entry else uid


def full_name(uid: str) -> str:
    """The UID and, where the standard has one, its name: `1.2.840.10008.1.1 (Verification SOP Class)`."""
    name = name_of(uid)
    return uid if name == uid else f"{uid} ({name})"


def _described(uid: str, name: str) -> TransferSyntax:
    video = uid.startswith((f"{_PREFIX}.4.10", f"{_PREFIX}.7."))
    referenced = uid in _JPIP or uid.startswith(f"{_PREFIX}.7.")
    return TransferSyntax(
        uid=UID(uid),
        name=name,
        explicit=uid not in (_PREFIX, "1.2.840.10008.1.20", _GE_IMPLICIT),
        big_endian=uid == f"{_PREFIX}.2",
        # PS3.5 A.7 and A.11: the whole data set is deflated, beside the syntax named so also JPIP's.
        deflated=uid in (f"{_PREFIX}.1.99", f"{_PREFIX}.4.95", f"{_PREFIX}.4.205"),
        encapsulated=uid not in _UNCOMPRESSED and not referenced and uid != _GE_IMPLICIT,
        lossless=uid in _UNCOMPRESSED or uid in _LOSSLESS_CODED or uid == _GE_IMPLICIT,
        video=video,
        referenced=referenced,
    )


def _storage_classes() -> frozenset[str]:
    """Every SOP class that is sent by C-STORE, by the standard's own naming: `... Storage`, also with a suffix.

    Services whose names only contain the word (commitment, the storage directory) are not objects.
    """
    services = ("Storage Commitment", "Storage Management", "Media Storage Directory")
    return frozenset(
        uid
        for uid, (name, kind, *_) in UID_dictionary.items()
        if kind == "SOP Class" and " Storage" in f" {name}" and not name.startswith(services)
    )


_NEWER = {
    f"{_PREFIX}.4.110": "JPEG XL Lossless",
    f"{_PREFIX}.4.111": "JPEG XL JPEG Recompression",
    f"{_PREFIX}.4.112": "JPEG XL",
    f"{_PREFIX}.8.1": "Deflated Image Frame Compression",
}
"""Of PS3.6 2025; pydicom 3.0 has them only once pynetdicom was imported, and the table must not depend on that."""

TRANSFER_SYNTAXES: dict[str, TransferSyntax] = {
    uid: _described(uid, entry[0])
    for uid, entry in (UID_dictionary | {uid: (name, "Transfer Syntax") for uid, name in _NEWER.items()}).items()
    if entry[1] == "Transfer Syntax" and uid not in NOT_DATA_SETS
} | {_GE_IMPLICIT: _described(_GE_IMPLICIT, "GE Private Implicit VR Big Endian Pixels")}
"""Every transfer syntax that encodes a data set as PS3.5 does, by UID. MIME and XML (retired) do not."""

STORAGE_SOP_CLASSES: frozenset[str] = _storage_classes()
"""Every storage SOP class of the standard, retired ones included (PS3.4 B.5, PS3.6 Table A-1)."""


def mark_of(text: str) -> str:
    """Eight consonants that stand for a UID, or another text, in a file name. Nobody reads it out of them.

    No digits and no vowels: behind a series number and a modality, digits may by chance become the id of a patient,
    and letters a name, which the second reader then finds (`001_CT_1b68...` has the id `1CT1`).
    """
    return hashlib.sha256(text.encode()).hexdigest()[:8].translate(_CONSONANTS)
