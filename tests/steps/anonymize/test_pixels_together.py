"""Text that a detector finds beside the rules, and what rules come to together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import FileDataset

from node.errors import CannotSucceed
from node.imaging.mask import Cut, Mask, Rectangle, mask_of
from node.imaging.ocr import Picture
from node.steps.anonymize import pixel_rules
from node.steps.anonymize.pixel_rules import Area, PixelRule, RuleCut, RuleFile
from node.steps.anonymize.pixels import Cleaning, Refusal, Treatment, clean
from tests import make
from tests.steps.anonymize import ultrasound as us

BUNDLED = Cleaning(files=(pixel_rules.bundled(),))


class _Sees:
    """Text in one place, wherever it is not black already."""

    def __init__(self, *boxes: Rectangle) -> None:
        self._boxes = boxes

    def boxes(self, picture: Picture) -> list[Rectangle]:
        return [box for box in self._boxes if picture[box.top : box.bottom, box.left : box.right].any()]

    def texts(self, picture: Picture) -> list[str]:
        return []


_INSIDE = Rectangle(20, 20, 40, 26)


def _looking(*boxes: Rectangle, mask_found: bool = False, ocr: str | tuple[str, ...] = "all") -> Cleaning:
    return Cleaning(files=BUNDLED.files, ocr=ocr, mask_found=mask_found, detector=lambda: _Sees(*boxes))


def _cleaned(ds: FileDataset, cleaning: Cleaning, tmp_path: Path) -> tuple[Any, Path]:
    treatment = us.decided(ds, cleaning)
    assert isinstance(treatment, Treatment)
    target = tmp_path / "target.dcm"
    return clean(make.write(ds, tmp_path / "source.dcm"), target, treatment, cleaning), target


def test_text_that_no_rule_covers_holds_the_image(tmp_path: Path) -> None:
    with pytest.raises(CannotSucceed, match="text in its pixels that no rule covers"):
        _cleaned(us.image(), _looking(_INSIDE), tmp_path)
    assert not (tmp_path / "target.dcm").exists()


def test_or_it_is_masked_as_well(tmp_path: Path) -> None:
    done, target = _cleaned(us.image(frames=3), _looking(_INSIDE, us.BANNER, mask_found=True), tmp_path)
    assert done.because == ("ultrasound regions", "text found")
    assert done.frames == 3
    grown = mask_of([Cut(Rectangle(17, 17, 43, 29))], us.ROWS, us.COLUMNS)
    found = dcmread(target).pixel_array
    assert not found[:, grown].any()
    np.testing.assert_array_equal(found[:, us.KEPT & ~grown], us.pixels(3)[:, us.KEPT & ~grown])
    assert done.masked == int((grown | ~us.KEPT).sum())


def test_text_that_a_rule_covers_is_no_find(tmp_path: Path) -> None:
    done, _ = _cleaned(us.image(), _looking(us.BANNER), tmp_path)
    assert done.because == ("ultrasound regions",)


def test_where_nothing_is_found_and_no_rule_masks_nothing_is_written_anew(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    done, target = _cleaned(ds, _looking(), tmp_path)
    assert done.looked
    assert not done.changed
    assert "BurnedInAnnotation" not in dcmread(target)
    assert not (tmp_path / "source.dcm").exists()


def test_finding_no_text_releases_nothing() -> None:
    ds = us.image(())
    assert isinstance(us.decided(ds, _looking(mask_found=True)), Refusal)


@pytest.mark.parametrize(
    ("ocr", "us_too", "ct_too"),
    [
        ("off", False, False),
        ("suspected", True, False),
        ("all", True, True),
        (("US", "XA"), True, False),
        (("CT",), False, True),
    ],
)
def test_text_is_looked_for_in_the_classes_that_were_chosen(ocr: Any, us_too: bool, ct_too: bool) -> None:
    for ds, too in ((us.image(), us_too), (make.ct_series(1)[0], ct_too)):
        found = us.decided(ds, _looking(ocr=ocr))
        assert (isinstance(found, Treatment) and found.look_for_text) is too


def test_without_a_detector_nothing_is_passed_on_as_looked_at(tmp_path: Path) -> None:
    with pytest.raises(CannotSucceed, match="nothing is there that does"):
        _cleaned(us.image(), Cleaning(files=(), ocr="all"), tmp_path)


# ---- together ------------------------------------------------------------------------------------------

_AREAS = st.builds(Rectangle, *[st.integers(0, 70)] * 4)
_CUTS = st.builds(RuleCut, _AREAS | st.sampled_from(list(Area)), st.booleans())
_RULES = st.builds(
    lambda cuts, means: PixelRule(name="", where="", condition=means, cuts=tuple(cuts)), st.lists(_CUTS, max_size=3),
    st.booleans(),
)  # fmt: skip


@given(
    files=st.lists(st.lists(_RULES, max_size=3).map(lambda rules: RuleFile(tuple(rules))), max_size=3),
    regions=st.lists(st.builds(Rectangle, *[st.integers(1, 70)] * 4), max_size=2),
)
def test_a_suspected_image_goes_on_only_with_a_mask_or_by_a_rule_that_says_so(
    files: list[RuleFile], regions: list[Rectangle]
) -> None:
    ds = us.image(regions)
    found = us.decided(ds, Cleaning(files=tuple(files)))
    meant = [rule for file in files for rule in file.rules if rule.condition is True]
    if any(not rule.cuts for rule in meant):
        assert isinstance(found, Refusal)
    elif found is None:
        assert any(rule.releases for rule in meant)
    elif isinstance(found, Treatment):
        assert found.mask.any()
        assert found.because
        _every_file_gets_what_it_takes(found.mask, files)


def _every_file_gets_what_it_takes(mask: Mask, files: list[RuleFile]) -> None:
    for file in files:
        cuts = [cut for rule in file.rules if rule.condition is True for cut in rule.cuts]
        if all(isinstance(cut.area, Rectangle) for cut in cuts):
            alone = mask_of([Cut(cut.area, cut.keep) for cut in cuts if isinstance(cut.area, Rectangle)], 48, 64)
            assert mask[alone].all()


def test_frames_beyond_sense_are_refused() -> None:
    ds = us.image()
    ds.Rows = ds.Columns = 65535
    found = us.decided(ds, BUNDLED)
    assert found == Refusal("65535 rows x 65535 columns are too many to be masked")
