from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node.errors import CannotSucceed
from node.steps.anonymize import Anonymize
from tests import make
from tests.steps.anonymize.driver import result, run


def _recipe(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "site.dicom"
    path.write_text("\n".join(["FORMAT dicom", "", "%header", *lines]) + "\n")
    return path


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("REMVE StudyDate", 'unknown action "REMVE". Did you mean "REMOVE"?'),
        ("remove StudyDate", 'unknown action "remove". Did you mean "REMOVE"?'),
        ("JITTER StudyDate 31", "JITTER is not supported"),
        ("REPLACE PatientID func:nothing", "undefined function func:nothing"),
        ("REPLACE PatientID var:nothing", "undefined variable var:nothing"),
        ("REPLACE SOPInstanceUID deid_func:pydicom_uuid", "not for a recipe to change"),
        ("REPLACE IrradiationEventUID deid_func:pydicom_uuid", "know no secret"),
        ("REPLACE IrradiationEventUID 1.2.3", "use func:uid"),
        ("REPLACE StudyDate func:uid", "does not fit"),
        ("REPLACE StudyDate tomorrow", "the value does not fit DA"),
        ("REPLACE StudyDescription Müster", "ASCII"),
        ("REPLACE ReferencedStudySequence x", "cannot be given as text"),
        ("REMOVE StudyDate func:is_old", "under a condition"),
        ("KEEP PatientNam", 'unknown attribute "PatientNam". Did you mean "PatientName"?'),
        ("KEEP PatientName", "may not be kept"),
        ("KEEP contains:Patient", "may not be kept"),
        ("KEEP ALL", "retain_uids"),
        ("KEEP StudyInstanceUID", "not for a recipe"),
        ("KEEP IrradiationEventUID", "retain_uids"),
        ("KEEP (6000,3000)", "overlays may not be kept"),
        ("KEEP (0019,100C)", "name it by its creator"),
        ("BLANK PixelData", "not for a recipe to change"),
        ("REMOVE PatientIdentityRemoved", "not for a recipe to change"),
        ("REMOVE fields:names", "undefined group names"),
        ("REMOVE values:names", "undefined group names: a section %values names"),
        ("REPLACE StudyDate func:hash", "is DA; hash takes"),
        ("REPLACE StudyDescription func:shift", "is LO; shift takes"),
        ("REPLACE PatientAddress func:clean", "may not be kept"),
        ("%fields", "%fields needs a name"),
        ("REMOVE contains:(", "no regular expression"),
        ("REMOVE contains:Zebra", "matches no attribute"),
        ("REMOVE select:GROUP:zz", "no group"),
        ("ADD contains:Study x", "ADD takes one attribute"),
        ("%filter graylist", '%filter is of use only with the option "clean_pixel_data"'),
        ("%filter", "%filter needs a name"),
        ("%values", "%values needs a name"),
        ("%labels", "section %labels is not supported; there are %header, %filter, %fields, %values"),
    ],
)
def test_a_line_that_is_not_understood_is_a_problem_with_its_place(tmp_path: Path, line: str, problem: str) -> None:
    path = _recipe(tmp_path, "REMOVE StudyID", line)
    problems = Anonymize(recipe=path).problems()
    assert len(problems) == 1
    assert problems[0].startswith(f"{path}:5: ")
    assert problem in problems[0]


def test_a_group_stands_for_its_fields(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = "ACME", "Model", "7"
    recipe = tmp_path / "site.dicom"
    recipe.write_text(
        "FORMAT dicom\n\n%fields maker\nFIELD Manufacturer\nFIELD endswith:ModelName\n\n"
        "%header\nREMOVE fields:maker\nKEEP SoftwareVersions\n"
    )
    after = result(ds, tmp_path, recipe=recipe)
    assert "Manufacturer" not in after
    assert "ManufacturerModelName" not in after
    assert after.SoftwareVersions == "7"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["%fields a", "REMOVE KVP"], 'site.dicom:4: "REMOVE" in %fields'),
        (["%fields a", "FIELD KVP", "%fields a", "FIELD KVP"], "site.dicom:5: group a is defined twice"),
        (["%fields a", "FIELD Nothing", "%header", "REMOVE fields:a"], 'site.dicom:6: unknown attribute "Nothing"'),
        (["%fields a", "%header", "REMOVE fields:a"], "site.dicom:5: undefined group a"),
    ],
)
def test_a_group_that_is_not_understood_is_a_problem(tmp_path: Path, lines: list[str], problem: str) -> None:
    path = tmp_path / "site.dicom"
    path.write_text("\n".join(["FORMAT dicom", "", *lines]) + "\n")
    problems = Anonymize(recipe=path).problems()
    assert len(problems) == 1
    assert problem in problems[0]


