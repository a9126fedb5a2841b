"""What no decoder reads is found by its markers, and zeros in its place change no pixel."""

from __future__ import annotations

import struct
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import CannotSucceed
from node.imaging.markers import unread

TEXT = b"MUELLER^ANNEGRET HX774213"
GREY = np.random.default_rng(5).integers(0, 256, (24, 32)).astype(np.uint8)
DEEP = np.random.default_rng(6).integers(0, 4096, (24, 32)).astype(np.uint16)
JPEG = bytes(imagecodecs.jpeg8_encode(GREY, level=90))
LOSSLESS = bytes(imagecodecs.jpeg8_encode(DEEP, lossless=True, predictor=1, bitspersample=16))
JPEG_LS = bytes(imagecodecs.jpegls_encode(DEEP))
J2K = bytes(imagecodecs.jpeg2k_encode(DEEP, reversible=True, codecformat="J2K"))
HTJ2K = bytes(imagecodecs.htj2k_encode(DEEP, reversible=True))
JP2 = bytes(imagecodecs.jpeg2k_encode(DEEP, reversible=True, codecformat="JP2"))

Decode = Callable[[bytes], np.ndarray]
FRAMES: dict[str, tuple[bytes, Decode]] = {
    "JPEG": (JPEG, imagecodecs.jpeg8_decode),
    "lossless JPEG": (LOSSLESS, imagecodecs.jpeg8_decode),
    "JPEG-LS": (JPEG_LS, imagecodecs.jpegls_decode),
    "JPEG 2000": (J2K, imagecodecs.jpeg2k_decode),
    "JP2": (JP2, imagecodecs.jpeg2k_decode),
    "HTJ2K": (HTJ2K, imagecodecs.htj2k_decode),
}


def zeroed(frame: bytes) -> bytes:
    """The frame with zeros where no decoder reads."""
    made = bytearray(frame)
    for begin, end in unread(frame, 0, len(frame)):
        made[begin:end] = bytes(end - begin)
    return bytes(made)


def segment(marker: int, text: bytes) -> bytes:
    return struct.pack(">HH", 0xFF00 | marker, 2 + len(text)) + text


def same_pixels(one: bytes, other: bytes, decode: Decode) -> bool:
    return np.array_equal(decode(one), decode(other))


@pytest.mark.parametrize("coding", FRAMES)
def test_a_frame_of_pixels_alone_stays_as_it_is(coding: str) -> None:
    frame = FRAMES[coding][0]
    assert zeroed(frame) == frame
    assert zeroed(frame + b"\0") == frame + b"\0", "padding"
    assert zeroed(frame + b"\xff") == frame + b"\xff", "padding of some encoders"


@pytest.mark.parametrize("coding", ["JPEG", "lossless JPEG", "JPEG-LS"])
@pytest.mark.parametrize("marker", [0xFE, 0xE0, 0xE1, 0xE2, 0xE8, 0xEB, 0xEE, 0xEF])
@given(where=st.sampled_from(["begin", "before the scan", "end"]), text=st.binary(max_size=40))
def test_comments_and_application_data_become_zeros_wherever_they_stand(
    coding: str, marker: int, where: str, text: bytes
) -> None:
    frame, decode = FRAMES[coding]
    at = {"begin": 2, "before the scan": frame.index(b"\xff\xda"), "end": frame.rindex(b"\xff\xd9")}[where]
    told = frame[:at] + segment(marker, TEXT + text) + frame[at:]
    made = zeroed(told)
    assert len(made) == len(told)
    assert TEXT not in made
    if (coding, where) != ("JPEG-LS", "end"):  # there CharLS suffers nothing before the end
        assert same_pixels(made, frame, decode)


def test_however_long_a_header_is_all_of_it_is_looked_at() -> None:
    told = JPEG[:2] + 3 * segment(0xE2, b"x" * 65000 + TEXT) + JPEG[2:]
    assert TEXT not in zeroed(told)
    assert same_pixels(zeroed(told), JPEG, imagecodecs.jpeg8_decode)


@pytest.mark.parametrize("coding", ["JPEG", "lossless JPEG", "JPEG-LS", "JPEG 2000", "HTJ2K"])
def test_what_follows_the_end_becomes_zeros(coding: str) -> None:
    frame, decode = FRAMES[coding]
    assert zeroed(frame + TEXT) == frame + bytes(len(TEXT))
    assert same_pixels(zeroed(frame + TEXT), frame, decode)


