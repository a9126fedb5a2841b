"""Which codec decodes which transfer syntax, one function per family: bytes of one frame in, numpy out.

imagecodecs comes first: it is the fastest, lets other threads run, and is right where others were found wrong
(16- and 32-bit colour RLE, 12-bit JPEG). It only undoes the coding; signs and colour are put right in `decode`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import imagecodecs
import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from node.dicom.uids import TRANSFER_SYNTAXES
from node.errors import CannotSucceed
from node.imaging.codestream import Codestream
from node.imaging.layout import DEFLATED_FRAMES, ENCAPSULATED_UNCOMPRESSED, Array, Layout

# Huffman coding, then its arithmetic twins: processes 1 to 13 of T.81 that are not hierarchical.
JPEG_LOSSY = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55, 52, 54, 56))
JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
JPEG_2000_COMPONENTS = ("1.2.840.10008.1.2.4.92", "1.2.840.10008.1.2.4.93")
HTJ2K = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
JPEG_XL = ("1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.111", "1.2.840.10008.1.2.4.112")
RLE = ("1.2.840.10008.1.2.5",)
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")
NATIVE_FRAMES = (ENCAPSULATED_UNCOMPRESSED, DEFLATED_FRAMES)

# MPEG2, MPEG-4 AVC/H.264, HEVC/H.265 and their fragmentable twins.
VIDEO = tuple(f"1.2.840.10008.1.2.4.{n}{f}" for n in (*range(100, 109),) for f in ("", ".1"))

_SURPLUS = 256
"""Samples; the longest run has 128."""

Decoder = Callable[[bytes, Layout, Codestream | None], Array]


def jpeg(data: bytes, layout: Layout, stream: Codestream | None) -> Array:
    """JPEG by what the frame is: with loss (colour comes out as RGB) or, whatever the syntax claims, without.

    The codec guesses the colour space when it is not told, and guesses wrong for RGB without an Adobe marker.
    """
    if stream is not None and stream.lossless_jpeg:
        return jpeg_lossless(data, layout, stream)
    if layout.samples == 1:
        return _array(imagecodecs.jpeg8_decode(data))
    said = stream.ycbcr if stream else None
    ycbcr = layout.photometric.startswith("YBR") if said is None else said
    return _array(imagecodecs.jpeg8_decode(data, colorspace="YCBCR" if ycbcr else "RGB", outcolorspace="RGB"))


def jpeg_lossless(data: bytes, layout: Layout, stream: Codestream | None) -> Array:
    """JPEG process 14, every predictor. Samples come out as they were coded.

    liblj92 is the faster one and knows neither restart markers nor point transforms nor several scans.
    """
    if stream is not None and not stream.lossless_jpeg:
        return jpeg(data, layout, stream)
    if stream is None or stream.plain:
        return _array(imagecodecs.ljpeg_decode(data))
    if layout.samples == 1:
        return _array(imagecodecs.jpeg8_decode(data))
    return _array(imagecodecs.jpeg8_decode(data, colorspace="RGB", outcolorspace="RGB"))


def jpeg_ls(data: bytes, layout: Layout, stream: Codestream | None) -> Array:
    """Components that are not interleaved come out one plane after the other."""
    decoded = _array(imagecodecs.jpegls_decode(data))
    if layout.samples == 3 and decoded.shape == (3, layout.rows, layout.columns) != layout.shape:
        return np.ascontiguousarray(decoded.transpose(1, 2, 0))
    return decoded


def jpeg_2000(data: bytes, layout: Layout, stream: Codestream | None) -> Array:
    """The codec undoes the colour transform of the codestream, so YBR_RCT and YBR_ICT come out as RGB."""
    if stream is not None and stream.extended:
        raise CannotSucceed("it has transformations of JPEG 2000 Part 2, which no decoder here undoes")
    return _array(imagecodecs.jpeg2k_decode(data))


def htj2k(data: bytes, layout: Layout, stream: Codestream | None) -> Array:
    """OpenJPH for grey without loss, which is four times as fast, and for what has more bits than OpenJPEG takes.

    It does not limit what it decodes to the range of the samples, so that with loss black turns into white.
    """
    without_loss = layout.transfer_syntax != HTJ2K[2] and (stream is None or stream.exact is not False)
    wide = stream is not None and stream.precision > 16
    if (without_loss and layout.samples == 1) or wide:
        return _array(imagecodecs.htj2k_decode(data, planar=False))
    return _array(imagecodecs.jpeg2k_decode(data))


def jpeg_xl(data: bytes, layout: Layout, stream: Codestream | None) -> Array:
    return _array(imagecodecs.jpegxl_decode(data))


def rle(data: bytes, layout: Layout, stream: Codestream | None) -> Array:
    """PS3.5 Annex G: samples come one plane after the other whatever 'Planar Configuration' says."""
    # Unsigned: the codec refuses a signed type, and the bits are the same.
    dtype = np.dtype(f"u{layout.dtype.itemsize}")
    expected = layout.rows * layout.columns * layout.samples
    # Not as much room as it asks for, a byte of runs being 64 of samples; but enough to see that it is too long.
    room = bytearray((expected + _SURPLUS) * dtype.itemsize)
    planes = np.frombuffer(imagecodecs.dicomrle_decode(data, dtype, out=room), dtype)
    if planes.size != expected:
        raise ValueError(f"{planes.size} samples decoded, {expected} expected")
    if layout.samples == 1:
        return planes.reshape(layout.rows, layout.columns)
    return np.ascontiguousarray(planes.reshape(layout.samples, layout.rows, layout.columns).transpose(1, 2, 0))


_PLUGINS = ("pylibjpeg", "pyjpegls", "pydicom")

DECODERS: Mapping[str, Decoder] = {
    **dict.fromkeys(JPEG_LOSSY, jpeg),
    **dict.fromkeys(JPEG_LOSSLESS, jpeg_lossless),
    **dict.fromkeys(JPEG_LS, jpeg_ls),
    **dict.fromkeys((*JPEG_2000, *JPEG_2000_COMPONENTS), jpeg_2000),
    **dict.fromkeys(HTJ2K, htj2k),
    **dict.fromkeys(JPEG_XL, jpeg_xl),
    **dict.fromkeys(RLE, rle),
}

CODECS: Mapping[Decoder, tuple[str, ...]] = {
    jpeg: ("jpeg8",),
    jpeg_lossless: ("ljpeg", "jpeg8"),
    jpeg_ls: ("jpegls",),
    jpeg_2000: ("jpeg2k",),
    htj2k: ("htj2k", "jpeg2k"),
    jpeg_xl: ("jpegxl",),
    rle: ("imcd",),
}
"""The modules of imagecodecs that each decoder needs; a build may lack some."""


def native_frame(data: bytes, layout: Layout) -> bytes:
    """The plain samples of a frame whose syntax only wraps or deflates them.

    Raises CannotSucceed when it inflates to more than a frame, or does not inflate.
    """
    if layout.transfer_syntax == ENCAPSULATED_UNCOMPRESSED:
        return data
    expected = -(-layout.frame_bits // 8)
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(data, expected + 2)
    except zlib.error:
        raise CannotSucceed("it does not inflate") from None
    if len(inflated) > expected + 1:  # a byte of padding may be deflated with it
        raise CannotSucceed(f"it inflates to more than the {expected} bytes of a frame")
    return inflated


def plugin_of(transfer_syntax: str) -> str | None:
    """The plug-in of pydicom that decodes it here, of those that were compared with imagecodecs; None without one.

    Pillow and GDCM are none of them: what else is installed must not change what an image becomes.
    """
    try:
        there = get_decoder(UID(transfer_syntax)).available_plugins
    except NotImplementedError:
        return None
    return next((name for name in _PLUGINS if name in there), None)


def fallback(data: bytes, layout: Layout) -> Array:
    """Decode one frame with pydicom's plug-ins (pylibjpeg), for where imagecodecs gave up. JPEG with loss comes out as
    RGB, everything else as it was coded. Raises NotImplementedError without a plug-in, and what plug-ins do."""
    plugin = plugin_of(layout.transfer_syntax)
    if plugin is None:
        raise NotImplementedError("pydicom has no decoder here")
    # Any: pydicom types these options as one TypedDict, which a call by keyword does not satisfy.
    options: dict[str, Any] = {
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": layout.samples,
        "number_of_frames": 1,
        "bits_allocated": layout.allocated,
        "bits_stored": layout.stored,
        "pixel_representation": int(layout.signed),
        "photometric_interpretation": layout.photometric,
        "planar_configuration": int(layout.planar),
        "pixel_keyword": layout.keyword,
    }
    raw = layout.transfer_syntax not in JPEG_LOSSY
    decoder = get_decoder(UID(layout.transfer_syntax))
    decoded, _ = decoder.as_array(encapsulate([data]), index=0, raw=raw, decoding_plugin=plugin, **options)
    return _array(decoded)


def decoder_of(transfer_syntax: str) -> Decoder:
    """Raises CannotSucceed, with the reason, for a syntax that has no decoder."""
    found = DECODERS.get(transfer_syntax)
    if found is None:
        raise CannotSucceed(f"transfer syntax {transfer_syntax} {why_not(transfer_syntax)}")
    return found


def why_not(transfer_syntax: str) -> str:
    """Why a syntax without decoder has none."""
    known = TRANSFER_SYNTAXES.get(transfer_syntax)
    if known is None:
        return "is not in the standard, and has no decoder here"
    if known.referenced:
        return "keeps its pixels on a server elsewhere, and not in the data set"
    if known.video:
        return "is video, which this node does not decode"
    if "Hierarchical" in known.name and "Non-Hierarchical" not in known.name:
        return "is hierarchical JPEG, retired, which no codec decodes"
    return "has no decoder here"


def _array(decoded: object) -> Array:
    return np.asarray(decoded)
