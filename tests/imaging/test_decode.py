"""Every transfer syntax gives back the values that went in, or says which frame it cannot give."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from node.errors import CannotSucceed
from node.imaging.codecs import DECODERS
from node.imaging.colour import rgb
from node.imaging.decode import SECONDS, decode_frame, frames, layout_of, lowest_bits, photometric_of
from node.imaging.encode import encode_frame
from node.imaging.layout import DEFLATED_FRAMES, ENCAPSULATED_UNCOMPRESSED, Layout
from node.imaging.pixels import read_header
from node.imaging.targets import TARGETS
from tests import make
from tests.data import real
from tests.imaging.layouts import EXPLICIT as NATIVE
from tests.imaging.layouts import layout

JPEG = "1.2.840.10008.1.2.4."


def decoded(found: Layout, *coded: bytes) -> np.ndarray:
    return np.stack(list(frames(found, encapsulate(list(coded)))))


UNSIGNED = np.random.default_rng(1).integers(0, 65536, (13, 17)).astype(np.uint16)


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (JPEG + "57", lambda a: imagecodecs.jpeg8_encode(a, lossless=True, predictor=6, bitspersample=16)),
        (JPEG + "70", lambda a: imagecodecs.jpeg8_encode(a, lossless=True, predictor=1, bitspersample=16)),
        (JPEG + "80", imagecodecs.jpegls_encode),
        (JPEG + "90", lambda a: imagecodecs.jpeg2k_encode(a, reversible=True, codecformat="J2K")),
        (JPEG + "201", lambda a: imagecodecs.htj2k_encode(a, reversible=True)),
        (JPEG + "202", lambda a: imagecodecs.htj2k_encode(a, reversible=True)),
    ],
)
@pytest.mark.parametrize("signed", [False, True])
def test_lossless_syntaxes_are_exact_with_every_sign(syntax: str, encode: Callable[..., bytes], signed: bool) -> None:
    # Coded as the bit pattern without sign, which is what most senders do whatever the header says.
    found = decoded(layout(UNSIGNED.shape, syntax, signed=signed), bytes(encode(UNSIGNED)))
    assert found.dtype == (np.int16 if signed else np.uint16)
    np.testing.assert_array_equal(found[0].view(np.uint16), UNSIGNED)


@pytest.mark.parametrize("signed", [False, True])
def test_the_sign_starts_at_bits_stored_where_codec_and_header_disagree(signed: bool) -> None:
    values = np.array([[-2048, -1, 0, 2047], [5, -7, 100, -100]], np.int16)
    twelve = (values.view(np.uint16) & 0x0FFF).astype(np.uint16)
    coded = bytes(imagecodecs.jpeg2k_encode(twelve, reversible=True, codecformat="J2K", bitspersample=12))
    found = decoded(layout(values.shape, JPEG + "90", stored=12, signed=signed), coded)
    np.testing.assert_array_equal(found[0], values if signed else twelve)


def test_bits_stored_have_the_last_word_where_the_codestream_is_wider() -> None:
    patterns = np.array([[0x0FFF, 0x0800], [0x07FF, 0]], np.uint16)  # 12 signed bits in a 16-bit codestream
    found = decoded(layout((2, 2), JPEG + "80", stored=12, signed=True), bytes(imagecodecs.jpegls_encode(patterns)))
    np.testing.assert_array_equal(found[0], [[-1, -2048], [2047, 0]])


def test_bytes_that_are_read_stay_as_they_were_and_an_array_is_given_away() -> None:
    stored = np.array([[0xF801, 0x17FF], [0, 0x0FFF]], "<u2")  # above the 12 bits stored stands rubbish
    data, twelve = stored.tobytes(), layout(stored.shape, NATIVE, stored=12)
    (kept,) = frames(twelve, data)
    assert data == stored.tobytes()
    room = np.frombuffer(bytearray(data), np.uint8)
    (given,) = frames(twelve, room)
    np.testing.assert_array_equal(kept, stored & 0x0FFF)
    np.testing.assert_array_equal(given, kept)
    assert np.shares_memory(given, room)


def test_native_colour_by_plane_becomes_colour_by_pixel() -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (6, 5, 3)).astype(np.uint8)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)).tobytes()
    found = next(frames(layout(pixels.shape, NATIVE, allocated=8, stored=8, planar=True), planes))
    np.testing.assert_array_equal(found, pixels)


def test_a_value_above_bits_stored_is_refused_not_cut() -> None:
    coded = bytes(imagecodecs.jpegls_encode(np.full((8, 8), 0x1234, np.uint16)))
    with pytest.raises(CannotSucceed, match="more than the 8 'Bits Stored'"):
        decoded(layout((8, 8), JPEG + "80", stored=8), coded)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colour", [False, True])
def test_rle_is_exact_in_8_and_16_bits_grey_and_colour(dtype: type, colour: bool) -> None:
    shape = (9, 11, 3) if colour else (9, 11)
    pixels = np.random.default_rng(2).integers(0, np.iinfo(dtype).max, shape, dtype)
    ds = make.instance()
    make.set_pixels(ds, pixels)
    ds.compress(RLELossless, generate_instance_uid=False)
    found = next(frames(layout_of(ds, str(RLELossless)), ds.PixelData))
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize(("photometric", "space"), [("RGB", "RGB"), ("YBR_FULL_422", "YCBCR"), ("YBR_FULL", "YCBCR")])
def test_jpeg_colour_follows_the_header_when_the_markers_are_silent(photometric: str, space: str) -> None:
    flat = np.zeros((16, 16, 3), np.uint8)
    flat[:] = (200, 40, 90)
    coded = bytes(imagecodecs.jpeg8_encode(flat, level=100, colorspace="RGB", outcolorspace=space))
    silent = _without_application_markers(coded)
    found = decoded(layout(flat.shape, JPEG + "50", allocated=8, stored=8, photometric=photometric), silent)
    assert np.abs(found[0].astype(int) - flat).max() <= 3


def _without_application_markers(data: bytes) -> bytes:
    kept, at = bytearray(data[:2]), 2
    while data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4], "big") + 2
        if not 0xE0 <= data[at + 1] <= 0xEF:
            kept += data[at : at + length]
        at += length
    return bytes(kept + data[at:])


@pytest.mark.parametrize("syntax", [JPEG + "90", JPEG + "203", JPEG + "80", JPEG + "70"])
def test_colour_without_loss_is_exact(syntax: str) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (12, 14, 3)).astype(np.uint8)
    encode = {
        "90": lambda: imagecodecs.jpeg2k_encode(pixels, reversible=True, codecformat="J2K"),
        "203": lambda: imagecodecs.htj2k_encode(pixels, reversible=True),
        "80": lambda: imagecodecs.jpegls_encode(pixels),
        "70": lambda: imagecodecs.jpeg8_encode(
            pixels, lossless=True, predictor=1, colorspace="RGB", outcolorspace="RGB"
        ),
    }[syntax.rpartition(".")[2]]
    np.testing.assert_array_equal(
        decoded(layout(pixels.shape, syntax, allocated=8, stored=8), bytes(encode()))[0], pixels
    )


def test_a_frame_of_many_fragments_without_offset_table_is_put_together() -> None:
    coded = bytes(imagecodecs.jpegls_encode(UNSIGNED))
    data = encapsulate([coded], fragments_per_frame=3, has_bot=False)
    np.testing.assert_array_equal(next(frames(layout(UNSIGNED.shape, JPEG + "80"), data)), UNSIGNED)


@pytest.mark.parametrize("has_table", [False, True])
def test_frames_come_in_the_order_that_was_asked_for(has_table: bool) -> None:
    coded = [bytes(imagecodecs.jpegls_encode(UNSIGNED + np.uint16(n))) for n in range(4)]
    found = frames(layout(UNSIGNED.shape, JPEG + "80", frames=4), encapsulate(coded, has_bot=has_table), [2, 0])
    assert [int(frame[0, 0]) for frame in found] == [int(UNSIGNED[0, 0]) + 2, int(UNSIGNED[0, 0])]


@pytest.mark.parametrize("syntax", ["50", "70", "80", "90"])
def test_a_frame_that_is_cut_short_is_refused_with_its_number_and_syntax(syntax: str) -> None:
    small = (UNSIGNED >> 8).astype(np.uint8)
    coded = {
        "50": lambda: imagecodecs.jpeg8_encode(small),
        "70": lambda: imagecodecs.jpeg8_encode(small, lossless=True, predictor=1),
        "80": lambda: imagecodecs.jpegls_encode(small),
        "90": lambda: imagecodecs.jpeg2k_encode(small, reversible=True, codecformat="J2K"),
    }[syntax]()
    found = layout(small.shape, JPEG + syntax, allocated=8, stored=8, frames=2)
    with pytest.raises(CannotSucceed, match=rf"\.4\.{syntax}, frame 2"):
        decoded(found, bytes(coded), bytes(coded)[: len(coded) // 2])


def test_a_frame_of_another_size_than_the_header_is_refused_before_it_is_decoded() -> None:
    huge = bytearray(imagecodecs.jpegls_encode(UNSIGNED))
    at = huge.index(b"\xff\xf7")
    huge[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(CannotSucceed, match=r"announces .*65535, 65535"):
        decoded(layout(UNSIGNED.shape, JPEG + "80"), bytes(huge))


def test_fewer_frames_than_the_header_says_are_refused() -> None:
    with pytest.raises(CannotSucceed, match="frames"):
        decoded(layout(UNSIGNED.shape, JPEG + "80", frames=3), bytes(imagecodecs.jpegls_encode(UNSIGNED)))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.65", "1.2.3"])
def test_a_syntax_without_decoder_is_refused_by_name(syntax: str) -> None:
    with pytest.raises(CannotSucceed, match=syntax):
        decoded(layout((4, 4), syntax), b"\0\0")


def test_a_small_header_cannot_announce_more_than_the_limit() -> None:
    ds = make.ct_series(1)[0]
    ds.Rows = ds.Columns = 60000
    with pytest.raises(CannotSucceed, match="more than the limit"):
        layout_of(ds, NATIVE)
    assert layout_of(ds, NATIVE, limit=10**10).rows == 60000


@pytest.mark.parametrize(
    ("keyword", "value", "message"),
    [
        ("Rows", 0, "nothing to decode"),
        ("BitsAllocated", 12, "Bits Allocated"),
        ("BitsStored", 17, "does not fit"),
        ("HighBit", 11, "contradicts 'Bits Stored'"),
        ("SamplesPerPixel", 3, "contradict MONOCHROME2"),
        ("PhotometricInterpretation", "CMYK", "none that this node knows"),
        ("Rows", None, "no value for 'Rows'"),
    ],
)
def test_attributes_that_contradict_each_other_are_refused(keyword: str, value: object, message: str) -> None:
    ds = make.ct_series(1)[0]
    setattr(ds, keyword, value)
    with pytest.raises(CannotSucceed, match=message):
        layout_of(ds, NATIVE)


@given(st.lists(st.integers(-2048, 2047), min_size=1, max_size=20), st.integers(0, 15))
def test_what_stands_above_bits_stored_does_not_count(values: list[int], rubbish: int) -> None:
    twelve = (np.array(values, np.int16).view(np.uint16) & 0x0FFF) | np.uint16(rubbish << 12)
    np.testing.assert_array_equal(lowest_bits(twelve.view(np.int16).copy(), 12), values)
    np.testing.assert_array_equal(lowest_bits(twelve.copy(), 12), twelve & 0x0FFF)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("SC_rgb_rle_32bit_2frame.dcm", "SC_rgb_rle_32bit_2frame.dcm"),
        ("rtdose_rle.dcm", "rtdose.dcm"),
        ("SC_jpeg_no_color_transform.dcm", "SC_jpeg_no_color_transform.dcm"),
        ("SC_rgb_jpeg.dcm", "SC_rgb_jpeg.dcm"),
        ("examples_ybr_color.dcm", "examples_ybr_color.dcm"),
        ("SC_ybr_full_422_uncompressed.dcm", "SC_ybr_full_422_uncompressed.dcm"),
        ("SC_rgb_small_odd_big_endian.dcm", "SC_rgb_small_odd.dcm"),
        ("rtdose_expb.dcm", "rtdose.dcm"),
        ("J2K_pixelrep_mismatch.dcm", "J2K_pixelrep_mismatch.dcm"),
        ("GDCMJ2K_TextGBR.dcm", "GDCMJ2K_TextGBR.dcm"),
        ("liver_1frame.dcm", "liver_1frame.dcm"),
        ("image_dfl.dcm", "image_dfl.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_files_known_to_be_hard_agree_with_pydicom(name: str, reference: str) -> None:
    pixels = read_header(Path(str(get_testdata_file(name))))[1]
    assert pixels is not None
    expected = pydicom.dcmread(str(get_testdata_file(reference))).pixel_array
    np.testing.assert_array_equal(np.stack(list(pixels.frames())).reshape(expected.shape), expected)


def test_one_image_in_nine_encodings_is_one_image() -> None:
    found = []
    for path in sorted(real("ts_same_image").iterdir()):
        pixels = read_header(path)[1]
        assert pixels is not None
        found.append(next(pixels.frames()))
    assert len(found) == 9
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_the_lossless_encodings_of_one_ct_are_one_ct() -> None:
    folder = real("ct_16ts")
    expected = pydicom.dcmread(next(folder.glob("*LittleEndianExplicit*1.2.1.dcm"))).pixel_array
    for uid in ("1.2", "1.2.2", "1.2.1.99", "1.2.5", "1.2.4.57", "1.2.4.70", "1.2.4.80", "1.2.4.90"):
        pixels = read_header(next(folder.glob(f"*Syntax_1.2.840.10008.{uid}.dcm")))[1]
        assert pixels is not None
        np.testing.assert_array_equal(next(pixels.frames()), expected, err_msg=uid)


# 16 rows of 24 columns, made by jpegtran -arithmetic: sequential, and progressive.
ARITHMETIC = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYVpQ"
    "YEpRUk//yQALCAAQABgBAREA/8wABgAQEAX/2gAIAQEAAD8A/wCf1qHW+vo1U5beZ8cIZMaAIaihOv/Z",
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYVpQ"
    "YEpRUk//ygALCAAQABgBAREA/8wABAAQ/9oACAEBAAAAAf8AQANk01P/zAAEEAX/2gAIAQEAAQUCHqjVN6ufQP/MAAQQBf/aAAgBAQAGPwLA/8wA"
    "BBAF/9oACAEBAAE/IUxjvAj/2gAIAQEAAAAQ9P/MAAQQBf/aAAgBAQABPxBUaRZY/9k=",
)


@pytest.mark.parametrize("coded", ARITHMETIC)
@pytest.mark.parametrize("syntax", ["52", "54", "56"])
def test_arithmetic_coding_of_the_retired_processes_is_decoded(syntax: str, coded: str) -> None:
    expected = np.add.outer(np.arange(16) * 9, np.arange(24) * 4)
    found = decoded(layout((16, 24), JPEG + syntax, dtype=np.uint8), base64.b64decode(coded))
    assert np.abs(found[0].astype(int) - expected).max() <= 6


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("colour", [False, True])
def test_jpeg_xl_without_loss_is_exact(bits: int, colour: bool) -> None:
    shape = (13, 17, 3) if colour else (13, 17)
    dtype = np.uint8 if bits == 8 else np.uint16
    pixels = np.random.default_rng(bits).integers(0, 1 << bits, shape).astype(dtype)
    coded = bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, bitspersample=bits))
    found = decoded(layout(shape, JPEG + "110", dtype=dtype, stored=bits), coded)
    np.testing.assert_array_equal(found[0], pixels)


def test_a_jpeg_inside_jpeg_xl_is_the_jpeg_but_for_rounding() -> None:
    picture = make.picture(32, 40, low=0, high=250).astype(np.uint8)
    jpeg = imagecodecs.jpeg8_encode(picture, level=90)
    found = decoded(layout(picture.shape, JPEG + "111", dtype=np.uint8), bytes(imagecodecs.jpegxl_encode_jpeg(jpeg)))
    assert np.abs(found[0].astype(int) - imagecodecs.jpeg8_decode(jpeg)).max() <= 4


@pytest.mark.parametrize("allocated", [1, 8, 16, 32])
@pytest.mark.parametrize("syntax", [ENCAPSULATED_UNCOMPRESSED, DEFLATED_FRAMES])
def test_frames_that_are_only_wrapped_or_deflated_are_native_pixels(syntax: str, allocated: int) -> None:
    dtype = np.dtype(f"u{max(allocated // 8, 1)}")
    pixels = np.random.default_rng(3).integers(0, 1 << allocated, (2, 5, 7)).astype(dtype)
    found = layout((5, 7), syntax, dtype=dtype, allocated=allocated, stored=allocated, frames=2)
    plain = [np.packbits(p, bitorder="little").tobytes() if allocated == 1 else p.tobytes() for p in pixels]
    coded = [deflated(p) for p in plain] if syntax == DEFLATED_FRAMES else plain
    np.testing.assert_array_equal(decoded(found, *coded), pixels)


def deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


def test_a_frame_that_inflates_to_more_than_itself_is_refused() -> None:
    bomb = deflated(bytes(100_000_000))
    with pytest.raises(CannotSucceed, match="frame 1: it inflates to more than the 70 bytes"):
        decoded(layout((5, 7), DEFLATED_FRAMES), bomb)
    with pytest.raises(CannotSucceed, match="frame 1: it does not inflate"):
        decoded(layout((5, 7), DEFLATED_FRAMES), b"\xff" * 20)
    with pytest.raises(CannotSucceed, match="end before it does"):
        decoded(layout((5, 7), DEFLATED_FRAMES), deflated(bytes(10)))


@pytest.mark.parametrize("wanted", [None, [4, 0, 3], [1]])
def test_frames_that_are_components_of_codestreams_are_told_apart(wanted: list[int] | None) -> None:
    """JPEG 2000 Part 2 (PS3.5 8.2.5): collections of two and three frames, one of them in two fragments."""
    pixels = np.random.default_rng(9).integers(0, 4096, (5, 16, 20)).astype(np.uint16)
    coded = [
        bytes(imagecodecs.jpeg2k_encode(
            np.ascontiguousarray(pixels[part].transpose(1, 2, 0)), reversible=True, codecformat="J2K", bitspersample=12,
            mct=False,
        ))
        for part in (slice(0, 2), slice(2, 5))
    ]  # fmt: skip
    found = layout((16, 20), JPEG + "92", stored=12, frames=5)
    data = encapsulate([coded[0], coded[1][:100], coded[1][100:]], has_bot=False)
    np.testing.assert_array_equal(
        np.stack(list(frames(found, data, wanted))), pixels if wanted is None else pixels[wanted]
    )


def test_components_that_are_not_as_many_as_frames_are_refused() -> None:
    coded = bytes(
        imagecodecs.jpeg2k_encode(np.zeros((8, 8, 2), np.uint8), reversible=True, codecformat="J2K", mct=False)
    )
    with pytest.raises(CannotSucceed, match="2 components in all, 3 frames in the header"):
        decoded(layout((8, 8), JPEG + "92", dtype=np.uint8, frames=3), coded)


def test_a_transformation_of_part_2_is_refused_not_passed_over() -> None:
    coded = bytes(imagecodecs.jpeg2k_encode(UNSIGNED, reversible=True, codecformat="J2K"))
    at = coded.index(b"\xff\x90")
    with pytest.raises(CannotSucceed, match="frame 1: it has transformations of JPEG 2000 Part 2"):
        decoded(layout(UNSIGNED.shape, JPEG + "90"), coded[:at] + b"\xff\x77\0\x03\0" + coded[at:])


@pytest.mark.parametrize("syntax", ["50", "57", "70"])
def test_jpeg_is_decoded_by_what_it_is_whatever_its_syntax_claims(syntax: str) -> None:
    exact = bytes(imagecodecs.jpeg8_encode(UNSIGNED, lossless=True, predictor=1, bitspersample=16))
    np.testing.assert_array_equal(decoded(layout(UNSIGNED.shape, JPEG + syntax), exact)[0], UNSIGNED)
    small = make.picture(32, 40, low=0, high=250).astype(np.uint8)
    lossy = bytes(imagecodecs.jpeg8_encode(small, level=95))
    found = decoded(layout(small.shape, JPEG + syntax, dtype=np.uint8), lossy)[0]
    np.testing.assert_array_equal(found, imagecodecs.jpeg8_decode(lossy))


def test_lossless_jpeg_that_is_not_plain_goes_to_the_decoder_that_knows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("liblj92 knows no restart markers")

    coded = bytes(imagecodecs.jpeg8_encode(UNSIGNED, lossless=True, predictor=1, bitspersample=16))
    scan = coded.index(b"\xff\xda")
    restarts = coded[:scan] + b"\xff\xdd\0\x04" + (17 * 13).to_bytes(2, "big") + coded[scan:]  # after the last sample
    monkeypatch.setattr(imagecodecs, "ljpeg_decode", never)
    np.testing.assert_array_equal(decoded(layout(UNSIGNED.shape, JPEG + "70"), restarts)[0], UNSIGNED)


def test_high_throughput_with_loss_stays_within_the_range_of_its_samples() -> None:
    """OpenJPH turns what goes below black into white."""
    edges = np.zeros((64, 64), np.uint8)
    edges[::2, ::3] = 255
    coded = bytes(imagecodecs.htj2k_encode(edges, level=0.1, reversible=False))
    found = decoded(layout(edges.shape, JPEG + "203", dtype=np.uint8), coded)[0]
    assert np.abs(found.astype(int) - edges).max() < 200


@pytest.mark.parametrize("syntax", ["80", "70", "90"])
def test_colour_that_is_asked_for_as_it_was_coded_stays_so(syntax: str) -> None:
    pixels = np.random.default_rng(11).integers(0, 256, (9, 11, 3)).astype(np.uint8)
    target = next(t for t in TARGETS.values() if t.uid == JPEG + syntax)
    source = layout(pixels.shape, dtype=np.uint8, photometric="YBR_FULL")
    data = encapsulate([encode_frame(target, source, pixels)])
    found = layout(pixels.shape, JPEG + syntax, dtype=np.uint8, photometric="YBR_FULL")
    np.testing.assert_array_equal(next(frames(found, data, rgb=False)), pixels)
    np.testing.assert_array_equal(next(frames(found, data)), rgb("YBR_FULL", pixels, 8))
    assert photometric_of(found) == "YBR_FULL"


@given(st.binary(max_size=200), st.sampled_from(sorted(DECODERS)), st.booleans())
def test_rubbish_is_refused_in_every_syntax(data: bytes, syntax: str, begun: bool) -> None:
    start = bytes(imagecodecs.jpeg2k_encode(UNSIGNED, reversible=True, codecformat="J2K"))[:90] if begun else b""
    with pytest.raises(CannotSucceed):
        decode_frame(layout((300, 300), syntax), start + data)


@pytest.mark.parametrize("work", ["decode", "encode"])
def test_every_call_of_a_codec_has_an_end(work: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    @contextmanager
    def recorded(seconds: float) -> Iterator[None]:
        asked.append(seconds)
        yield
        asked.append(0)

    monkeypatch.setattr(f"node.imaging.{work}.at_most", recorded)
    data = encode_frame(TARGETS["jpeg-ls"], layout(UNSIGNED.shape), UNSIGNED)
    decode_frame(layout(UNSIGNED.shape, JPEG + "80"), data)
    assert set(asked) == {SECONDS, 0}
