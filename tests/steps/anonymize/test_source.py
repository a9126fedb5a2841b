from __future__ import annotations

from mmap import PAGESIZE
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.dicom.encoding import Malformed, Truncated
from node.dicom.levels import EXPLICIT, IMPLICIT
from node.errors import CannotSucceed
from node.steps.anonymize.room import ROOM
from node.steps.anonymize.source import opened
from tests import make
from tests.dicom import big_endian as big


def _saved(tmp_path: Path, syntax: str) -> Path:
    ds = make.ct_series(1)[0]
    ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(tmp_path / "in.dcm", enforce_file_format=True)
    return tmp_path / "in.dcm"


@pytest.fixture(params=["read as a whole", "mapped"])
def mapped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether files of any size are taken for large ones."""
    if request.param == "mapped":
        monkeypatch.setattr("node.steps.anonymize.source.LARGEST", 0)
    return bool(request.param == "mapped")


@pytest.mark.parametrize("lead", [0, 1, PAGESIZE - 1])
def test_little_endian_is_read_as_it_is(
    mapped: bool, lead: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ROOM, "_next", lead)
    for syntax, parse in ((ExplicitVRLittleEndian, EXPLICIT), (ImplicitVRLittleEndian, IMPLICIT)):
        path = _saved(tmp_path, syntax)
        with opened(path) as source:
            assert (source.file is not None) is mapped
            assert source.parse is parse
            assert source.text(0x00100020) == "T-0001"
            _, _, _, value, end, _ = source.top[0x7FE00010]
            assert end == len(source.data) == path.stat().st_size + (0 if mapped else lead)
            assert source.data[value:end] == make.ct_series(1)[0].PixelData


def test_one_that_is_opened_while_another_is_open_is_mapped(tmp_path: Path) -> None:
    path = _saved(tmp_path, ExplicitVRLittleEndian)
    with opened(path) as one:
        with opened(path) as other:
            assert (one.file, other.file is None) == (None, False)
            assert one.raw(0x7FE00010) == other.raw(0x7FE00010) == make.ct_series(1)[0].PixelData
        with opened(path) as other:
            assert other.file is not None
    with opened(path) as again:
        assert again.file is None


@pytest.mark.parametrize("lead", [0, 100])
def test_what_is_wrong_is_said_by_its_place_in_the_file(
    mapped: bool, lead: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _saved(tmp_path, ExplicitVRLittleEndian)
    whole = path.read_bytes()
    pixels = whole.index(b"\xe0\x7f\x10\0")
    path.write_bytes(whole[:-1])
    monkeypatch.setattr(ROOM, "_next", lead)
    with pytest.raises(Truncated, match="cut short") as raised, opened(path):
        pass
    assert raised.value.offset == pixels
    assert not ROOM.taken


@pytest.mark.parametrize("size", [3000, 4060, 4096, 4100, 9000])
def test_file_meta_information_of_any_length_is_passed_over(mapped: bool, size: int, tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.file_meta.PrivateInformationCreatorUID = "1.2.3"
    ds.file_meta.PrivateInformation = bytes(size)
    ds.save_as(tmp_path / "in.dcm", enforce_file_format=True)
    with opened(tmp_path / "in.dcm") as source:
        assert next(iter(source.top)) >> 16 == 8
        assert source.meta.endswith(bytes(size))
        before, behind = source.around
        assert behind is not None
        assert before + ds.SOPInstanceUID.encode() in source.meta
        assert source.meta.endswith(behind)


def test_big_endian_and_deflated_are_converted_first(tmp_path: Path) -> None:
    turned = big.file(tmp_path / "big.dcm", make.ct_series(1)[0])
    for path in (turned, _saved(tmp_path, DeflatedExplicitVRLittleEndian)):
        with opened(path) as source:
            assert source.file is None
            assert source.parse is EXPLICIT
            assert int.from_bytes(source.raw(0x00280010), "little") == make.ct_series(1)[0].Rows
            assert source.raw(0x7FE00010) == make.ct_series(1)[0].PixelData


def test_absent_attributes_and_sequences_have_no_bytes(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.ReferencedStudySequence = []
    ds.save_as(tmp_path / "in.dcm", enforce_file_format=True)
    with opened(tmp_path / "in.dcm") as source:
        assert source.raw(0x00081110) == source.raw(0x00104000) == b""
        assert not source.encapsulated(0x7FE00008)


@pytest.mark.parametrize("kept", [0, 100, 132, 140])
def test_a_file_without_a_data_set_is_refused(tmp_path: Path, kept: int) -> None:
    path = _saved(tmp_path, ExplicitVRLittleEndian)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CannotSucceed), opened(path):
        pass


def test_a_deflated_data_set_that_breaks_off_is_refused(tmp_path: Path) -> None:
    path = _saved(tmp_path, DeflatedExplicitVRLittleEndian)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(Truncated, match="no end"), opened(path):
        pass


def test_a_deflated_data_set_of_any_size_is_not_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.steps.anonymize.source._MOST_INFLATED", 100)
    with (
        pytest.raises(Malformed, match="more than 100 bytes"),
        opened(_saved(tmp_path, DeflatedExplicitVRLittleEndian)),
    ):
        pass
