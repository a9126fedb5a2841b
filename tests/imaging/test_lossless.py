"""Frames compressed again: the same values come back, also to another decoder, and the stream says the precision."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.encaps import generate_fragmented_frames, parse_basic_offsets
from pydicom.pixels import pixel_array
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from node.imaging.codecs import DECODERS, JPEG_XL
from node.imaging.codestream import sniff
from node.imaging.layout import Layout
from node.imaging.lossless import (
    JPEG_LS,
    JPEG_PROCESS_14,
    JPEG_SV1,
    LOSSLESS_OF,
    RLE,
    UnfitError,
    encapsulate,
    recoding,
)
from node.imaging.mask import mask_of
from node.imaging.masked import write_masked
from tests import make

SYNTAXES = sorted(set(LOSSLESS_OF.values()))
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def layout(pixels: np.ndarray, stored: int, photometric: str) -> Layout:
    return Layout(
        transfer_syntax="", keyword="PixelData", rows=pixels.shape[0], columns=pixels.shape[1],
        samples=pixels.shape[2] if pixels.ndim == 3 else 1, frames=1, allocated=8 * pixels.itemsize, stored=stored,
        signed=pixels.dtype.kind == "i", photometric=photometric, planar=False,
    )  # fmt: skip


def test_every_compressed_syntax_that_is_decoded_has_one_but_jpeg_xl_and_a_lossless_one_has_itself() -> None:
    assert LOSSLESS_OF.keys() == DECODERS.keys() - set(JPEG_XL)
    assert all(LOSSLESS_OF[syntax] == syntax for syntax in SYNTAXES)


@given(
    rows=st.integers(2, 24), columns=st.integers(2, 24), stored=st.integers(2, 16), signed=st.booleans(),
    noise=st.booleans(), seed=st.integers(0, 9999), syntax=st.sampled_from(SYNTAXES), wide=st.booleans(),
)  # fmt: skip
def test_grey_of_any_depth_comes_back(
    rows: int, columns: int, stored: int, signed: bool, noise: bool, seed: int, syntax: str, wide: bool
) -> None:
    random = np.random.default_rng(seed)
    low, high = (-(1 << stored - 1), 1 << stored - 1) if signed else (0, 1 << stored)
    size = 2 if stored > 8 or wide else 1
    pixels = random.integers(low, high, (rows, columns)) if noise else np.full((rows, columns), high - 1)
    frame = pixels.astype(f"{'i' if signed else 'u'}{size}")
    how = recoding(layout(frame, stored, "MONOCHROME2"), syntax)
    assert how is not None
    coded = how.encode(frame, 0)  # decodes it again, and compares
    assert len(coded) % 2 == 0
    if syntax != RLE:
        stream = sniff(coded)
        assert stream is not None
        # Bytes and words alone where other decoders were seen to fail; a reader takes the lowest Bits Stored of them.
        words = syntax == JPEG_LS or (syntax in (JPEG_PROCESS_14, JPEG_SV1) and stored <= 8)
        assert stream.precision == (8 * size if words else stored)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_colour_comes_back_and_says_whether_it_was_transformed(syntax: str, photometric: str) -> None:
    frame = np.random.default_rng(1).integers(0, 256, (16, 24, 3)).astype(np.uint8)
    how = recoding(layout(frame, 8, photometric), syntax)
    assert how is not None
    how.encode(frame, 0)
    transforms = photometric == "RGB" and syntax.rpartition(".")[2] in ("90", "201", "202")
    assert how.photometric == ("YBR_RCT" if transforms else photometric)


def test_what_a_syntax_does_not_hold_is_refused_with_its_frame() -> None:
    frame = np.arange(64, dtype=np.uint32).reshape(8, 8) << 20
    how = recoding(layout(frame, 32, "MONOCHROME2"), JPEG_LS)
    assert how is not None
    with pytest.raises(UnfitError, match="frame 3: "):
        how.encode(frame, 2)
    assert recoding(layout(frame, 32, "MONOCHROME2"), "1.2.840.10008.1.2.1") is None
    assert recoding(layout(frame.astype(np.float32), 32, "MONOCHROME2"), JPEG_LS) is not None
    one_bit = Layout(
        transfer_syntax="", keyword="PixelData", rows=8, columns=8, samples=1, frames=1, allocated=1, stored=1,
        signed=False, photometric="MONOCHROME2", planar=False,
    )  # fmt: skip
    assert recoding(one_bit, RLE) is None


def masked(syntax: str, stored: int, tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """An image of two frames in a syntax, masked; its frames before, and the mask."""
    pixels = np.random.default_rng(2).integers(0, 1 << stored, (2, 32, 40))
    frames = pixels.astype(np.uint8 if stored == 8 else np.uint16)
    ds = make.instance()
    make.set_pixels(ds, frames, bits_stored=stored)
    how = recoding(layout(frames[0], stored, "MONOCHROME2"), syntax)
    assert how is not None
    file = BytesIO()
    encapsulate(file, 2, (how.encode(frame, number) for number, frame in enumerate(frames)))
    ds.PixelData = file.getvalue()[12:-8]
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    ds.file_meta.TransferSyntaxUID = syntax
    source, target = make.write(ds, tmp_path / "a.dcm"), tmp_path / "b.dcm"
    mask = mask_of((), 32, 40)
    mask[3:9, 5:30] = True
    write_masked(source, target, mask, lambda ds: None)
    assert dcmread(target).file_meta.TransferSyntaxUID == syntax
    return target, frames, mask


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("stored", [8, 12, 16])
def test_another_decoder_sees_the_same_values_beside_the_mask(syntax: str, stored: int, tmp_path: Path) -> None:
    """pydicom with the plug-ins that are installed."""
    if not get_decoder(UID(syntax)).is_available:
        pytest.skip(f"no plug-in of pydicom decodes {syntax} here")
    target, frames, mask = masked(syntax, stored, tmp_path)
    found = pixel_array(target)
    np.testing.assert_array_equal(found[:, ~mask], frames[:, ~mask])
    assert not found[:, mask].any()


@pytest.mark.parametrize(("syntax", "program"), [(JPEG_SV1, "dcmdjpeg"), (JPEG_PROCESS_14, "dcmdjpeg"), (JPEG_LS, "dcmdjpls")])  # fmt: skip  # noqa: E501
@pytest.mark.parametrize("stored", [8, 12, 16])
def test_dcmtk_sees_the_same_values_too(syntax: str, program: str, stored: int, tmp_path: Path) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} of DCMTK is not installed")
    target, frames, mask = masked(syntax, stored, tmp_path)
    subprocess.run([program, target, tmp_path / "c.dcm"], check=True, timeout=30)
    found = pixel_array(tmp_path / "c.dcm")
    np.testing.assert_array_equal(found[:, ~mask], frames[:, ~mask])
    assert not found[:, mask].any()


@given(st.lists(st.binary(min_size=1, max_size=9).map(lambda data: data * 2), min_size=1, max_size=5))
def test_the_table_of_offsets_leads_to_each_frame(frames: list[bytes]) -> None:
    file = BytesIO(b"what was before")
    file.seek(0, 2)
    encapsulate(file, len(frames), iter(frames))
    value = file.getvalue()[len(b"what was before") + 12 : -8]
    offsets = parse_basic_offsets(value)
    assert len(offsets) == len(frames)
    begin = 8 + 4 * len(frames)
    for offset, frame in zip(offsets, frames, strict=True):
        at = begin + offset + 8
        assert value[at : at + len(frame)] == frame
    assert [b"".join(parts) for parts in generate_fragmented_frames(value, number_of_frames=len(frames))] == frames
