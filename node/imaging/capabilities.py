"""What this installation can decode and encode: one table.

A build of imagecodecs may lack a codec; whether it is there is seen without loading it, for no codec belongs into a
process that answers associations. Whether it works is seen by trying: each encoder makes a small frame, and its decoder
undoes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from node.dicom.uids import TRANSFER_SYNTAXES
from node.imaging.codecs import CODECS, DECODERS, NATIVE, NATIVE_FRAMES, plugin_of, why_not
from node.imaging.encode import ENCODERS, try_out
from node.imaging.targets import TARGETS


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
def capabilities(*, tried: bool = False) -> Mapping[str, Capability]:
    """Every transfer syntax of PS3.6, in its order, by UID.

    tried  encode and decode a small frame in each that is written, and claim only what came back
    """
    return {uid: _one(uid, syntax.name, tried) for uid, syntax in TRANSFER_SYNTAXES.items()}


def cannot_decode(syntaxes: Iterable[str] = DECODERS) -> tuple[str, ...]:
    """Of the syntaxes that this node decodes where its libraries are whole, those that this installation does not."""
    table = capabilities()
    return tuple(f"{table[uid].name} ({table[uid].reason})" for uid in syntaxes if not table[uid].decode)


def cannot_encode(syntaxes: Iterable[str]) -> tuple[str, ...]:
    """Of these syntaxes, those that this installation cannot write."""
    table = capabilities()
    return tuple(table[uid].name for uid in syntaxes if not table[uid].encode)


def _one(uid: str, name: str, tried: bool) -> Capability:
    if uid in NATIVE:
        written = uid in {target.uid for target in TARGETS.values()}
        return Capability(uid=uid, name=name, decode="numpy", encode="pydicom" if written else "")
    if uid in NATIVE_FRAMES:
        return Capability(uid=uid, name=name, decode="numpy", encode="")
    if uid not in DECODERS:
        return Capability(uid=uid, name=name, decode="", encode="", reason=why_not(uid))
    lacking = [codec for codec in CODECS[DECODERS[uid]] if not _there(codec)]
    decode = "imagecodecs" if not lacking else "pydicom" if plugin_of(uid) else ""
    reason = "" if decode else f"this build of imagecodecs lacks {', '.join(lacking)}"
    encode = ""
    if uid in ENCODERS and decode:
        library = ENCODERS[uid].library
        encode = library if (library != "imagecodecs" or not lacking) and (not tried or try_out(uid)) else ""
    return Capability(uid=uid, name=name, decode=decode, encode=encode, reason=reason)


def _there(codec: str) -> bool:
    """Each codec is an extension module of its own, which a build without it leaves out."""
    return find_spec(f"imagecodecs._{codec}") is not None
