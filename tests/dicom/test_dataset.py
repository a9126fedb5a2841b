"""Big endian files are read with the values that they have, and written so that they have them."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from node.dicom.dataset import read, write
from node.dicom.encoding import Malformed
from tests import make
from tests.data import real
from tests.dicom import big_endian as big

SEQUENCE, ROWS = 0x00082112, 0x00280010
INNER = big.implicit(ROWS, b"\2\0") + big.implicit(0x00081140, big.items(big.implicit(0x00081155, b"1.2\0")))


def opened(path: Path, **how: bool) -> FileDataset:
    with path.open("rb") as file:
        return read(file, **how)


def image() -> FileDataset:
    return make.ct_series(1)[0]


@pytest.mark.parametrize("defined", [True, False])
def test_what_is_written_as_un_has_its_values(tmp_path: Path, defined: bool) -> None:
    samples = image().pixel_array
    rows = {ROWS: big.element(ROWS, "UN", struct.pack("<H", image().Rows))}
    unknown = {SEQUENCE: big.unknown_sequence(SEQUENCE, INNER, INNER, defined=defined), **rows}
    ds = opened(big.file(tmp_path / "a.dcm", image(), unknown))
    assert (ds.Rows, ds.Columns) == samples.shape
    assert [item.Rows for item in ds.SourceImageSequence] == [2, 2]
    assert ds.SourceImageSequence[1].ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2"
    assert ds.PatientName == image().PatientName
    np.testing.assert_array_equal(np.frombuffer(ds.PixelData, "<i2").reshape(samples.shape), samples)


def test_a_private_number_has_its_value(tmp_path: Path) -> None:
    private = {
        0x00190010: big.element(0x00190010, "LO", b"GEMS_ACQU_01"),
        0x00191002: big.element(0x00191002, "UN", b"\x90\3\0\0"),
    }
    assert opened(big.file(tmp_path / "a.dcm", image(), private))[0x00191002].value == 912


@pytest.mark.parametrize("defined", [True, False])
def test_what_is_read_is_written_again_as_it_was_and_changes_are_kept(tmp_path: Path, defined: bool) -> None:
    unknown = {SEQUENCE: big.unknown_sequence(SEQUENCE, INNER, defined=defined)}
    path, copy = big.file(tmp_path / "a.dcm", image(), unknown), tmp_path / "copy.dcm"
    write(opened(path), copy)
    if defined:
        assert copy.read_bytes() == path.read_bytes()
    ds = opened(path)
    assert ds.SourceImageSequence[0].Rows == 2
    ds.StudyID = "changed"
    write(ds, copy)
    again = dcmread(copy)  # pydicom itself: the sequence has a VR now
    assert again.file_meta.TransferSyntaxUID == ExplicitVRBigEndian
    assert again.SourceImageSequence[0].Rows == 2
    assert again.StudyID == "changed"
    np.testing.assert_array_equal(again.pixel_array, image().pixel_array)
    assert opened(copy) == ds


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless])
def test_other_transfer_syntaxes_are_read_and_written_by_pydicom(tmp_path: Path, syntax: str) -> None:
    ds = image()
    if syntax == RLELossless:
        ds.compress(RLELossless, generate_instance_uid=False)
    ds.file_meta.TransferSyntaxUID = syntax
    path = make.write(ds, tmp_path / "a.dcm")
    assert opened(path) == dcmread(path)
    write(opened(path), tmp_path / "copy.dcm")
    assert dcmread(tmp_path / "copy.dcm") == dcmread(path)


def test_the_file_stands_at_its_pixels_or_at_its_end(tmp_path: Path) -> None:
    path = big.file(tmp_path / "a.dcm", image())
    with path.open("rb") as file:
        ds = read(file, stop_before_pixels=True)
        assert "PixelData" not in ds
        assert file.read(6) == b"\x7f\xe0\x00\x10OW"
        read(file)
        assert file.tell() == path.stat().st_size


def test_elements_know_where_they_are_in_the_file(tmp_path: Path) -> None:
    path = big.file(tmp_path / "a.dcm", image())
    element = opened(path).get_item("PatientName")
    assert element is not None
    assert path.read_bytes()[element.value_tell :].startswith(element.value)  # type: ignore[union-attr]


def test_what_is_cut_off_is_malformed_and_what_is_no_dicom_is_said_by_pydicom(tmp_path: Path) -> None:
    path = big.file(tmp_path / "a.dcm", image())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Malformed):
        opened(path)
    with pytest.raises(InvalidDicomError):
        read(BytesIO(b"no DICOM" * 40))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_real_image_has_the_values_of_its_implicit_copy() -> None:
    path, copy = (next(real("ct_16ts").glob(f"*{name}*")) for name in ("BigEndianExplicit", "LittleEndianImplicit"))
    ds, other = opened(path), dcmread(copy)
    found = [element.tag for element in other if element.tag.element]  # a group is as long as its encoding makes it
    assert sum(path.read_bytes().count(tag.to_bytes(4, "big") + b"UN") for tag in found) == 170
    assert [tag for tag in found if ds[tag].value != other[tag].value] == []
