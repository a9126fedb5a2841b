"""Without loss every sample comes back, in every size, depth, sign and colour; loss keeps its bound."""

from __future__ import annotations

import contextlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from node.errors import CannotSucceed
from node.imaging import encode
from node.imaging.codestream import sniff
from node.imaging.decode import decode_frame
from node.imaging.encode import ENCODERS, encode_frame, encode_within
from node.imaging.layout import Layout
from node.imaging.targets import TARGETS, Target, why_not, written
from tests import make
from tests.imaging.layouts import layout

ENCAPSULATED = [target for target in TARGETS.values() if target.encapsulated]
LOSSLESS = [target for target in ENCAPSULATED if not target.lossy]
LOSSY = [target for target in ENCAPSULATED if target.lossy]

by_name = pytest.mark.parametrize("target", LOSSLESS, ids=lambda target: target.name)
lossy_by_name = pytest.mark.parametrize("target", LOSSY, ids=lambda target: target.name)


@st.composite
def frames(draw: st.DrawFn) -> tuple[Layout, np.ndarray]:
    """A frame of any size, depth and sign, grey, palette or colour, and its layout."""
    allocated = draw(st.sampled_from([8, 16, 32]))
    stored = draw(st.integers(1, allocated))
    photometric = draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL"]))
    signed = photometric.startswith("MONO") and draw(st.booleans())
    shape: tuple[int, ...] = (draw(st.integers(1, 20)), draw(st.integers(1, 20)))
    if photometric in ("RGB", "YBR_FULL"):
        shape = (*shape, 3)
    dtype = np.dtype(f"{'i' if signed else 'u'}{allocated // 8}")
    low, high = (-(1 << stored - 1), (1 << stored - 1) - 1) if signed else (0, (1 << stored) - 1)
    values = arrays.arrays(dtype, shape, elements=st.integers(low, high))
    return layout(shape, dtype=dtype, stored=stored, photometric=photometric), draw(values)


@by_name
@given(given=frames())
def test_every_frame_comes_back_without_loss(target: Target, given: tuple[Layout, np.ndarray]) -> None:
    source, frame = given
    assume(not why_not(target, source))
    coded = encode_frame(target, source, frame)
    back = decode_frame(written(target, source), coded, rgb=False)
    assert back.dtype == frame.dtype
    np.testing.assert_array_equal(back, frame)


