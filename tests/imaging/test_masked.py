"""Every transfer syntax that is decoded here, every colour space: black within the mask, the same samples beside."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.errors import CannotSucceed
from node.imaging.capabilities import capabilities
from node.imaging.codecs import NATIVE, NATIVE_FRAMES
from node.imaging.lossless import LOSSLESS_OF, Recoding, UnfitError
from node.imaging.mask import Cut, Mask, Rectangle, mask_of
from node.imaging.masked import write_masked
from node.imaging.pixels import read_header
from tests import make
from tests.data import real
from tests.dicom import big_endian as big

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

JPEG = "1.2.840.10008.1.2.4."
GREY8 = make.picture(16, 24, low=0, high=200).astype(np.uint8)
GREY16 = make.picture(16, 24, low=0, high=4000).astype(np.uint16)
RGB = np.random.default_rng(7).integers(0, 256, (16, 24, 3)).astype(np.uint8)


def _rle(pixels: np.ndarray) -> bytes:
    colour = pixels.ndim == 3
    options: dict[str, Any] = {
        "rows": pixels.shape[0], "columns": pixels.shape[1], "samples_per_pixel": 3 if colour else 1,
        "bits_allocated": 8 * pixels.itemsize, "bits_stored": 8 * pixels.itemsize, "pixel_representation": 0,
        "photometric_interpretation": "RGB" if colour else "MONOCHROME2", "planar_configuration": 0,
        "number_of_frames": 1,
    }  # fmt: skip
    return RLELosslessEncoder.encode(pixels, **options)


def _deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


Encode = Callable[[np.ndarray], Any]
ENCODERS: dict[str, Encode] = {
    JPEG + "50": lambda a: imagecodecs.jpeg8_encode(a, level=90),
    JPEG + "51": lambda a: imagecodecs.jpeg8_encode(a, level=90),
    JPEG + "53": lambda a: imagecodecs.jpeg8_encode(a, level=90),
    JPEG + "55": lambda a: imagecodecs.jpeg8_encode(a, level=90),
    JPEG + "57": lambda a: imagecodecs.jpeg8_encode(a, lossless=True, predictor=6, bitspersample=8 * a.itemsize),
    JPEG + "70": lambda a: imagecodecs.jpeg8_encode(a, lossless=True, predictor=1, bitspersample=8 * a.itemsize),
    JPEG + "80": imagecodecs.jpegls_encode,
    JPEG + "81": lambda a: imagecodecs.jpegls_encode(a, level=2),
    JPEG + "90": lambda a: imagecodecs.jpeg2k_encode(a, reversible=True, codecformat="J2K", mct=False),
    JPEG + "91": lambda a: imagecodecs.jpeg2k_encode(a, level=40, codecformat="J2K", mct=False),
    JPEG + "201": lambda a: imagecodecs.htj2k_encode(a, reversible=True),
    JPEG + "202": lambda a: imagecodecs.htj2k_encode(a, reversible=True),
    JPEG + "203": lambda a: imagecodecs.htj2k_encode(a, reversible=True),
    # One component for each frame, which is the least that the transfer syntax asks for.
    JPEG + "92": lambda a: imagecodecs.jpeg2k_encode(a, reversible=True, codecformat="J2K", mct=False),
    JPEG + "93": lambda a: imagecodecs.jpeg2k_encode(a, level=40, codecformat="J2K", mct=False),
    JPEG + "110": lambda a: imagecodecs.jpegxl_encode(a, lossless=True),
    JPEG + "112": lambda a: imagecodecs.jpegxl_encode(a, lossless=True),
    "1.2.840.10008.1.2.5": _rle,
    "1.2.840.10008.1.2.1.98": lambda a: a.tobytes(),
    "1.2.840.10008.1.2.8.1": lambda a: _deflated(a.tobytes()),
}
SAME_DECODER = {JPEG + n for n in ("52", "54", "56", "111")}
"""Arithmetic coding, which nothing here encodes, and JPEG within JPEG XL: decoded as those of their families are."""
DCT = tuple(JPEG + n for n in ("50", "51", "53", "55"))
LOSSLESS_COLOUR = [JPEG + "80", JPEG + "90", "1.2.840.10008.1.2.5"]


def _coded(path: Path, syntax: str, pixels: list[np.ndarray], photometric: str, *, table: bool = True) -> Path:
    ds = make.instance()
    make.set_pixels(ds, pixels[0], photometric=photometric)
    if len(pixels) > 1:
        ds.NumberOfFrames = len(pixels)
    ds.PixelData = encapsulate([bytes(ENCODERS[syntax](one)) for one in pixels], has_bot=table)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    # pydicom writes none that it does not know: it is given one that is as long, and the right one takes its place.
    written = next(
        uid
        for uid in (syntax, JPEG + "201", JPEG + "80")
        if UID(uid).is_transfer_syntax and len(_even(uid)) == len(_even(syntax))
    )
    ds.file_meta.TransferSyntaxUID = written
    make.write(ds, path)
    path.write_bytes(path.read_bytes().replace(_even(written), _even(syntax), 1))
    return path


def _even(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


def _mask(rows: int, columns: int) -> Mask:
    """Two rectangles with odd borders, and a single pixel."""
    cuts = [Rectangle(0, 0, columns, rows // 5 + 1), Rectangle(3, rows // 2, columns // 2, rows // 2 + 1)]
    return mask_of([Cut(area) for area in (*cuts, Rectangle(columns - 1, rows - 1, columns, rows))], rows, columns)


def _check(source: Path, target: Path) -> FileDataset:
    """Mask, read back, compare sample by sample; returns the header that was written."""
    _, before = read_header(source)
    assert before is not None
    mask = _mask(before.layout.rows, before.layout.columns)
    assert write_masked(source, target, mask, lambda ds: None) == before.layout.frames
    ds, after = read_header(target)
    assert after is not None
    assert (after.layout.shape, after.layout.frames) == (before.layout.shape, before.layout.frames)
    # Two pixels that share their colour go together.
    gone = np.repeat(mask[:, 0::2] | mask[:, 1::2], 2, axis=1) if before.layout.subsampled else mask
    for one, other in zip(before.frames(), after.frames(), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one[~gone], other[~gone])
        # YBR black comes out of the conversion to RGB within one of it.
        assert np.abs(other[mask].astype(np.int64)).max() <= (before.layout.samples == 3)
    pydicom.dcmread(target)  # the file ends where its last element does
    return ds


def test_there_is_a_case_for_every_syntax_that_is_decoded() -> None:
    decoded = {uid for uid, one in capabilities().items() if one.decode}
    assert decoded == {*NATIVE, *NATIVE_FRAMES, *ENCODERS} | SAME_DECODER


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("syntax", ENCODERS)
def test_grey_of_every_compressed_syntax(syntax: str, frames: int, tmp_path: Path) -> None:
    pixels = [np.roll(GREY8, n, axis=1) for n in range(frames)]
    ds = _check(_coded(tmp_path / "a.dcm", syntax, pixels, "MONOCHROME2"), tmp_path / "b.dcm")
    assert ds.file_meta.TransferSyntaxUID == LOSSLESS_OF.get(syntax, ExplicitVRLittleEndian)
    # By what the codestream is: the syntax of JPEG 2000 with loss allows one without.
    lossy = syntax in {*DCT, JPEG + "81", JPEG + "91", JPEG + "93"}
    assert ds.get("LossyImageCompression") == ("01" if lossy else None)


@pytest.mark.parametrize("syntax", [s for s in ENCODERS if s not in DCT])
def test_sixteen_bits_of_every_lossless_codec(syntax: str, tmp_path: Path) -> None:
    _check(_coded(tmp_path / "a.dcm", syntax, [GREY16], "MONOCHROME1"), tmp_path / "b.dcm")


def _as_coded(path: Path) -> list[np.ndarray]:
    """The frames with colour as it is in the codestream, but for a transform of its own."""
    _, pixels = read_header(path)
    assert pixels is not None
    return list(pixels.frames(rgb=False))


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("syntax", LOSSLESS_COLOUR)
def test_lossless_colour_stays_in_its_own_space(syntax: str, photometric: str, tmp_path: Path) -> None:
    ds = _check(_coded(tmp_path / "a.dcm", syntax, [RGB, RGB[::-1]], photometric), tmp_path / "b.dcm")
    transformed = syntax == JPEG + "90" and photometric == "RGB"
    assert ds.PhotometricInterpretation == ("YBR_RCT" if transformed else photometric.removesuffix("_422"))
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert ds.PlanarConfiguration == 0
    raw = _as_coded(tmp_path / "b.dcm")
    keeps = ~_mask(16, 24)
    assert len(raw) == 2
    np.testing.assert_array_equal(raw[0][keeps], RGB[keeps])
    np.testing.assert_array_equal(raw[1][keeps], RGB[::-1][keeps])


@pytest.mark.parametrize(("syntax", "photometric"), [(JPEG + "90", "YBR_RCT"), (JPEG + "91", "YBR_ICT"), (JPEG + "50", "YBR_FULL_422")])  # fmt: skip  # noqa: E501
def test_colour_that_the_codec_makes_rgb_is_written_as_rgb_or_transformed_again(
    syntax: str, photometric: str, tmp_path: Path
) -> None:
    ds = _check(_coded(tmp_path / "a.dcm", syntax, [RGB], photometric), tmp_path / "b.dcm")
    assert ds.PhotometricInterpretation == ("RGB" if syntax == JPEG + "50" else "YBR_RCT")
    assert ds.file_meta.TransferSyntaxUID == LOSSLESS_OF[syntax]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", JPEG + "80"])
def test_where_one_frame_cannot_be_compressed_again_none_is(
    syntax: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_at_the_second(how: Recoding, frame: np.ndarray, number: int) -> bytes:
        if number == 1:
            raise UnfitError("it does not come back")
        return encode(how, frame, number)

    encode = Recoding.encode
    monkeypatch.setattr(Recoding, "encode", fails_at_the_second)
    ds = _check(_coded(tmp_path / "a.dcm", syntax, [GREY8, GREY8[::-1]], "MONOCHROME2"), tmp_path / "b.dcm")
    assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_what_was_masked_twice_is_what_was_masked_once(tmp_path: Path) -> None:
    for syntax in sorted(set(LOSSLESS_OF.values())):
        once, twice = tmp_path / "b.dcm", tmp_path / "c.dcm"
        write_masked(_coded(tmp_path / "a.dcm", syntax, [GREY16, GREY16[::-1]], "MONOCHROME2"), once, _mask(16, 24), lambda ds: None)  # fmt: skip  # noqa: E501
        write_masked(once, twice, _mask(16, 24), lambda ds: None)
        assert once.read_bytes() == twice.read_bytes()


def test_palette_indices_stay_indices(tmp_path: Path) -> None:
    ds = _check(_coded(tmp_path / "a.dcm", JPEG + "80", [GREY8], "PALETTE COLOR"), tmp_path / "b.dcm")
    assert ds.PhotometricInterpretation == "PALETTE COLOR"


def test_frames_are_told_apart_without_an_offset_table(tmp_path: Path) -> None:
    _check(_coded(tmp_path / "a.dcm", JPEG + "80", [GREY8, GREY8[::-1]], "MONOCHROME2", table=False), tmp_path / "b")


# ---- without compression -------------------------------------------------------------------------------


def _native(path: Path, pixels: np.ndarray, syntax: str, **header: Any) -> Path:
    ds = make.instance()
    make.set_pixels(ds, pixels)
    for keyword, value in header.items():
        setattr(ds, keyword, value)
    ds.file_meta.TransferSyntaxUID = syntax
    path.parent.mkdir(exist_ok=True)
    pydicom.dcmwrite(path, ds, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    return path


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, "1.2.840.10008.1.2.1.99"])
@pytest.mark.parametrize(
    "pixels",
    [GREY8, GREY16, GREY16.astype(np.int16) - 2000, np.stack([GREY8[:15, :23]] * 3), RGB, RGB[:15, :23]],
    ids=["8 bits", "16 bits", "signed", "odd frames", "colour", "odd colour"],
)
def test_native_pixels_stay_in_their_syntax(pixels: np.ndarray, syntax: str, tmp_path: Path) -> None:
    ds = _check(_native(tmp_path / "a.dcm", pixels, syntax), tmp_path / "b.dcm")
    kept = syntax if syntax != "1.2.840.10008.1.2.1.99" else ExplicitVRLittleEndian
    assert ds.file_meta.TransferSyntaxUID == kept


@given(
    rows=st.integers(1, 9), columns=st.integers(4, 12), frames=st.integers(1, 5), bits=st.sampled_from([8, 16, 32]),
    colour=st.booleans(), planar=st.booleans(), seed=st.integers(0, 9999),
    syntax=st.sampled_from([ImplicitVRLittleEndian, ExplicitVRLittleEndian]),
)  # fmt: skip
def test_of_any_image_each_bit_beside_the_mask_stays(
    rows: int, columns: int, frames: int, bits: int, colour: bool, planar: bool, seed: int, syntax: str
) -> None:
    random = np.random.default_rng(seed)
    shape = (frames, rows, columns, 3) if colour else (frames, rows, columns)
    stored = random.integers(0, 1 << bits, shape, np.uint64).astype(f"<u{bits // 8}")
    by_plane = planar and colour
    written = stored.transpose(0, 3, 1, 2) if by_plane else stored
    ds = make.instance()
    make.set_pixels(ds, stored, bits_stored=int(random.integers(1, bits + 1)))
    ds.NumberOfFrames, ds.PlanarConfiguration = frames, int(by_plane)
    data = np.ascontiguousarray(written).tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds.file_meta.TransferSyntaxUID = syntax
    mask = random.integers(0, 2, (rows, columns)).astype(bool)
    with TemporaryDirectory() as folder:
        source, target = make.write(ds, Path(folder) / "a.dcm"), Path(folder) / "b.dcm"
        assert write_masked(source, target, mask, lambda ds: None) == frames
        found = np.frombuffer(pydicom.dcmread(target).PixelData, stored.dtype, stored.size).reshape(written.shape)
    found = found.transpose(0, 2, 3, 1) if by_plane else found
    np.testing.assert_array_equal(found[:, ~mask], stored[:, ~mask])
    assert not found[:, mask].any()


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_small_odd_big_endian.dcm", "MR_small_bigendian.dcm", "rtdose_expb.dcm", "liver_expb_1frame.dcm",
        "image_dfl.dcm", "SC_ybr_full_422_uncompressed.dcm", "examples_ybr_color.dcm", "examples_palette.dcm",
        "SC_rgb_rle_16bit_2frame.dcm", "SC_rgb_rle_32bit_2frame.dcm", "JPEG2000.dcm", "SC_rgb_jpeg_gdcm.dcm",
        "SC_jpeg_no_color_transform.dcm", "liver_1frame.dcm", "rtdose.dcm", "examples_jpeg2k.dcm",
        "SC_rgb_jls_lossy_sample.dcm", "JPGExtended.dcm", "GDCMJ2K_TextGBR.dcm",
    ],
)  # fmt: skip
def test_images_of_other_programs(name: str, tmp_path: Path) -> None:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"this pydicom does not bring {name}")
    if name == "liver_expb_1frame.dcm":
        with pytest.raises(CannotSucceed, match="one bit in big endian"):
            _check(Path(path), tmp_path / "b.dcm")
        assert not (tmp_path / "b.dcm").exists()
        return
    _check(Path(path), tmp_path / "b.dcm")


def test_real_images_of_every_syntax(tmp_path: Path) -> None:
    seen = set()
    for path in [*sorted(real("ct_16ts").iterdir()), *sorted(real("ts_same_image").iterdir())]:
        try:
            ds, pixels = read_header(path)
        except CannotSucceed:
            continue
        if pixels is not None:
            _check(path, tmp_path / "b.dcm")
            seen.add(str(ds.file_meta.TransferSyntaxUID))
    assert len(seen) >= 15


def test_big_endian_words_of_eight_bits_are_turned_as_a_reader_turns_them(tmp_path: Path) -> None:
    ds = make.instance()
    make.set_pixels(ds, np.stack([GREY8[:15, :23], GREY8[1:16, 1:24]]))
    ds["PixelData"].VR = "OW"
    path = big.file(tmp_path / "a.dcm", ds)
    _check(path, tmp_path / "b.dcm")


def test_bits_that_no_value_uses_stay_unless_they_are_to_go(tmp_path: Path) -> None:
    pixels = GREY16 | np.uint16(0xA000)
    path = _native(tmp_path / "a.dcm", pixels, ExplicitVRLittleEndian, BitsStored=12, HighBit=11)
    mask = _mask(16, 24)
    for clear in (False, True):
        write_masked(path, tmp_path / "b.dcm", mask, lambda ds: None, clear_unused_bits=clear)
        found = np.frombuffer(pydicom.dcmread(tmp_path / "b.dcm").PixelData, "<u2").reshape(16, 24)
        np.testing.assert_array_equal(found[~mask], (pixels & 0x0FFF if clear else pixels)[~mask])
        assert not found[mask].any()


def test_the_header_says_what_it_is_told_to_and_is_otherwise_the_same(tmp_path: Path) -> None:
    def change(ds: Dataset) -> None:
        ds.BurnedInAnnotation = "NO"

    source = _native(tmp_path / "a.dcm", GREY8, ImplicitVRLittleEndian)
    write_masked(source, tmp_path / "b.dcm", _mask(16, 24), change)
    before, after = pydicom.dcmread(source), pydicom.dcmread(tmp_path / "b.dcm")
    assert after.BurnedInAnnotation == "NO"
    del after.BurnedInAnnotation, after.PixelData, before.PixelData
    assert after == before


def test_one_frame_at_a_time_is_in_memory(tmp_path: Path) -> None:
    frames = np.zeros((64, 256, 256), np.uint16)
    for name, source in {
        "native": _native(tmp_path / "native.dcm", frames, ExplicitVRLittleEndian),
        "coded": _coded(tmp_path / "coded.dcm", JPEG + "80", list(frames), "MONOCHROME2"),
    }.items():
        tracemalloc.start()
        write_masked(source, tmp_path / "b.dcm", _mask(256, 256), lambda ds: None)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 16 * 256 * 256 * 2, f"{name}: {peak} bytes for frames of {256 * 256 * 2}"


# ---- what cannot be done -------------------------------------------------------------------------------


def test_what_cannot_be_decoded_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    path = _coded(tmp_path / "a.dcm", JPEG + "80", [GREY8], "MONOCHROME2")
    data = path.read_bytes()
    at = data.rfind(b"\xff\xda")
    path.write_bytes(data[: at + 20] + bytes(len(data) - at - 28) + data[-8:])
    with pytest.raises(CannotSucceed):
        write_masked(path, tmp_path / "b.dcm", _mask(16, 24), lambda ds: None)
    assert not (tmp_path / "b.dcm").exists()


@pytest.mark.parametrize("said", [1, 3])
def test_another_number_of_frames_than_the_header_says_is_refused(said: int, tmp_path: Path) -> None:
    path = _coded(tmp_path / "a.dcm", JPEG + "80", [GREY8, GREY8], "MONOCHROME2")
    ds = pydicom.dcmread(path)
    ds.NumberOfFrames = said
    ds.save_as(path)
    with pytest.raises(CannotSucceed):
        write_masked(path, tmp_path / "b.dcm", _mask(16, 24), lambda ds: None)
    assert not (tmp_path / "b.dcm").exists()


def test_a_second_image_in_a_sequence_is_refused(tmp_path: Path) -> None:
    ds = make.instance()
    make.set_pixels(ds, GREY8)
    ds.IconImageSequence = [Dataset()]
    make.set_pixels(ds.IconImageSequence[0], GREY8[:4, :4])
    path = make.write(ds, tmp_path / "a.dcm")
    with pytest.raises(CannotSucceed, match="another image"):
        write_masked(path, tmp_path / "b.dcm", _mask(16, 24), lambda ds: None)


def test_a_mask_of_another_size_and_an_object_without_pixels_are_refused(tmp_path: Path) -> None:
    path = _native(tmp_path / "a.dcm", GREY8, ExplicitVRLittleEndian)
    with pytest.raises(CannotSucceed, match="a mask of"):
        write_masked(path, tmp_path / "b.dcm", _mask(16, 23), lambda ds: None)
    empty = make.write(make.instance(), tmp_path / "c.dcm")
    with pytest.raises(CannotSucceed, match="no pixels"):
        write_masked(empty, tmp_path / "b.dcm", _mask(16, 24), lambda ds: None)
