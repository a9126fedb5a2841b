"""Text in pixels, with something that stands for what recognises characters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from node.errors import CannotSucceed
from node.imaging.layout import Array
from node.leaks import Kept, Output, Reader, What
from node.leaks.pixels import texts_in
from tests import make
from tests.leaks.patients import clean, collected


def burned(frame: Array) -> list[str]:
    """Reads the letters that a test wrote into the first row, one to a pixel."""
    text = "".join(chr(c) for c in np.asarray(frame)[0] if 31 < c < 127)
    return [text] if text else []


def written(tmp_path: Path, *texts: str) -> Path:
    frames = np.zeros((len(texts), 4, 32), np.uint8)
    for number, text in enumerate(texts):
        frames[number, 0, : len(text)] = np.frombuffer(text.encode(), np.uint8)
    ds = clean()
    make.set_pixels(ds, frames if len(texts) > 1 else frames[0])
    return make.write(ds, tmp_path / "output.dcm")


def test_every_frame_is_decoded_and_its_text_given_with_its_number(tmp_path: Path) -> None:
    assert list(texts_in(written(tmp_path, "one", "", "three"), burned)) == [
        ("pixels of frame 1", "one"), ("pixels of frame 3", "three"),
    ]  # fmt: skip


def test_an_instance_without_pixels_has_no_text_in_them(tmp_path: Path) -> None:
    assert list(texts_in(make.write(make.report(), tmp_path / "report.dcm"), burned)) == []


def test_a_name_in_pixels_holds_where_characters_are_recognised(tmp_path: Path) -> None:
    found = collected(tmp_path)
    path = written(tmp_path, "nothing", "KOWALCZYK")
    output = Output(path=path, number=1)
    assert Reader(found, Kept()).read(output) == []
    (finding,) = Reader(found, Kept(), burned).read(output)
    assert (finding.what, finding.where) == (What.PATIENT, "pixels of frame 2")


def test_pixels_that_cannot_be_seen_are_not_passed(tmp_path: Path) -> None:
    found = collected(tmp_path)
    ds = clean()
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 64, 64, 63
    path = make.write(ds, tmp_path / "output.dcm")
    with pytest.raises(CannotSucceed):
        list(texts_in(path, burned))
    (finding,) = Reader(found, Kept(), burned).read(Output(path=path, number=1))
    assert finding.what is What.UNREADABLE


def lit(frame: Array) -> list[str]:
    return ["KOWALCZYK"] if frame.max() == 255 else []


@pytest.mark.parametrize("frames", [1, 2])
def test_overlays_are_looked_at_as_frames_are(frames: int, tmp_path: Path) -> None:
    ds = clean()
    bits = np.zeros((frames, 8, 9), np.uint8)
    bits[-1, 3, 4] = 1
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    for element, vr, value in (
        (0x10, "US", 8), (0x11, "US", 9), (0x15, "IS", frames), (0x40, "CS", "G"), (0x50, "SS", [1, 1]),
        (0x100, "US", 1), (0x102, "US", 0), (0x3000, "OW", packed + bytes(len(packed) % 2)),
    ):  # fmt: skip
        ds.add_new((0x6002, element), vr, value)
    path = make.write(ds, tmp_path / "output.dcm")
    (finding,) = Reader(collected(tmp_path), Kept(), lit).read(Output(path=path, number=1))
    assert (finding.what, finding.where) == (What.PATIENT, "overlay (6002,3000)")
    ds[0x60020010].value = 4000
    make.write(ds, path)
    (finding,) = Reader(collected(tmp_path), Kept(), lit).read(Output(path=path, number=1))
    assert finding.what is What.UNREADABLE
