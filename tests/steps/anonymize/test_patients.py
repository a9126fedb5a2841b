"""Who a patient becomes, by key, table and number, and that a rotation changes nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from node.crosswalk import Crosswalk
from node.errors import CannotSucceed, TryAgain
from node.model import Batch
from node.secret import Keys, keys
from node.steps.anonymize import Anonymize
from node.steps.anonymize.lookup import parse
from node.steps.anonymize.patients import Naming, Patients, UnmappedError
from node.steps.anonymize.pseudonyms import Pseudonyms
from tests import make
from tests.steps.anonymize.driver import SECRET
from tests.steps.run_step import batch_of, run_step

OTHER = b"another secret of thirty-two bytes"
TABLE = Naming(parse("issuer,patient_id,pseudonym\nH,p,P1\n")[0], "table")


@pytest.fixture
def crosswalk(tmp_path: Path) -> Iterator[Crosswalk]:
    made = Crosswalk(url="sqlite", data=tmp_path / "data", keys=Keys(SECRET))
    made.prepare()
    yield made
    made.close()


def turned(crosswalk: Crosswalk) -> Crosswalk:
    after = replace(crosswalk, keys=keys(OTHER, [SECRET]))
    with after.doors.durable.begin() as connection:
        after.begin_with(connection)
    return after


def test_without_a_crosswalk_and_with_a_new_one_a_patient_is_the_same(crosswalk: Crosswalk) -> None:
    """So that what was sent before there was one goes on."""
    alone, known = Patients(SECRET), Patients(SECRET, crosswalk)
    for who in (("H", "p", "1.2"), ("", "", "1.3")):
        one, other = alone.find(*who), known.find(*who)
        assert (one.name, one.days, one.pseudonyms.uid("1.2")) == (other.name, other.days, other.pseudonyms.uid("1.2"))
    assert alone.find("H", "p", "1.2").name == Pseudonyms(SECRET).patient("H", "p")
    assert alone.find("", "", "1.2").name == Pseudonyms(SECRET).patient_of_study("1.2")


@given(st.text("pq ", max_size=2), st.text("HI ", max_size=2), st.sampled_from(["1.2", "1.3"]))
def test_a_patient_is_one_over_studies_and_an_unknown_one_is_one_of_each(pid: str, issuer: str, study: str) -> None:
    found = Patients(SECRET).find(issuer, pid, study)
    again = Patients(SECRET).find(f" {issuer.lower()}", f"{pid.upper()} ", "1.3" if pid.strip() else study)
    assert (found.name, found.days) == (again.name, again.days)
    if not pid.strip():
        assert found.name == Patients(SECRET).find("other", "", study).name


def test_after_a_rotation_known_patients_keep_all_that_is_keyed(crosswalk: Crosswalk) -> None:
    before = Patients(SECRET, crosswalk).find("H", "p", "1.2")
    patients = Patients(OTHER, turned(crosswalk))
    after, new = patients.find("h", "P", "1.9"), patients.find("H", "q", "1.4")
    assert (after.name, after.days) == (before.name, before.days)
    assert after.pseudonyms.uid("1.2.3") == before.pseudonyms.uid("1.2.3")
    assert new.name == Pseudonyms(OTHER).patient("H", "q")
    assert new.pseudonyms.uid("1.2.3") != before.pseudonyms.uid("1.2.3")


def test_after_a_rotation_a_study_stays_one_study_whoever_it_is_said_to_be_of(crosswalk: Crosswalk) -> None:
    before = Patients(SECRET, crosswalk).find("H", "p", "1.2")
    unknown = Patients(SECRET, crosswalk).find("", "", "1.3")
    patients = Patients(OTHER, turned(crosswalk))
    for issuer, patient_id in (("", "p"), ("H", "corrected")):
        after = patients.find(issuer, patient_id, "1.2")
        assert after.pseudonyms.uid("1.2") == before.pseudonyms.uid("1.2")
        assert after.name == Pseudonyms(OTHER).patient(issuer, patient_id), "but no two patients are taken for one"
    assert patients.find("H", "p", "1.3").pseudonyms.uid("1.3") == unknown.pseudonyms.uid("1.3")
    for study in ("1.2", "1.3"):
        with pytest.raises(UnmappedError, match="others of its study have one"):
            patients.find("", "", study)


def test_numbers_come_from_the_crosswalk_and_survive_a_rotation(crosswalk: Crosswalk) -> None:
    naming = Naming(scheme="number:SITE-")
    patients = Patients(SECRET, crosswalk, naming)
    assert [patients.find("", one, "1.2").name for one in ("p", "q", "p")] == ["SITE-0001", "SITE-0002", "SITE-0001"]
    assert Patients(OTHER, turned(crosswalk), naming).find("", "q", "1.2").name == "SITE-0002"
    with pytest.raises(CannotSucceed, match="numbers need the crosswalk"):
        Patients(SECRET, None, naming)


def test_who_is_not_in_the_table_has_no_name_and_leaves_no_trace_in_the_crosswalk(crosswalk: Crosswalk) -> None:
    for supplied in (None, crosswalk):
        patients = Patients(SECRET, supplied, TABLE)
        assert patients.find("H", "p", "1.2").name == "P1"
        for who in (("H", "q", "1.2"), ("", "p", "1.2"), ("H", "", "1.2"), ("", "", "1.2")):
            with pytest.raises(UnmappedError, match="not in the lookup table"):
                patients.find(*who)
    from node.crosswalk import records

    assert [entry.pseudonym for entry in records.export(crosswalk, "test")] == ["P1"]


def test_a_table_that_names_a_known_patient_otherwise_gives_no_second_name(crosswalk: Crosswalk) -> None:
    Patients(SECRET, crosswalk, TABLE).find("H", "p", "1.2")
    changed = replace(TABLE, lookup=parse("issuer,patient_id,pseudonym\nH,p,P2\nH,q,P1\n")[0])
    for one in ("p", "q"):
        with pytest.raises(UnmappedError, match="crosswalk"):
            Patients(SECRET, crosswalk, changed).find("H", one, "1.2")


def test_the_crosswalk_is_asked_once_for_all_instances_of_a_patient() -> None:
    asked = []

    class Counting:
        def key(self, issuer: str, patient_id: str, study: str) -> bytes:
            asked.append("key")
            return SECRET

        def of_study(self, study: str, key: bytes, *, identified: bool) -> bytes:
            asked.append(study)
            return key

        def name(self, issuer: str, patient_id: str, study: str, scheme: str, proposed: str | None) -> str:
            asked.append(scheme)
            return str(proposed)

    patients = Patients(SECRET, Counting())
    for number in range(9):
        patients.find("H", "p ", f"1.{number % 2}")
    assert asked == ["key", "1.0", "key", "key", "1.1", "key"], "once for each of the studies"


# ---- through the step ------------------------------------------------------------------------------


def anonymized(tmp_path: Path, crosswalk: Crosswalk | None, *instances: Dataset, **options: object) -> Batch:
    paths = []
    for number, ds in enumerate(instances):
        paths.append(tmp_path / f"{number}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    given = {"secret": SECRET, "crosswalk": crosswalk}
    return run_step(Anonymize(**options), batch_of(paths), tmp_path, given)  # type: ignore[arg-type]


def patient(patient_id: str, issuer: str = "") -> Dataset:
    ds = make.ct_series(1)[0]
    ds.PatientID, ds.IssuerOfPatientID = patient_id, issuer
    return ds


def test_an_output_has_the_number_for_name_and_id_and_nothing_of_the_crosswalk(
    tmp_path: Path, crosswalk: Crosswalk
) -> None:
    batch = anonymized(tmp_path, crosswalk, patient("secretive"), patient("q"), numbers="SITE-")
    names = [(str(ds.PatientID), str(ds.PatientName)) for ds in (dcmread(item.path) for item in batch.items)]
    assert names == [("SITE-0001", "SITE-0001"), ("SITE-0002", "SITE-0002")]
    assert b"secretive" not in batch.items[0].path.read_bytes()


@pytest.mark.parametrize("prefix", ["S", "SI"])
def test_a_name_of_odd_length_is_padded_as_every_value(tmp_path: Path, crosswalk: Crosswalk, prefix: str) -> None:
    ds = patient("p")
    ds.ReferencedImageSequence = Sequence([Dataset()])
    ds.ReferencedImageSequence[0].PatientID = "q"
    path = anonymized(tmp_path, crosswalk, ds, numbers=prefix).items[0].path
    after = dcmread(path)
    lengths = [after.get_item(tag).length for tag in (0x00100010, 0x00100020)]
    assert [length % 2 for length in lengths] == [0, 0]
    assert str(dcmread(path).PatientID) == f"{prefix}0001"
    assert str(dcmread(path).ReferencedImageSequence[0].PatientID) == f"{prefix}0002"


def test_a_long_name_is_not_written_where_a_short_one_must_stand(tmp_path: Path, crosswalk: Crosswalk) -> None:
    recipe = tmp_path / "recipe.dicom"
    recipe.write_text("FORMAT dicom\n%header\nREPLACE AccessionNumber func:pseudonym\n")
    ds = patient("p")
    short = anonymized(tmp_path, crosswalk, ds, numbers="S-", recipe=recipe)
    assert dcmread(short.items[0].path).AccessionNumber == "S-0001"
    long = anonymized(tmp_path, crosswalk, ds, numbers="A-PREFIX-THAT-IS-LONG-", recipe=recipe)
    assert "pseudonym is longer" in long.held[0].reason


def test_a_patient_who_is_not_in_the_table_is_held_and_the_others_go_on(tmp_path: Path, crosswalk: Crosswalk) -> None:
    (tmp_path / "t.csv").write_text("patient_id,pseudonym\np,Arm 1-007\n")
    batch = anonymized(tmp_path, crosswalk, patient("p"), patient("secretive"), lookup=tmp_path / "t.csv")
    assert [str(dcmread(item.path).PatientID) for item in batch.items] == ["Arm 1-007"]
    (held,) = batch.held
    assert held.reason == "cannot be de-identified: its patient is not in the lookup table"


def test_a_nested_patient_is_named_as_any_other_and_the_instances_own_has_one_name(
    tmp_path: Path, crosswalk: Crosswalk
) -> None:
    ds = patient("p", "H")
    ds.ReferencedStudySequence = Sequence([Dataset()])
    ds.ReferencedImageSequence = Sequence([Dataset(), Dataset()])
    for item, one in zip(ds.ReferencedImageSequence, ("p", "q"), strict=True):
        item.PatientID, item.ReferencedSOPClassUID = one, make.CT_IMAGE
        item.ReferencedSOPInstanceUID = "1.2.3"
    after = dcmread(anonymized(tmp_path, crosswalk, ds, numbers="S-").items[0].path)
    assert [str(item.PatientID) for item in after.ReferencedImageSequence] == ["S-0001", "S-0002"]


def test_a_crosswalk_that_is_away_is_no_fault_of_the_instance(tmp_path: Path) -> None:
    away = Crosswalk(url=f"postgresql://nobody@/none?host={tmp_path}", data=tmp_path, keys=Keys(SECRET))
    with pytest.raises(TryAgain):
        anonymized(tmp_path, away, patient("p"))
    away.close()


def test_options_that_contradict_or_cannot_be_written_are_problems(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("patient_id,pseudonym\na,A\na,B\n")
    both = Anonymize(lookup=tmp_path / "t.csv", numbers="S-").problems()
    assert len(both) == 2
    assert both[1].startswith(f"{tmp_path / 't.csv'}:3: ")
    for bad in ("é", "S ", "S/", "S^", "x" * 41):
        assert Anonymize(numbers=bad).problems() == ("numbers are letters, digits, - and _ of ASCII, at most 40",)
    assert Anonymize(numbers="SITE-").problems() == ()


@pytest.mark.parametrize(("age", "after"), [("093Y", "090Y"), ("089Y", "089Y"), ("011M", "011M"), ("", "")])
def test_an_age_that_is_kept_is_capped(tmp_path: Path, age: str, after: str) -> None:
    ds = patient("p")
    ds.PatientAge = age
    batch = anonymized(tmp_path, None, ds, options=("retain_patient_characteristics",))
    assert str(dcmread(batch.items[0].path).PatientAge or "") == after


def test_an_age_that_is_none_is_held(tmp_path: Path) -> None:
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    ds = patient("p")
    ds[0x00101010] = RawDataElement(Tag(0x00101010), "AS", 4, b"old ", 0, False, True)
    batch = anonymized(tmp_path, None, ds, options=("retain_patient_characteristics",))
    assert batch.held[0].reason == "cannot be de-identified: (0010,1010) Patient's Age is no valid AS"
