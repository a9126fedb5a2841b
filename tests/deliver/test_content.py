from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import decode

from node.deliver.base import Parcel
from node.deliver.content import data_set
from node.errors import CannotSucceed
from node.model import Kind
from tests import make
from tests.data import real
from tests.dicom import big_endian as big


def parcel(path: Path, transfer_syntax: str = ExplicitVRLittleEndian) -> Parcel:
    return Parcel(number=0, path=path, kind=Kind.DICOM, transfer_syntax=str(transfer_syntax))


def read(path: Path, syntax: str, target: str) -> Dataset:
    data, length = data_set(parcel(path, syntax), str(target))
    with data:
        content = data.read()
    assert len(content) == length

    return decode(BytesIO(content), target == ImplicitVRLittleEndian, True)


def test_the_own_syntax_is_the_file_itself_from_behind_its_meta(tmp_path: Path) -> None:
    path = make.write(make.report(), tmp_path / "a.dcm")
    data, length = data_set(parcel(path), str(ExplicitVRLittleEndian))
    with data:
        assert data.read() == path.read_bytes()[-length:]
        assert length < path.stat().st_size - 132


@pytest.mark.parametrize("make_one", [make.report, make.enhanced_mr, lambda: make.ct_series(1)[0]])
@pytest.mark.parametrize("target", [ImplicitVRLittleEndian])
def test_values_sequences_and_pixels_survive_the_change_to_implicit_and_back(
    tmp_path: Path, make_one: object, target: str
) -> None:
    ds = make_one()  # type: ignore[operator]
    path = make.write(ds, tmp_path / "explicit.dcm")
    implicit = read(path, ExplicitVRLittleEndian, target)
    assert implicit == dcmread(path)
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    back = read(make.write(ds, tmp_path / "implicit.dcm"), ImplicitVRLittleEndian, ExplicitVRLittleEndian)
    assert back == dcmread(path)


def test_big_endian_pixels_become_little_endian_pixels() -> None:
    big, little = (Path(str(get_testdata_file(name))) for name in ("MR_small_bigendian.dcm", "MR_small.dcm"))
    got = read(big, ExplicitVRBigEndian, ExplicitVRLittleEndian)
    assert got.PixelData == dcmread(little).PixelData
    assert got.SOPInstanceUID == dcmread(big).SOPInstanceUID


@pytest.mark.parametrize("target", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("defined", [True, False])
def test_what_is_written_as_un_in_big_endian_keeps_its_values(tmp_path: Path, target: str, defined: bool) -> None:
    inner = big.implicit(0x00280010, b"\2\0")
    unknown = {
        0x00082112: big.unknown_sequence(0x00082112, inner, defined=defined),
        0x00189087: big.element(0x00189087, "UN", struct.pack("<d", 1000)),
        0x00190010: big.element(0x00190010, "LO", b"GEMS_ACQU_01"),
        0x00191002: big.element(0x00191002, "UN", b"\x90\3\0\0"),
    }
    got = read(big.file(tmp_path / "a.dcm", make.instance(), unknown), ExplicitVRBigEndian, target)
    assert (got.SourceImageSequence[0].Rows, got.DiffusionBValue, got[0x00191002].value) == (2, 1000, 912)
    assert got.PatientName == make.instance().PatientName


def test_real_implicit_images_survive_the_change_to_explicit() -> None:
    path = sorted(real("ph_enh_anat_implicit").iterdir())[0]
    sent = dcmread(path)
    got = read(path, str(sent.file_meta.TransferSyntaxUID), ExplicitVRLittleEndian)
    assert got.PixelData == sent.PixelData
    assert got.SOPInstanceUID == sent.SOPInstanceUID
    assert len(got) == len([element for element in sent if element.tag.element != 0])  # without group lengths


def test_what_cannot_be_encoded_is_said_without_its_value(tmp_path: Path) -> None:
    ds = make.instance()
    path = make.write(ds, tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes() + b"\x28\x00\x10\x00US\x03\x00\x01\x02\x03")
    with pytest.raises(CannotSucceed, match="cannot be written in Implicit VR Little Endian") as caught:
        data_set(parcel(path), str(ImplicitVRLittleEndian))
    assert caught.value.__suppress_context__
    assert "\\x01" not in str(caught.value)


def test_a_file_that_is_gone_or_not_as_recorded_is_held(tmp_path: Path) -> None:
    with pytest.raises(CannotSucceed, match="gone from the outbox"):
        data_set(parcel(tmp_path / "none.dcm"), str(ExplicitVRLittleEndian))
    path = make.write(make.instance(), tmp_path / "a.dcm")
    with pytest.raises(CannotSucceed, match="not in the transfer syntax"):
        data_set(parcel(path, str(ImplicitVRLittleEndian)), str(ImplicitVRLittleEndian))
