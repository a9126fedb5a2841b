"""Frames compressed again without loss: numpy in, the bytes of one frame out, and none that was not decoded again.

Each stays in the transfer syntax that it came in where that is lossless; what a lossy one had left goes into the
lossless one of its family. imagecodecs encodes all but RLE, which pydicom does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO

import imagecodecs
import numpy as np
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import RLELossless

from node.errors import CannotSucceed
from node.imaging.codecs import JPEG_LOSSY
from node.imaging.decode import CODEC_ERRORS, decode_frame
from node.imaging.layout import Array, Layout

_JPEG = "1.2.840.10008.1.2.4."
RLE, JPEG_PROCESS_14, JPEG_SV1 = "1.2.840.10008.1.2.5", _JPEG + "57", _JPEG + "70"
JPEG_LS, JPEG_2000, HTJ2K, HTJ2K_RPCL = _JPEG + "80", _JPEG + "90", _JPEG + "201", _JPEG + "202"

LOSSLESS_OF: Mapping[str, str] = {
    **{uid: uid for uid in (RLE, JPEG_PROCESS_14, JPEG_SV1, JPEG_LS, JPEG_2000, HTJ2K, HTJ2K_RPCL)},
    **dict.fromkeys(JPEG_LOSSY, JPEG_SV1),
    _JPEG + "81": JPEG_LS,
    _JPEG + "91": JPEG_2000,
    _JPEG + "203": HTJ2K,
}
"""Transfer syntax in which frames came -> the lossless one in which they are written again. Every reader of lossy JPEG
is likely to know JPEG Lossless, First-Order Prediction, the default of PS3.5 10.2."""

_ITEM, _DELIMITER = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_TRANSFORMING = frozenset({JPEG_2000, HTJ2K, HTJ2K_RPCL})
"""Syntaxes that transform the colour of RGB (PS3.5 8.2.4, 8.2.14)."""


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
        return "YBR_RCT" if self.transforms else self.layout.photometric

    @property
    def transforms(self) -> bool:
        return self.syntax in _TRANSFORMING and self.layout.photometric == "RGB"

    def encode(self, frame: Array, number: int) -> bytes:
        """One frame, of even length. Raises UnfitError when it does not come back bit for bit."""
        where = f"frame {number + 1}: transfer syntax {self.syntax}"
        try:
            coded = _ENCODERS[self.syntax](frame, self)
        except CODEC_ERRORS as error:
            raise UnfitError(f"{where}: cannot be encoded ({type(error).__name__})") from error
        try:
            back = decode_frame(self._as_coded, coded, number)
        except CannotSucceed as error:
            raise UnfitError(str(error)) from error
        if back.dtype != frame.dtype or not np.array_equal(back, frame):
            raise UnfitError(f"{where}: what was encoded does not decode to the same values")
        return coded + bytes(len(coded) % 2)

    @property
    def _as_coded(self) -> Layout:
        """That which gives samples as they are in the codestream: no way to RGB and back would be exact."""
        photometric = "RGB" if self.layout.samples > 1 else self.layout.photometric
        return replace(self.layout, transfer_syntax=self.syntax, encapsulated=True, photometric=photometric)


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


def _patterns(frame: Array, stored: int) -> Array:
    """The lowest `stored` bits without sign, in bytes or words: JPEG and JPEG-LS know no sign."""
    unsigned = np.dtype(f"u{frame.dtype.itemsize}")
    patterns = frame.view(unsigned) & unsigned.type((1 << stored) - 1)
    return np.ascontiguousarray(patterns.astype(np.uint8 if stored <= 8 else np.uint16))


def _rle(frame: Array, how: Recoding) -> bytes:
    layout = how.layout
    return bytes(
        get_encoder(RLELossless).encode(
            np.ascontiguousarray(frame).astype(frame.dtype.newbyteorder("<"), copy=False).tobytes(),
            rows=layout.rows, columns=layout.columns, samples_per_pixel=layout.samples, number_of_frames=1,
            # All bits of the container: of fewer than nine pydicom would make bytes.
            bits_allocated=layout.allocated, bits_stored=layout.allocated, pixel_representation=int(layout.signed),
            photometric_interpretation=layout.photometric, planar_configuration=0,
        )
    )  # fmt: skip


def _jpeg_lossless(frame: Array, how: Recoding) -> bytes:
    """Selection value 1: process 14 allows it, and First-Order Prediction asks for it (PS3.5 A.4.1, F.1)."""
    space = None if how.layout.samples == 1 else "RGB" if how.layout.photometric == "RGB" else "YCBCR"
    return bytes(
        imagecodecs.jpeg8_encode(
            _patterns(frame, how.layout.stored), lossless=True, predictor=1,
            bitspersample=max(how.layout.stored, 2), colorspace=space, outcolorspace=space,
        )
    )  # fmt: skip


def _jpeg_ls(frame: Array, how: Recoding) -> bytes:
    patterns = _patterns(frame, how.layout.stored)
    # Noise grows when it is coded, and the codec's own guess of room is then too small.
    return bytes(imagecodecs.jpegls_encode(patterns, out=patterns.nbytes * 2 + 4096))


def _jpeg_2000(frame: Array, how: Recoding) -> bytes:
    stored = how.layout.stored
    # The codec takes the precision from the type where it is told less than the type before it has.
    narrow = np.dtype(f"{frame.dtype.kind}{1 if stored <= 8 else 2 if stored <= 16 else 4}")
    return bytes(
        imagecodecs.jpeg2k_encode(
            np.ascontiguousarray(frame.astype(narrow)),
            reversible=True,
            codecformat="J2K",
            bitspersample=stored,
            mct=how.transforms,
            numthreads=1,
        )
    )


def _htj2k(frame: Array, how: Recoding) -> bytes:
    """As signed samples, without the level shift; the precision is written afterwards."""
    layout = how.layout
    centred = frame.astype(np.int64) - (0 if layout.signed else 1 << layout.stored - 1)
    coded = imagecodecs.htj2k_encode(
        np.ascontiguousarray(centred.astype(np.int16 if layout.stored <= 16 else np.int32)), reversible=True,
        rgb=how.transforms if layout.samples > 1 else None, tlm=True,
    )  # fmt: skip
    return _with_precision(bytes(coded), layout.stored, signed=layout.signed)


def _with_precision(data: bytes, precision: int, *, signed: bool) -> bytes:
    """A codestream whose samples are said to have `precision` bits (SIZ, ITU-T T.800 A.5.1).

    The encoder knows only the widths of machine words. Given signed samples, which have no level shift, what it codes
    does not depend on the precision, and this is all there is to change.
    """
    start = data.index(b"\xff\x4f\xff\x51")
    changed = bytearray(data)
    (samples,) = struct.unpack_from(">H", data, start + 40)
    for n in range(samples):
        changed[start + 42 + 3 * n] = precision - 1 | (0x80 if signed else 0)
    return bytes(changed)


_ENCODERS: Mapping[str, Callable[[Array, Recoding], bytes]] = {
    RLE: _rle,
    JPEG_PROCESS_14: _jpeg_lossless,
    JPEG_SV1: _jpeg_lossless,
    JPEG_LS: _jpeg_ls,
    JPEG_2000: _jpeg_2000,
    HTJ2K: _htj2k,
    HTJ2K_RPCL: _htj2k,
}
