"""Encapsulated pixel data are frames and nothing else, or they are refused."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels.encoders import RLELosslessEncoder

from node.errors import CannotSucceed
from node.imaging import markers
from node.imaging.encapsulated import Expected, beside_pixels
from node.imaging.markers import Stretch
from node.imaging.pixels import read_header
from tests.data import real_folders
from tests.imaging.test_markers import GREY, JPEG, TEXT

BASELINE, RLE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"
COMMENT = b"\xff\xfe" + struct.pack(">H", 2 + len(TEXT)) + TEXT
TOLD = JPEG[:2] + COMMENT + JPEG[2:]
EVEN = JPEG + b"\0" * (len(JPEG) % 2)


def value(fragments: Sequence[bytes], table: bytes = b"") -> bytes:
    items = [struct.pack("<HHI", 0xFFFE, 0xE000, len(one)) + one for one in (table, *fragments)]
    return b"".join(items) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def expected(syntax: str = BASELINE, frames: int = 1, planes: int = 1, **more: bytes) -> Expected:
    length = GREY.size * planes
    return Expected(transfer_syntax=syntax, frames=frames, frame_length=length, planes=planes, **more)


def found(fragments: Sequence[bytes], table: bytes = b"", of: Expected | None = None) -> tuple[bytes, list[Stretch]]:
    data = b"head" + value(fragments, table)
    return data, beside_pixels(data, 4, len(data), of or expected())


def offsets(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def test_fragments_of_one_frame_are_read_as_one() -> None:
    """Wherever they are cut: also in the middle of a comment, which is then found in both."""
    for cut in (2, 6, 8, 12, 60):
        data, gone = found([TOLD[:cut], TOLD[cut:]])
        assert b"".join(data[begin:end] for begin, end in gone) == TEXT


def test_a_fragment_behind_the_end_of_the_only_frame_is_found() -> None:
    data, gone = found([EVEN, TEXT])
    assert b"".join(data[begin:end] for begin, end in gone).strip(b"\0") == TEXT


@pytest.mark.parametrize("table", [b"", offsets(0, len(EVEN) + 8, 2 * len(EVEN) + 16)])
def test_frames_of_one_fragment_each(table: bytes) -> None:
    data, gone = found([EVEN, EVEN, TOLD], table, expected(frames=3))
    assert [data[begin:end] for begin, end in gone] == [TEXT]


@pytest.mark.parametrize("table", [b"", offsets(0, len(EVEN) + 16)])
def test_frames_of_several_fragments_are_told_apart_by_the_table_or_by_how_they_begin(table: bytes) -> None:
    data, gone = found([EVEN[:100], EVEN[100:], TOLD[:100], TOLD[100:]], table, expected(frames=2))
    assert b"".join(data[begin:end] for begin, end in gone) == TEXT


@pytest.mark.parametrize(
    ("fragments", "table", "frames"),
    [
        ([EVEN], b"MUELLER^ANNEGRET", 1),
        ([EVEN], b"MUE", 1),
        ([EVEN, EVEN], offsets(len(EVEN) + 8, 0), 2),
        ([EVEN, EVEN], offsets(0, 17), 2),
        ([], b"", 1),
        ([EVEN], b"", 2),
        ([TEXT, EVEN, EVEN], b"", 2),
        ([EVEN, EVEN, EVEN], b"", 2),
        ([EVEN, EVEN], b"", 1),
    ],
    ids=["text in the table", "an odd table", "a table in another order", "no offset of a fragment", "no frame",
         "too few", "text before", "too many", "frames that the header does not count"],
)  # fmt: skip
def test_what_is_no_frame_and_no_offset_is_refused(fragments: list[bytes], table: bytes, frames: int) -> None:
    with pytest.raises(CannotSucceed):
        found(fragments, table, expected(frames=frames))


def test_extended_tables_are_held_against_the_frames() -> None:
    right, sizes = struct.pack("<2Q", 0, len(EVEN) + 8), struct.pack("<2Q", len(EVEN), len(JPEG))
    assert found([EVEN, EVEN], b"", expected(frames=2, offsets=right, lengths=sizes))[1] == []
    for offset, length in ((b"MUELLER^ANNEGRET", sizes), (right, b"MUELLER^ANNEGRET"), (right, sizes[:8])):
        with pytest.raises(CannotSucceed):
            found([EVEN, EVEN], b"", expected(frames=2, offsets=offset, lengths=length))


# ---- frames that are no codestream ---------------------------------------------------------------------


def rle(pixels: np.ndarray) -> bytes:
    return RLELosslessEncoder.encode(
        pixels, rows=pixels.shape[0], columns=pixels.shape[1], samples_per_pixel=1, number_of_frames=1,
        bits_allocated=8 * pixels.itemsize, bits_stored=8 * pixels.itemsize, pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
    )  # fmt: skip


@settings(max_examples=10)
@given(st.sampled_from([np.uint8, np.uint16]), st.integers(1, 255), st.integers(0, 1000))
def test_an_rle_frame_ends_with_its_last_pixel(kind: type, most: int, seed: int) -> None:
    frame = rle(np.random.default_rng(seed).integers(0, most, GREY.shape).astype(kind))
    of = expected(RLE, planes=np.dtype(kind).itemsize)
    assert found([frame], b"", of)[1] == []
    for fragments in ([frame + TEXT], [frame, TEXT], [TEXT]):
        with pytest.raises(CannotSucceed):
            found(fragments, b"", of)


def test_an_rle_frame_has_no_room_between_its_segments_and_in_its_header() -> None:
    frame = rle(np.arange(GREY.size, dtype=np.uint16).reshape(GREY.shape))
    _, first, second = struct.unpack_from("<3I", frame)
    between = struct.pack("<3I", 2, first, second + len(TEXT)) + frame[12:second] + TEXT + frame[second:]
    header = frame[:48] + b"MUELLER^" + frame[56:]
    for told in (between, header):
        with pytest.raises(CannotSucceed):
            found([told], b"", expected(RLE, planes=2))


def test_frames_without_compression_and_deflated_ones_are_as_long_as_they_are() -> None:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = deflate.compress(GREY.tobytes()) + deflate.flush()
    for syntax, frame in (("1.2.840.10008.1.2.1.98", GREY.tobytes()), ("1.2.840.10008.1.2.8.1", deflated)):
        assert found([frame], b"", expected(syntax))[1] == []
        for fragments in ([frame + TEXT], [frame, TEXT]):
            with pytest.raises(CannotSucceed):
                found(fragments, b"", expected(syntax))


def test_frames_of_an_unknown_transfer_syntax_are_refused() -> None:
    with pytest.raises(CannotSucceed, match="not of the standard"):
        found([EVEN], b"", expected("1.2.3.4"))


# ---- images of devices ---------------------------------------------------------------------------------


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_images_of_devices_decode_to_the_same_pixels_with_zeros_in_what_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(markers, "_ENCODER", re.compile(rb"(?!)"))  # also in what would stay
    folders = [Path(pydicom.__file__).parent / "data", *real_folders()]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    small = [path for path in files if path.stat().st_size < 400_000]
    assert sum(_decodes_alike(path, tmp_path / "zeros") for path in small) > 40


def _decodes_alike(path: Path, target: Path) -> bool:
    try:
        _, pixels = read_header(path)
        before = [] if pixels is None or not pixels.layout.encapsulated else list(pixels.frames())
    except (CannotSucceed, OSError, AttributeError):
        return False
    if pixels is None or not before or pixels.start is None:
        return False
    data = bytearray(path.read_bytes())
    layout = pixels.layout
    of = Expected(
        transfer_syntax=layout.transfer_syntax, frames=layout.frames, frame_length=-(-layout.frame_bits // 8),
        planes=layout.samples * layout.allocated // 8,
    )  # fmt: skip
    try:
        gone = beside_pixels(bytes(data), pixels.start, len(data), of)
    except CannotSucceed:
        return False
    for begin, end in gone:
        data[begin:end] = bytes(end - begin)
    target.write_bytes(data)
    after = read_header(target)[1]
    assert after is not None
    assert all(np.array_equal(one, other) for one, other in zip(before, after.frames(), strict=True)), path.name
    return True
