"""What is remembered of one element says nothing of another: not of another patient's, nor of one in another place."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence

from node.dicom import levels
from node.dicom.levels import EXPLICIT, IMPLICIT
from node.steps.anonymize import Anonymize, instance
from node.steps.anonymize.actions import Do
from node.steps.anonymize.cleaning import cleaner_for
from node.steps.anonymize.instance import Anonymizer
from node.steps.anonymize.known import Known
from node.steps.anonymize.memory import Memory
from node.steps.anonymize.patients import Patients
from node.steps.anonymize.scope import Scope
from tests import make
from tests.steps.anonymize.choices import CHOICES, examples, plan_of
from tests.steps.anonymize.driver import SECRET
from tests.steps.anonymize.generated import Generator, element, file
from tests.steps.anonymize.test_engine import assert_same, by_the_engine, by_the_reference

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class KeyForEach:
    """A crosswalk in which every patient has a key of its own."""

    def key(self, issuer: str, patient_id: str, study: str) -> bytes:
        return hashlib.sha256(f"{issuer}|{patient_id}|{'' if patient_id else study}".encode()).digest()

    def of_study(self, study: str, key: bytes, *, identified: bool) -> bytes:
        return key

    def name(self, issuer: str, patient_id: str, study: str, scheme: str, proposed: str | None) -> str:
        assert proposed is not None
        return proposed


def patients() -> Patients:
    return Patients(SECRET, KeyForEach())


@pytest.fixture(autouse=True, scope="module")
def _every_kind() -> Iterator[None]:
    """Also those that would be held for what their content may show."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instance, "burned_in", lambda _: None)
        yield


# ---- the frame -----------------------------------------------------------------------------------------

_PLAIN = Scope(
    plan=plan_of("basic"), patients=patients(), encodings=("utf8",), patient=patients().find("", "A", ""),
    own_uids=frozenset({"1.2"}), nested=True, path=(0x00081140,),
)  # fmt: skip
_OTHERWISE = {
    "plan": plan_of("descriptors"),
    "encodings": ("latin-1",),
    "patient": patients().find("", "B", ""),
    "own_words": re.compile("anna"),
    "cleaner": cleaner_for(Known(), frozenset()),
    "days": 7,
    "nested": False,
    "path": (0x00082112,),
    "in_dummy": True,
    "in_clean": True,
    "in_content": True,
    "by_place": True,
    "own": (0x0040A160, Do.KEEP),
}
_NEVER = {"patients", "own_uids"}
"""One for a whole run; and what engine.py remembers nothing of that depends on it."""


@pytest.mark.parametrize("field", sorted(field.name for field in fields(Scope) if field.name not in _NEVER))
def test_all_of_a_scope_tells_what_is_remembered_apart(field: str) -> None:
    memory = Memory()
    assert memory.of(_PLAIN, EXPLICIT) is memory.of(replace(_PLAIN), EXPLICIT)
    other = replace(_PLAIN, **{field: _OTHERWISE[field]})
    assert memory.of(_PLAIN, EXPLICIT) is not memory.of(other, EXPLICIT)


def test_explicit_and_implicit_elements_are_told_apart() -> None:
    memory = Memory()
    assert memory.of(_PLAIN, EXPLICIT) is not memory.of(_PLAIN, IMPLICIT)


def test_all_above_an_item_counts_only_where_a_rule_names_a_path() -> None:
    memory, deeper = Memory(), (0x00400275, 0x00081140)
    assert memory.of(_PLAIN, EXPLICIT) is memory.of(replace(_PLAIN, path=deeper), EXPLICIT)
    ruled = replace(_PLAIN, plan=plan_of("rules"))
    assert memory.of(ruled, EXPLICIT) is not memory.of(replace(ruled, path=deeper), EXPLICIT)


def test_what_goes_for_what_others_say_is_remembered_apart() -> None:
    """The same bytes may be of a private element that stays in another item: there its creator is on the list."""
    memory = Memory()
    assert memory.of(_PLAIN, EXPLICIT, telling=True, gone=True) is not memory.of(_PLAIN, EXPLICIT, telling=True)


def test_the_whole_path_counts_where_it_is_told() -> None:
    memory, deeper = Memory(), replace(_PLAIN, path=(0x00400275, 0x00081140))
    assert memory.of(_PLAIN, EXPLICIT, telling=True) is not memory.of(_PLAIN, EXPLICIT)
    assert memory.of(_PLAIN, EXPLICIT, telling=True) is not memory.of(deeper, EXPLICIT, telling=True)


def test_memory_is_bounded_and_knows_no_object_that_is_gone() -> None:
    """Ids are those of objects that are there: a plan that is collected may give its id to the next."""
    memory = Memory()
    for number in range(1000):
        scope = replace(_PLAIN, patient=patients().find("", f"P{number}", ""))
        assert not memory.of(scope, EXPLICIT).latest
        memory.of(scope, EXPLICIT).keep(b"key", (b"value", ()))
    assert len(memory.known) <= 128


