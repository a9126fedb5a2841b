"""What this installation can decode and encode: one table, found by trying.

A build of imagecodecs may lack a codec, and an older library one kind of frame; to ask for names says neither. So each
encoder makes a small frame, and each decoder undoes one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import imagecodecs
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from node.dicom.uids import TRANSFER_SYNTAXES, name_of
from node.imaging.codecs import CODECS, DECODERS, NATIVE, NATIVE_FRAMES, why_not
from node.imaging.encode import ENCODERS, try_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """One transfer syntax here."""

    uid: str
    name: str
    decode: str
    """The library that decodes it; "" where nothing does."""
    encode: str
    """The library that encodes it; "" where nothing does."""
    reason: str = ""
    """Why it is not decoded."""


@cache
def capabilities() -> Mapping[str, Capability]:
    """Every transfer syntax of PS3.6, in its order, by UID."""
    return {uid: _one(uid, syntax.name) for uid, syntax in TRANSFER_SYNTAXES.items()}


def cannot_decode(syntaxes: Iterable[str] = DECODERS) -> tuple[str, ...]:
    """Of the syntaxes that this node decodes where its libraries are whole, those that this installation does not."""
    table = capabilities()
    return tuple(f"{name_of(uid)} ({table[uid].reason})" for uid in syntaxes if not table[uid].decode)


def cannot_encode(syntaxes: Iterable[str]) -> tuple[str, ...]:
    """Of these syntaxes, those that this installation cannot write."""
    return tuple(name_of(uid) for uid in syntaxes if not capabilities()[uid].encode)


def _one(uid: str, name: str) -> Capability:
    if uid in NATIVE:
        written = uid in NATIVE[1:3]
        return Capability(uid=uid, name=name, decode="numpy", encode="pydicom" if written else "")
    if uid in NATIVE_FRAMES:
        return Capability(uid=uid, name=name, decode="numpy", encode="")
    if uid not in DECODERS:
        return Capability(uid=uid, name=name, decode="", encode="", reason=why_not(uid))
    decode, reason = _decoder(uid)
    encode = ENCODERS[uid].library if uid in ENCODERS and decode and try_out(uid) else ""
    return Capability(uid=uid, name=name, decode=decode, encode=encode, reason=reason)


def _decoder(uid: str) -> tuple[str, str]:
    lacking = [codec for codec in CODECS[DECODERS[uid]] if not _there(codec)]
    if not lacking:
        return "imagecodecs", ""
    if UID(uid).is_transfer_syntax and _in_pydicom(uid):
        return "pydicom", ""
    return "", f"this build of imagecodecs lacks {', '.join(lacking)}"


def _there(codec: str) -> bool:
    # A version before a codec has no such name; one without its library says so.
    return bool(getattr(getattr(imagecodecs, codec, None), "available", False))


def _in_pydicom(uid: str) -> bool:
    try:
        return bool(get_decoder(UID(uid)).is_available)
    except NotImplementedError:
        return False
