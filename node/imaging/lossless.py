"""Frames compressed again without loss: numpy in, the bytes of one frame out, and none that was not decoded again.

Each stays in the transfer syntax that it came in where that is lossless; what a lossy one had left goes into the
lossless one of its family. The encoders are those of `transcode` (encode.py).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO

from node.errors import CannotSucceed
from node.imaging.codecs import JPEG_2000_COMPONENTS, JPEG_LOSSY
from node.imaging.encode import encode_frame
from node.imaging.layout import Array, Layout
from node.imaging.targets import TARGETS, Target, written

_JPEG = "1.2.840.10008.1.2.4."
RLE, JPEG_PROCESS_14, JPEG_SV1 = "1.2.840.10008.1.2.5", _JPEG + "57", _JPEG + "70"
JPEG_LS, JPEG_2000, HTJ2K, HTJ2K_RPCL = _JPEG + "80", _JPEG + "90", _JPEG + "201", _JPEG + "202"

LOSSLESS_OF: Mapping[str, str] = {
    **{uid: uid for uid in (RLE, JPEG_PROCESS_14, JPEG_SV1, JPEG_LS, JPEG_2000, HTJ2K, HTJ2K_RPCL)},
    **dict.fromkeys(JPEG_LOSSY, JPEG_SV1),
    _JPEG + "81": JPEG_LS,
    _JPEG + "91": JPEG_2000,
    **dict.fromkeys(JPEG_2000_COMPONENTS, JPEG_2000),
    _JPEG + "203": HTJ2K,
}
"""Transfer syntax in which frames came -> the lossless one in which they are written again; what is not here is
written without compression. Every reader of lossy JPEG is likely to know JPEG Lossless, First-Order Prediction, the
default of PS3.5 10.2."""

_TARGETS: Mapping[str, Target] = {
    **{target.uid: target for target in TARGETS.values()},
    JPEG_PROCESS_14: TARGETS["jpeg-lossless"],  # it allows every selection value, also the one of SV1
}

_ITEM, _DELIMITER = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)


class UnfitError(CannotSucceed):
    """The transfer syntax does not hold such a frame without loss; without compression it can be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recoding:
    """How frames of one image are compressed again."""

    layout: Layout
    """Of the frames that are given: interleaved, colour as it is in them."""
    syntax: str
    """Transfer syntax UID."""

    @property
    def photometric(self) -> str:
        """The value of Photometric Interpretation (0028,0004)."""
        return written(_TARGETS[self.syntax], self.layout).photometric

    def encode(self, frame: Array, number: int) -> bytes:
        """One frame, of even length. Raises UnfitError when it does not come back bit for bit."""
        try:
            coded = encode_frame(_TARGETS[self.syntax], self.layout, frame)
        except CannotSucceed as error:
            raise UnfitError(f"frame {number + 1}: {error}") from error
        return coded + bytes(len(coded) % 2)


def recoding(layout: Layout, came_in: str) -> Recoding | None:
    """How frames of `layout` are compressed that came in a transfer syntax; None where they cannot be."""
    syntax = LOSSLESS_OF.get(came_in)
    if syntax is None or layout.keyword != "PixelData" or layout.allocated == 1:
        return None
    return Recoding(layout=replace(layout, planar=False, little_endian=True), syntax=syntax)


def encapsulate(file: BinaryIO, count: int, frames: Iterable[bytes]) -> None:
    """Pixel Data of one fragment for each frame (PS3.5 A.4); its table of offsets is filled in when all are there.

    Raises UnfitError where the table does not reach the last of them.
    """
    file.write(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF))
    file.write(struct.pack("<HHI", *_ITEM, 4 * count) + bytes(4 * count))
    begin = file.tell()
    offsets = []
    for frame in frames:
        offsets.append(file.tell() - begin)
        file.write(struct.pack("<HHI", *_ITEM, len(frame)) + frame)
    file.write(struct.pack("<HHI", *_DELIMITER, 0))
    if offsets and offsets[-1] > 0xFFFFFFFF:
        raise UnfitError("its frames lie farther apart than a Basic Offset Table reaches")
    file.seek(begin - 4 * count)
    file.write(struct.pack(f"<{count}I", *offsets))
