"""What was planted is gone, wherever it was; what an option keeps is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.dicom import deid_table
from node.dicom.attributes import VR_BY_TAG, describe
from node.steps.anonymize.plan import AVAILABLE
from tests import make
from tests.steps.anonymize.driver import output, result
from tests.steps.anonymize.planted import MARK, MARKS, everywhere, marker

pytestmark = pytest.mark.filterwarnings("ignore:The value length:UserWarning")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_no_marker_is_left_in_any_byte(tmp_path: Path, syntax: str) -> None:
    ds, planted = everywhere()
    assert len(planted) > 600
    ds.file_meta.TransferSyntaxUID = syntax
    written = output(ds, tmp_path).read_bytes()
    assert MARK.encode() in (tmp_path / "in.dcm").read_bytes()
    assert [mark for mark in MARKS if mark in written] == []


FACES = "clean_recognizable_visual_features"  # test_recognizable.py
_CLEANING = ("clean_descriptors", "clean_structured_content", "clean_graphics", "retain_long_modified_dates")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_cleaning_leaves_no_marker_either(tmp_path: Path, syntax: str) -> None:
    ds, _ = everywhere()
    ds.StudyDescription, ds.SeriesDescription = f"CT thorax of {MARK} at 07.07.1977", f"ax_{MARK}_T1"
    ds.file_meta.TransferSyntaxUID = syntax
    path = output(ds, tmp_path, options=_CLEANING)
    times = (b"070707.77",)  # dates move by whole days
    assert [mark for mark in MARKS if mark in path.read_bytes() and mark not in times] == []
    after = dcmread(path)
    assert (after.StudyDescription, after.SeriesDescription) == ("CT thorax of at", "ax_T1")


def test_no_marker_is_left_in_a_deflated_data_set(tmp_path: Path) -> None:
    ds, _ = everywhere()
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    after = result(ds, tmp_path)
    assert after.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    assert MARK not in str(after)


@pytest.mark.parametrize("option", [name for name in AVAILABLE if name not in ("retain_safe_private", FACES)])
def test_an_option_keeps_its_column_and_nothing_else(tmp_path: Path, option: str) -> None:
    ds, planted = everywhere()
    after = result(ds, tmp_path, options=(option,))
    before = dcmread(tmp_path / "in.dcm")
    for tag in planted:
        if VR_BY_TAG.get(tag) in (None, "SQ"):
            continue
        row = deid_table.rows()[tag]
        if option in row.cleans and VR_BY_TAG[tag] == "TM":
            continue  # dates move by whole days
        kept = tag in after and bool(after[tag].value) and after[tag].value == before[tag].value
        assert kept == (option in row.keeps), describe(tag)


def test_a_kept_sequence_is_cleaned_within(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.UDISequence = Sequence([Dataset()])
    ds.UDISequence[0].UniqueDeviceIdentifier = "(01)0123"
    ds.UDISequence[0].OperatorsName = MARK
    after = result(ds, tmp_path, options=("retain_device_identity",))
    assert after.UDISequence[0].UniqueDeviceIdentifier == "(01)0123"
    assert MARK not in str(after)


def test_safe_private_elements_stay_and_their_neighbours_go(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    block = ds.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x60, "LO", MARK)
    ds.private_block(0x0021, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "7")
    after = result(ds, tmp_path, options=("retain_safe_private",))
    assert after.private_block(0x0019, "SIEMENS MR HEADER")[0x0C].value == 1000
    assert [element.tag for element in after if element.tag.is_private] == [0x00190010, 0x0019100C]
    assert not [element for element in result(ds, tmp_path) if element.tag.is_private]


_rows = st.sampled_from([tag for tag in deid_table.rows() if tag >> 16 > 7 and VR_BY_TAG.get(tag) not in (None, "SQ")])
_sequences = st.sampled_from(["AnatomicRegionSequence", "ReferencedImageSequence", "SharedFunctionalGroupsSequence"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_sequences, min_size=1, max_size=6), st.lists(_rows, min_size=1, max_size=8, unique=True))
def test_nothing_survives_at_any_depth(tmp_path: Path, path: list[str], rows: list[int]) -> None:
    inner = Dataset()
    for tag in rows:
        element = marker(tag)
        if element is not None and VR_BY_TAG[tag] != "SQ":
            inner[tag] = element
    for keyword in path:
        outer = Dataset()
        setattr(outer, keyword, Sequence([inner, Dataset()]))
        inner = outer
    ds = make.ct_series(1)[0]
    for element in inner:
        ds[element.tag] = element
    written = output(ds, tmp_path).read_bytes()
    assert [mark for mark in MARKS if mark in written] == []