# ---- any data sets, one after the other ----------------------------------------------------------------

_seeds = st.integers(0, 2**64 - 1)
_INSTEAD = {
    0x00100010: ("PN", [b"Zyxwvut^Abcdefg ", b"Smith^Padded", b"Head^T1"]),
    0x00100020: ("LO", [b"ID-77 11", b"19770707", b"T1 ax ", b""]),
    0x00100021: ("LO", [b"HERE", b""]),
    0x00080005: ("CS", [b"ISO_IR 100", b"ISO_IR 192", b"\\ISO 2022 IR 87"]),
    0x00080018: ("UI", [b"1.2.3.9\0", b"2.25.7"]),
    0x00080016: ("UI", [make.MR_IMAGE.encode() + b"\0", make.CT_IMAGE.encode() + b"\0"]),
    0x00081048: ("PN", [b"Ward^Chest", b"Helix^Seen"]),
}
"""What a twin of a data set may have instead, at its top."""


@st.composite
def twins(draw: st.DrawFn, *, explicit: bool) -> list[bytes]:
    """A data set several times, each time with a few other elements at its top and the rest as it was."""
    data = Generator(draw(_seeds), explicit=explicit, content=draw(st.booleans())).data_set()
    parse = EXPLICIT if explicit else IMPLICIT
    top = {each[0]: data[each[2] : each[4]] for each in levels.top(data, 0, parse).values()}
    made = []
    for _ in range(4):
        changed = dict(top)
        for tag in draw(st.sets(st.sampled_from(sorted(_INSTEAD)), max_size=3)):
            vr, values = _INSTEAD[tag]
            changed[tag] = element(tag, vr, draw(st.sampled_from(values)), explicit=explicit)
        made.append(b"".join(changed[tag] for tag in sorted(changed)))
    return [*made, *made]


@examples(25)
@given(st.data(), st.sampled_from(sorted(CHOICES)), st.booleans())
def test_each_of_several_twins_becomes_what_the_reference_makes_of_it_alone(
    data: st.DataObject, choice: str, explicit: bool
) -> None:
    plan_for = {uid: plan_of(choice, uid) for uid in (make.MR_IMAGE, make.CT_IMAGE)}
    together = Anonymizer(plan_for.__getitem__, patients())
    with tempfile.TemporaryDirectory() as folder:
        for one in data.draw(twins(explicit=explicit)):
            path = file(Path(folder) / "in", one, explicit=explicit)
            plan = plan_for[make.CT_IMAGE if make.CT_IMAGE.encode() in one[:300] else make.MR_IMAGE]
            assert_same(by_the_engine(path, together), by_the_reference(path, plan, patients()))


@examples(15)
@given(st.lists(_seeds, min_size=4, max_size=4), st.sampled_from(sorted(CHOICES)), st.booleans())
def test_what_is_remembered_of_one_instance_says_nothing_of_another(
    seeds: list[int], choice: str, explicit: bool
) -> None:
    """They share many elements, and differ in patient, UIDs and character set."""
    plan = plan_of(choice)
    together = Anonymizer(lambda _: plan, patients())
    with tempfile.TemporaryDirectory() as folder:
        for seed in [*seeds, *seeds]:
            data = Generator(seed, explicit=explicit, content=True).data_set()
            path = file(Path(folder) / "in", data, explicit=explicit)
            assert_same(by_the_engine(path, together), by_the_reference(path, plan, patients()))


# ---- cases by hand -------------------------------------------------------------------------------------


def _of(name: str, patient_id: str, **attributes: object) -> FileDataset:
    ds = make.ct_series(1)[0]
    ds.PatientName, ds.PatientID = name, patient_id
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def _together(tmp_path: Path, instances: list[FileDataset], **options: object) -> list[FileDataset]:
    """All of them through one Anonymizer, twice; what each became the second time."""
    step = Anonymize(**options)  # type: ignore[arg-type]
    assert not step.problems(), step.problems()
    anonymizer, found = Anonymizer(step.plan_for(), patients()), []
    for number, ds in enumerate([*instances, *instances]):
        ds.save_as(tmp_path / "in.dcm", enforce_file_format=True)
        target = tmp_path / f"{number}.dcm"
        anonymizer.anonymize(tmp_path / "in.dcm", target)
        found.append(dcmread(target))
    return found[len(instances) :]


def _item(**attributes: object) -> Sequence:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return Sequence([item])


