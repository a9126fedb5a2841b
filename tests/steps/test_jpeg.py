"""jpeg: the same pictures as png, small; the shared parts are tested there."""

from __future__ import annotations

import pickle
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from node.errors import CannotSucceed
from node.model import Kind
from node.steps.jpeg import Jpeg
from node.steps.png import Png
from tests import make
from tests.steps.run_step import batch_of, run_step


@pytest.mark.parametrize("show", ["frames", "middle", "montage"])
def test_a_jpeg_is_the_png_within_what_its_quality_loses(show: str, tmp_path: Path) -> None:
    series = make.ct_series(4, rows=48, columns=40, pixel_spacing=(1, 1))
    for k, ds in enumerate(series):
        ds.WindowCenter, ds.WindowWidth = 0, 4000 + k
    batch = batch_of(make.write_all(series, tmp_path / "in"))
    exact = run_step(Png(show=show), batch, tmp_path / "png")  # type: ignore[arg-type]  # one of the three
    small = run_step(Jpeg(show=show, quality=95), batch, tmp_path / "jpeg")  # type: ignore[arg-type]  # as above
    pairs = [(a.path, b.path) for a, b in zip(exact.items, small.items, strict=True) if a.kind is b.kind is Kind.IMAGE]
    assert len(pairs) == (4 if show == "frames" else 1)
    for one, other in pairs:
        assert one.stem == other.stem
        assert other.suffix == ".jpg"
        there, here = imagecodecs.png_decode(one.read_bytes()), imagecodecs.jpeg8_decode(other.read_bytes())
        assert np.abs(there.astype(int) - here).mean() < 3


def test_a_jpeg_has_no_exif_and_no_comment(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    result = run_step(Jpeg(), batch_of([make.write(make.secondary_capture(pixels), tmp_path / "a.dcm")]), tmp_path)
    with Image.open(result.items[1].path) as image:
        assert not image.getexif()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


@pytest.mark.parametrize(("quality", "words"), [(0, "quality"), (101, "quality")])
def test_a_quality_that_is_none_is_named(quality: int, words: str, tmp_path: Path) -> None:
    step = Jpeg(quality=quality)
    assert words in step.problems()[0]
    with pytest.raises(CannotSucceed, match=words):
        run_step(step, batch_of([]), tmp_path)


def test_it_is_whole_only_for_previews_and_can_be_sent_to_a_worker() -> None:
    assert [Jpeg(show=show).whole for show in ("frames", "middle", "montage")] == [False, True, True]  # type: ignore[arg-type]  # the three
    assert pickle.loads(pickle.dumps(Jpeg(window=(40, 400)))) == Jpeg(window=(40, 400))
