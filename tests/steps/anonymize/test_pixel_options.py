"""The options of pixels: in rules.yaml, what is wrong with them, and what they come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.config import freeze, load, thaw
from node.errors import ConfigurationError
from node.imaging import ocr
from node.steps import STEPS
from node.steps.anonymize import Anonymize
from node.steps.anonymize.pixel_options import AS_USUAL, PixelOptions, cleaning_of

_SCRIPT = '{ Rows.equals("5") } (0,0,5,5)'


def _loaded(tmp_path: Path, anonymize: str) -> Anonymize:
    path = tmp_path / "rules.yaml"
    path.write_text(
        "node: {ae_title: NODE}\ndestinations: {share: {folder: ./out, accepts: deidentified}}\n"
        f"routes:\n  - {{name: r, when: always, steps: [{{anonymize: {anonymize}}}, {{forward: share}}]}}\n"
    )
    route = load(path, STEPS).routes[0]
    (step, _) = thaw(freeze(route), STEPS)
    assert step == route.chain[0]
    assert isinstance(step, Anonymize)
    return step


def test_they_are_written_below_the_step_and_come_back_from_a_frozen_job(tmp_path: Path) -> None:
    (tmp_path / "us.script").write_text(_SCRIPT)
    step = _loaded(tmp_path, "{options: [clean_pixel_data], pixels: {rules: [us.script], text_found: mask}}")
    assert step.pixels == PixelOptions(rules=(tmp_path / "us.script",), text_found="mask")
    cleaning = cleaning_of(step.options, step.pixels)
    assert cleaning is not None
    assert [len(file.rules) for file in cleaning.files] == [1, 102]
    assert cleaning.mask_found
    assert cleaning.detector is None


def test_off_is_a_word_and_not_false(tmp_path: Path) -> None:
    step = _loaded(tmp_path, "{options: [clean_pixel_data], pixels: {ocr: off, bundled: false}}")
    assert step.pixels == PixelOptions(bundled=False)
    assert cleaning_of(step.options, step.pixels).files == ()  # type: ignore[union-attr]  # it has the option


def test_without_the_option_pixels_are_not_touched(tmp_path: Path) -> None:
    step = _loaded(tmp_path, "{options: [retain_uids]}")
    assert step.pixels == AS_USUAL
    assert cleaning_of(step.options, step.pixels) is None


@pytest.mark.parametrize(
    ("anonymize", "why"),
    [
        ("{pixels: {text_found: mask}}", 'only with the option "clean_pixel_data"'),
        ("{options: [clean_pixel_data], pixels: {rule: [a]}}", 'unknown key "rule". Did you mean "rules"?'),
        ("{options: [clean_pixel_data], pixels: {text_found: drop}}", "must be hold or mask"),
        (
            "{options: [clean_pixel_data], pixels: {rules: [gone.script]}}",
            "gone.script: the pixel rules cannot",
        ),
        ("{options: [clean_pixel_data], pixels: {rules: [broken.script]}}", "broken.script:2: unknown attribute"),
        ("{options: [clean_pixel_data], pixels: {ocr: sometimes}}", "pixels"),
    ],
)
def test_what_is_wrong_is_said_when_rules_yaml_is_loaded(tmp_path: Path, anonymize: str, why: str) -> None:
    (tmp_path / "broken.script").write_text("words\n{ nonsense } (0,0,5,5)")
    with pytest.raises(ConfigurationError) as error:
        _loaded(tmp_path, anonymize)
    assert why in str(error.value)
    assert str(tmp_path / "rules.yaml") in str(error.value)


@pytest.mark.parametrize("written", ["suspected", "all", "[US, XA]"])
def test_looking_for_text_needs_what_looks(tmp_path: Path, written: str) -> None:
    anonymize = f"{{options: [clean_pixel_data], pixels: {{ocr: {written}}}}}"
    if not ocr.is_installed():
        with pytest.raises(ConfigurationError, match=r"pip install dicom-node\[ocr\]"):
            _loaded(tmp_path, anonymize)
        return
    step = _loaded(tmp_path, anonymize)
    assert cleaning_of(step.options, step.pixels).detector is ocr.rapid_ocr  # type: ignore[union-attr]  # it has it


def test_a_modality_is_a_code_string() -> None:
    step = Anonymize(options=("clean_pixel_data",), pixels=PixelOptions(ocr=("US", "ultrasound")))
    assert 'pixels: ocr: "ultrasound" is no value of Modality' in step.problems()
