"""Frames in a transfer syntax: numpy in, the bytes of one frame out, and no frame that was not decoded again.

Where nothing may be lost every sample must come back; near-lossless JPEG-LS must keep its bound. imagecodecs encodes
all but RLE, which pydicom does with pylibjpeg.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import imagecodecs
import numpy as np
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import RLELossless

from node.errors import CannotSucceed
from node.imaging.codestream import with_precision, without_colour
from node.imaging.decode import CODEC_ERRORS, SECONDS, decode_frame
from node.imaging.layout import Array, Layout
from node.imaging.targets import TARGETS, Target, written
from node.pool import at_most

Encode = Callable[[Array, Layout, Layout, float], bytes]
"""A frame as it was coded before, its layout, the one that it is to have, and the level where something is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """What makes frames of one target."""

    encode: Encode
    library: str = "imagecodecs"
    finest: int = 0
    """Lossy: levels are numbered from 0, the smallest result, to this, the best one."""
    level: Callable[[int], float] = float
    """What the codec calls the level of a number."""


def encode_frame(target: Target, layout: Layout, frame: Array, level: float = 0.0) -> bytes:
    """One frame of `layout` in `target`, where its layout is what `written` says, decoded again and compared.

    frame  shape (rows, columns) or (rows, columns, 3), as `frames(..., rgb=False)` gives it
    level  of a lossy target: quality from 1 to 100 (JPEG), the greatest difference (JPEG-LS), signal to noise in dB
           (JPEG 2000), or the step of quantization (HTJ2K)

    Raises CannotSucceed when the codec refuses, or when what comes back is not what went in.
    """
    coded = _coded(target, layout, frame, level)
    _check(target, layout, frame, level, coded)
    return coded


def _coded(target: Target, layout: Layout, frame: Array, level: float) -> bytes:
    with at_most(SECONDS):
        try:
            return ENCODERS[target.uid].encode(frame, layout, written(target, layout), level)
        except CODEC_ERRORS as error:
            raise CannotSucceed(f"{target.words}: cannot be encoded ({type(error).__name__})") from error


def _check(target: Target, layout: Layout, frame: Array, level: float, coded: bytes) -> None:
    back = decode_frame(written(target, layout), coded, rgb=False)
    if not target.lossy and not np.array_equal(back, frame):
        raise CannotSucceed(f"{target.words}: what was encoded does not decode to the same values")
    if target.name == "jpeg-ls-near" and _distance(back, frame) > level:
        raise CannotSucceed(
            f"{target.words}: values at the end of their range wrap around and differ by more than {level:g}"
        )


def encode_within(target: Target, layout: Layout, frame: Array, most: int, number: int) -> tuple[bytes, int]:
    """The best frame of at most `most` bytes in a lossy target, and the number of its level.

    number  of the level to try first: neighbouring frames of an image need much the same

    Raises CannotSucceed when no level is small enough.
    """
    encoder = ENCODERS[target.uid]
    made: dict[int, bytes] = {}

    def fits(n: int) -> bool:
        made[n] = _coded(target, layout, frame, encoder.level(n))
        return len(made[n]) <= most

    best = _largest(fits, encoder.finest, number)
    if best is None:
        raise CannotSucceed(f"{target.words}: no level makes a frame as small as {most} bytes")
    _check(target, layout, frame, encoder.level(best), made[best])
    return made[best], best


def _largest(fits: Callable[[int], bool], most: int, first: int) -> int | None:
    """The largest number from 0 to `most` that fits, where all below it do; None when 0 does not. Steps double from
    `first` on until one is on the other side."""
    low, high, step = -1, most + 1, 1
    at = min(max(first, 0), most)
    while high - low > 1:
        if fits(at):
            low = at
            at = low + step if high > most else (low + high) // 2
        else:
            high = at
            at = high - step if low < 0 else (low + high) // 2
        step *= 2
        at = min(max(at, low + 1), high - 1)
    return low if low >= 0 else None


def _distance(one: Array, other: Array) -> int:
    return int(np.abs(one.astype(np.int64) - other.astype(np.int64)).max())


def _patterns(frame: Array, stored: int) -> Array:
    """The lowest `stored` bits without sign, in bytes or words: JPEG and JPEG-LS know no sign."""
    unsigned = frame.view(np.dtype(f"u{frame.dtype.itemsize}")) & np.array(
        (1 << stored) - 1, f"u{frame.dtype.itemsize}"
    )
    return np.ascontiguousarray(unsigned.astype(np.uint8 if stored <= 8 else np.uint16))


def _rle(frame: Array, layout: Layout, to: Layout, level: float) -> bytes:
    return get_encoder(RLELossless).encode(
        np.ascontiguousarray(frame).astype(frame.dtype.newbyteorder("<"), copy=False).tobytes(),
        rows=layout.rows, columns=layout.columns, samples_per_pixel=layout.samples, number_of_frames=1,
        # All bits of the container: of fewer than nine pydicom would make bytes.
        bits_allocated=layout.allocated, bits_stored=layout.allocated, pixel_representation=int(layout.signed),
        photometric_interpretation=layout.photometric, planar_configuration=0,
    )  # fmt: skip


