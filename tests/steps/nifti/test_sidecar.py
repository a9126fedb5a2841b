"""Sidecars have dcm2niix's names and nothing of the patient; directions are in the image's axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from node.imaging.attributes import frames_of
from node.imaging.layout import layout_of
from node.imaging.volumes import Volume, plan
from node.imaging.weighting import Weighting
from node.steps.nifti.sidecar import diffusion, repetition, sidecar
from tests import make
from tests.imaging import mosaics


def planned(instances: Sequence[Dataset]) -> Volume:
    layout = layout_of(instances[0], "1.2.840.10008.1.2.1")
    (found,) = plan([frame for n, ds in enumerate(instances) for frame in frames_of(ds, layout, n)])
    assert isinstance(found, Volume)
    return found


def test_times_are_seconds_and_names_are_those_of_dcm2niix() -> None:
    (ds,) = make.ct_series(1)
    ds.Modality, ds.EchoTime, ds.RepetitionTime, ds.FlipAngle, ds.MagneticFieldStrength = "MR", 30.5, 2000, 9, 3
    ds.ManufacturerModelName, ds.ScanOptions = "Model", ["PFP", "FS"]
    found = sidecar(ds, 0, planned([ds]))
    assert found["EchoTime"] == 0.0305
    assert found["RepetitionTime"] == 2
    assert found["ManufacturersModelName"] == "Model"
    assert found["ScanOptions"] == "PFP\\FS"
    assert found["ImageType"] == ["ORIGINAL", "PRIMARY", "AXIAL"]
    assert found["ImageOrientationPatientDICOM"] == list(make.AXIAL)


def test_an_enhanced_image_says_it_in_its_functional_groups() -> None:
    ds = make.enhanced_mr(2, 2)
    for n, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        echo = Dataset()
        echo.EffectiveEchoTime = 10.0
        frame.MREchoSequence = Items([echo])
        assert n < 4
    found = sidecar(ds, 1, planned([ds]))
    assert found["EchoTime"] == 0.01
    assert found["SliceThickness"] == 3


def test_nothing_of_the_patient_place_or_day_is_in_it() -> None:
    (ds,) = make.ct_series(1)
    ds.InstitutionName, ds.StationName, ds.DeviceSerialNumber, ds.PatientWeight = "Somewhere", "ST7", "4711", 81
    text = str(sidecar(ds, 0, planned([ds])))
    for secret in ("Somewhere", "ST7", "4711", "81", "Invented", "T-0001", "1950", "2020", ds.SeriesInstanceUID):
        assert secret not in text


def test_a_value_that_is_none_is_left_out() -> None:
    (ds,) = make.ct_series(1)
    ds["KVP"]._value = "many"
    assert "KVP" not in sidecar(ds, 0, planned([ds]))


def test_slice_times_follow_the_slices_of_the_file() -> None:
    slices = np.zeros((4, 2, 2), np.uint16)
    for normal, expected in (((0, 0, 1), [0.0, 1.0, 0.5, 1.5]), ((0, 0, -1), [1.5, 0.5, 1.0, 0.0])):
        ds = mosaics.siemens(slices, normal=normal)
        ds.private_block(0x0019, "SIEMENS MR HEADER").add_new(0x29, "FD", [0.0, 1000.0, 500.0, 1500.0])
        assert sidecar(ds, 0, planned([ds]))["SliceTiming"] == expected


def weighted(*weightings: Weighting, orientation: Sequence[float] = make.AXIAL) -> Volume:
    volume = planned(make.ct_series(2, orientation=orientation))
    frames = [replace(frame, weighting=w) for w in weightings for frame in volume.frames]
    return replace(volume, frames=tuple(frames), times=len(weightings))


def test_without_diffusion_there_are_no_b_values() -> None:
    assert diffusion(weighted(Weighting(), Weighting()), np.eye(4)) == ("", "", "")
    assert diffusion(weighted(Weighting(b_value=0.0), Weighting(b_value=0.0)), np.eye(4)) == ("", "", "")


def test_b_values_without_directions_have_no_bvec_and_say_so() -> None:
    values, vectors, missing = diffusion(weighted(Weighting(b_value=0.0), Weighting(b_value=700.0)), np.eye(4))
    assert (values, vectors) == ("0 700\n", "")
    assert "no .bvec" in missing


@pytest.mark.parametrize("flipped", [False, True])
def test_directions_are_in_voxel_axes_with_the_first_turned_where_fsl_turns_it(flipped: bool) -> None:
    along = Weighting(b_value=1000.0, gradient=(0.6, 0.8, 0.0))
    volume = weighted(Weighting(b_value=0.0), along)
    affine = volume.affine @ np.diag([1, -1, 1, 1.0]) if flipped else volume.affine
    _, vectors, _ = diffusion(volume, affine)
    # LPS (0.6, 0.8, 0) lies at +0.6 and +0.8 along rows and columns, which run left and back.
    expected = "0 0.6\n0 -0.8\n0 0\n" if flipped else "0 -0.6\n0 0.8\n0 0\n"
    assert vectors == expected


@given(st.floats(-3, 3), st.floats(-1.5, 1.5))
def test_directions_keep_their_length_in_oblique_images(turn: float, lean: float) -> None:
    row = np.array([np.cos(turn), np.sin(turn), 0])
    column = np.array([-np.sin(turn) * np.cos(lean), np.cos(turn) * np.cos(lean), np.sin(lean)])
    orientation = [round(float(x), 9) for x in (*row, *column)]
    volume = weighted(Weighting(b_value=500.0, gradient=(0.48, 0.6, 0.64)), orientation=orientation)
    _, vectors, _ = diffusion(volume, volume.affine)
    found = np.array([float(line) for line in vectors.split()])
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5)
    assert found[1] == pytest.approx(np.array([0.48, 0.6, 0.64]) @ column, abs=1e-5)


def test_the_repetition_time_is_the_step_of_volumes_of_mr_only() -> None:
    volume = weighted(Weighting(), Weighting())
    assert repetition({"Modality": "MR", "RepetitionTime": 2.0}, volume) == 2.0
    assert repetition({"Modality": "CT", "RepetitionTime": 2.0}, volume) == 0.0
    assert repetition({"Modality": "MR", "RepetitionTime": 2.0}, replace(volume, times=1)) == 0.0


def test_ge_s_vectors_and_shells_are_what_dcm2niix_makes_of_them() -> None:
    """Up to the sign of a whole vector, which weights the same; 1.0.20220720 on the same files."""
    series = []
    for n, vector in enumerate([(0, 0, 0), (0.6, 0, 0.8), (0.3, 0.4, 0.5)]):
        for k in range(2):
            ds = make.instance(make.MR_IMAGE, number=1 + k + 2 * n)
            ds.PatientPosition, ds.InPlanePhaseEncodingDirection = "HFS", "COL"
            ds.ImageOrientationPatient, ds.ImagePositionPatient = list(make.AXIAL), [0, 0, 3.0 * k]
            ds.PixelSpacing, ds.SliceThickness = [2, 2], 3
            make.set_pixels(ds, make.picture(4, 4))
            block = ds.private_block(0x0019, "GEMS_ACQU_01", create=True)
            for element, x in zip((0xBB, 0xBC, 0xBD), vector, strict=True):
                block.add_new(element, "DS", f"{x:.6f}")
            b_value = [1000001000 if n else 0, 8, 0, 0]
            ds.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "IS", b_value)
            series.append(ds)
    volume = planned(series)
    values, vectors, missing = diffusion(volume, volume.affine)
    assert (values, missing) == ("0 1000 500\n", "")
    found = np.array([[float(x) for x in row.split()] for row in vectors.splitlines()]).T
    short = np.array([-0.3, 0.4, -0.5]) / np.sqrt(0.5)
    np.testing.assert_allclose(found, [(0, 0, 0), (-0.6, 0, -0.8), short], atol=1e-5)
