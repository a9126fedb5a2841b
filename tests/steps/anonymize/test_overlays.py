"""Overlay planes: gone, or looked at and kept without the text that was found."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset

from node.certificate.actions import Done
from node.errors import CannotSucceed
from node.imaging.mask import Mask, Rectangle, mask_of
from node.imaging.ocr import Picture
from node.steps.anonymize.instance import Anonymizer, HoldError
from node.steps.anonymize.overlays import Plane, cleaned, planes_of, put
from node.steps.anonymize.patients import Patients
from node.steps.anonymize.pixel_options import PixelOptions, cleaning_of
from node.steps.anonymize.pixels import Cleaning
from node.steps.anonymize.plain import Plain
from node.steps.anonymize.plan import NO_RULES, compile_plan
from tests import make
from tests.steps.anonymize import ultrasound as us
from tests.steps.anonymize.driver import SECRET, result
from tests.steps.anonymize.test_telling import Listener

TEXT = Rectangle(20, 4, 30, 8)
"""Where the plane has letters."""


class Sees:
    """Text in one place, where anything is lit."""

    def __init__(self, box: Rectangle | None = TEXT) -> None:
        self.box = box

    def boxes(self, picture: Picture) -> list[Rectangle]:
        box = self.box
        return [box] if box is not None and picture[box.top : box.bottom, box.left : box.right].any() else []

    def texts(self, picture: Picture) -> list[str]:
        return []


def drawn(rows: int = 32, columns: int = 40) -> Mask:
    """A circle, and letters beside it."""
    y, x = np.ogrid[:rows, :columns]
    bits = (y - 22) ** 2 + (x - 10) ** 2 < 50
    bits[TEXT.top : TEXT.bottom : 2, TEXT.left : TEXT.right] = True
    return bits


def with_overlay(bits: Mask, group: int = 0x6000, kind: str = "G", **image: int) -> FileDataset:
    ds = make.ct_series(1, **image)[0]
    _put(ds, bits, group, kind)
    ds.add_new((group, 0x0022), "LO", "Mustermann")
    ds.add_new((group, 0x1500), "LO", "Mustermann")
    return ds


def _put(ds: Dataset, bits: Mask, group: int, kind: str) -> None:
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    plane = Plane(
        group=group << 16, kind=kind, rows=bits.shape[0], columns=bits.shape[1], frames=0, first=0, top=1, left=1,
        data=packed + bytes(len(packed) % 2),
    )  # fmt: skip
    put(ds, plane)


def looking(box: Rectangle | None = TEXT, *, mask_found: bool = True) -> Cleaning:
    return Cleaning(
        files=(), ocr="suspected", mask_found=mask_found, detector=lambda: Sees(box), keep_overlays=True
    )  # fmt: skip


def cleaned_file(ds: FileDataset, cleaning: Cleaning | None, tmp_path: Path) -> tuple[FileDataset, Listener]:
    source, target, listener = make.write(ds, tmp_path / "in.dcm"), tmp_path / "out.dcm", Listener()
    options = frozenset({"clean_graphics"})
    plan_for = partial(compile_plan, options, NO_RULES)
    Anonymizer(plan_for, Patients(SECRET), None, cleaning).anonymize(source, target, listener)
    return dcmread(target), listener


def bits_of(ds: FileDataset, group: int = 0x6000) -> Mask:
    return ds.overlay_array(group).astype(bool)


def test_without_eyes_every_overlay_goes(tmp_path: Path) -> None:
    for options in ((), ("clean_graphics",), ("clean_graphics", "clean_pixel_data")):
        after = result(with_overlay(drawn()), tmp_path, options=options)
        assert not [one for one in after if one.tag.group == 0x6000]


def test_a_plane_stays_without_the_text_in_it_and_without_what_is_written_about_it(tmp_path: Path) -> None:
    before = drawn()
    ds = with_overlay(before)
    after, listener = cleaned_file(ds, looking(), tmp_path)
    found = bits_of(after)
    assert not found[TEXT.top : TEXT.bottom, TEXT.left : TEXT.right].any()
    np.testing.assert_array_equal(found[12:], before[12:])
    assert (0x6000, 0x0022) not in after
    assert (0x6000, 0x1500) not in after
    assert after.PixelData == ds.PixelData
    told = {path[0]: done for path, done, _, _ in listener.told if path[0] >> 16 == 0x6000}
    assert told[0x60003000] is Done.CLEANED
    assert told[0x60000010] is Done.KEPT
    assert told[0x60000022] is Done.REMOVED
    assert listener.of("PixelData") == [Done.KEPT]


def test_a_plane_without_text_is_kept_as_it_is(tmp_path: Path) -> None:
    after, listener = cleaned_file(with_overlay(drawn(), kind="R"), looking(None), tmp_path)
    np.testing.assert_array_equal(bits_of(after), drawn())
    assert after[0x60000040].value == "R"
    assert [done for path, done, _, _ in listener.told if path == (0x60003000,)] == [Done.KEPT]


def test_text_that_is_found_holds_where_that_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(HoldError, match="there is text in an overlay"):
        cleaned_file(with_overlay(drawn()), looking(mask_found=False), tmp_path)
    assert not (tmp_path / "out.dcm").exists()
    assert not list(tmp_path.glob("*.pixels"))


def test_what_lies_over_blacked_pixels_goes_too(tmp_path: Path) -> None:
    ds = us.image()
    _put(ds, np.ones((us.ROWS, us.COLUMNS), np.bool_), 0x6002, "G")
    after, listener = cleaned_file(ds, looking(None), tmp_path)
    np.testing.assert_array_equal(bits_of(after, 0x6002), us.KEPT)
    assert not after.pixel_array[~us.KEPT].any()
    assert listener.of("PixelData") == [Done.MASKED]
    assert [done for path, done, _, _ in listener.told if path == (0x60023000,)] == [Done.CLEANED]


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x60000040, "CS", "T"), (0x60000100, "US", 8), (0x60000102, "US", 3), (0x60000010, "US", 4000),
        (0x60000050, "SS", 1), (0x60000010, "US", 0),
    ],
)  # fmt: skip
def test_a_plane_that_is_not_what_its_attributes_say_goes(tag: int, vr: str, value: object, tmp_path: Path) -> None:
    ds = with_overlay(drawn())
    ds[tag] = DataElement(tag, vr, value)
    after, _ = cleaned_file(ds, looking(None), tmp_path)
    assert 0x60003000 not in after


def test_what_stands_behind_the_last_bit_goes(tmp_path: Path) -> None:
    ds = with_overlay(drawn())
    ds[0x60003000].value += b"MUSTERMANN"
    after, _ = cleaned_file(ds, looking(None), tmp_path)
    assert len(after[0x60003000].value) == 32 * 40 // 8


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"])
def test_in_other_syntaxes_too(syntax: str, tmp_path: Path) -> None:
    ds = with_overlay(drawn())
    ds.file_meta.TransferSyntaxUID = syntax
    after, _ = cleaned_file(ds, looking(), tmp_path)
    assert after.file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(bits_of(after)[12:], drawn()[12:])


@given(
    rows=st.integers(1, 9), columns=st.integers(1, 9), frames=st.integers(1, 3), top=st.integers(-5, 9),
    left=st.integers(-5, 9), seed=st.integers(0, 999),
)  # fmt: skip
def test_a_plane_comes_out_bit_by_bit_but_under_the_mask(
    rows: int, columns: int, frames: int, top: int, left: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    bits, mask = random.integers(0, 2, (frames, rows, columns)).astype(bool), random.integers(0, 2, (6, 7)).astype(bool)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    plane = Plane(
        group=0x60000000, kind="G", rows=rows, columns=columns, frames=frames, first=1, top=top, left=left, data=packed
    )
    found = cleaned(plane, mask, Sees(None), mask_found=True).bits
    for y in range(rows):
        for x in range(columns):
            over = (y + top - 1, x + left - 1)
            masked = 0 <= over[0] < 6 and 0 <= over[1] < 7 and mask[over]
            np.testing.assert_array_equal(found[:, y, x], np.zeros(frames, bool) if masked else bits[:, y, x])


def test_what_is_put_is_found(tmp_path: Path) -> None:
    ds = with_overlay(drawn(), group=0x601E, kind="R")
    path = make.write(ds, tmp_path / "a.dcm")
    (plane,) = planes_of(Plain(dcmread(path)))
    assert (plane.group, plane.kind, plane.rows, plane.columns) == (0x601E0000, "R", 32, 40)
    np.testing.assert_array_equal(plane.bits[0], drawn())


def test_planes_are_kept_by_both_options_together() -> None:
    both, eyes = ("clean_graphics", "clean_pixel_data"), PixelOptions(ocr="all")
    for options, pixels, keeps in ((both, eyes, True), (both[1:], eyes, False), (both, PixelOptions(), True)):
        cleaning = cleaning_of(options, pixels)
        assert cleaning is not None
        assert cleaning.keep_overlays is keeps
        assert (cleaning.detector is not None) is (pixels is eyes)
    nothing = mask_of((), 32, 40)
    with pytest.raises(CannotSucceed, match="text in an overlay"):
        cleaned(_plane(drawn()), nothing, Sees(), mask_found=False)


def _plane(bits: Mask) -> Plane:
    ds = Dataset()
    _put(ds, bits, 0x6000, "G")
    return Plane(
        group=0x60000000, kind="G", rows=bits.shape[0], columns=bits.shape[1], frames=0, first=0, top=1, left=1,
        data=ds[0x60003000].value,
    )  # fmt: skip
