from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset

from node.dicom.header import read_header
from node.dicom.sniff import NotAnInstance, Sniffed, sniff, sniff_bytes
from tests.dicom import datasets as made

CT = "1.2.840.10008.5.1.4.1.1.2"


def dataset() -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.SOPClassUID, ds.SOPInstanceUID = CT, "1.2.3.4"
    ds.Modality = "CT"
    return ds


def part10(syntax: str, declared: str | None = None) -> bytes:
    ds = dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = CT, "1.2.3.4"
    ds.file_meta.TransferSyntaxUID = declared or syntax
    ds.preamble = bytes(128)
    whole = made.part10(ds, declared or syntax)
    assert whole.endswith(made.encoded(ds, declared or syntax)) or syntax == made.DEFLATED
    offset = sniffed(whole).dataset_offset
    return whole[:offset] + made.encoded(dataset(), syntax)


def sniffed(data: bytes) -> Sniffed:
    found = sniff_bytes(data)
    assert isinstance(found, Sniffed), found
    return found


def modality(data: bytes, found: Sniffed) -> object:
    return read_header(data, found.transfer_syntax, start=found.dataset_offset).header["00080060"]


@pytest.mark.parametrize("syntax", [made.IMPLICIT, made.EXPLICIT, made.BIG_ENDIAN])
def test_a_bare_data_set_is_recognised(syntax: str) -> None:
    data = made.encoded(dataset(), syntax)
    found = sniffed(data)
    assert (found.transfer_syntax, found.dataset_offset, found.part10) == (syntax, 0, False)
    assert (found.sop_class, found.sop_instance) == (CT, "1.2.3.4")
    assert modality(data, found) == ["CS", ["CT"]]


@pytest.mark.parametrize("syntax", made.UNCOMPRESSED)
@pytest.mark.parametrize("missing", [0, 128, 132])
def test_a_file_is_recognised_with_and_without_preamble(syntax: str, missing: int) -> None:
    data = part10(syntax)[missing:]
    found = sniffed(data)
    assert (found.transfer_syntax, found.part10) == (syntax, True)
    assert modality(data, found) == ["CS", ["CT"]]


def test_a_data_set_right_behind_the_prefix_is_recognised() -> None:
    data = bytes(128) + b"DICM" + made.encoded(dataset(), made.IMPLICIT)
    assert (sniffed(data).transfer_syntax, sniffed(data).dataset_offset) == (made.IMPLICIT, 132)


def test_a_file_whose_meta_information_is_wrong_is_read_as_its_bytes_are() -> None:
    data = part10(made.IMPLICIT, declared=made.EXPLICIT)
    assert sniffed(data).transfer_syntax == made.IMPLICIT
    assert modality(data, sniffed(data)) == ["CS", ["CT"]]


def test_a_dicomdir_is_named_as_one() -> None:
    path = get_testdata_file("DICOMDIR")
    assert path is not None
    found = sniff(Path(path))
    assert isinstance(found, NotAnInstance)
    assert found.dicomdir


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"PK\3\4" + bytes(300), "not DICOM"),
        (b"Dear colleague, here are the images of the patient. " * 10, "not DICOM"),
        (b'{"json": true}' * 30, "not DICOM"),
        (bytes(1000), "not DICOM"),
        (bytes(128) + b"DICM", "without SOP Class UID"),
        (made.explicit(0x00080060, "CS", b"CT"), "not DICOM"),
        (made.encoded(dataset())[:40], "not DICOM"),
    ],
)
def test_other_files_are_left_with_a_reason(data: bytes, reason: str) -> None:
    found = sniff_bytes(data)
    assert isinstance(found, NotAnInstance)
    assert reason in found.reason
    assert not found.dicomdir


def test_a_uid_that_is_a_path_is_no_instance(tmp_path: Path) -> None:
    data = made.explicit(0x00080016, "UI", CT.encode() + b"\0") + made.explicit(0x00080018, "UI", b"../../x\0")
    path = tmp_path / "evil"
    path.write_bytes(data)
    assert isinstance(sniff(path), NotAnInstance)


@given(raw=st.binary(max_size=300), prefix=st.sampled_from([b"", bytes(128) + b"DICM", b"DICM", b"\2\0\0\0UL\4\0"]))
def test_any_bytes_are_an_instance_or_not(raw: bytes, prefix: bytes) -> None:
    assert sniff_bytes(prefix + raw) is not None


@given(choices=st.data(), syntax=st.sampled_from(made.UNCOMPRESSED))
@settings(deadline=None)
def test_damaged_files_are_an_instance_or_not(choices: st.DataObject, syntax: str) -> None:
    assert sniff_bytes(made.mutated(choices, part10(syntax))) is not None
