"""What cannot be read with certainty is held, and nothing of it is written."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian

from node.dicom.dataset import read
from node.steps.anonymize import Anonymize
from tests import make
from tests.dicom import big_endian as big
from tests.dicom import datasets as made
from tests.steps.anonymize.driver import SECRET, output, result, why_held
from tests.steps.run_step import batch_of, run_step

# The step must hold these where warnings are only printed, as in production.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def _saved(tmp_path: Path, ds: FileDataset | None = None) -> Path:
    path = tmp_path / "in.dcm"
    (ds or make.ct_series(1)[0]).save_as(path, enforce_file_format=True)
    return path


def _raw(ds: FileDataset, tag: int, vr: str, value: bytes) -> FileDataset:
    ds[tag] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
    return ds


@pytest.mark.parametrize("cut", [1, 3, 100, 241])
def test_a_truncated_file_is_held(tmp_path: Path, cut: int) -> None:
    path = _saved(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    assert why_held(path, tmp_path)


@pytest.mark.parametrize("extra", [b"\0", b"\x10\x00\x10\x00PN\x04", b"\xfe\xff\x0d\xe0\0\0\0\0Smith^John"])
def test_bytes_behind_the_data_set_are_held(tmp_path: Path, extra: bytes) -> None:
    path = _saved(tmp_path)
    path.write_bytes(path.read_bytes() + extra)
    assert "cannot be read with certainty: at byte" in why_held(path, tmp_path)


@pytest.mark.parametrize("bits", [8, 16])
def test_bytes_behind_the_last_pixel_are_held(tmp_path: Path, bits: int) -> None:
    ds = make.ct_series(1)[0]
    make.set_pixels(ds, np.ones((3, 5), f"u{bits // 8}"))
    output(ds, tmp_path)
    ds.PixelData += bytes(20)
    assert output(ds, tmp_path).read_bytes().endswith(bytes(20)), "zeros name nobody"
    ds.PixelData += b"Smith^John"
    assert (
        why_held(ds, tmp_path) == "cannot be de-identified: its pixel data have 30 bytes more than an image of its size"
    )


def test_pixel_data_that_are_not_encoded_as_the_transfer_syntax_says_are_held(tmp_path: Path) -> None:
    path = _saved(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0", 1))
    assert "not encoded as its transfer syntax says" in why_held(path, tmp_path)
    head, _, _ = whole.partition(b"\xe0\x7f\x10\0OW")
    fragments = made.ITEM + bytes(4) + made.ITEM + struct.pack("<I", 8) + b"Smith^J " + made.SEQUENCE_END
    path.write_bytes(head + made.explicit(0x7FE00010, "OB", fragments, 0xFFFFFFFF))
    assert "not encoded as its transfer syntax says" in why_held(path, tmp_path)


def test_fragments_of_odd_length_pass_as_they_came_and_native_pixels_are_padded(tmp_path: Path) -> None:
    path = _saved(tmp_path)
    whole = path.read_bytes()
    head, _, _ = whole.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0", 1).partition(b"\xe0\x7f\x10\0OW")
    frame = struct.pack("<16I", 2, 64, 64, *bytes(13)) + b"\0"
    pixels = made.ITEM + bytes(4) + made.ITEM + struct.pack("<I", len(frame)) + frame + made.SEQUENCE_END
    path.write_bytes(head + made.explicit(0x7FE00010, "OB", pixels, 0xFFFFFFFF))
    assert output(path, tmp_path).read_bytes().endswith(b"\xff\xff\xff\xff" + pixels)
    ds = make.ct_series(1)[0]
    make.set_pixels(ds, np.ones((3, 5), "u1"))
    ds.save_as(path, enforce_file_format=True)
    head, _, _ = path.read_bytes().partition(b"\xe0\x7f\x10\0")
    path.write_bytes(head + made.explicit(0x7FE00010, "OB", b"\1" * 15))
    assert output(path, tmp_path).read_bytes().endswith(struct.pack("<I", 16) + b"\1" * 15 + b"\0")


@pytest.mark.parametrize("uid", [b"1.2.3\\1.2.4 ", b"1" * 130, b"M\xfcster"])
def test_an_instance_whose_uid_is_not_one_is_held(tmp_path: Path, uid: bytes) -> None:
    assert "is not one UID" in why_held(_raw(make.ct_series(1)[0], 0x0020000D, "UI", uid), tmp_path)


@pytest.mark.parametrize("position", range(132, 1200, 37))
def test_a_damaged_header_is_held_or_still_names_nobody(tmp_path: Path, position: int) -> None:
    path = _saved(tmp_path)
    damaged = bytearray(path.read_bytes())
    damaged[position] ^= 0xFF
    path.write_bytes(damaged)
    batch = run_step(Anonymize(), batch_of([path]), tmp_path, {"secret": SECRET})
    written = b"".join(item.path.read_bytes() for item in batch.items)
    assert "Müster".encode() not in written
    assert b"19500102" not in written


def _nested() -> Dataset:
    """An item that names the patient of the instance it lies in, and the instance."""
    ds, item = make.ct_series(1)[0], Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    item.PatientName, item.PatientBirthDate, item.Rows = "Muster^Someone Else", "19500102", 2
    item.PurposeOfReferenceCodeSequence = [Dataset()]
    item.PurposeOfReferenceCodeSequence[0].CodeValue = "121311"
    item.PurposeOfReferenceCodeSequence[0].OperatorsName = "Operator^Invented"
    return item


@pytest.mark.parametrize("defined", [True, False])
def test_a_sequence_written_as_un_in_big_endian_is_seen_into(tmp_path: Path, defined: bool) -> None:
    ds = make.ct_series(1)[0]
    ds.ReferencedImageSequence = [_nested()]
    ds.DiffusionBValue = 1000.0
    expected = result(ds, tmp_path)
    unknown = {
        0x00081140: big.unknown_sequence(0x00081140, made.encoded(_nested(), made.IMPLICIT), defined=defined),
        0x00189087: big.element(0x00189087, "UN", struct.pack("<d", 1000)),
    }
    path = output(big.file(tmp_path / "big.dcm", make.ct_series(1)[0], unknown), tmp_path)
    written = path.read_bytes()
    for name in (b"Someone", b"19500102", b"Operator", ds.SOPInstanceUID.encode()):
        assert name not in written
    with path.open("rb") as file:
        found = read(file)
    assert found.file_meta.TransferSyntaxUID == ExplicitVRBigEndian
    assert found.ReferencedImageSequence[0].Rows == 2
    assert found == expected


def test_a_big_endian_file_that_is_cut_off_is_held(tmp_path: Path) -> None:
    path = big.file(tmp_path / "big.dcm", make.ct_series(1)[0])
    path.write_bytes(path.read_bytes()[:-1])
    assert "cannot be read with certainty" in why_held(path, tmp_path)


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_an_instance_without_its_uids_is_held(tmp_path: Path, keyword: str) -> None:
    ds = make.ct_series(1)[0]
    delattr(ds, keyword)
    assert "it has no" in why_held(ds, tmp_path)


def test_a_uid_of_the_standard_as_an_instance_uid_is_held(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.StudyInstanceUID = "1.2.840.10008.19500102"
    assert "standard's own" in why_held(ds, tmp_path)


def test_a_dicomdir_is_held(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    assert "DICOMDIR" in why_held(ds, tmp_path)


def test_an_unknown_character_set_is_held(tmp_path: Path) -> None:
    path = _saved(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"ISO_IR 192", b"ISO_IR 999"))
    assert "character set that it declares is unknown" in why_held(path, tmp_path)


def test_text_that_does_not_decode_is_held_unless_it_is_removed(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.Manufacturer, ds.ImageComments = "KEPT", "GONE"
    path = _saved(tmp_path, ds)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"GONE", b"G\xff\xfeE"))
    assert output(path, tmp_path)
    path.write_bytes(whole.replace(b"KEPT", b"K\xff\xfeT"))
    assert "does not decode" in why_held(path, tmp_path)


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00280030, "LO", b"Smith^John"),  # Pixel Spacing
        (0x00081140, "OB", b"Smith^John"),  # Referenced Image Sequence
        (0x00082218, "LT", b"Smith^John"),  # Anatomic Region Sequence
    ],
)
def test_a_value_of_the_wrong_representation_is_held(tmp_path: Path, tag: int, vr: str, value: bytes) -> None:
    assert f"is encoded as {vr}" in why_held(_raw(make.ct_series(1)[0], tag, vr, value), tmp_path)


def test_a_reason_names_no_patient(tmp_path: Path) -> None:
    ds = _raw(make.ct_series(1)[0], 0x00280030, "LO", b"Smith^John")
    reason = why_held(ds, tmp_path)
    assert not any(word in reason for word in ("Smith", "Müster", "T-0001", str(ds.StudyInstanceUID)))


def test_sequences_nested_beyond_sense_are_held(tmp_path: Path) -> None:
    item = b""
    for _ in range(3000):
        body = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + item + b"\xfe\xff\x0d\xe0\0\0\0\0"
        item = b"\x08\x00\x18\x22SQ\0\0\xff\xff\xff\xff" + body + b"\xfe\xff\xdd\xe0\0\0\0\0"
    path = _saved(tmp_path)
    path.write_bytes(path.read_bytes() + item)
    assert "nested more than 64 deep" in why_held(path, tmp_path)
