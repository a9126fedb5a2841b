"""What a recorder is told where values are moved, cleaned or hashed, items go, pixels are blacked, originals sealed."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence

from node.certificate.account import Total, add_up
from node.certificate.actions import Done
from node.certificate.keys import Keys
from node.dicom.attributes import tag_of
from node.steps.anonymize import Anonymize
from node.steps.anonymize.instance import Anonymizer
from node.steps.anonymize.pixel_rules import bundled
from node.steps.anonymize.telling import UntilCleaned
from tests import make
from tests.dicom.certificates import written
from tests.steps.anonymize import planted
from tests.steps.anonymize import ultrasound as us
from tests.steps.anonymize.driver import SECRET, output, run
from tests.steps.anonymize.test_content import ACCESSION, FINDING, code, item, report
from tests.steps.anonymize.test_telling import Listener, agrees


def listened(ds: FileDataset, tmp_path: Path, **options: Any) -> tuple[Listener, FileDataset]:
    step, listener = Anonymize(**options), Listener()
    assert not step.problems()
    source, target = make.write(ds, tmp_path / "in.dcm"), tmp_path / "out.dcm"
    patients = step.patients({"secret": SECRET})
    Anonymizer(step.plan_for(), patients, step.seal(), step.cleaning()).anonymize(source, target, listener)
    return listener, dcmread(target)


def values(listener: Listener, keyword: str) -> tuple[bytes | None, bytes | None]:
    (found,) = [(before, after) for path, _, before, after in listener.told if path == (tag_of(keyword),)]
    return found


def test_a_date_that_is_moved_is_shifted_and_one_that_is_none_is_what_the_profile_makes_of_it(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.AcquisitionDate, ds.ContentDate, ds.TimezoneOffsetFromUTC = "20260229", "", "+0100"
    listener, after = listened(ds, tmp_path, options=("retain_long_modified_dates",))
    agrees(listener, ds, after)
    assert listener.of("StudyDate") == [Done.SHIFTED]
    assert values(listener, "StudyDate") == (ds.StudyDate.encode(), after.StudyDate.encode())
    assert listener.of("StudyTime") == listener.of("TimezoneOffsetFromUTC") == [Done.KEPT]
    assert listener.of("AcquisitionDate") == [Done.REMOVED], "the 29th of February of no leap year"
    assert listener.of("ContentDate") == [Done.KEPT], "there was none"


def test_text_is_cleaned_kept_or_gone(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.PatientName, ds.StudyDescription, ds.SeriesDescription = "Mustermann^Erika", "CT chest Mustermann", "CT chest"
    ds.ImageComments = "Mustermann"
    inner = Dataset()
    inner.RequestedProcedureDescription = "CT Mustermann"
    ds.RequestAttributesSequence = Sequence([inner])
    listener, after = listened(ds, tmp_path, options=("clean_descriptors",))
    agrees(listener, ds, after)
    assert listener.of("StudyDescription") == [Done.CLEANED]
    assert values(listener, "StudyDescription")[1] == b"CT chest"
    assert listener.of("SeriesDescription") == [Done.KEPT]
    assert listener.of("ImageComments") == [Done.REMOVED]
    assert listener.of("RequestAttributesSequence") == [Done.KEPT]
    assert listener.of("RequestAttributesSequence", "RequestedProcedureDescription") == [Done.CLEANED]


def test_site_rules_are_told_by_what_they_did(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.InstitutionName, ds.StationName = "Hospital", "CT7"
    block = ds.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    rules: tuple[Mapping[str, str], ...] = (
        {"hash": "StationName"}, {"replace": "InstitutionName", "with": "Trial 7"}, {"shift": "StudyDate"},
        {"keep": '(0019,"SIEMENS MR HEADER",0C)'},
    )  # fmt: skip
    listener, after = listened(ds, tmp_path, rules=rules)
    agrees(listener, ds, after)
    assert listener.of("StationName") == [Done.HASHED]
    assert listener.of("InstitutionName") == [Done.REPLACED]
    assert listener.of("StudyDate") == [Done.SHIFTED]
    assert [done for path, done, _, _ in listener.told if path == (0x0019100C,)] == [Done.KEPT]


def test_an_item_of_a_report_that_goes_is_told_by_its_attributes(tmp_path: Path) -> None:
    ds = report(
        item("TEXT", FINDING, TextValue="a nodule of Mustermann"), item("TEXT", ACCESSION, TextValue="A17"),
        item("NUM", code("121206")),
    )  # fmt: skip
    listener, after = listened(ds, tmp_path, options=("clean_structured_content", "clean_descriptors"))
    agrees(listener, ds, after)
    assert listener.of("ContentSequence") == [Done.KEPT]
    texts = listener.of("ContentSequence", "TextValue")
    assert sorted(texts) == [Done.CLEANED, Done.REMOVED]


def test_every_planted_attribute_is_told_of_with_every_option(tmp_path: Path) -> None:
    ds, _ = planted.everywhere()
    for options in (
        ("clean_descriptors", "retain_long_modified_dates", "clean_graphics"),
        ("clean_descriptors", "retain_long_full_dates", "retain_institution_identity", "retain_device_identity"),
    ):
        listener, after = listened(ds, tmp_path, options=options)
        agrees(listener, dcmread(tmp_path / "in.dcm"), after)


def test_another_patient_within_the_instance_is_told_of_as_the_own_one_is(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    other = Dataset()
    other.PatientName, other.PatientID, other.IssuerOfPatientID = "Somebody^Else", "OTHER-1", "elsewhere"
    ds.ReferencedPatientSequence = Sequence([other])
    rules = ({"keep": "ReferencedPatientSequence"}, {"hash": "ReferencedPatientSequence.PatientID"})
    listener, after = listened(ds, tmp_path, rules=rules)
    agrees(listener, ds, after)
    assert listener.of("ReferencedPatientSequence", "PatientName") == [Done.REPLACED]
    assert listener.of("ReferencedPatientSequence", "PatientID") == [Done.HASHED]
    assert after.ReferencedPatientSequence[0].PatientName != after.PatientName


# ---- pixels --------------------------------------------------------------------------------------------------


def test_pixels_that_are_blacked_are_masked_and_what_says_so_has_its_last_value(tmp_path: Path) -> None:
    ds = us.image()
    listener, after = listened(ds, tmp_path, options=("clean_pixel_data",))
    assert listener.of("PixelData") == [Done.MASKED]
    assert values(listener, "PixelData") == (None, None)
    assert listener.of("BurnedInAnnotation") == [Done.REPLACED]
    assert values(listener, "BurnedInAnnotation") == (b"YES ", b"NO")
    assert listener.of("DeidentificationMethod") == [Done.ADDED]
    assert values(listener, "DeidentificationMethod")[1] == "\\".join(after.DeidentificationMethod).encode() + b" "
    assert listener.of("PhotometricInterpretation") == [Done.KEPT]


def test_what_masking_adds_is_added(tmp_path: Path) -> None:
    ds = us.image()
    del ds.BurnedInAnnotation
    listener, _ = listened(ds, tmp_path, options=("clean_pixel_data",))
    assert listener.of("BurnedInAnnotation") == [Done.ADDED]


def test_pixels_that_nothing_is_done_to_are_kept(tmp_path: Path) -> None:
    listener, _ = listened(make.ct_series(1)[0], tmp_path, options=("clean_pixel_data",))
    assert listener.of("PixelData") == [Done.KEPT]


def test_what_was_kept_back_is_told_as_it_was_where_no_pixel_was_cleaned() -> None:
    listener = Listener()
    waiting = UntilCleaned(listener)
    waiting.did((0x00280301,), Done.KEPT, b"NO", b"NO")
    waiting.did((0x7FE00010,), Done.KEPT, b"12", b"12")
    waiting.did((0x00100010,), Done.REPLACED, b"A", b"B")
    waiting.did((0x00082112, 0x00280301), Done.KEPT, b"NO", b"NO")
    assert [path for path, *_ in listener.told] == [(0x00100010,), (0x00082112, 0x00280301)]
    waiting.as_it_was()
    assert listener.told[2:] == [
        ((0x00280301,), Done.KEPT, b"NO", b"NO"), ((0x7FE00010,), Done.KEPT, b"12", b"12"),
    ]  # fmt: skip


def test_bits_that_are_cleared_are_no_mask_and_tables_that_are_gone_are_removed() -> None:
    listener, header = Listener(), Dataset()
    waiting = UntilCleaned(listener)
    waiting.did((0x7FE00010,), Done.KEPT, b"12", b"12")
    waiting.did((0x7FE00001,), Done.KEPT, struct.pack("<Q", 0), struct.pack("<Q", 0))
    waiting.cleaned(header, Done.CLEANED)
    assert listener.told == [
        ((0x7FE00010,), Done.CLEANED, None, None), ((0x7FE00001,), Done.REMOVED, struct.pack("<Q", 0), None),
    ]  # fmt: skip


# ---- the account ---------------------------------------------------------------------------------------------


def test_the_encrypted_originals_are_told_of_and_no_value_of_them(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    public, _ = written(tmp_path)
    listener, after = listened(make.ct_series(1)[0], tmp_path, reversible=public)
    assert "EncryptedAttributesSequence" in after
    assert listener.of("EncryptedAttributesSequence") == [Done.ADDED]
    assert values(listener, "EncryptedAttributesSequence") == (None, None)


def test_the_account_has_what_was_done_to_pixels_and_by_which_rules(tmp_path: Path) -> None:
    (total,) = add_up(one.account for one in run(us.image(), tmp_path, options=("clean_pixel_data",)).items)
    assert isinstance(total, Total)
    assert total.method["pixels"] == {
        "bundled": bundled().bundled, "ocr": "off", "rules": ["bundled"], "text_found": "hold",
    }  # fmt: skip
    assert len(bundled().bundled) == 64
    assert total.actions["(7FE0,0010)"] == {"masked": 1}
    rules = ({"keep": "StudyDescription"},)
    (total,) = add_up(one.account for one in run(make.ct_series(1)[0], tmp_path, rules=rules, numbers="").items)
    assert len(total.method["rules"]) == 12


def test_the_account_of_the_step_is_the_same_each_time(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = run(us.image(), tmp_path / "one", options=("clean_pixel_data",)).items[0]
    two = run(us.image(), tmp_path / "two", options=("clean_pixel_data",)).items[0]
    assert one.account == two.account
    assert one.path.read_bytes() == two.path.read_bytes()
    code_of = Keys(SECRET).value()
    masked = output(us.image(), tmp_path / "one", options=("clean_pixel_data",)).read_bytes()
    assert code_of(masked[-us.pixels().size :]) not in one.account
