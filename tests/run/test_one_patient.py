"""No study leaves as that of two patients: who is missing or contradicting is held, and nobody is merged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from node.model import Batch, Item, Kind, ReceiptId, Whose
from node.pool import Pool
from node.run.one_patient import LACKS_ID, of_one_patient
from node.run.parts import perform_in_parts
from node.steps import Anonymize
from tests import make

SECRET = b"a secret of thirty-two bytes or so"
_WHO = st.builds(
    Whose, study=st.sampled_from(["1.2", "1.3"]), patient=st.sampled_from(["a", "b"]), identified=st.just(True)
) | st.builds(Whose, study=st.sampled_from(["1.2", "1.3"]), patient=st.just("unknown"), identified=st.just(False))


def batch(whose: Sequence[Whose | None]) -> Batch:
    return Batch(
        items=tuple(
            Item(path=Path(str(n)), kind=Kind.DICOM, sources=(ReceiptId(str(n)),), whose=who)
            for n, who in enumerate(whose)
        )
    )


@given(st.lists(st.none() | _WHO, max_size=8))
def test_what_goes_on_is_of_one_patient_in_each_study_and_nobody_is_lost(whose: list[Whose | None]) -> None:
    made = of_one_patient(batch(whose))
    on = [item.whose for item in made.items]
    for study in ("1.2", "1.3"):
        assert len({who.patient for who in on if who is not None and who.study == study}) <= 1
    assert len(made.items) + len(made.held) == len(whose)
    assert on.count(None) == whose.count(None)


def test_a_study_of_one_patient_or_of_nobody_known_goes_on_as_it_is() -> None:
    for who in (Whose("1.2", "a", True), Whose("1.2", "unknown", False), None):
        given = batch([who, who])
        assert of_one_patient(given) is given


@pytest.fixture
def study(tmp_path: Path) -> Batch:
    """Three instances of one study; the second has no Patient ID."""
    items = []
    for n, ds in enumerate(make.ct_series(3, rows=8, columns=8)):
        ds.PatientID = "" if n == 1 else "p"
        path = make.write(ds, tmp_path / f"{n}.dcm")
        items.append(Item(path=path, kind=Kind.DICOM, sources=(ReceiptId(str(n)),)))
    return Batch(items=tuple(items))


def test_an_instance_without_patient_id_is_held_where_others_of_its_study_have_one(
    pool: Pool, study: Batch, tmp_path: Path
) -> None:
    made, _ = perform_in_parts(pool, Anonymize(), study, tmp_path / "out", {"secret": SECRET})
    (held,) = made.held
    assert (held.sources, held.reason.startswith(LACKS_ID)) == ((ReceiptId("1"),), True)
    assert len({dcmread(item.path).PatientID for item in made.items}) == 1


def test_one_issuer_that_is_missing_holds_the_study(pool: Pool, study: Batch, tmp_path: Path) -> None:
    for n, item in enumerate(study.items):
        ds = dcmread(item.path)
        ds.PatientID, ds.IssuerOfPatientID = "p", "H" if n else ""
        ds.save_as(item.path)
    made, _ = perform_in_parts(pool, Anonymize(), study, tmp_path / "out", {"secret": SECRET})
    assert made.items == ()
    assert {held.reason.partition(";")[0] for held in made.held} == {
        "instances of its study have 2 different Patient IDs, or Issuers of Patient ID"
    }