def picture(dtype: type, colour: bool = False) -> np.ndarray:
    grey = make.picture(64, 48, low=0, high=200 if dtype is np.uint8 else 4000).astype(dtype)
    return np.stack([grey, grey // 2, grey[::-1]], -1) if colour else grey


@by_name
@pytest.mark.parametrize("colour", [False, True])
def test_a_frame_says_what_the_attributes_say(target: Target, colour: bool) -> None:
    source = layout((64, 48, 3) if colour else (64, 48), dtype=np.uint16, stored=12)
    stream = sniff(encode_frame(target, source, picture(np.uint16, colour)))
    if target.name == "rle":
        assert stream is None, "it has no header"
        return
    assert stream is not None
    # The codec of JPEG-LS knows bytes and words only; Bits Stored has the last word in every reader.
    assert stream.precision == (16 if target.name == "jpeg-ls" else 12)
    assert (stream.rows, stream.columns, stream.samples, stream.signed) == (64, 48, 3 if colour else 1, False)
    assert stream.exact is not False


def test_lossless_jpeg_predicts_from_the_left_as_its_syntax_says() -> None:
    coded = encode_frame(TARGETS["jpeg-lossless"], layout((64, 48)), picture(np.uint16))
    scan = coded.index(b"\xff\xda")
    assert coded[coded.index(b"\xff\xc3") : scan]
    assert coded[scan + 4 + 1 + 2 * 1] == 1, "Ss, the selection value of the predictor (T.81 B.2.3)"


def test_ht_with_rpcl_has_what_its_syntax_asks_for() -> None:
    """PS3.5 A.4.7: progression by resolution, position, component, layer; a table of tile lengths."""
    coded = encode_frame(TARGETS["htj2k-rpcl"], layout((64, 48)), picture(np.uint16))
    style = coded.index(b"\xff\x52")
    assert coded[style + 5] == 2, "progression order RPCL (T.800 Table A.16)"
    assert b"\xff\x55" in coded[: coded.index(b"\xff\x90")], "TLM"
    assert coded[style + 12] & 0x40, "blocks of Part 15"


@pytest.mark.parametrize("name", ["htj2k", "htj2k-lossy"])
@pytest.mark.parametrize("signed", [False, True])
def test_ht_of_twelve_bits_is_the_same_to_two_decoders(name: str, signed: bool) -> None:
    frame = picture(np.uint16) - 2048 if signed else picture(np.uint16)
    frame = frame.astype(np.int16 if signed else np.uint16)
    source = layout(frame.shape, dtype=frame.dtype, stored=12)
    coded = encode_frame(TARGETS[name], source, frame, 0.001 if name.endswith("lossy") else 0.0)
    one, other = imagecodecs.htj2k_decode(coded), imagecodecs.jpeg2k_decode(coded)
    # Of the irreversible wavelet the last bit is a matter of rounding.
    assert np.abs(one.astype(int) - other).max() <= (1 if name.endswith("lossy") else 0)
    assert np.abs(one.astype(int) - frame).max() <= (12 if name.endswith("lossy") else 0)


@pytest.mark.parametrize("near", [1, 3, 10])
@given(given=frames())
def test_near_lossless_keeps_its_bound_or_says_that_it_cannot(near: int, given: tuple[Layout, np.ndarray]) -> None:
    target, (source, frame) = TARGETS["jpeg-ls-near"], given
    assume(not why_not(target, source))
    to = written(target, source)
    # Near an end of the range a signed value may come back at the other end, as PS3.5 has no sign in JPEG-LS.
    ends = source.signed and source.stored in (8, 16)
    if (
        ends
        and min(abs(int(frame.min()) + (1 << source.stored - 1)), (1 << source.stored - 1) - int(frame.max())) <= 10
    ):
        with contextlib.suppress(CannotSucceed):
            encode_frame(target, source, frame, near)
        return
    back = decode_frame(to, encode_frame(target, source, frame, near), rgb=False)
    assert to.stored == to.allocated, "room for what goes beyond Bits Stored"
    assert np.abs(back.astype(np.int64) - frame).max() <= near


@lossy_by_name
@pytest.mark.parametrize("ratio", [4, 8])
def test_a_ratio_is_kept_and_nothing_given_away(target: Target, ratio: int) -> None:
    dtype = np.uint8 if target.name == "jpeg-baseline" else np.uint16
    frame = picture(dtype)
    source = layout(frame.shape, dtype=dtype, stored=8 if dtype is np.uint8 else 12)
    most = frame.nbytes // ratio
    found = [encode_within(target, source, frame, most, first) for first in (0, 20, 10**6)]
    assert len({number for _, number in found}) == 1, "the first guess does not matter"
    coded, number = found[0]
    assert len(coded) <= most
    encoder = ENCODERS[target.uid]
    if number < encoder.finest:
        assert len(encode_frame(target, source, frame, encoder.level(number + 1))) > most


def test_a_ratio_out_of_reach_is_refused() -> None:
    with pytest.raises(CannotSucceed, match="no level makes a frame as small as 10 bytes"):
        encode_within(TARGETS["jpeg-baseline"], layout((64, 48), dtype=np.uint8), picture(np.uint8), 10, 0)


@given(most=st.integers(0, 300), best=st.integers(-1, 300), first=st.integers(-5, 400))
def test_the_search_finds_the_last_that_fits_in_few_tries(most: int, best: int, first: int) -> None:
    tries: list[int] = []

    def fits(number: int) -> bool:
        assert 0 <= number <= most
        tries.append(number)
        return number <= best

    found = encode._largest(fits, most, first)
    assert found == (None if best < 0 else min(best, most))
    assert len(tries) <= 20
    assert len(set(tries)) == len(tries)


@pytest.mark.parametrize("colour", ["RGB", "YBR_FULL"])
def test_baseline_colour_is_luminance_and_chrominance_of_half_the_columns(colour: str) -> None:
    flat = np.zeros((16, 16, 3), np.uint8)
    flat[:] = (200, 40, 90)
    source = layout(flat.shape, dtype=np.uint8, photometric=colour)
    target = TARGETS["jpeg-baseline"]
    to = written(target, source)
    assert to.photometric == "YBR_FULL_422"
    coded = encode_frame(target, source, flat, 95)
    frame_header = coded.index(b"\xff\xc0")
    assert coded[frame_header + 11] == 0x21, "luminance has twice the columns of chrominance"
    shown = decode_frame(to, coded)
    expected = flat if colour == "RGB" else np.full((16, 16, 3), (147, 255, 128))  # by the equations of PS3.3
    assert np.abs(shown.astype(int) - expected).max() <= 3 or colour == "YBR_FULL"


def test_a_codec_that_gives_back_something_else_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    target, frame = TARGETS["jpeg-ls"], picture(np.uint16)
    wrong = encode.Encoder(encode=lambda f, _, __, ___: bytes(imagecodecs.jpegls_encode(f + np.uint16(1))))
    monkeypatch.setattr(encode, "ENCODERS", {target.uid: wrong})
    with pytest.raises(CannotSucceed, match="does not decode to the same values"):
        encode_frame(target, layout(frame.shape), frame)


def test_a_codec_that_refuses_is_a_reason_to_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise RuntimeError("no")

    target, frame = TARGETS["jpeg-ls"], picture(np.uint16)
    monkeypatch.setattr(encode, "ENCODERS", {target.uid: encode.Encoder(encode=refuse)})
    with pytest.raises(CannotSucceed, match="JPEG-LS lossless: cannot be encoded"):
        encode_frame(target, layout(frame.shape), frame)
