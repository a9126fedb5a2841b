"""`process` finds what a structure set refers to among the files that were named."""

from __future__ import annotations

from pathlib import Path as File

import nibabel
import numpy as np
import pytest

from tests import make
from tests.cli.command import Ran, dicom_node
from tests.contouring import Path, disc, even_odd, structure_set

SHAPE = (40, 50)
HEART = disc(20.2, 15.4, 8.3)

RULES = """\
node: {ae_title: NODE}
routes:
  - {name: plain, when: always, steps: [masks]}
  - {name: anonymized, when: always, steps: [anonymize, masks]}
  - {name: of-study, unit: study, when: always, steps: [anonymize, masks]}
"""


@pytest.fixture
def source(tmp_path: File) -> File:
    images = make.ct_series(4, rows=SHAPE[0], columns=SHAPE[1])
    make.write_all(images, tmp_path / "in" / "ct")
    make.write(structure_set(images, {"Heart": [Path(k=2, corners=HEART)]}), tmp_path / "in" / "rt" / "rt.dcm")
    return tmp_path / "in"


def process(source: File, route: str) -> Ran:
    rules = source.parent / "rules.yaml"
    rules.write_text(RULES)
    out = source.parent / route
    return dicom_node("process", source, "--route", route, "--out", out, "--config", rules, "--json")


@pytest.mark.parametrize("route", ["plain", "anonymized", "of-study"])
def test_masks_are_made_on_the_images_whatever_unit_they_are_in(source: File, route: str) -> None:
    ran = process(source, route)
    (mask,) = (source.parent / route).rglob("*.nii.gz")
    got = np.asarray(nibabel.load(mask).dataobj).transpose(2, 1, 0)
    assert np.array_equal(got[2], even_odd([HEART], SHAPE))
    # As units of their own the images have no mask to be made of.
    assert {reason for _, reason in ran.json["held"]} == (
        set() if route == "of-study" else {"masks: no structure set and no segmentation in the batch"}
    )


def test_a_set_of_whose_images_some_are_not_among_the_files_is_held(source: File) -> None:
    (source / "ct" / "0004.dcm").unlink()
    reasons = [reason for _, reason in process(source, "of-study").json["held"]]
    assert reasons == ["masks: 1 of 4 images that it refers to are not among the files"]


def test_a_set_whose_images_are_not_among_the_files_is_held(source: File) -> None:
    ran = process(source / "rt", "plain")
    assert ran.code == 1
    assert [reason for _, reason in ran.json["held"]] == ["masks: the series that it refers to is not among the files"]