def test_two_patients_have_their_own_names_dates_uids_and_hashes(tmp_path: Path) -> None:
    shared = {
        "AcquisitionDate": "20200102", "StudyID": "7", "StudyInstanceUID": "1.2.3",
        "SourceImageSequence": _item(ReferencedSOPClassUID=make.CT_IMAGE, ReferencedSOPInstanceUID="1.2.3.4"),
    }  # fmt: skip
    rules = ({"hash": "StudyID"},)
    one, other = _together(
        tmp_path, [_of("Anna^A", "A-1", **shared), _of("Bert^B", "B-2", **shared)],
        options=("retain_long_modified_dates",), rules=rules,
    )  # fmt: skip
    for path in ("PatientID", "PatientName", "AcquisitionDate", "StudyID", "StudyInstanceUID"):
        assert one[path].value != other[path].value, path
    sources = [ds.SourceImageSequence[0].ReferencedSOPInstanceUID for ds in (one, other)]
    assert sources[0] != sources[1]


def test_a_patient_that_an_item_names_has_its_own_values_within_anyone_and_days_of_the_instance(tmp_path: Path) -> None:
    mother = {"RequestAttributesSequence": _item(PatientID="M-3", PatientName="Mia^M", StudyDate="20200102",
              SourceImageSequence=_item(ReferencedSOPInstanceUID="1.2.9"))}  # fmt: skip
    rules = ({"keep": "RequestAttributesSequence"},)
    one, other = _together(
        tmp_path, [_of("Anna^A", "A-1", **mother), _of("Bert^B", "B-2", **mother)],
        options=("retain_long_modified_dates",), rules=rules,
    )  # fmt: skip
    inner, same = one.RequestAttributesSequence[0], other.RequestAttributesSequence[0]
    assert inner.PatientID == same.PatientID == patients().find("", "M-3", "").name
    assert inner.SourceImageSequence == same.SourceImageSequence
    assert inner.StudyDate != same.StudyDate


def test_a_text_that_names_one_patient_is_a_text_for_another(tmp_path: Path) -> None:
    shared = {"Manufacturer": "of Gruber", "SoftwareVersions": "Gruber", "BodyPartExamined": "GRUBER"}
    one, other = _together(tmp_path, [_of("Gruber^Anna", "A-1", **shared), _of("Bert^B", "B-2", **shared)])
    assert (one.Manufacturer, one.BodyPartExamined) == ("ANONYMIZED", "ANONYMIZED")
    assert (other.Manufacturer, other.BodyPartExamined) == ("of Gruber", "GRUBER")


def test_a_text_is_cleaned_of_the_people_of_its_own_instance(tmp_path: Path) -> None:
    text = "CT helix"
    one, other = _together(
        tmp_path,
        [_of("A^A", "A-1", StudyDescription=text, OperatorsName="Helix^Eva"), _of("A^A", "A-1", StudyDescription=text)],
        options=("clean_descriptors",),
    )
    assert (one.StudyDescription, other.StudyDescription) == ("CT", "CT helix")


def test_the_same_bytes_in_another_place_go_by_the_rule_for_that_place(tmp_path: Path) -> None:
    code = _item(CodeValue="P1", CodingSchemeDesignator="99X", CodeMeaning="of nobody")
    ds = _of("A^A", "A-1", ProcedureCodeSequence=code, AnatomicRegionSequence=code, ReferencedStudySequence=_item(
        ReferencedSOPInstanceUID="1.2.9", PurposeOfReferenceCodeSequence=code))  # fmt: skip
    rules = (
        {"replace": "AnatomicRegionSequence.CodeValue", "with": "OURS"},
        {"blank": "ReferencedStudySequence.PurposeOfReferenceCodeSequence.CodeValue"},
        {"keep": ["ProcedureCodeSequence", "AnatomicRegionSequence", "ReferencedStudySequence"]},
    )
    (after,) = _together(tmp_path, [ds], rules=rules)
    assert after.ProcedureCodeSequence[0].CodeValue == "P1"
    assert after.AnatomicRegionSequence[0].CodeValue == "OURS"
    assert after.ReferencedStudySequence[0].PurposeOfReferenceCodeSequence[0].CodeValue in ("", None)


def test_the_same_value_of_two_content_items_goes_by_the_concept_of_each(tmp_path: Path) -> None:
    def item(code: str) -> Dataset:
        return _item(
            RelationshipType="CONTAINS", ValueType="TEXT", TextValue="CT chest", ConceptNameCodeSequence=_item(
                CodeValue=code, CodingSchemeDesignator="DCM", CodeMeaning="a concept"),
        )[0]  # fmt: skip

    ds = _of("A^A", "A-1", ContentSequence=Sequence([item("121071"), item("121022"), item("121071")]))
    (after,) = _together(tmp_path, [ds], options=("clean_structured_content", "clean_descriptors"))
    assert [one.TextValue for one in after.ContentSequence] == ["CT chest", "CT chest"]
    by_place = Dataset()
    by_place.RelationshipType, by_place.ReferencedContentItemIdentifier = "INFERRED FROM", [1, 2]
    ds.ContentSequence[2].ContentSequence = Sequence([by_place])
    (after,) = _together(tmp_path, [ds], options=("clean_structured_content", "clean_descriptors"))
    assert [one.TextValue for one in after.ContentSequence] == ["CT chest", "ANONYMIZED", "CT chest"]
