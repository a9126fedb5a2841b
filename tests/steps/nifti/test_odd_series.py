"""Series that are legal, or nearly, and that a quick reader of headers gets wrong without a word."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset

from node.errors import CannotSucceed
from node.imaging.volume_files import read
from node.model import Kind
from node.steps.nifti import Nifti
from tests import make
from tests.steps.nifti.test_step import converted, of_kind, values_at, volumes_of
from tests.steps.run_step import batch_of, run_step


def test_functional_groups_without_a_rescale_leave_it_to_the_top_of_the_header(tmp_path: Path) -> None:
    ds = make.enhanced_mr(4, 1)
    for group in ds.PerFrameFunctionalGroupsSequence:
        del group.PixelValueTransformationSequence
    ds.RescaleSlope, ds.RescaleIntercept = 2, -1000
    _, result = converted([ds], tmp_path)
    image = nibabel.load(volumes_of(result)[0].path)
    np.testing.assert_array_equal(image.get_fdata()[..., 2], ds.pixel_array[2].T * 2.0 - 1000)


def test_slices_that_store_different_bits_are_kept_in_a_type_that_holds_all(tmp_path: Path) -> None:
    series = make.ct_series(3)
    for n, ds in enumerate(series):
        make.set_pixels(ds, np.full((12, 10), 65000 if n else 4000, np.uint16), bits_stored=16 if n else 12)
    batch = batch_of(make.write_all(series, tmp_path / "in"))
    result = run_step(Nifti(format="nrrd"), batch, tmp_path)
    (path,) = [item.path for item in of_kind(result, Kind.NIFTI) if item.path.suffix == ".nrrd"]
    assert [int(written.max()) for _, written in read(path, "nrrd")] == [4000 - 1024, 65000 - 1024, 65000 - 1024]


def test_values_by_a_table_are_held(tmp_path: Path) -> None:
    (ds,) = make.ct_series(1)
    table = Dataset()
    table.LUTDescriptor, table.LUTData, table.ModalityLUTType = [2, 0, 16], [0, 9], "US"
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    ds.ModalityLUTSequence = [table]
    _, result = converted([ds], tmp_path)
    assert [held.reason for held in result.held] == ["values by a 'Modality LUT Sequence', not by a rescale"]


@pytest.mark.parametrize("lacking", [("RescaleSlope", "RescaleIntercept"), ("RescaleIntercept",), ("RescaleSlope",)])
def test_where_only_some_slices_have_a_rescale_nothing_is_converted(lacking: tuple[str, ...], tmp_path: Path) -> None:
    series = make.ct_series(3)
    for keyword in lacking:
        delattr(series[1], keyword)
    _, result = converted(series, tmp_path)
    assert {held.reason for held in result.held} == {f"1 of 3 frames have no '{named(lacking[0])}', the others have"}


def named(keyword: str) -> str:
    return keyword.replace("Rescale", "Rescale ")


def with_overlay(bit: int) -> FileDataset:
    """A 12-bit image whose pixels have an overlay in `bit`."""
    (ds,) = make.ct_series(1)
    values = np.arange(120, dtype=np.uint16).reshape(12, 10) * 34
    drawn = np.zeros((12, 10), np.uint16)
    drawn[3:5, 2:9] = 1
    make.set_pixels(ds, values | drawn << bit, bits_stored=12)
    ds.add_new(0x60000010, "US", 12)
    ds.add_new(0x60000011, "US", 10)
    ds.add_new(0x60000100, "US", 16)
    ds.add_new(0x60000102, "US", bit)
    return ds


@pytest.mark.parametrize("bit", [12, 15])
def test_an_overlay_in_unused_bits_is_not_in_the_values(bit: int, tmp_path: Path) -> None:
    _, result = converted([with_overlay(bit)], tmp_path)
    image = nibabel.load(volumes_of(result)[0].path)
    np.testing.assert_array_equal(image.get_fdata()[..., 0].T, np.arange(120).reshape(12, 10) * 34.0 - 1024)


def test_an_overlay_in_the_bits_of_the_values_is_held(tmp_path: Path) -> None:
    _, result = converted([with_overlay(11)], tmp_path)
    assert [held.reason for held in result.held] == [
        "an overlay in bit 11 of the pixels, of which 12 'Bits Stored' are values"
    ]


def test_a_batch_of_images_that_are_all_cut_short_says_that(tmp_path: Path) -> None:
    series = make.ct_series(2)
    for ds in series:
        ds.PixelData = ds.PixelData[:-20]
    with pytest.raises(CannotSucceed, match="can be converted; the first: 220 bytes of pixels, 240 expected"):
        converted(series, tmp_path)


def test_tube_voltages_that_take_turns_from_slice_to_slice_are_not_mixed(tmp_path: Path) -> None:
    found = []
    for k in range(3):
        for n, kvp in enumerate((80, 140) if k % 2 else (140, 80)):
            ds = make.ct_series(3, series="dual")[k]
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = make.uid("dual", k, kvp)
            ds.KVP, ds.AcquisitionTime, ds.InstanceNumber = kvp, f"1011{10 + 2 * k + n}", kvp + k
            make.set_pixels(ds, np.full((12, 10), kvp, np.int16))
            found.append(ds)
    _, result = converted(found, tmp_path)
    values = [np.unique(nibabel.load(item.path).get_fdata()).tolist() for item in volumes_of(result)]
    assert values == [[80 - 1024], [140 - 1024]]


def test_spacing_that_is_no_length_is_held(tmp_path: Path) -> None:
    series = make.ct_series(3)
    for ds in series:
        ds.PixelSpacing = ["1e300", "1e300"]
    _, result = converted(series, tmp_path)
    assert {held.reason for held in result.held} == {"'Pixel Spacing' is 1e+300 x 1e+300 mm"}


@pytest.mark.parametrize(("offsets", "step"), [([0, 2, 4, 6], -2), ([100, 98, 96, 94], -2), ([100, 102, 104, 106], 2)])
def test_a_dose_grid_is_placed_by_its_offsets_and_scaled_to_dose(
    offsets: list[float], step: float, tmp_path: Path
) -> None:
    (ds,) = make.ct_series(1, orientation=(1, 0, 0, 0, -1, 0))  # the normal points to the feet
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.2"
    del ds.RescaleSlope, ds.RescaleIntercept
    ds.DoseGridScaling, ds.GridFrameOffsetVector = "0.001", offsets
    make.set_pixels(ds, np.arange(480, dtype=np.uint16).reshape(4, 12, 10))
    _, result = converted([ds], tmp_path)
    image = nibabel.load(volumes_of(result)[0].path)
    for n, plane in enumerate(ds.pixel_array):
        corner = np.array(ds.ImagePositionPatient) * [-1, -1, 1] + [0, 0, step * n]
        assert values_at(image, corner[np.newaxis])[0, 0] == pytest.approx(plane[0, 0] * 0.001)


def misnumbered(keyword: str, number: bytes, folder: Path, instances: slice) -> list[Path]:
    """Files of a series of which some have `number`, of eight bytes, where a whole number belongs."""
    series = make.ct_series(3)
    for ds in series[instances]:
        setattr(ds, keyword, 98765432)
    paths = make.write_all(series, folder)
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"98765432", number))
    return paths


@pytest.mark.parametrize("number", [b"1e400   ", b"abc     ", b"-3      ", b"        "])
def test_a_series_whose_number_is_none_is_converted_and_named_without_it(number: bytes, tmp_path: Path) -> None:
    paths = misnumbered("SeriesNumber", number, tmp_path / "in", slice(3))
    result = run_step(Nifti(), batch_of(paths), tmp_path)
    (volume,) = volumes_of(result)
    assert result.held == ()
    assert volume.path.name.startswith("000_CT_")


def test_an_instance_whose_number_is_too_large_to_be_one_is_held_alone(tmp_path: Path) -> None:
    paths = misnumbered("InstanceNumber", b"1e400   ", tmp_path / "in", slice(2, 3))
    result = run_step(Nifti(), batch_of(paths), tmp_path)
    assert [held.reason for held in result.held] == ["an attribute of its geometry is not readable (OverflowError)"]
    assert nibabel.load(volumes_of(result)[0].path).shape == (10, 12, 2)