@pytest.mark.parametrize("coding", ["JPEG 2000", "HTJ2K"])
def test_comments_of_jpeg_2000_become_zeros_in_its_header_and_in_that_of_a_tile(coding: str) -> None:
    frame, decode = FRAMES[coding]
    comment = struct.pack(">HHH", 0xFF64, 4 + len(TEXT), 1) + TEXT
    tile = frame.index(b"\xff\x90\x00\x0a")
    (size,) = struct.unpack_from(">I", frame, tile + 6)
    assert same_pixels(zeroed(frame[:tile] + comment + frame[tile:]), frame, decode)
    assert TEXT not in zeroed(frame[:tile] + comment + frame[tile:])
    longer = struct.pack(">I", size + len(comment) if size else 0)
    told = frame[: tile + 6] + longer + frame[tile + 10 : tile + 12] + comment + frame[tile + 12 :]
    assert TEXT not in zeroed(told)
    assert same_pixels(zeroed(told), frame, decode)


def test_a_tile_until_the_end_is_followed_to_the_end() -> None:
    tile = J2K.index(b"\xff\x90\x00\x0a")
    told = J2K[: tile + 6] + bytes(4) + J2K[tile + 10 :]
    assert zeroed(told + TEXT) == told + bytes(len(TEXT))
    assert zeroed(told.removesuffix(b"\xff\xd9")) == told.removesuffix(b"\xff\xd9")


@pytest.mark.parametrize("said", [b"Kakadu-v7.3.3", b"Created by OpenJPEG version 2.5.0"])
def test_encoders_may_name_themselves_and_say_no_more(said: bytes) -> None:
    at = J2K.index(b"\xff\x90\x00\x0a")
    for text, stays in ((said, True), (said + b" for MUELLER", False), (said + b".19500102", False)):
        told = J2K[:at] + struct.pack(">HHH", 0xFF64, 4 + len(text), 1) + text + J2K[at:]
        assert (zeroed(told) == told) is stays


def test_what_says_how_colour_is_coded_stays() -> None:
    jfif = b"JFIF\0\1\2\0\0\1\0\1\0\0"
    adobe = b"Adobe\0\x64\0\0\0\0\1"
    told = JPEG[:2] + segment(0xE0, jfif + TEXT) + segment(0xEE, adobe + TEXT) + JPEG[2:]
    made = zeroed(told)
    assert segment(0xE0, jfif + bytes(len(TEXT))) in made
    assert segment(0xEE, adobe + bytes(len(TEXT))) in made


@pytest.mark.parametrize(
    "frame",
    [
        b"MUELLER^ANNEGRET",
        b"",
        JPEG[:2] + TEXT + JPEG[2:],
        JPEG[:-2],
        JPEG[:2] + segment(0xC8, TEXT) + JPEG[2:],
        JPEG[:2] + segment(0xDD, b"\0\0" + TEXT) + JPEG[2:],
        JPEG[:20],
        JPEG[:2] + b"\xff\xfe\0\0" + JPEG[2:],
        J2K[:60],
        J2K.replace(b"\xff\x52", b"\xff\x56", 1),
        JP2 + struct.pack(">I4s", 8 + len(TEXT), b"xml ") + TEXT,
        JP2 + b"MUE",
    ],
    ids=["text", "nothing", "between segments", "no end", "unknown segment", "room in a segment", "cut short",
         "no length", "cut short in tables", "unknown marker", "a box of text", "behind the boxes"],
)  # fmt: skip
def test_what_has_no_place_in_a_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(CannotSucceed):
        unread(frame, 0, len(frame))


def test_a_file_with_a_profile_of_colours_is_refused() -> None:
    at = JP2.index(b"colr") - 4
    (size,) = struct.unpack_from(">I", JP2, at)
    header = JP2.index(b"jp2h") - 4
    (whole,) = struct.unpack_from(">I", JP2, header)
    colours = struct.pack(">I4sBBB", 11 + len(TEXT), b"colr", 2, 0, 0) + TEXT
    longer = struct.pack(">I", whole - size + len(colours))
    told = JP2[:header] + longer + JP2[header + 4 : at] + colours + JP2[at + size :]
    with pytest.raises(CannotSucceed, match="more in its header"):
        unread(told, 0, len(told))


@given(st.binary(max_size=200), st.sampled_from(list(FRAMES)), st.integers(0, 2000))
def test_any_bytes_are_walked_to_an_end_or_refused(noise: bytes, coding: str, at: int) -> None:
    frame = FRAMES[coding][0]
    told = frame[:at] + noise + frame[at + len(noise) :]
    try:
        found = unread(told, 0, len(told))
    except CannotSucceed:
        return
    assert all(0 <= begin < end <= len(told) for begin, end in found)
