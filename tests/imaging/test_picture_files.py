"""PNG and JPEG files, read back by Pillow and by hand; nothing but pixels is in them."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageSequence

from node.errors import CannotSucceed
from node.imaging.picture_files import chunks, jpeg, png, write_animation

GREY, COLOUR = (9, 7), (6, 5, 3)


def random(shape: tuple[int, ...], dtype: str = "u1", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20))))
def test_a_png_gives_back_every_pixel(picture: np.ndarray) -> None:
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(picture)))), picture)


@pytest.mark.parametrize("shape", [GREY, COLOUR])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_every_kind_of_png_is_exact_and_has_no_text(shape: tuple[int, ...], dtype: str) -> None:
    data, picture = png(random(shape, dtype)), random(shape, dtype)
    np.testing.assert_array_equal(imagecodecs.png_decode(data), picture)
    assert {kind for kind, _ in chunks(data)} == {b"IHDR", b"IDAT", b"IEND"}
    if dtype == "u2" and len(shape) == 2:
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), picture)


@pytest.mark.parametrize("shape", [(64, 48), (64, 48, 3)])
def test_a_jpeg_is_near_its_pixels_and_has_no_exif(shape: tuple[int, ...]) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, shape[1])[:, np.newaxis][: shape[1]].T[..., np.newaxis], (64, 48, 3))
    picture = (ramp if len(shape) == 3 else ramp[..., 0]).astype(np.uint8)
    data = jpeg(picture, 95)
    image = Image.open(io.BytesIO(data))
    assert np.abs(np.asarray(image).astype(int) - picture).max() <= 4
    assert not image.getexif()
    assert {marker for marker in segments(data) if marker in range(0xE0, 0xF0) or marker == 0xFE} == {0xE0}  # JFIF


def segments(data: bytes) -> list[int]:
    """Markers before the first scan."""
    at, found = 2, []
    while data[at + 1] != 0xDA:
        found.append(data[at + 1])
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return found


def test_colours_are_told_apart_pixel_by_pixel() -> None:
    """4:2:0, the usual way, would smear the border of a red line over two pixels."""
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:, 15] = (255, 0, 0)
    found = np.asarray(Image.open(io.BytesIO(jpeg(picture, 95)))).astype(int)
    assert found[16, 15, 0] > 200
    assert found[16, 13, 0] < 60


def test_a_better_quality_is_a_larger_file() -> None:
    assert len(jpeg(random((64, 64)), 30)) < len(jpeg(random((64, 64)), 95))


def test_a_picture_too_large_for_jpeg_is_refused() -> None:
    with pytest.raises(CannotSucceed, match="65501 x 1 pixels"):
        jpeg(np.zeros((1, 65501), np.uint8), 90)


@pytest.mark.parametrize("shape", [GREY, COLOUR])
def test_an_animation_has_every_picture_and_how_long_it_stays(shape: tuple[int, ...], tmp_path: Path) -> None:
    pictures = [random(shape, seed=n) for n in range(4)]
    write_animation(tmp_path / "a.png", iter(pictures), [33.3, 66.7, 100, 60_000], 4)
    with Image.open(tmp_path / "a.png") as image:
        found = [(np.asarray(frame.copy()), frame.info["duration"]) for frame in ImageSequence.Iterator(image)]
        assert image.info["loop"] == 0
    assert [round(float(stays), 1) for _, stays in found] == [33.3, 66.7, 100, 60_000]
    for (back, _), picture in zip(found, pictures, strict=True):
        # Pillow turns what it puts together to RGBA
        np.testing.assert_array_equal(back[..., :3] if picture.ndim == 3 else _grey(back), picture)


def _grey(picture: np.ndarray) -> np.ndarray:
    return picture if picture.ndim == 2 else picture[..., 0]


def test_an_animation_is_numbered_without_gaps_and_every_sum_is_right(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_animation(path, [random((300, 300), seed=n) for n in range(3)], [10] * 3, 3)
    data, at = path.read_bytes(), 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        assert zlib.crc32(data[at + 4 : at + 8 + length]) == struct.unpack_from(">I", data, at + 8 + length)[0]
        at += 12 + length
    numbers = [struct.unpack(">I", content[:4])[0] for kind, content in chunks(data) if kind in (b"fcTL", b"fdAT")]
    assert numbers == list(range(len(numbers)))
    assert next(content for kind, content in chunks(data) if kind == b"acTL") == struct.pack(">2I", 3, 0)


def test_frames_of_different_sizes_make_no_animation(tmp_path: Path) -> None:
    with pytest.raises(CannotSucceed, match="different sizes"):
        write_animation(tmp_path / "a.png", [random((4, 4)), random((4, 5))], [10, 10], 2)
