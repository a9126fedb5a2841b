"""Pixels are found in their file, and read from it no more than is wanted."""

from __future__ import annotations

import resource
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, JPEGLSLossless

from node.dicom.part10 import read_meta
from node.errors import CannotSucceed
from node.imaging import pixels
from node.imaging.pixels import read_header
from tests import make

FRAMES = np.random.default_rng(5).integers(0, 4096, (40, 32, 48)).astype(np.uint16)


def multi_frame() -> FileDataset:
    return make.secondary_capture(FRAMES, bits_stored=12)


def jpeg_ls(ds: FileDataset, encapsulation: str) -> FileDataset:
    coded = [bytes(imagecodecs.jpegls_encode(frame)) for frame in FRAMES]
    ds.file_meta.TransferSyntaxUID = JPEGLSLossless
    if encapsulation == "extended":
        ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(coded)
    elif encapsulation == "many fragments":
        ds.PixelData = encapsulate(coded, fragments_per_frame=3)
    else:
        ds.PixelData = encapsulate(coded, has_bot=encapsulation == "basic")
    ds["PixelData"].is_undefined_length = True
    ds["PixelData"].VR = "OB"
    return ds


class Counting(BytesIO):
    """How many bytes were read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data

    def readinto(self, room: memoryview, /) -> int:  # type: ignore[override]  # any buffer
        count = super().readinto(room)
        self.count += count
        return count


@pytest.mark.parametrize("encapsulation", ["native", "basic", "extended", "none", "many fragments"])
def test_one_frame_is_read_without_the_others(
    encapsulation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = multi_frame() if encapsulation == "native" else jpeg_ls(multi_frame(), encapsulation)
    path = make.write(ds, tmp_path / "a.dcm")
    found = read_header(path)[1]
    assert found is not None
    watched = Counting(path.read_bytes())
    opened = Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, *how, **named: watched if self == path else opened(self, *how, **named)
    )
    (frame,) = found.frames([37])
    np.testing.assert_array_equal(frame, FRAMES[37])
    assert FRAMES[0].nbytes * (encapsulation == "native") <= watched.count < 3 * FRAMES[0].nbytes
    monkeypatch.undo()
    np.testing.assert_array_equal(np.stack(list(found.frames([3, 39, 0]))), FRAMES[[3, 39, 0]])
    np.testing.assert_array_equal(np.stack(list(found.frames())), FRAMES)


@pytest.mark.parametrize("size", [(3, 5), (8, 8), (7, 9)])
def test_frames_of_one_bit_begin_anywhere_in_a_byte(size: tuple[int, int], tmp_path: Path) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (5, *size)).astype(np.uint8)
    ds = make.secondary_capture(bits)
    ds.BitsAllocated = ds.BitsStored = 1
    ds.HighBit = 0
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    ds.PixelData = packed + bytes(len(packed) % 2)
    found = read_header(make.write(ds, tmp_path / "a.dcm"))[1]
    assert found is not None
    np.testing.assert_array_equal(np.stack(list(found.frames([4, 1, 3]))), bits[[4, 1, 3]])


@pytest.mark.parametrize("size", [(3, 5), (4, 4)])
def test_bytes_in_big_endian_words_are_put_in_order_frame_by_frame(size: tuple[int, int], tmp_path: Path) -> None:
    values = np.random.default_rng(2).integers(0, 256, (4, *size)).astype(np.uint8)
    ds = make.secondary_capture(values)
    plain = values.tobytes() + bytes(values.size % 2)
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    ds.PixelData = pixels.swap_words(plain)
    ds["PixelData"].VR = "OW"
    path = tmp_path / "a.dcm"
    pydicom.dcmwrite(path, ds, implicit_vr=False, little_endian=False, enforce_file_format=True)
    found = read_header(path)[1]
    assert found is not None
    assert found.swapped
    np.testing.assert_array_equal(np.stack(list(found.frames([2, 0, 3, 1]))), values[[2, 0, 3, 1]])


def test_a_deflated_data_set_is_read(tmp_path: Path) -> None:
    ds = multi_frame()
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    header, found = read_header(make.write(ds, tmp_path / "a.dcm"))
    assert found is not None
    assert "PixelData" not in header, "the header of every other syntax has none either"
    np.testing.assert_array_equal(next(found.frames([7])), FRAMES[7])


def deflated(path: Path, change: Callable[[bytes], bytes]) -> Path:
    ds = multi_frame()
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    make.write(ds, path)
    data, offset = path.read_bytes(), read_meta(path).dataset_offset
    path.write_bytes(data[:offset] + change(data[offset:]))
    return path


def bomb(_: bytes) -> bytes:
    head = b"\x28\0\x10\0US\x02\0\x08\0" + b"\x7f\xe0\x10\0OW\0\0\xf0\xff\xff\x7f"
    deflater = zlib.compressobj(9, wbits=-15)
    return deflater.compress(head) + b"".join(deflater.compress(bytes(1 << 24)) for _ in range(40)) + deflater.flush()


def test_a_small_file_that_inflates_to_a_large_one_is_refused_before_it_is_large(tmp_path: Path) -> None:
    path = deflated(tmp_path / "a.dcm", bomb)
    assert path.stat().st_size < 2 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CannotSucceed, match="inflates to more than"):
        read_header(path, limit=1 << 20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000, "kilobytes"


@pytest.mark.parametrize("change", [lambda data: data[: len(data) // 2], lambda data: b"\xff" * len(data)])
def test_a_deflated_data_set_that_is_damaged_is_refused(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    with pytest.raises(CannotSucceed):
        read_header(deflated(tmp_path / "a.dcm", change))


@pytest.mark.parametrize("encapsulation", ["basic", "extended", "none", "many fragments"])
@pytest.mark.parametrize("left", [0.3, 0.9])
def test_a_file_that_is_cut_short_gives_the_frames_before_and_a_reason(
    encapsulation: str, left: float, tmp_path: Path
) -> None:
    path = make.write(jpeg_ls(multi_frame(), encapsulation), tmp_path / "a.dcm")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * left)])
    found = read_header(path)[1]
    assert found is not None
    with pytest.raises(CannotSucceed, match=r"1\.2\.840\.10008\.1\.2\.4\.80, frame"):
        list(found.frames())
