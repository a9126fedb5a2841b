"""Text in pixels: what a detector says becomes a mask. The real one is tried where it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from node.errors import CannotSucceed
from node.imaging import ocr
from node.imaging.mask import Cut, Rectangle, mask_of
from node.imaging.ocr import Picture, RapidOcr, picture_of, pictures_of, text_mask

NOTHING = mask_of((), 40, 60)


class Bright:
    """Takes the brightest pixels for text."""

    def __init__(self) -> None:
        self.seen: list[Picture] = []

    def boxes(self, picture: Picture) -> list[Rectangle]:
        self.seen.append(picture)
        rows, columns = np.nonzero(picture.max(axis=2) == 255)
        if not rows.size:
            return []
        return [Rectangle(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)]

    def texts(self, picture: Picture) -> list[str]:
        return ["TEXT"] if self.boxes(picture) else []


def _frame(*spots: Rectangle) -> np.ndarray:
    frame = np.full((40, 60), 100, np.int16)
    frame[::2] = 90
    for spot in spots:
        frame[spot.top : spot.bottom, spot.left : spot.right] = 3000
    return frame


def test_what_is_found_in_any_frame_is_taken_from_all_with_a_margin() -> None:
    one, other = Rectangle(10, 10, 20, 14), Rectangle(40, 30, 50, 33)
    found = text_mask([_frame(one), _frame(other)], NOTHING, Bright())
    expected = mask_of([Cut(Rectangle(7, 7, 23, 17)), Cut(Rectangle(37, 27, 53, 36))], 40, 60)
    np.testing.assert_array_equal(found, expected)


def test_what_a_rule_takes_already_is_not_shown_and_not_found_again() -> None:
    spot = Rectangle(10, 10, 20, 14)
    covered = mask_of([Cut(Rectangle(0, 0, 60, 20))], 40, 60)
    found = text_mask([_frame(spot)], covered, detector := Bright())
    assert not detector.seen[0][covered].any()
    assert not (found & covered).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32])
def test_a_picture_has_the_whole_range_of_what_is_left(dtype: Any) -> None:
    frame = np.arange(0, 120).reshape(10, 12).astype(dtype)
    mask = mask_of([Cut(Rectangle(0, 0, 12, 1))], 10, 12)
    picture = picture_of(frame, mask)
    assert picture.shape == (10, 12, 3)
    assert picture.dtype == np.uint8
    assert (picture[~mask].min(), picture[~mask].max()) == (0, 255)
    assert not picture[mask].any()


def test_a_few_great_values_do_not_hide_what_is_drawn_in_lesser_ones() -> None:
    """Metal in one corner; a word in a tenth of its value."""
    frame, word = np.full((40, 60), 100, np.int16), Rectangle(10, 10, 20, 14)
    frame[::2] = 90
    frame[word.top : word.bottom, word.left : word.right] = 400
    alone = pictures_of(frame, NOTHING)
    frame[0, 0] = 4000
    first, second = pictures_of(frame, NOTHING)
    assert len(alone) == 1
    assert first[12, 15].max() < 30
    assert second[12, 15].min() == 255
    assert text_mask([frame], NOTHING, Bright())[12, 15]


def test_pictures_of_one_value_of_colour_and_of_no_number() -> None:
    assert not picture_of(np.full((4, 4), 7, np.uint16), mask_of((), 4, 4)).any()
    assert picture_of(np.dstack([np.eye(4, dtype=np.uint8)] * 3), mask_of((), 4, 4)).max() == 255
    frame = np.array([[np.nan, 0.0], [1.0, np.inf]], np.float32)
    assert picture_of(frame, mask_of((), 2, 2))[:, :, 0].tolist() == [[0, 0], [255, 255]]
    assert not picture_of(frame, mask_of([Cut(None)], 2, 2)).any()


def test_the_adapter_asks_for_detection_alone_and_draws_boxes_around_four_corners() -> None:
    asked = []

    def engine(picture: Picture, **how: bool) -> tuple[Any, Any]:
        asked.append(how)
        corners = [[3.2, 4.9], [10.5, 4.0], [10.1, 8.3], [3.0, 9.0]]
        return ([corners] if how else [[corners, "DOE^JANE", 0.99]]), [0.1]

    picture = picture_of(_frame(), NOTHING)
    assert RapidOcr(engine).boxes(picture) == [Rectangle(3, 4, 12, 10)]
    assert asked == [{"use_det": True, "use_cls": False, "use_rec": False}]
    assert RapidOcr(engine).texts(picture) == ["DOE^JANE"]


def test_the_adapter_takes_none_for_nothing() -> None:
    found = RapidOcr(lambda picture, **how: (None, None))
    assert found.boxes(picture_of(_frame(), NOTHING)) == found.texts(picture_of(_frame(), NOTHING)) == []


def test_without_the_package_it_says_what_to_install() -> None:
    if ocr.is_installed():
        pytest.skip("rapidocr-onnxruntime is installed")
    with pytest.raises(CannotSucceed, match=r"pip install dicom-node\[ocr\]"):
        ocr.rapid_ocr()


@pytest.mark.filterwarnings("ignore")
def test_the_real_detector_finds_a_burned_in_name() -> None:
    if not ocr.is_installed():
        pytest.skip("rapidocr-onnxruntime is not installed: pip install dicom-node[ocr]")
    draw = pytest.importorskip("PIL.ImageDraw", reason="Pillow draws the text")
    image = pytest.importorskip("PIL.Image")
    font = pytest.importorskip("PIL.ImageFont")
    canvas = image.new("L", (640, 480), 20)
    draw.Draw(canvas).text((30, 20), "MUSTER INVENTED 4711", fill=255, font=font.load_default(24))
    frame = np.asarray(canvas)
    found = text_mask([frame], mask_of((), 480, 640), ocr.rapid_ocr())
    assert found[frame == 255].mean() > 0.95
    assert found.mean() < 0.1
    assert any("4711" in text for text in ocr.rapid_ocr().texts(picture_of(frame, mask_of((), 480, 640))))
