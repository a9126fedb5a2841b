"""Overlay planes are drawn where the standard puts them, and one that is not whole is drawn nowhere."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset

from node.errors import CannotSucceed
from node.imaging.overlays import IN_PIXELS, bit_in_values
from node.imaging.pictures import Look, Shown
from node.imaging.pixels import read_header
from tests import make

SHAPE = (9, 11)


def image(frames: int = 1, *, colour: bool = False) -> FileDataset:
    shape = (frames, *SHAPE) if frames > 1 else SHAPE
    pixels = np.random.default_rng(4).integers(0, 200, (*shape, 3) if colour else shape).astype(np.uint8)
    return make.secondary_capture(pixels)


def over(
    ds: FileDataset,
    bits: np.ndarray,
    *,
    group: int = 0x6000,
    origin: tuple[int, int] = (1, 1),
    first: int | None = None,
) -> FileDataset:
    """`bits` (rows, columns), or frames of them, as an overlay of `ds`."""
    frames = bits if bits.ndim == 3 else bits[np.newaxis]
    ds.add_new((group, 0x0010), "US", frames.shape[1])
    ds.add_new((group, 0x0011), "US", frames.shape[2])
    if bits.ndim == 3:
        ds.add_new((group, 0x0015), "IS", len(frames))
    ds.add_new((group, 0x0040), "CS", "G")
    ds.add_new((group, 0x0050), "SS", list(origin))
    if first is not None:
        ds.add_new((group, 0x0051), "US", first)
    ds.add_new((group, 0x0100), "US", 1)
    ds.add_new((group, 0x0102), "US", 0)
    packed = np.packbits(frames.ravel(), bitorder="little").tobytes()
    ds.add_new((group, 0x3000), "OW", packed + b"\0" * (len(packed) % 2))
    return ds


def pictures(ds: FileDataset, tmp_path: Path, *, overlays: bool = True, bits: int = 8) -> list[np.ndarray]:
    return [np.asarray(one) for one in shown(ds, tmp_path, overlays=overlays, bits=bits).pictures()]


def shown(ds: FileDataset, tmp_path: Path, **look: object) -> Shown:
    header, pixels = read_header(make.write(ds, tmp_path / "a.dcm"))
    assert pixels is not None
    return Shown(header, pixels, Look(**look))  # type: ignore[arg-type]  # by name


def drawing(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 2, shape).astype(np.uint8)


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
@pytest.mark.parametrize("bits", [8, 16])
def test_an_overlay_is_white_and_nothing_else_changes(colour: bool, bits: int, tmp_path: Path) -> None:
    drawn = drawing(*SHAPE)
    (plain,) = pictures(image(colour=colour), tmp_path, bits=bits)
    (found,) = pictures(over(image(colour=colour), drawn), tmp_path, bits=bits)
    on = drawn.astype(bool)
    assert (found[on] == 2**bits - 1).all()
    np.testing.assert_array_equal(found[~on], plain[~on])


def test_it_is_left_out_unless_it_is_asked_for(tmp_path: Path) -> None:
    (plain,) = pictures(image(), tmp_path)
    (found,) = pictures(over(image(), drawing(*SHAPE)), tmp_path, overlays=False)
    np.testing.assert_array_equal(found, plain)


@pytest.mark.parametrize("origin", [(1, 1), (3, 4), (-2, 0), (8, 11), (40, 1), (-40, -40)])
@pytest.mark.parametrize("shape", [(4, 5), (20, 30)])
def test_its_origin_may_lie_anywhere_and_it_may_be_of_any_size(
    origin: tuple[int, int], shape: tuple[int, int], tmp_path: Path
) -> None:
    drawn = drawing(*shape)
    (plain,) = pictures(image(), tmp_path)
    (found,) = pictures(over(image(), drawn, origin=origin), tmp_path)
    for row in range(SHAPE[0]):
        for column in range(SHAPE[1]):
            r, c = row - origin[0] + 1, column - origin[1] + 1
            on = 0 <= r < shape[0] and 0 <= c < shape[1] and drawn[r, c]
            assert found[row, column] == (255 if on else plain[row, column])


@pytest.mark.parametrize(
    ("count", "first", "numbers"),
    [
        (None, None, [0, 0, 0, 0]),
        (1, None, [0, 0, 0, 0]),
        (2, 2, [None, 0, 1, None]),
        (4, 1, [0, 1, 2, 3]),
        (1, 3, [None, None, 0, None]),
    ],
    ids=["one for all", "one frame for all", "two from the second", "each its own", "the third alone"],
)
def test_each_frame_has_its_own_overlay(
    count: int | None, first: int | None, numbers: list[int | None], tmp_path: Path
) -> None:
    drawn = drawing(*((count, *SHAPE) if count else SHAPE))
    plain = pictures(image(4), tmp_path)
    found = pictures(over(image(4), drawn, first=first), tmp_path)
    for number, own in enumerate(numbers):
        on = np.zeros(SHAPE, bool) if own is None else drawn.reshape(-1, *SHAPE)[own].astype(bool)
        np.testing.assert_array_equal(found[number], np.where(on, 255, plain[number]))


def test_several_groups_are_drawn_and_those_that_end_the_range_too(tmp_path: Path) -> None:
    ds = over(over(image(), np.eye(4, dtype=np.uint8)), np.ones((2, 2), np.uint8), group=0x601E, origin=(7, 7))
    (found,) = pictures(ds, tmp_path)
    assert (found[range(4), range(4)] == 255).all()
    assert (found[6:8, 6:8] == 255).all()


@pytest.mark.parametrize(
    ("element", "vr", "value", "reason"),
    [
        (0x3000, "OW", b"\0\0", "overlay 6000: 2 bytes for 1 frames of 9 x 11 bits"),
        (0x0010, "US", 0, "overlay 6000: 1 frames of 0 rows x 11 columns"),
        (0x0015, "IS", -1, "overlay 6000: -1 frames"),
        (0x0015, "IS", 2000000, "overlay 6000: 14 bytes for 2000000 frames"),
        (0x0050, "SS", [1, 1, 1], "not to be drawn"),
    ],
)
def test_an_overlay_that_is_not_whole_is_no_picture(
    element: int, vr: str, value: object, reason: str, tmp_path: Path
) -> None:
    ds = over(image(), drawing(*SHAPE))
    ds.add_new((0x6000, element), vr, value)
    with pytest.raises(CannotSucceed, match=reason):
        shown(ds, tmp_path, overlays=True)
    assert shown(ds, tmp_path).notes == ()


def test_one_in_unused_bits_is_not_drawn_and_that_is_said(tmp_path: Path) -> None:
    ds = over(image(), drawing(*SHAPE))
    del ds[0x6000, 0x3000]
    ds.add_new((0x6000, 0x0100), "US", 16)
    assert shown(ds, tmp_path, overlays=True).notes == (IN_PIXELS,)


def test_a_real_overlay_is_drawn_as_pydicom_reads_it() -> None:
    path = Path(str(get_testdata_file("examples_overlay.dcm")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pydicom.dcmread(path).overlay_array(0x6000).astype(bool)
    header, pixels = read_header(path)
    assert pixels is not None
    plain, drawn = (next(Shown(header, pixels, Look(overlays=on, square=False)).pictures([0])) for on in (False, True))
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(drawn[: expected.shape[0]], np.where(expected, 255, plain[: expected.shape[0]]))


def test_words_of_a_big_endian_file_are_turned(tmp_path: Path) -> None:
    drawn = drawing(*SHAPE)
    header, pixels = read_header(make.write(over(image(), drawn), tmp_path / "a.dcm"))
    assert pixels is not None
    element = header[0x6000, 0x3000]
    element.value = np.frombuffer(element.value, "<u2").astype(">u2").tobytes()
    object.__setattr__(pixels.layout, "little_endian", False)  # its own pixels are bytes, the same either way
    found = next(Shown(header, pixels, Look(overlays=True)).pictures([0]))
    assert (found[drawn.astype(bool)] == 255).all()


@pytest.mark.parametrize(
    ("allocated", "bit", "data", "found"),
    [(16, 11, None, 11), (16, 12, None, None), (1, 0, None, None), (16, 0, b"\0\0", None), (None, 0, None, None)],
)
def test_an_overlay_among_the_bits_of_the_values_is_seen(
    allocated: int | None, bit: int, data: bytes | None, found: int | None
) -> None:
    ds = Dataset()
    for element, vr, given in ((0x100, "US", allocated), (0x102, "US", bit), (0x3000, "OW", data)):
        if given is not None:
            ds.add_new(0x60020000 | element, vr, given)
    assert bit_in_values(ds, 12) == found