def test_a_recipe_shifts_cleans_and_hashes(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.StudyDate, ds.StudyDescription, ds.AccessionNumber = "20200315", "CT of Zebulon", "A-4711"
    recipe = _recipe(
        tmp_path,
        "REPLACE StudyDate func:shift",
        "REPLACE StudyDescription func:clean",
        "REPLACE AccessionNumber func:hash",
    )
    after = result(ds, tmp_path, recipe=recipe)
    assert after.StudyDate not in ("", "20200315")
    assert after.StudyDescription == "CT of"
    assert len(after.AccessionNumber) == 16
    assert after.LongitudinalTemporalInformationModified == "MODIFIED"
    assert "DeidentificationMethodCodeSequence" not in after


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    path = _recipe(tmp_path, "KEEP PatientName", "REPLACE StudyID var:x", "BLANK StudyDate")
    assert [problem.split(": ")[0] for problem in Anonymize(recipe=path).problems()] == [f"{path}:4", f"{path}:5"]


def test_a_recipe_with_a_problem_passes_nothing_on(tmp_path: Path) -> None:
    with pytest.raises(CannotSucceed, match="undefined variable"):
        run(make.ct_series(1)[0], tmp_path, recipe=_recipe(tmp_path, "REPLACE StudyID var:x"))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"%header\nREMOVE StudyDate\n"])
def test_a_file_that_is_no_recipe_is_a_problem(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "site.dicom"
    if content is not None:
        path.write_bytes(content)
    assert len(Anonymize(recipe=path).problems()) == 1


def test_actions_are_laid_over_the_profile(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.Manufacturer, ds.SoftwareVersions, ds.IrradiationEventUID = "ACME", "7", "1.2.3.4"
    ds.ManufacturerModelName, ds.StationName, ds.StudyDescription = "Model", "CT7", "CHEST"
    recipe = _recipe(
        tmp_path,
        "KEEP StudyDescription",
        "REPLACE PatientID SITE-1   # all of them",
        "REPLACE (0008,1010) func:dummy",
        "BLANK Manufacturer",
        "REMOVE endswith:ModelName",
        "ADD InstitutionName Our Trial",
        "REPLACE IrradiationEventUID func:uid",
        "REPLACE ReferringPhysicianName func:pseudonym",
    )
    after = result(ds, tmp_path, recipe=recipe)
    assert after.StudyDescription == "CHEST"
    assert after.PatientID == "SITE-1"
    assert after.StationName == "ANONYMIZED"
    assert after.Manufacturer == ""
    assert "ManufacturerModelName" not in after
    assert after.InstitutionName == "Our Trial"
    assert after.IrradiationEventUID.startswith("2.25.")
    assert after.ReferringPhysicianName == after.PatientName


def test_what_is_kept_is_replaced_all_the_same_where_it_says_the_patient(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, "KEEP StudyDescription")
    assert result(make.ct_series(1)[0], tmp_path, recipe=recipe).StudyDescription == "ANONYMIZED"  # Invented^, INVENTED


def test_the_stronger_line_counts_whatever_the_order(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, "REMOVE ALL", "BLANK StudyID", "KEEP KVP", "REPLACE StudyID 7", "ADD StudyID 8")
    after = result(make.ct_series(1)[0], tmp_path, recipe=recipe)
    assert after.KVP == 120
    assert after.StudyID == "8"
    assert "RescaleType" not in after
    assert after.pixel_array.shape == (12, 10)


def test_a_kept_private_element_keeps_its_block_and_only_itself(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    block = ds.private_block(0x0019, "ACME 1.0", create=True)
    block.add_new(1, "LO", "kept")
    block.add_new(2, "LO", "gone")
    after = result(ds, tmp_path, recipe=_recipe(tmp_path, 'KEEP (0019,"ACME 1.0",01)'))
    assert [str(element.value) for element in after if element.tag.is_private] == ["ACME 1.0", "kept"]


def test_a_safe_private_element_can_be_removed(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "1000")
    recipe = _recipe(tmp_path, 'REMOVE (0019,"SIEMENS MR HEADER",0C)')
    after = result(ds, tmp_path, options=("retain_safe_private",), recipe=recipe)
    assert not [element for element in after if element.tag.is_private]


def test_a_recipe_that_keeps_more_claims_no_profile(tmp_path: Path) -> None:
    stricter = result(make.ct_series(1)[0], tmp_path, recipe=_recipe(tmp_path, "REMOVE KVP"))
    assert stricter.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert stricter.DeidentificationMethod[1].startswith("site recipe ")
    laxer = result(make.ct_series(1)[0], tmp_path, recipe=_recipe(tmp_path, "KEEP StudyDescription"))
    assert "DeidentificationMethodCodeSequence" not in laxer
    assert laxer.DeidentificationMethod[1].endswith("keeps more than the profile")


def test_a_kept_sequence_is_still_cleaned_within(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    item = Dataset()
    item.RequestedProcedureID, item.RequestedProcedureDescription, item.PatientName = "P7", "Smith", "Smith"
    ds.RequestAttributesSequence = [item]
    after = result(ds, tmp_path, recipe=_recipe(tmp_path, "KEEP RequestAttributesSequence"))
    assert "Smith" not in str(after)
    assert len(after.RequestAttributesSequence) == 1
