"""Which values of the originals are looked for, and which not."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.tag import Tag

from node.leaks import Collected, Kept, What, collect
from node.leaks.collect import merged
from node.leaks.sources import ADDRESSES, DEPARTMENTS, INSTITUTIONS, SHARED_UIDS
from tests import make
from tests.leaks.patients import UID, item, original


def of(tmp_path: Path, kept: Kept = Kept(), **values: object) -> Collected:  # noqa: B008  a value
    return collect([make.write(original(**values), tmp_path / "original.dcm")], kept)


def test_every_kind_of_value_is_collected(tmp_path: Path) -> None:
    found = of(tmp_path)
    assert (What.PATIENT, "Müller-Königstein^Anna^Q") in found.names
    assert {(What.PERSON, "Okonkwo^Chinua^^Dr."), (What.PERSON, "Petrosyan")} <= found.names
    assert {value for what, value in found.identifiers if what is What.ID} == {
        "MRN-0047113", "ACC 88123457", "5550123", "7",
    }  # fmt: skip
    assert {value for what, value in found.identifiers if what is What.DEVICE} == {"40277-B", "AWP45557"}
    assert found.phones == {"+49 761 555 0199"}
    assert (What.INSTITUTION, "Charité Campus Virchow") in found.phrases
    assert (What.CONTACT, "Lindenallee 27, 79104 Zähringen") in found.phrases
    assert found.departments == {"Neuroradiologie"}
    assert {(What.BIRTH, (1961, 4, 9)), (What.DATE, (2017, 8, 23))} <= found.dates
    assert {UID, make.uid("study"), make.uid("study", "series")} <= found.uids
    assert found.makes == {"siemens"}
    assert found.charsets == {"ISO_IR 192"}
    assert not found.unread


def test_persons_dates_and_uids_are_collected_wherever_they_stand(tmp_path: Path) -> None:
    ds = original()
    ds.ContentSequence = item(PersonName="Adebayo^Tunde", Date="19991231", UID="1.2.3.99")
    ds.private_block(0x0019, "SOMEBODY", create=True).add_new(1, "PN", "Vasquez^Ines")
    found = collect([make.write(ds, tmp_path / "original.dcm")], Kept())
    assert {(What.PERSON, "Adebayo^Tunde"), (What.PERSON, "Vasquez^Ines")} <= found.names
    assert (What.DATE, (1999, 12, 31)) in found.dates
    assert "1.2.3.99" in found.uids


def test_names_are_read_in_their_character_set(tmp_path: Path) -> None:
    ds = original(PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう")
    ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    ds.InstitutionName, ds.PatientAddress = "Charite", "Lindenallee"
    ds.PatientName.encodings = None
    found = collect([make.write(ds, tmp_path / "original.dcm")], Kept())
    assert (What.PATIENT, "Yamada^Tarou=山田^太郎=やまだ^たろう") in found.names
    assert found.charsets == {"ISO 2022 IR 87"}


def undeclared(text: str, charset: str) -> FileDataset:
    """An original whose name stands in a character set that it does not name."""
    ds = original(InstitutionName="Charite", PatientAddress="Lindenallee")
    del ds.SpecificCharacterSet
    raw = text.encode(charset)
    ds[0x00100010] = RawDataElement(Tag(0x00100010), "PN", len(raw), raw + b" " * (len(raw) % 2), 0, False, True)
    return ds


@pytest.mark.parametrize(
    ("name", "codec", "term"),
    [
        ("Müller^Jörg", "latin-1", "ISO_IR 100"),
        ("Иванов^Пётр", "iso8859-5", "ISO_IR 144"),
        ("王^小明", "gb18030", "GB18030"),
    ],
)
def test_names_that_name_no_character_set_are_read_in_that_of_their_peer(
    tmp_path: Path, name: str, codec: str, term: str
) -> None:
    path = make.write(undeclared(name, codec), tmp_path / "original.dcm")
    found = collect([path], Kept(), {path: term})
    assert (What.PATIENT, name) in found.names
    assert found.charsets == {term}
    if term != "ISO_IR 100":  # which all text reads in, that is nothing else
        assert (What.PATIENT, name) not in collect([path], Kept()).names


def test_what_names_its_character_set_is_read_in_that(tmp_path: Path) -> None:
    path = make.write(original(), tmp_path / "original.dcm")
    assert collect([path], Kept(), {path: "ISO_IR 144"}).names == collect([path], Kept()).names


def test_several_values_are_collected_one_by_one(tmp_path: Path) -> None:
    found = of(tmp_path, OtherPatientIDs=["A-111222", "B-333444"], OperatorsName=["Petrosyan", "Adebayo"])
    assert {(What.ID, "A-111222"), (What.ID, "B-333444")} <= found.identifiers
    assert {(What.PERSON, "Petrosyan"), (What.PERSON, "Adebayo")} <= found.names


def test_what_is_the_same_for_all_patients_is_not_collected(tmp_path: Path) -> None:
    found = of(tmp_path, PatientBirthDate="19000101", InstanceCreatorUID="1.2.840.10008.1.2.3")
    assert What.BIRTH not in {what for what, _ in found.dates}
    assert not [uid for uid in found.uids if uid.startswith("1.2.840.10008.")]
    private_class = "1.3.12.2.1107.5.9.1"
    found = of(tmp_path, SOPClassUID=private_class, ReferencedImageSequence=item(ReferencedSOPClassUID=private_class))
    assert private_class not in found.uids


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (["retain_uids"], What.UID),
        (["retain_device_identity"], What.DEVICE),
        (["retain_institution_identity"], What.INSTITUTION),
        (["retain_long_full_dates"], What.DATE),
        (["retain_patient_characteristics", "clean_descriptors"], None),
    ],
)
def test_an_option_says_which_values_stay(options: list[str], gone: What | None) -> None:
    assert Kept.of(options).whats == (frozenset() if gone is None else {gone})


def test_an_attribute_that_a_rule_keeps_gives_nothing_and_takes_its_value_from_others(tmp_path: Path) -> None:
    kept = Kept.of([], tags=[0x00080050, 0x00080020])
    found = of(tmp_path, kept, AdmissionID="ACC 88123457", AcquisitionDate="20170823")
    assert not [value for _, value in found.identifiers if "88123457" in value]
    assert (2017, 8, 23) not in {date for _, date in found.dates}
    assert (1961, 4, 9) in {date for _, date in found.dates}


def test_an_address_of_an_institution_that_is_kept_is_not_looked_for(tmp_path: Path) -> None:
    said = {value for _, value in of(tmp_path, Kept.of(["retain_institution_identity"])).phrases}
    assert "Augustenburger Platz 1, Berlin" not in said
    assert "Lindenallee 27, 79104 Zähringen" in said


def test_an_original_that_breaks_off_gives_what_it_has_and_is_named(tmp_path: Path) -> None:
    path = make.write(original(), tmp_path / "original.dcm")
    path.write_bytes(path.read_bytes()[:-20])
    broken, nothing, other = collect([path], Kept()), tmp_path / "empty", tmp_path / "other"
    assert broken.unread == {path}
    assert (What.PATIENT, "Müller-Königstein^Anna^Q") in broken.names
    nothing.touch()
    other.write_text("no DICOM")
    assert collect([nothing, other], Kept()).unread == {nothing, other}


def test_parts_of_a_unit_are_put_together(tmp_path: Path) -> None:
    one, other = of(tmp_path), of(tmp_path, PatientName="Adebayo^Tunde", SOPInstanceUID="1.2.3.99")
    both = merged([one, other])
    assert both.names == one.names | other.names
    assert both.uids == one.uids | other.uids
    assert merged([]) == Collected()


def test_the_attributes_are_those_of_the_standard() -> None:
    assert 0x00080016 in SHARED_UIDS
    assert 0x00080018 not in SHARED_UIDS
    assert 0x00080080 in INSTITUTIONS
    assert 0x00081040 in DEPARTMENTS
    assert 0x00101040 in ADDRESSES


def test_codes_of_persons_and_institutions_are_collected(tmp_path: Path) -> None:
    person = item(CodeValue="DOC-88123", CodingSchemeDesignator="99LOCAL", CodeMeaning="Adebayo^Tunde")
    ds = original(
        OperatorIdentificationSequence=item(PersonIdentificationCodeSequence=person),
        InstitutionCodeSequence=item(CodeValue="9", CodingSchemeDesignator="99LOCAL", CodeMeaning="Spital Waldau"),
        ProcedureCodeSequence=item(CodeValue="7", CodingSchemeDesignator="99LOCAL", CodeMeaning="CT thorax"),
    )
    found = collect([make.write(ds, tmp_path / "original.dcm")], Kept())
    assert (What.PERSON, "Adebayo^Tunde") in found.names
    assert (What.ID, "DOC-88123") in found.identifiers
    assert (What.INSTITUTION, "Spital Waldau") in found.phrases
    assert not [value for _, value in (*found.names, *found.phrases) if value == "CT thorax"]
