from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from node.steps.anonymize import text
from node.steps.anonymize.identifying import cleaner_of, identifying
from node.steps.anonymize.plan import NO_RULES, compile_plan
from node.steps.anonymize.source import opened
from node.steps.anonymize.text import UnreadableTextError
from tests import make
from tests.steps.anonymize.driver import result


def found(ds: Dataset, tmp_path: Path) -> set[str]:
    path = tmp_path / "in.dcm"
    ds.save_as(path, enforce_file_format=True)
    with opened(path) as source:
        return {text.decode(value, by) for _, by, value in identifying(source.header, ("ascii",))}


def test_names_numbers_and_places_are_found_at_every_depth(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    inner, outer = Dataset(), Dataset()
    inner.OperatorsName = "Gruber^Eva"
    inner.AccessionNumber = "A-4711"
    outer.ScheduledProtocolCodeSequence = Sequence([inner])
    ds.RequestAttributesSequence = Sequence([outer, Dataset()])
    ds.InstitutionName = "St. Agnes"
    ds.StudyDescription = "of nobody"
    values = found(ds, tmp_path)
    assert {"Gruber^Eva", "A-4711", "St. Agnes", "Müster^Invented", str(ds.PatientID)} <= values
    assert "of nobody" not in values


def test_an_item_is_read_by_its_own_character_set(tmp_path: Path) -> None:
    ds, item = make.ct_series(1)[0], Dataset()
    item.SpecificCharacterSet = "ISO_IR 144"
    item.OperatorsName = "Иванов"
    ds.RequestAttributesSequence = Sequence([item])
    assert "Иванов" in found(ds, tmp_path)


def test_a_value_that_does_not_decode_is_never_guessed(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    path = tmp_path / "in.dcm"
    ds.save_as(path, enforce_file_format=True)
    path.write_bytes(path.read_bytes().replace("Müster".encode(), b"M\xff\xfester"))
    with opened(path) as source, pytest.raises(UnreadableTextError):
        cleaner_of(source.header, ("ascii",), compile_plan(frozenset(), NO_RULES, make.CT_IMAGE))


def test_what_stands_deep_is_taken_out_of_the_texts_at_the_top(tmp_path: Path) -> None:
    ds, item = make.ct_series(1)[0], Dataset()
    item.RequestingPhysician = "Chest^Eva"
    ds.RequestAttributesSequence = Sequence([item])
    ds.StudyDescription = "CT thorax, Eva"
    after = result(ds, tmp_path, options=("clean_descriptors",))
    assert after.StudyDescription == "CT thorax"
    assert "Eva" not in str(dcmread(tmp_path / "out" / "in.dcm"))
