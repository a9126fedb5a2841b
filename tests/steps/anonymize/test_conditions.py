"""What PS3.3 allows only beside another attribute goes with it, or keeps it as a dummy; site rules are left alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from node.dicom.attributes import keyword_of
from node.steps.anonymize import conditions
from node.steps.anonymize.actions import Action, Do
from node.steps.anonymize.conditions import BESIDE
from tests import make
from tests.steps.anonymize.driver import result

PERSON, ROLE, ORGANIZATION = 0x00102297, 0x00102298, 0x00102299
NUMBER, COMMITTEE = 0x00120082, 0x00120081
DX_IMAGE = "1.2.840.10008.5.1.4.1.1.1.1"
NOBODY: frozenset[int] = frozenset()


def test_who_somebody_is_to_the_patient_goes_with_the_person() -> None:
    assert conditions.consistent({PERSON: Do.REMOVE}, NOBODY)[ROLE] is Do.REMOVE
    assert conditions.consistent({PERSON: Do.EMPTY}, NOBODY)[ROLE] is Do.REMOVE
    assert ROLE not in conditions.consistent({PERSON: Do.KEEP}, {PERSON})


def test_a_committee_that_is_kept_needs_its_number_and_gets_a_dummy() -> None:
    agreed = conditions.consistent({NUMBER: Do.REMOVE, COMMITTEE: Do.KEEP}, NOBODY)
    assert (agreed[NUMBER], agreed[COMMITTEE]) == (Do.DUMMY, Do.KEEP)
    assert conditions.consistent({NUMBER: Do.REMOVE, COMMITTEE: Do.DUMMY}, NOBODY)[COMMITTEE] is Do.REMOVE


@given(
    st.dictionaries(st.sampled_from([*BESIDE, *BESIDE.values()]), st.sampled_from(Do)),
    st.sets(st.sampled_from([*BESIDE, *BESIDE.values()])),
)
def test_what_a_site_rules_stays_and_nothing_that_went_is_kept(actions: Mapping[int, Action], ruled: set[int]) -> None:
    agreed = conditions.consistent(actions, ruled)
    assert all(agreed.get(tag) == actions.get(tag) for tag in ruled)
    for tag, action in agreed.items():
        if action is Do.KEEP:
            assert actions[tag] is Do.KEEP
    assert conditions.consistent(agreed, ruled) == agreed


def test_of_an_animal_nobody_responsible_is_known_and_of_a_person_nobody_is_there(tmp_path: Path) -> None:
    ds = make.ct_series(1, rows=8, columns=8)[0]
    ds.ResponsiblePerson, ds.ResponsiblePersonRole, ds.ResponsibleOrganization = "Owner^Of", "OWNER", "Farm"
    after = result(ds, tmp_path)
    assert not [keyword for tag in (PERSON, ROLE, ORGANIZATION) if (keyword := keyword_of(tag)) in after]
    ds.PatientSpeciesDescription = "Canine"
    after = result(ds, tmp_path)
    assert (after.ResponsiblePerson, after.ResponsibleOrganization) == ("", "")
    assert "ResponsiblePersonRole" not in after


def test_a_rule_for_the_responsible_person_holds_for_animals_too(tmp_path: Path) -> None:
    ds = make.ct_series(1, rows=8, columns=8)[0]
    ds.PatientSpeciesDescription, ds.ResponsiblePerson, ds.ResponsiblePersonRole = "Canine", "Owner^Of", "OWNER"
    after = result(ds, tmp_path, rules=({"replace": "ResponsiblePerson", "with": "Nobody"},))
    assert (str(after.ResponsiblePerson), after.ResponsiblePersonRole) == ("Nobody", "OWNER")


@pytest.mark.parametrize("empty", [True, False])
def test_an_acquisition_context_of_which_nothing_is_left_stays_empty(tmp_path: Path, empty: bool) -> None:
    ds = make.ct_series(1, rows=8, columns=8)[0]
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = DX_IMAGE
    ds.Modality = "DX"
    concept, item = Dataset(), Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator, concept.CodeMeaning = "126201", "DCM", "Acquisition Date"
    item.ValueType, item.ConceptNameCodeSequence, item.Date = "DATE", Sequence([concept]), "20200102"
    ds.AcquisitionContextSequence = Sequence([] if empty else [item])
    after = result(ds, tmp_path, options=("clean_structured_content",))
    assert len(after.AcquisitionContextSequence) == 0  # Type 2, PS3.3 C.7.6.14


def test_text_of_which_nothing_is_left_is_a_dummy_where_no_row_says_what_its_type_is(tmp_path: Path) -> None:
    ds = make.ct_series(1, rows=8, columns=8)[0]
    ds.PixelSpacingCalibrationDescription = "zzyzx 20200102"
    assert result(ds, tmp_path, options=("clean_descriptors",)).PixelSpacingCalibrationDescription == "ANONYMIZED"
