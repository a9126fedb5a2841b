"""Attributes that a recipe means by what they say: in every place, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence

from node.certificate.actions import Done
from node.dicom.attributes import tag_of
from node.steps.anonymize import Anonymize
from node.steps.anonymize.preview import preview
from tests import make
from tests.steps.anonymize.driver import SECRET, result, run


def recipe(tmp_path: Path, *header: str, values: tuple[str, ...] = ("FIELD DeviceSerialNumber",)) -> Path:
    path = tmp_path / "site.dicom"
    path.write_text("\n".join(["FORMAT dicom", "%values found", *values, "%header", *header]) + "\n")
    return path


def ct() -> FileDataset:
    """With a serial number that stands in attributes which no table names."""
    ds = make.ct_series(1)[0]
    ds.DeviceSerialNumber = "X7-4711"
    ds.SequenceName, ds.ScanOptions, ds.ProtocolName = "fl3d x7-4711 ax", "HELIX", "CT chest"
    inner = Dataset()
    inner.SequenceName = "x X7-4711"
    ds.AnatomicRegionSequence = Sequence([inner])
    return ds


def test_what_says_it_goes_at_every_depth_and_what_does_not_stays(tmp_path: Path) -> None:
    after = result(ct(), tmp_path, recipe=recipe(tmp_path, "REMOVE values:found"))
    assert "SequenceName" not in after
    assert "SequenceName" not in after.AnatomicRegionSequence[0]
    assert after.ScanOptions == "HELIX"


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("BLANK values:found", ""),
        ("REPLACE values:found GONE", "GONE"),
        ("REPLACE values:found func:dummy", "ANONYMIZED"),
        ("REPLACE values:found more than sixteen letters", "ANONYMIZED"),
    ],
)
def test_it_is_blanked_or_replaced_and_what_does_not_fit_is_a_dummy(line: str, left: str, tmp_path: Path) -> None:
    assert result(ct(), tmp_path, recipe=recipe(tmp_path, line)).SequenceName == left


def test_equal_values_stay_equal_by_hash(tmp_path: Path) -> None:
    ds = ct()
    ds.ContrastBolusAgent, ds.ContrastBolusRoute = "x7-4711 x", "x7-4711 x"
    after = result(ds, tmp_path, recipe=recipe(tmp_path, "REPLACE values:found func:hash"))
    assert len(after.ContrastBolusAgent) == 16
    assert after.ContrastBolusAgent == after.ContrastBolusRoute != after.SequenceName


def test_parts_of_a_value_count_from_their_least_length(tmp_path: Path) -> None:
    ds = ct()
    ds.PatientName = "Mustermann^Eva^Li"
    ds.SequenceName, ds.ScanOptions, ds.ContrastBolusAgent = "eva", "LI", "mustermannium"
    path = recipe(tmp_path, "REMOVE values:found", values=('SPLIT PatientName by="^";minlength=3',))
    after = result(ds, tmp_path, recipe=path)
    assert "SequenceName" not in after
    assert "ContrastBolusAgent" not in after, "as in deid, in the middle of a word too"
    assert after.ScanOptions == "LI"


def test_a_blank_parts_values_where_nothing_is_said(tmp_path: Path) -> None:
    ds = ct()
    ds.ProtocolName, ds.SequenceName, ds.ScanOptions = "chest trial", "trial", "CHESTS"
    path = recipe(tmp_path, "REMOVE values:found", values=("SPLIT ProtocolName",))
    after = result(ds, tmp_path, recipe=path)
    assert "SequenceName" not in after
    assert "ScanOptions" not in after


def test_letters_of_a_regular_expression_are_letters(tmp_path: Path) -> None:
    ds = ct()
    ds.DeviceSerialNumber, ds.SequenceName = "A.(1", "b a.(1"
    ds.ContrastBolusRoute = "AB(1"
    after = result(ds, tmp_path, recipe=recipe(tmp_path, "REMOVE values:found"))
    assert "SequenceName" not in after
    assert after.ContrastBolusRoute == "AB(1"


def test_numbers_dates_and_uids_are_meant_when_they_are_the_value(tmp_path: Path) -> None:
    ds = ct()
    ds.DeviceSerialNumber = "120"
    ds.KVP, ds.ExposureTime, ds.XRayTubeCurrent = "120", "1200", "120"
    after = result(ds, tmp_path, recipe=recipe(tmp_path, "REMOVE values:found"))
    assert "KVP" not in after
    assert "XRayTubeCurrent" not in after
    assert after.ExposureTime == 1200


def test_what_a_stronger_line_or_a_site_rule_names_is_left_to_it(tmp_path: Path) -> None:
    path = recipe(tmp_path, "REMOVE values:found", "REPLACE SequenceName SITE")
    assert result(ct(), tmp_path, recipe=path).SequenceName == "SITE"
    path = recipe(tmp_path, "REMOVE values:found", "BLANK SequenceName")
    assert "SequenceName" not in result(ct(), tmp_path, recipe=path)
    path = recipe(tmp_path, "REMOVE values:found")
    after = result(ct(), tmp_path, recipe=path, rules=({"replace": "SequenceName", "with": "OURS"},))
    assert after.SequenceName == "OURS"


def test_layout_and_the_instances_own_uids_are_never_meant(tmp_path: Path) -> None:
    ds = ct()
    ds.DeviceSerialNumber = str(ds.SOPClassUID)
    ds.PhotometricInterpretation = "MONOCHROME2"
    path = recipe(tmp_path, "REMOVE values:found", values=("FIELD SOPClassUID", "FIELD PhotometricInterpretation"))
    after = result(ds, tmp_path, recipe=path)
    assert (after.SOPClassUID, after.PhotometricInterpretation) == (ds.SOPClassUID, "MONOCHROME2")


def test_private_elements_that_are_kept_are_meant_too_and_give_values(tmp_path: Path) -> None:
    ds = ct()
    block = ds.private_block(0x0019, "ACME", create=True)
    block.add_new(0x08, "LO", "NUM 4")
    block.add_new(0x09, "LO", "1.0 X7-4711")
    rules: dict[str, Any] = {"rules": ({"keep": ('(0019,"ACME",08)', '(0019,"ACME",09)')},)}
    for syntax in ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2"):
        ds.file_meta.TransferSyntaxUID = syntax
        source = make.write(ds, tmp_path / "private.dcm")
        after = result(source, tmp_path, recipe=recipe(tmp_path, "REMOVE values:found"), **rules)
        assert 0x00191008 in after
        assert 0x00191009 not in after
        path = recipe(tmp_path, "BLANK values:found", values=('FIELD (0019,"ACME",08)',))
        ds.SequenceName = "of num 4"
        after = result(make.write(ds, tmp_path / "private.dcm"), tmp_path, recipe=path, **rules)
        assert after.SequenceName == ""
        assert not after[0x00191008].value
        assert after[0x00191009].value


def test_a_data_set_without_such_a_value_is_as_without_the_line(tmp_path: Path) -> None:
    ds = ct()
    del ds.DeviceSerialNumber
    with_it = result(ds, tmp_path, recipe=recipe(tmp_path, "REMOVE values:found", "REMOVE ScanOptions"))
    without = result(ds, tmp_path, recipe=recipe(tmp_path, "REMOVE ScanOptions"))
    for one in (with_it, without):
        del one.DeidentificationMethod
    assert with_it == without


def test_text_in_another_character_set_is_meant_and_text_that_lies_holds_as_ever(tmp_path: Path) -> None:
    ds = ct()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.DeviceSerialNumber, ds.ContrastBolusAgent = "Größe", "xx GRÖßE"
    ds.SequenceName = "groesse"
    after = result(ds, tmp_path, recipe=recipe(tmp_path, "REMOVE values:found"))
    assert "ContrastBolusAgent" not in after
    assert after.SequenceName == "groesse"
    path = make.write(ds, tmp_path / "lies.dcm")
    path.write_bytes(path.read_bytes().replace(b"groesse ", b"gr\xffesse "))
    held = run(path, tmp_path, recipe=recipe(tmp_path, "REMOVE values:found")).held
    assert "character set" in held[0].reason


@pytest.mark.parametrize(
    ("lines", "number", "problem"),
    [
        (["KEEP values:found"], 4, "would leave what says them; name the attributes"),
        (["ADD values:found x"], 4, "would leave what says them"),
        (["REPLACE values:found func:clean"], 4, "would leave some of the value"),
        (["REPLACE values:found func:nothing"], 4, "undefined function"),
        (["REPLACE values:found Gömöri"], 4, "must be ASCII"),
        (["REMOVE values:found func:x"], 4, "under a condition"),
        (["REMOVE values:fond"], 4, "undefined group fond"),
    ],
)
def test_a_line_that_would_leave_something_is_a_problem(
    lines: list[str], number: int, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "site.dicom"
    path.write_text("\n".join(["FORMAT dicom", "%values found", "FIELD DeviceSerialNumber", "%header", *lines]) + "\n")
    found = Anonymize(recipe=path).problems()
    assert len(found) == 1
    assert found[0].startswith(f"{path}:{number + 1}: ")
    assert problem in found[0]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("FIELD DeviceSerialNumbr", "unknown attribute"),
        ("SPLIT PatientName least=3", "SPLIT has by=x and minlength=n"),
        ("SPLIT PatientName minlength=few", "minlength is a whole number"), ("FIELD PatientName x", "a field alone"),
        ("REMOVE PatientName", "which has lines FIELD and SPLIT only"),
    ],
)  # fmt: skip
def test_a_line_of_values_that_is_not_understood_is_a_problem_with_its_place(
    line: str, problem: str, tmp_path: Path
) -> None:
    path = recipe(tmp_path, "REMOVE values:found", values=(line,))
    found = Anonymize(recipe=path).problems()
    assert found
    assert found[0].startswith(f"{path}:3: ")
    assert problem in found[0]


def test_the_preview_names_the_line(tmp_path: Path) -> None:
    step = Anonymize(recipe=recipe(tmp_path, "REMOVE ScanOptions", "REMOVE values:found"))
    source = make.write(ct(), tmp_path / "in.dcm")
    told = preview(step, source, tmp_path / "out.dcm", {"secret": SECRET})
    (line,) = [one for one in told if one.path == (tag_of("SequenceName"),)]
    assert (line.done, line.rule) == (Done.REMOVED, "recipe: site.dicom:6")


@given(
    value=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"), min_size=2, max_size=12)
)
def test_no_text_that_says_a_value_is_left(value: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("value")
    ds = make.ct_series(1, rows=2, columns=2)[0]
    ds.PatientComments, ds.SequenceName = value, f"a{value.swapcase()}b"[:16]
    ds.ContrastBolusAgent = f"x {value.lower()} y"
    inner = Dataset()
    inner.ContrastBolusAgent = value.upper()
    ds.AnatomicRegionSequence = Sequence([inner, Dataset()])
    path = recipe(folder, "REMOVE values:found", values=("FIELD PatientComments",))
    after = result(ds, folder, recipe=path)
    assert "ContrastBolusAgent" not in after
    assert "ContrastBolusAgent" not in after.AnatomicRegionSequence[0]
    assert value.upper() not in after.get("SequenceName", "").upper()


@pytest.mark.filterwarnings("ignore")
def test_deid_means_the_same_attributes(tmp_path: Path) -> None:
    """On values without letters that a regular expression reads otherwise, and where nothing else is done."""
    from deid.config import DeidRecipe
    from deid.dicom.parser import DicomParser
    from deid.logger import bot

    ds = ct()
    ds.PatientName, ds.SequenceVariant = "Mustermann^Eva^Li", "EVA"
    ds.ContrastBolusAgent, ds.FilterType = "mustermannium", "NONE"
    path = recipe(
        tmp_path, "REMOVE values:found", values=("FIELD DeviceSerialNumber", 'SPLIT PatientName by="^";minlength=3')
    )
    level, bot.level = bot.level, 0
    try:
        source = make.write(ds, tmp_path / "deid.dcm")
        parser = DicomParser(str(source), recipe=DeidRecipe(deid=str(path)))
        parser.parse()
    finally:
        bot.level = level
    ours = result(ds, tmp_path, recipe=path)
    for keyword in ("SequenceName", "SequenceVariant", "ContrastBolusAgent", "FilterType", "ScanOptions", "KVP"):
        assert (keyword in ours) == (keyword in parser.dicom), keyword


# ---- %filter -------------------------------------------------------------------------------------------------


def filtered(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "site.dicom"
    path.write_text("\n".join(["FORMAT dicom", "%filter graylist", *lines, "%header", "REMOVE ScanOptions"]) + "\n")
    return path


def test_the_labels_of_a_recipe_black_what_they_say(tmp_path: Path) -> None:
    path = filtered(tmp_path, "LABEL ours", "contains Modality CT", "coordinates 0,0,4,2")
    ds = ct()
    ds.PixelData = b"\x07\x00" * (len(ds.PixelData) // 2)
    after = result(ds, tmp_path, recipe=path, options=("clean_pixel_data",))
    assert not after.pixel_array[:2, :4].any()
    assert (after.pixel_array[2:] == 7).all()
    assert "ScanOptions" not in after
    assert any(one.startswith("pixel rules ") for one in after.DeidentificationMethod)


def test_a_label_without_coordinates_holds_and_a_line_that_is_wrong_is_a_problem(tmp_path: Path) -> None:
    path = filtered(tmp_path, "LABEL ours", "contains Modality CT")
    batch = run(ct(), tmp_path, recipe=path, options=("clean_pixel_data",))
    assert "the pixel rule site.dicom:3 says so" in batch.held[0].reason
    path = filtered(tmp_path, "LABEL ours", "contans Modality CT", "coordinates all")
    (problem,) = Anonymize(recipe=path, options=("clean_pixel_data",)).problems()
    assert problem.startswith(f"{path}:4: unknown filter")
