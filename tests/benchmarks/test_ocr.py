"""The figures for text in pixels: what is drawn, and what counts as covered."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ocr as benchmark
from benchmarks.ocr import Style, covered, drawn, frames, recall, shapes, styles
from node.imaging import ocr
from node.imaging.mask import Rectangle
from node.imaging.ocr import Picture
from tests import make


class Blind:
    def boxes(self, picture: Picture) -> list[Rectangle]:
        return []

    def texts(self, picture: Picture) -> list[str]:
        return []


class Everything(Blind):
    def boxes(self, picture: Picture) -> list[Rectangle]:
        return [Rectangle(0, 0, picture.shape[1], picture.shape[0])]


BITMAPS = [style for style in styles() if style.font == "bitmap"]


@pytest.mark.parametrize("style", BITMAPS, ids=lambda style: style.words)
def test_three_lines_are_drawn_in_one_value_and_nothing_else_is_changed(style: Style) -> None:
    frame = shapes(1)
    made, lines = drawn(frame, style, 3)
    assert len(lines) in (2, 3)  # a name in large letters may not fit
    where = np.logical_or.reduce(lines)
    assert np.array_equal(made[~where], frame[~where])
    assert len(np.unique(made[where])) == 1
    assert (made[where][0] == frame.max()) == style.bright


def test_a_line_is_covered_by_the_part_of_its_pixels_that_is_masked() -> None:
    line = np.zeros((4, 10), np.bool_)
    line[1] = True
    mask = np.zeros((4, 10), np.bool_)
    mask[:, :9] = True
    assert covered(mask, [line, ~mask]) == [0.9, 0.0]


def test_who_sees_nothing_covers_nothing_and_who_masks_all_covers_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "styles", lambda: BITMAPS)
    found = [shapes(1), shapes(2)]
    for _, lines, whole, none in recall(found, Blind()):
        assert (lines > 0, whole, none) == (True, 0, lines)
    for _, lines, whole, none in recall(found, Everything()):
        assert (lines > 0, whole, none) == (True, lines, 0)


def test_frames_are_grey_and_of_modalities_that_burn_nothing_in(tmp_path: Path) -> None:
    for name, modality in (("ct", "CT"), ("us", "US")):
        (ds,) = make.ct_series(1, rows=128, columns=128)
        ds.Modality = modality
        make.write(ds, tmp_path / name / "1.dcm")
    make.write(make.ct_series(1, rows=64, columns=64)[0], tmp_path / "small" / "1.dcm")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "readme").write_text("no image")
    folders = sorted(tmp_path.iterdir())
    assert [frame.shape for frame in frames(folders, 9)] == [(128, 128)]
    assert list(frames(folders, 0)) == []


@pytest.mark.skipif(not ocr.is_installed(), reason="pip install dicom-node[ocr]")
def test_the_program_runs_where_the_detector_is_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert importlib.util.find_spec("cv2") is not None
    monkeypatch.setattr("sys.argv", ["ocr", "--quick"])
    monkeypatch.setattr(benchmark, "styles", lambda: [Style("strokes", 21, True)])
    benchmark.main()
    said = capsys.readouterr().out
    assert "strokes, 21 pixels, bright" in said
    assert "as they came: a mask in" in said


def test_noise_in_the_place_of_an_image_is_not_looked_at() -> None:
    assert benchmark.is_noise(np.random.default_rng(1).integers(0, 255, (128, 128)))
    assert not benchmark.is_noise(np.add.outer(np.arange(128), np.arange(128)))
