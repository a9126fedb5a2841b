"""`contours`: what is in a structure set or a segmentation, without its images."""

from __future__ import annotations

from pathlib import Path as File

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from tests import make
from tests.cli.command import dicom_node
from tests.contouring import Path, disc, structure_set
from tests.data import real


@pytest.fixture
def structures(tmp_path: File) -> File:
    images = make.ct_series(4, pixel_spacing=(1.0, 1.0), spacing=2.0)
    rois = {
        "Heart": [Path(k=k, corners=disc(20, 20, 9.9)) for k in range(3)],
        "iso": [Path(k=0, corners=disc(1, 1, 1)[:1], kind="POINT")],
        "nothing": [],
    }
    return make.write(structure_set(images, rois), tmp_path / "rt.dcm")


def test_regions_are_listed_with_contours_planes_and_millilitres(structures: File) -> None:
    ran = dicom_node("contours", structures)
    assert ran.code == 0
    assert "1 Heart             3  3 planes, 1.85 ml: 3 CLOSED_PLANAR" in ran.out
    assert "2 iso               1  0 planes, 0.00 ml: 1 POINT" in ran.out
    assert "3 nothing           0  0 planes, 0.00 ml: nothing drawn" in ran.out
    assert f"drawn on series {make.uid('study', 'series')}" in ran.out


def test_the_same_as_facts(structures: File) -> None:
    found = dicom_node("contours", structures, "--json").json
    heart = found["regions"][0]
    assert heart["ml"] == pytest.approx(3 * np.pi * 98.01 * 2 / 1000, rel=2e-3)
    assert (heart["contours"], heart["planes"], heart["kinds"]) == (3, 3, {"CLOSED_PLANAR": 3})
    assert found["between_planes_mm"] == pytest.approx(2.0)


def test_segments_are_listed_with_their_voxels() -> None:
    found = dicom_node("contours", real("segs") / "seg_image_ct_binary_overlap.dcm", "--json").json
    assert [one["name"] for one in found["regions"]] == ["first segment", "second segment"]
    for one in found["regions"]:
        assert one["ml"] == pytest.approx(one["voxels"] * 0.488281**2 * 1.25 / 1000, rel=1e-5)


def test_a_file_without_meta_information_is_read() -> None:
    path = get_testdata_file("rtstruct.dcm")
    ran = dicom_node("contours", path)
    assert ran.code == 0
    assert len(ran.out.splitlines()) >= 3


def test_a_clinical_structure_set_is_listed() -> None:
    found = dicom_node("contours", real("rt_rtss") / "rtss.dcm", "--json").json
    assert len(found["regions"]) == 10
    body = next(one for one in found["regions"] if one["type"] == "EXTERNAL")
    assert 1000 < body["ml"] < 100_000


def test_another_object_and_no_object_exit_1_and_no_file_2(tmp_path: File) -> None:
    ct = make.write(make.ct_series(1)[0], tmp_path / "ct.dcm")
    ran = dicom_node("contours", ct)
    assert (ran.code, "neither a structure set nor a segmentation" in ran.err) == (1, True)
    (tmp_path / "text").write_text("no DICOM")
    assert dicom_node("contours", tmp_path / "text").code == 1
    assert dicom_node("contours", tmp_path / "absent").code == 2
