"""The pixels of one data set in an encapsulated transfer syntax (PS3.5 A.4), and the attributes that speak of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended

from node.errors import CannotSucceed
from node.imaging import lossy
from node.imaging.decode import frames, photometric_of
from node.imaging.encode import ENCODERS, encode_frame, encode_within
from node.imaging.layout import Array, Layout, layout_of
from node.imaging.targets import Target, why_not, written

_OFFSET_TABLES = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
_CHUNK = 1 << 22
_BASIC_TABLE_REACHES = 0xFFFFFFFF  # its offsets have 32 bits


class Unfit(CannotSucceed):
    """The transfer syntax cannot hold such pixels, which are whole: another one can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """How much may be lost: one of the two."""

    ratio: float = 0.0
    """Each frame has at most one of so many parts of its uncompressed size, and is as good as that allows."""
    level: float = 0.0
    """What the codec is asked for: quality of JPEG, greatest difference of JPEG-LS."""
    words: str = ""
    """The level for a person: "quality 90"."""


def compress(ds: Dataset, syntax: str, to: Target, loss: Loss | None, limit: int) -> None:
    """Compress Pixel Data of `ds`, which is in `syntax`, and say so in its attributes (PS3.5 8.2).

    Raises Unfit when `to` cannot hold such pixels or bits would be left behind, CannotSucceed when a frame cannot be
    decoded or encoded.
    """
    _refuse_overlays_in_pixels(ds)
    given = layout_of(ds, syntax, limit=limit)
    if not given.encapsulated:
        given = replace(given, little_endian=True)  # as a data set is read, whatever its syntax
    layout = replace(given, photometric=photometric_of(given))
    if reason := why_not(to, layout):
        raise Unfit(reason)
    if not given.encapsulated:
        _refuse_bits_above(given, ds.PixelData)
    coded = list(_coded(frames(given, ds.PixelData, rgb=False), layout, to, loss))
    _put(ds, coded)
    after = written(to, layout)
    ds.PhotometricInterpretation = after.photometric
    if layout.samples > 1:
        ds.PlanarConfiguration = 0
    if after.stored != given.stored:
        ds.BitsStored, ds.HighBit = after.stored, after.stored - 1
    if to.lossy:
        assert loss is not None  # the step asks for it
        lossy.derive(ds, to, layout.bytes_decoded / sum(map(len, coded)), loss.words)


def _coded(decoded: Iterable[Array], layout: Layout, to: Target, loss: Loss | None) -> Iterator[bytes]:
    number = ENCODERS[to.uid].finest // 2
    budget = int(layout.bytes_decoded / layout.frames / loss.ratio) if loss is not None and loss.ratio else 0
    for n, frame in enumerate(decoded):
        try:
            if budget:
                data, number = encode_within(to, layout, frame, budget, number)
            else:
                data = encode_frame(to, layout, frame, loss.level if loss is not None else 0.0)
        except CannotSucceed as error:
            raise CannotSucceed(f"frame {n + 1}: {error}") from error
        yield data


def _put(ds: Dataset, coded: list[bytes]) -> None:
    """One fragment for each frame, with a table: the basic one while 32 bits reach its last frame."""
    remove_offset_tables(ds)
    if sum(len(data) + 10 for data in coded[:-1]) > _BASIC_TABLE_REACHES:
        data, offsets, lengths = encapsulate_extended(coded)
        ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = offsets, lengths
    else:
        data = encapsulate(coded)
    ds["PixelData"] = DataElement("PixelData", "OB", data)
    ds["PixelData"].is_undefined_length = True


def remove_offset_tables(ds: Dataset) -> None:
    """Those of frames that are no longer where they were."""
    for keyword in _OFFSET_TABLES:
        if keyword in ds:
            del ds[keyword]


def packed(decoded: Iterable[Array]) -> bytes:
    """Frames of one-bit pixels as they are uncompressed: eight in a byte, frame behind frame (PS3.5 8.1.1)."""
    return np.packbits(np.concatenate([frame.ravel() for frame in decoded]), bitorder="little").tobytes()


def _refuse_overlays_in_pixels(ds: Dataset) -> None:
    """An overlay in bits above the stored ones (retired, PS3.3 C.9.2) would be left behind."""
    for group in range(0x6000, 0x6020, 2):
        if (group, 0x0102) in ds and (group, 0x3000) not in ds:
            raise Unfit("an overlay lies in unused bits of its pixels, and would be lost")


def _refuse_bits_above(layout: Layout, data: bytes) -> None:
    """What is above Bits Stored is no part of a value and is left behind. Zeros and signs may be, but not padding or
    marks that somebody put there all the same."""
    unsigned = np.dtype(f"<u{layout.allocated // 8}")
    sign, all_ones = layout.stored - 1, (1 << layout.allocated - layout.stored) - 1
    if not all_ones:
        return
    samples = np.frombuffer(data, unsigned, len(data) // unsigned.itemsize)
    for at in range(0, len(samples), _CHUNK):
        part = samples[at : at + _CHUNK]
        above = part >> layout.stored
        negative = (part >> sign & 1 != 0) if layout.signed else False
        if not ((above == 0) | ((above == all_ones) & negative)).all():
            raise Unfit(f"bits above the {layout.stored} 'Bits Stored' are in use, and would be lost")
