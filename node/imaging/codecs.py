"""Which codec decodes which transfer syntax, one function per family: bytes of one frame in, numpy out.

imagecodecs comes first: it is the fastest, lets other threads run, and is right where others were found wrong
(16- and 32-bit colour RLE, 12-bit JPEG). It only undoes the coding; signs and colour are put right in `decode`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import imagecodecs
import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from node.errors import CannotSucceed
from node.imaging.codestream import Codestream
from node.imaging.layout import Array, Layout

JPEG_LOSSY = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55")
JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
HTJ2K = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
RLE = ("1.2.840.10008.1.2.5",)
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")

# MPEG2, MPEG-4 AVC/H.264, HEVC/H.265 and their fragmentable twins.
VIDEO = tuple(f"1.2.840.10008.1.2.4.{n}{f}" for n in (*range(100, 109),) for f in ("", ".1"))

Decoder = Callable[[bytes, Layout, Codestream | None], Array]


def jpeg(data: bytes, layout: Layout, stream: Codestream | None) -> Array:
    """JPEG processes 1, 2, 4, 6, 8, 10 and 12. Colour comes out as RGB.

    The codec guesses the colour space when it is not told, and guesses wrong for RGB without an Adobe marker.
    """
    if layout.samples == 1:
        return _array(imagecodecs.jpeg8_decode(data))
    said = stream.ycbcr if stream else None
    ycbcr = layout.photometric.startswith("YBR") if said is None else said
    return _array(imagecodecs.jpeg8_decode(data, colorspace="YCBCR" if ycbcr else "RGB", outcolorspace="RGB"))


def jpeg_lossless(data: bytes, layout: Layout, stream: Codestream | None) -> Array:
    """JPEG process 14, every predictor. Samples come out as they were coded."""
    return _array(imagecodecs.ljpeg_decode(data))


def jpeg_ls(data: bytes, layout: Layout, stream: Codestream | None) -> Array:
    return _array(imagecodecs.jpegls_decode(data))


def jpeg_2000(data: bytes, layout: Layout, stream: Codestream | None) -> Array:
    """The codec undoes the colour transform of the codestream, so YBR_RCT and YBR_ICT come out as RGB."""
    return _array(imagecodecs.jpeg2k_decode(data))


def htj2k(data: bytes, layout: Layout, stream: Codestream | None) -> Array:
    """OpenJPH for grey, which is four times as fast; OpenJPEG for colour, where it is the one that was verified."""
    decode = imagecodecs.htj2k_decode if layout.samples == 1 else imagecodecs.jpeg2k_decode
    return _array(decode(data))


def rle(data: bytes, layout: Layout, stream: Codestream | None) -> Array:
    """PS3.5 Annex G: samples come one plane after the other whatever 'Planar Configuration' says."""
    # Unsigned: the codec refuses a signed type, and the bits are the same.
    dtype = np.dtype(f"u{layout.dtype.itemsize}")
    planes = np.frombuffer(imagecodecs.dicomrle_decode(data, dtype), dtype)
    if planes.size != layout.rows * layout.columns * layout.samples:
        raise ValueError(f"{planes.size} samples decoded, {layout.rows * layout.columns * layout.samples} expected")
    if layout.samples == 1:
        return planes.reshape(layout.rows, layout.columns)
    return np.ascontiguousarray(planes.reshape(layout.samples, layout.rows, layout.columns).transpose(1, 2, 0))


DECODERS: Mapping[str, Decoder] = {
    **dict.fromkeys(JPEG_LOSSY, jpeg),
    **dict.fromkeys(JPEG_LOSSLESS, jpeg_lossless),
    **dict.fromkeys(JPEG_LS, jpeg_ls),
    **dict.fromkeys(JPEG_2000, jpeg_2000),
    **dict.fromkeys(HTJ2K, htj2k),
    **dict.fromkeys(RLE, rle),
}

_NEEDS: Mapping[Decoder, tuple[str, ...]] = {
    jpeg: ("JPEG8",),
    jpeg_lossless: ("LJPEG",),
    jpeg_ls: ("JPEGLS",),
    jpeg_2000: ("JPEG2K",),
    htj2k: ("HTJ2K", "JPEG2K"),
    rle: ("DICOMRLE",),
}


def fallback(data: bytes, layout: Layout) -> Array:
    """Decode one frame with pydicom's plug-ins (pylibjpeg), for where imagecodecs gave up. Colour comes out as RGB."""
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
    decoded, _ = get_decoder(UID(layout.transfer_syntax)).as_array(encapsulate([data]), index=0, raw=False, **options)
    return _array(decoded)


def can_decode() -> dict[str, str]:
    """Each transfer syntax UID this node knows: the name of its decoder, or `cannot: ` and the reason."""
    found = dict.fromkeys(NATIVE, "numpy")
    for uid, decoder in DECODERS.items():
        missing = [codec for codec in _NEEDS[decoder] if not getattr(imagecodecs, codec).available]
        if not missing:
            found[uid] = "imagecodecs"
        elif get_decoder(UID(uid)).is_available:
            found[uid] = "pydicom"
        else:
            found[uid] = f"cannot: this build of imagecodecs lacks {', '.join(missing)}"
    found.update(dict.fromkeys(VIDEO, "cannot: video is no series of independent frames"))
    return found


def decoder_of(transfer_syntax: str) -> Decoder:
    """Raises CannotSucceed, with the reason, for a syntax that has no decoder."""
    if transfer_syntax in VIDEO:
        raise CannotSucceed(f"transfer syntax {transfer_syntax} is video, which this node does not decode")
    found = DECODERS.get(transfer_syntax)
    if found is None:
        raise CannotSucceed(f"transfer syntax {transfer_syntax} has no decoder here")
    return found


def _array(decoded: object) -> Array:
    return np.asarray(decoded)
