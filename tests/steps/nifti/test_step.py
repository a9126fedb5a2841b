"""nifti: every frame exact in place and value, or held with a reason; judged by an independent reader."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import JPEGLSLossless

from node.errors import CannotSucceed
from node.imaging import gate
from node.imaging.attributes import frames_of
from node.imaging.layout import layout_of
from node.imaging.values import Values
from node.imaging.volumes import Volume
from node.model import Batch, Disclosure, Item, Kind, ReceiptId
from node.steps.nifti import Nifti
from tests import make
from tests.data import real
from tests.steps.run_step import batch_of, run_step

STEP = Nifti()


def converted(instances: Sequence[FileDataset], tmp_path: Path) -> tuple[Batch, Batch]:
    batch = batch_of(make.write_all(instances, tmp_path / "in"))
    return batch, run_step(STEP, batch, tmp_path)


def of_kind(batch: Batch, kind: Kind) -> list[Item]:
    return [item for item in batch.items if item.kind is kind]


def volumes_of(batch: Batch) -> list[Item]:
    return [item for item in of_kind(batch, Kind.NIFTI) if item.path.name.endswith((".nii.gz", ".nii"))]


def report_of(batch: Batch) -> dict[str, Any]:
    return dict(json.loads(of_kind(batch, Kind.REPORT)[0].path.read_text()))


def values_at(image: nibabel.Nifti1Image, points: np.ndarray) -> np.ndarray:
    """The values of every volume at the voxels nearest to RAS `points` (n, 3), which must be at their centres."""
    exact = nibabel.affines.apply_affine(np.linalg.inv(image.affine), points)
    index = np.rint(exact).astype(int)
    assert np.abs(exact - index).max() < 0.01
    assert (index >= 0).all()
    data = image.get_fdata()
    return np.asarray(data.reshape(*data.shape[:3], -1)[tuple(index.T)])


def points_of(ds: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """PS3.3 C.7.6.2.1.1 by hand: RAS of every pixel (n, 3), and its rescaled value (n,)."""
    i, j = (axis.ravel() for axis in np.meshgrid(range(ds.Columns), range(ds.Rows)))
    x, y = np.array(ds.ImageOrientationPatient[:3]), np.array(ds.ImageOrientationPatient[3:])
    between_rows, between_columns = ds.PixelSpacing
    lps = np.array(ds.ImagePositionPatient) + np.outer(i * between_columns, x) + np.outer(j * between_rows, y)
    return lps * [-1, -1, 1], ds.pixel_array.ravel() * float(ds.RescaleSlope) + float(ds.RescaleIntercept)


def test_what_was_compared_is_not_kept_until_the_volume_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged, left = gate.check, list[int]()

    def check(
        path: Path, volume: Volume, values: Values, pixels: Sequence[np.ndarray], *more: Any, **named: Any
    ) -> Any:
        passed = judged(path, volume, values, pixels, *more, **named)
        left.append(sum(frame.size for frame in pixels))
        return passed

    monkeypatch.setattr(gate, "check", check)
    _, made = converted(make.ct_series(5), tmp_path)
    assert len(volumes_of(made)) == 1
    assert left == [0]


OBLIQUE = [*np.array([0.8, 0.6, 0]), *np.array([-0.36, 0.48, 0.8])]


@pytest.mark.parametrize("orientation", [make.AXIAL, (0, 1, 0, 0, 0, -1), (1, 0, 0, 0, 0, -1), OBLIQUE])
def test_every_pixel_is_where_its_header_says_with_its_value(orientation: Sequence[float], tmp_path: Path) -> None:
    series = make.ct_series(4, orientation=orientation)
    _, result = converted(series, tmp_path)
    (item,) = volumes_of(result)
    image = nibabel.load(item.path)
    for ds in series:
        points, values = points_of(ds)
        np.testing.assert_array_equal(values_at(image, points)[:, 0], values)


def test_the_files_carry_the_receipts_whose_frames_are_in_them(tmp_path: Path) -> None:
    series = make.ct_series(4)
    for ds in series[:2]:
        ds.SeriesInstanceUID = make.uid("another")
    batch, result = converted(series, tmp_path)
    receipts = [item.sources[0] for item in batch.items]
    for items in (volumes_of(result), of_kind(result, Kind.NIFTI), of_kind(result, Kind.REPORT)):
        assert {item.sources for item in items} == {tuple(receipts[:2]), tuple(receipts[2:])}
    assert of_kind(result, Kind.DICOM) == list(batch.items)
    assert result.held == ()


def test_names_and_reports_have_no_identifiers(tmp_path: Path) -> None:
    _, result = converted(make.ct_series(3), tmp_path)
    (volume, beside), (report,) = of_kind(result, Kind.NIFTI), of_kind(result, Kind.REPORT)
    assert volume.path.name.startswith("003_CT_")
    stem = volume.path.name.removesuffix(".nii.gz")
    assert (beside.path.name, report.path.name) == (f"{stem}.json", f"{stem}.report.json")
    text = report.path.read_text() + beside.path.read_text()
    for secret in ("Invented", "ster", "T-0001", "A0001", "19500102", "20200102", "CHEST"):
        assert secret not in text + volume.path.name


def test_the_report_says_what_the_file_is_made_of(tmp_path: Path) -> None:
    series = make.ct_series(3)
    _, result = converted(series, tmp_path)
    facts = json.loads(of_kind(result, Kind.REPORT)[0].path.read_text())
    assert facts["sop_instance_uids"] == [ds.SOPInstanceUID for ds in series]
    assert facts["shape"] == [10, 12, 3, 1]
    assert facts["rescale"] == {"slope": 1.0, "intercept": -1024.0}
    assert facts["gate"]["frames"] == 3
    assert facts["assumptions"] == []


def test_one_slice_is_written_with_its_thickness_and_says_so(tmp_path: Path) -> None:
    _, result = converted(make.ct_series(1, spacing=5.0), tmp_path)
    assert nibabel.load(volumes_of(result)[0].path).header.get_zooms()[2] == 5.0
    assert "slice thickness of 5 mm" in of_kind(result, Kind.REPORT)[0].path.read_text()


def test_enhanced_frames_are_a_4d_volume_each_with_its_own_scale(tmp_path: Path) -> None:
    ds = make.enhanced_mr(4, 2)
    _, result = converted([ds], tmp_path)
    image = nibabel.load(volumes_of(result)[0].path)
    assert image.shape == (6, 8, 4, 2)
    raw = ds.pixel_array.reshape(2, 4, 8, 6).astype(float)
    for t, slope in enumerate((1.5, 2.5)):
        np.testing.assert_array_equal(image.get_fdata()[..., t], (raw[t] * slope - 4).T)


def test_colour_stays_colour(tmp_path: Path) -> None:
    series = make.ct_series(3)
    pictures = [np.random.default_rng(n).integers(0, 256, (12, 10, 3)).astype(np.uint8) for n in range(3)]
    for ds, picture in zip(series, pictures, strict=True):
        make.set_pixels(ds, picture)
    _, result = converted(series, tmp_path)
    data = np.asanyarray(nibabel.load(volumes_of(result)[0].path).dataobj)
    np.testing.assert_array_equal(np.stack([data[c] for c in "RGB"], -1), np.stack(pictures).transpose(2, 1, 0, 3))


def test_a_bad_frame_holds_its_volume_and_names_the_instance(tmp_path: Path) -> None:
    series = make.ct_series(3)
    ds = series[1]
    ds.PixelData = encapsulate([bytes(imagecodecs.jpegls_encode(ds.pixel_array.view(np.uint16)))[:40]])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = JPEGLSLossless
    batch, result = converted(series, tmp_path)
    assert result.items == ()
    reasons = {held.sources: held.reason for held in result.held}
    assert "frame 1" in reasons[batch.items[1].sources]
    assert "lacks 1 of 3 instances" in reasons[batch.items[0].sources]
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "PixelSpacing", "InstanceNumber", "SeriesNumber"])
def test_a_value_that_cannot_be_parsed_harms_only_its_instance(keyword: str, tmp_path: Path) -> None:
    series = make.ct_series(3)
    other = make.ct_series(1, series="other")[0]
    paths = make.write_all([*series, other], tmp_path / "in")
    marker = {"ImagePositionPatient": b"DS", "PixelSpacing": b"DS", "InstanceNumber": b"IS", "SeriesNumber": b"IS"}
    tag = pydicom.tag.Tag(keyword)
    at = (data := bytearray(paths[3].read_bytes())).index(
        tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little") + marker[keyword]
    )
    length = int.from_bytes(data[at + 6 : at + 8], "little")
    data[at + 8 : at + 8 + length] = b"x" * length
    paths[3].write_bytes(data)
    result = run_step(STEP, batch_of(paths), tmp_path)
    assert len(of_kind(result, Kind.NIFTI)) >= 1
    assert all("xxx" not in held.reason for held in result.held)


def tilted(series: str = "tilted") -> list[FileDataset]:
    found = make.ct_series(3, series=series)
    for k, ds in enumerate(found):
        ds.ImagePositionPatient = [-20, -30 + k * 0.6, 100 + k * 2.5]
    return found


def test_a_tilted_series_is_held_on_demand_and_a_good_one_beside_it_goes_on(tmp_path: Path) -> None:
    batch = batch_of(make.write_all([*make.ct_series(3), *tilted()], tmp_path / "in"))
    result = run_step(Nifti(tilt="hold"), batch, tmp_path)
    assert [item.sources for item in of_kind(result, Kind.DICOM)] == [item.sources for item in batch.items[:3]]
    assert {held.sources for held in result.held} == {item.sources for item in batch.items[3:]}
    assert all("tilted by 13.50 degrees" in held.reason for held in result.held)


def test_a_sheared_volume_is_exact_says_so_and_cannot_be_misread(tmp_path: Path) -> None:
    series = tilted()
    result = run_step(Nifti(tilt="sheared"), batch_of(make.write_all(series, tmp_path / "in")), tmp_path)
    (item,) = volumes_of(result)
    assert item.path.name.endswith("_sheared.nii.gz")
    image = nibabel.load(item.path)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 0)
    assert image.header["pixdim"][3] == pytest.approx(np.hypot(0.6, 2.5))
    for ds in series:
        points, values = points_of(ds)
        np.testing.assert_array_equal(values_at(image, points)[:, 0], values)
    assert report_of(result)["geometry"] == "sheared"
    assert "not at right angles" in report_of(result)["note"]


@pytest.mark.parametrize("pixel", [0.42, 0.451, 0.55, 0.7])
def test_a_tilted_series_whose_positions_have_two_decimals_is_one_volume(pixel: float, tmp_path: Path) -> None:
    """As Philips writes them; rounded, slices are up to 0.015 mm off the line of the others."""
    series = make.ct_series(60, pixel_spacing=(pixel, pixel))
    for k, ds in enumerate(series):
        ds.ImagePositionPatient = [-115.5, round(-1.853 + 0.1873 * k, 2), round(696.214 + 0.6019 * k, 2)]
    result = run_step(Nifti(tilt="sheared"), batch_of(make.write_all(series, tmp_path / "in")), tmp_path)
    (item,) = volumes_of(result)
    assert nibabel.load(item.path).shape == (10, 12, 60)
    assert result.held == ()


def test_a_tilted_series_is_resampled_by_default_and_the_report_says_what_was_done(tmp_path: Path) -> None:
    _, result = converted(tilted(), tmp_path)
    image = nibabel.load(volumes_of(result)[0].path)
    assert image.shape == (10, 14, 3)
    np.testing.assert_allclose(image.affine[:3, 2], [0, 0, 2.5], atol=1e-6)
    facts = report_of(result)
    assert facts["geometry"] == "resampled"
    assert facts["gate"]["frames"] == 3
    assert any(text.startswith("resampled linearly; -") for text in facts["assumptions"])


@pytest.mark.parametrize("form", ["nii", "nrrd", "mha", "npy"])
@pytest.mark.parametrize("tilt", ["resample", "sheared"])
def test_every_format_passes_the_same_gate(form: str, tilt: str, tmp_path: Path) -> None:
    batch = batch_of(make.write_all([*make.ct_series(3), *tilted()], tmp_path / "in"))
    result = run_step(Nifti(format=form, tilt=tilt), batch, tmp_path)  # type: ignore[arg-type]  # literals
    assert result.held == ()
    assert sum(item.path.name.endswith(f".{form}") for item in result.items) == 2


def test_names_by_pattern_are_safe_and_never_twice_the_same(tmp_path: Path) -> None:
    series = make.ct_series(2) + make.ct_series(2, series="other")
    for ds in series:
        ds.SeriesDescription = "../T1 weird/ü"
    batch = batch_of(make.write_all(series, tmp_path / "in"))
    result = run_step(Nifti(names="%s_%d_{Modality}"), batch, tmp_path)
    assert sorted(item.path.name for item in volumes_of(result)) == [
        "3_.._T1_weird_CT.nii.gz",
        "3_.._T1_weird_CT_2.nii.gz",
    ]


def test_a_pattern_that_is_wrong_is_told_when_rules_are_loaded() -> None:
    assert Nifti(names="%s_%Q").problems()[0].startswith('names: "%Q" is none of')
    assert Nifti().problems() == ()


def test_diffusion_has_its_b_values_and_directions_beside_it(tmp_path: Path) -> None:
    series = make.ct_series(2) + make.ct_series(2)
    for n, ds in enumerate(series):
        ds.Modality, ds.InstanceNumber, ds.DiffusionBValue = "MR", n, 0.0 if n < 2 else 1000.0
        if n >= 2:
            ds.DiffusionGradientOrientation = [1.0, 0.0, 0.0]
    _, result = converted(series, tmp_path)
    beside = {item.path.suffix: item.path.read_text() for item in of_kind(result, Kind.NIFTI)[1:]}
    assert beside[".bval"] == "0 1000\n"
    # To the left of the patient is +x of DICOM and the first voxel axis; the determinant is positive, so FSL turns it.
    assert beside[".bvec"] == "0 -1\n0 0\n0 0\n"


def test_an_instance_is_converted_whole_or_held_whole(tmp_path: Path) -> None:
    ds = make.enhanced_mr(4, 2)
    for n in (4, 5, 6, 7):  # the second volume is another image type, and lacks its uniform spacing
        groups = ds.PerFrameFunctionalGroupsSequence[n]
        groups.MRImageFrameTypeSequence[0].FrameType = ["ORIGINAL", "PRIMARY", "PHASE", "NONE"]
    ds.PerFrameFunctionalGroupsSequence[7].PlanePositionSequence[0].ImagePositionPatient = [-10, -12, 99]
    result = run_step(Nifti(gaps="hold"), batch_of(make.write_all([ds], tmp_path / "in")), tmp_path)
    assert result.items == ()
    assert "mm apart" in result.held[0].reason
    assert not list((tmp_path / "out").iterdir())


def test_a_volume_already_written_is_taken_back_when_its_instance_is_held(tmp_path: Path) -> None:
    ds = make.enhanced_mr(4, 2)
    for n in (4, 5, 6, 7):  # placed, but of no use: found out after the first volume was written
        groups = ds.PerFrameFunctionalGroupsSequence[n]
        groups.MRImageFrameTypeSequence[0].FrameType = ["ORIGINAL", "PRIMARY", "PHASE", "NONE"]
        groups.PixelValueTransformationSequence[0].RescaleSlope = 0
    _, result = converted([ds], tmp_path)
    assert result.items == ()
    assert "'Rescale Slope' is 0" in result.held[0].reason
    assert not list((tmp_path / "out").iterdir())


def test_what_has_no_pixels_is_held_beside_images_and_fails_alone(tmp_path: Path) -> None:
    batch, result = converted([*make.ct_series(2), make.report()], tmp_path)
    assert [(held.sources, held.reason) for held in result.held] == [(batch.items[2].sources, "no pixel data")]
    with pytest.raises(CannotSucceed, match="no image"):
        converted([make.report()], tmp_path / "alone")


def test_the_order_of_the_batch_and_a_repeat_change_nothing(tmp_path: Path) -> None:
    paths = make.write_all(make.ct_series(4), tmp_path / "in")

    def files(order: Sequence[Path], folder: str) -> dict[str, bytes]:
        result = run_step(STEP, batch_of(order), tmp_path / folder)
        return {item.path.name: item.path.read_bytes() for item in result.items if item.kind is not Kind.DICOM}

    first = files(paths, "a")
    assert files(paths, "a") == first
    assert files(paths[::-1], "b") == first


def test_disclosure_and_what_was_dropped_are_carried_on(tmp_path: Path) -> None:
    paths = make.write_all(make.ct_series(2), tmp_path / "in")
    items = batch_of(paths).items
    batch = Batch(items=items, dropped=(ReceiptId("f" * 32),), disclosure=Disclosure.DEIDENTIFIED)
    result = run_step(STEP, batch, tmp_path)
    assert (result.dropped, result.disclosure) == (batch.dropped, Disclosure.DEIDENTIFIED)


def test_the_step_travels_to_a_worker_process() -> None:
    assert pickle.loads(pickle.dumps(STEP)) == STEP


def test_importing_it_does_not_import_the_big_readers() -> None:
    big = {"nibabel", "SimpleITK", "scipy", "matplotlib"}
    code = f"import node.steps.nifti, sys; print(sorted({big!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("folder", "volumes", "reason"),
    [
        ("ct_straight_28", 1, None),
        ("localizer3", 3, None),
        ("ph_dualecho", 4, None),
        ("perslice_rescale", 1, None),
        ("rgb_series", 1, None),
        ("ct_gap_4", 2, None),
        ("ct_tilt_4", 1, None),
        ("ct_tilt_nonuniform_4", 2, None),
        ("ct_notavolume_4", 1, None),
        ("mosaic_sag", 1, None),
        ("ts_same_image", 9, None),
        ("segs", 0, "a segmentation"),
    ],
)
def test_real_series_become_the_volumes_they_are(folder: str, volumes: int, reason: str | None, tmp_path: Path) -> None:
    result = run_step(STEP, batch_of(sorted(real(folder).iterdir())), tmp_path)
    assert len(volumes_of(result)) == volumes
    assert all(reason and reason in held.reason for held in result.held)
    assert bool(result.held) == bool(reason)


def test_a_binary_value_that_is_cut_short_is_a_reason() -> None:
    ds = make.ct_series(1)[0]
    tag = Tag("DiffusionBValue")
    ds[tag] = RawDataElement(tag, "FD", 7, bytes(7), 0, False, True)
    with pytest.raises(CannotSucceed, match="not readable"):
        frames_of(ds, layout_of(ds, ds.file_meta.TransferSyntaxUID), 0)


def test_a_real_ct_is_exact_pixel_by_pixel(tmp_path: Path) -> None:
    paths = sorted(real("ct_straight_28").iterdir())
    result = run_step(STEP, batch_of(paths), tmp_path)
    image = nibabel.load(volumes_of(result)[0].path)
    for path in paths[::9]:
        points, values = points_of(pydicom.dcmread(path))
        np.testing.assert_array_equal(values_at(image, points)[:, 0], values)


@pytest.mark.parametrize(
    "folder", ["fmri_ge_4d", "ph_enh_dti", "enh_fmap", "hitachi", "pmap_float", "ct_tilt_nonuniform_4", "mosaic_cor"]
)
def test_the_oracle_finds_every_frame_exact(folder: str, tmp_path: Path) -> None:
    oracle = real(folder).parents[1].parent / "tools" / "nifti_oracle.py"
    if not oracle.is_file():
        pytest.skip("the oracle is not here")
    batch = batch_of(sorted(real(folder).iterdir()))
    result = run_step(Nifti(tilt="sheared"), batch, tmp_path)
    assert result.held == ()
    judged = subprocess.run(
        [sys.executable, str(oracle), str(real(folder)), str(tmp_path / "out")], capture_output=True, text=True
    )
    assert judged.returncode == 0, judged.stdout