def _jpeg_lossless(frame: Array, layout: Layout, to: Layout, level: float) -> bytes:
    """Selection value 1, as the transfer syntax says: the left neighbour predicts.

    Of the precision of Bits Stored, but where other decoders were seen to fail: below 8 bits, and below 9 in words.
    """
    precision = layout.stored if layout.stored > 8 else layout.allocated
    space = None if layout.samples == 1 else "RGB"  # no transform; and one table for all, which every decoder takes
    coded = bytes(
        imagecodecs.jpeg8_encode(
            _patterns(frame, precision), lossless=True, predictor=1, bitspersample=precision,
            colorspace=space, outcolorspace=space,
        )
    )  # fmt: skip
    return coded if layout.photometric != "YBR_FULL" else without_colour(coded)


def _jpeg(frame: Array, layout: Layout, to: Layout, level: float) -> bytes:
    if layout.samples == 1:
        return bytes(imagecodecs.jpeg8_encode(frame, level=int(level)))
    space = "RGB" if layout.photometric == "RGB" else "YCBCR"
    return bytes(
        imagecodecs.jpeg8_encode(frame, level=int(level), colorspace=space, outcolorspace="YCBCR", subsampling="422")
    )


def _jpeg_ls(frame: Array, layout: Layout, to: Layout, level: float) -> bytes:
    """All bits of bytes or words, which is the precision that the codec writes: other decoders look for the sign in the
    highest of them."""
    patterns = _patterns(frame, layout.allocated)
    # Noise grows when it is coded, and the codec's own guess of room is then too small.
    room = patterns.nbytes * 2 + 4096
    return bytes(imagecodecs.jpegls_encode(patterns, level=int(level) or None, out=room))


def _jpeg_2000(frame: Array, layout: Layout, to: Layout, level: float) -> bytes:
    # The codec takes the precision from the type where it is told less than the type before it has.
    narrow = np.dtype(f"{frame.dtype.kind}{1 if layout.stored <= 8 else 2 if layout.stored <= 16 else 4}")
    return bytes(
        imagecodecs.jpeg2k_encode(
            np.ascontiguousarray(frame.astype(narrow)), reversible=not level, codecformat="J2K",
            level=level or None,  # type: ignore[arg-type]  # its stub says int, and its decimals count
            bitspersample=layout.stored, mct=layout.photometric == "RGB", numthreads=1,
        )
    )  # fmt: skip


def _htj2k(frame: Array, layout: Layout, to: Layout, level: float) -> bytes:
    """As signed samples, without the level shift; the precision is written afterwards (see `with_precision`)."""
    centred = frame.astype(np.int32) - (0 if layout.signed else 1 << layout.stored - 1)
    if level:
        # Quantized against the whole range of the type, which the samples therefore must fill.
        centred <<= 16 - layout.stored
    rgb = layout.photometric == "RGB" if layout.samples > 1 else None
    coded = imagecodecs.htj2k_encode(
        np.ascontiguousarray(centred.astype(np.int16)), level=level or None, reversible=not level, rgb=rgb, tlm=True
    )
    return with_precision(bytes(coded), layout.stored, signed=layout.signed)


ENCODERS: Mapping[str, Encoder] = {
    TARGETS["rle"].uid: Encoder(encode=_rle, library="pydicom"),
    TARGETS["jpeg-lossless"].uid: Encoder(encode=_jpeg_lossless),
    TARGETS["jpeg-ls"].uid: Encoder(encode=_jpeg_ls),
    TARGETS["jpeg-2000"].uid: Encoder(encode=_jpeg_2000),
    TARGETS["htj2k"].uid: Encoder(encode=_htj2k),
    TARGETS["htj2k-rpcl"].uid: Encoder(encode=_htj2k),
    TARGETS["jpeg-baseline"].uid: Encoder(encode=_jpeg, finest=99, level=lambda n: n + 1.0),
    TARGETS["jpeg-ls-near"].uid: Encoder(encode=_jpeg_ls, finest=126, level=lambda n: 127.0 - n),
    TARGETS["jpeg-2000-lossy"].uid: Encoder(encode=_jpeg_2000, finest=240, level=lambda n: 20.0 + n / 2),
    TARGETS["htj2k-lossy"].uid: Encoder(encode=_htj2k, finest=80, level=lambda n: float(2.0 ** (-n / 4))),
}
"""By transfer syntax UID."""


def try_out(uid: str) -> bool:
    """Whether a small frame can be encoded here and comes back."""
    target = next(target for target in TARGETS.values() if target.uid == uid)
    layout = Layout(
        transfer_syntax=uid, keyword="PixelData", rows=8, columns=8, samples=1, frames=1, allocated=8, stored=8,
        signed=False, photometric="MONOCHROME2", planar=False, encapsulated=True,
    )  # fmt: skip
    encoder = ENCODERS[uid]
    try:
        encode_frame(target, layout, np.arange(64, dtype=np.uint8).reshape(8, 8), encoder.level(encoder.finest))
    except CannotSucceed:
        return False
    return True
