"""What may show a face waits; what is known to show none goes on and says so, in its headers and its certificate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.certificate.actions import Done
from node.dicom.uids import STORAGE_SOP_CLASSES
from node.steps.anonymize import Anonymize, recognizable
from node.steps.anonymize.plain import Plain
from node.steps.anonymize.preview import preview
from node.steps.anonymize.recognizable import Refusal, Why, decide
from node.steps.anonymize.reviewed import compile_reviewed
from tests import make
from tests.data import real_folders
from tests.steps.anonymize.driver import SECRET, reread, result, run, why_held

OPTION = "clean_recognizable_visual_features"
STORAGE = "1.2.840.10008.5.1.4.1.1."


def chest(**said: object) -> FileDataset:
    ds = make.ct_series(1)[0]
    ds.BodyPartExamined = "CHEST"
    for keyword, value in said.items():
        setattr(ds, keyword, value)
    return ds


def code(value: str, meaning: str = "", scheme: str = "SCT") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def found(ds: FileDataset, *reviewed: dict[str, str]) -> Why | Refusal:
    return decide(Plain(reread(ds)), compile_reviewed(reviewed)[0])


def why_not(ds: FileDataset) -> str:
    refused = found(ds)
    assert isinstance(refused, Refusal)
    return refused.reason


# ---- what is decided -----------------------------------------------------------------------------------


def test_a_slice_of_the_chest_passes_and_one_of_no_named_region_does_not() -> None:
    assert found(chest()) is Why.REGION
    assert "neither Body Part Examined" in why_not(make.ct_series(1)[0])
    assert "neither Body Part Examined" in why_not(chest(BodyPartExamined=""))


@pytest.mark.parametrize("part", ["HEAD", "BRAIN", "NECK", "CSPINE", "WHOLEBODY", "SHOULDER", "UNKNOWN"])
def test_a_volume_of_another_region_waits(part: str) -> None:
    assert "Body Part Examined (0018,0015)" in why_not(chest(BodyPartExamined=part))


@pytest.mark.parametrize(
    "keyword",
    ["StudyDescription", "SeriesDescription", "ProtocolName", "RequestedProcedureDescription", "ImageComments",
     "PerformedProcedureStepDescription", "ReceiveCoilName", "FilterType"],
)  # fmt: skip
def test_a_text_that_speaks_of_the_head_is_believed_before_the_region(keyword: str) -> None:
    assert "may speak of the head" in why_not(chest(**{keyword: "Head and trunk"}))


def test_so_is_a_code_for_what_was_done() -> None:
    ds = chest(ProcedureCodeSequence=Sequence([code("1", "CT of chest"), code("2", "CT of brain")]))
    assert "Procedure Code Sequence (0008,1032)" in why_not(ds)


def test_every_region_that_is_coded_has_to_be_known_also_those_of_frames() -> None:
    heart, head = code("80891009", "Heart"), code("69536005", "Head")
    assert found(chest(BodyPartExamined="", AnatomicRegionSequence=Sequence([heart]))) is Why.REGION
    assert "Anatomic Region Sequence" in why_not(chest(AnatomicRegionSequence=Sequence([heart, head])))
    anatomy, group = Dataset(), Dataset()
    anatomy.AnatomicRegionSequence = Sequence([head])
    group.FrameAnatomySequence = Sequence([anatomy])
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        assert "Anatomic Region Sequence" in why_not(chest(**{keyword: Sequence([Dataset(), group])}))


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [("7", "CT"), ("7.4", "OT"), ("77.1.4", "XC"), ("77.1.1", "ES"), ("77.1.4.1", "XC"), ("77.1.5.1", "OP"),
     ("128", "PT"), ("30", "PT"), ("68.1", "OSS"), ("66.5", "SEG"), ("104.3", "M3D"), ("66", "CT"),
     ("2", "OT"), ("2", "")],
)  # fmt: skip
def test_a_kind_that_is_not_known_to_show_none_waits_whatever_its_region(sop_class: str, modality: str) -> None:
    assert "of no kind" in why_not(chest(SOPClassUID=STORAGE + sop_class, Modality=modality))


def test_a_private_or_unknown_class_waits() -> None:
    assert "of no kind" in why_not(chest(SOPClassUID="1.2.3.4"))


def test_a_mammogram_and_a_slide_pass_by_their_kind() -> None:
    for sop_class, modality in (("1.2", "MG"), ("77.1.6", "SM")):
        assert found(chest(SOPClassUID=STORAGE + sop_class, Modality=modality, BodyPartExamined="")) is Why.KIND


def test_what_has_no_image_passes_unless_it_has_one() -> None:
    ds = make.instance(make.COMPREHENSIVE_SR)
    assert found(ds) is Why.KIND
    ds.PixelData = b"\0\0"
    ds["PixelData"].VR = "OB"
    assert "of no kind" in why_not(ds)


def test_an_outline_drawn_on_a_volume_is_one() -> None:
    ds = make.instance(STORAGE + "481.3")
    ds.Modality = "RTSTRUCT"
    assert "neither Body Part Examined" in why_not(ds)


def test_a_projection_of_an_arm_passes_and_the_whole_body_of_a_scan_does_not() -> None:
    assert found(chest(SOPClassUID=STORAGE + "1", Modality="CR", BodyPartExamined="HAND")) is Why.REGION
    assert "Image Type" in why_not(
        chest(SOPClassUID=STORAGE + "20", Modality="NM", ImageType=["ORIGINAL", "PRIMARY", "WHOLE BODY", "EMISSION"])
    )


def test_the_senders_no_is_believed_only_where_the_site_says_so_and_its_yes_always() -> None:
    ds = chest(BodyPartExamined="HEAD", RecognizableVisualFeatures="NO")
    assert isinstance(found(ds), Refusal)
    assert found(ds, {"Modality": "CT", "RecognizableVisualFeatures": "NO"}) is Why.REVIEWED
    assert "is YES" in why_not(chest(RecognizableVisualFeatures="YES"))


def test_every_class_that_the_lists_name_is_one_of_the_standard() -> None:
    newer = {"66.7"}  # Label Map Segmentation: of a later edition than pydicom has
    named = {*recognizable._NO_IMAGE, *recognizable._VOLUMES, *recognizable._PROJECTIONS}
    named |= set(recognizable._WHATEVER_THE_REGION)
    assert sorted(below for below in named - newer if STORAGE + below not in STORAGE_SOP_CLASSES) == []


# ---- what becomes of it --------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("before", [None, "", "NO"])
def test_what_passes_says_that_it_shows_none(tmp_path: Path, syntax: str, before: str | None) -> None:
    ds = chest() if before is None else chest(RecognizableVisualFeatures=before)
    ds.file_meta.TransferSyntaxUID = syntax
    after = result(ds, tmp_path, options=(OPTION,))
    assert after.RecognizableVisualFeatures == "NO"
    assert [item.CodeValue for item in after.DeidentificationMethodCodeSequence] == ["113100", "113102"]
    assert OPTION in after.DeidentificationMethod
    assert after.PixelData == ds.PixelData


def test_without_the_option_nothing_is_said(tmp_path: Path) -> None:
    assert "RecognizableVisualFeatures" not in result(chest(), tmp_path)


def test_a_report_claims_the_option_and_says_nothing_of_an_image(tmp_path: Path) -> None:
    ds = make.instance(make.COMPREHENSIVE_SR)
    ds.Modality, ds.RecognizableVisualFeatures = "SR", "NO"
    after = result(ds, tmp_path, options=(OPTION, "clean_structured_content"))
    assert "RecognizableVisualFeatures" not in after
    assert "113102" in [item.CodeValue for item in after.DeidentificationMethodCodeSequence]


def test_what_may_show_a_face_is_held_with_what_to_do(tmp_path: Path) -> None:
    reason = why_held(chest(BodyPartExamined="HEAD"), tmp_path, options=(OPTION,))
    assert "may show a face: its Body Part Examined (0018,0015)" in reason
    assert "`reviewed`" in reason
    assert "HEAD" not in reason


def test_of_one_series_each_instance_is_decided_by_itself(tmp_path: Path) -> None:
    series = make.ct_series(3)
    for ds, part in zip(series, ("CHEST", "HEAD", "CHEST"), strict=True):
        ds.BodyPartExamined = part
    paths = [make.write(ds, tmp_path / f"{number}.dcm") for number, ds in enumerate(series)]
    held = [bool(run(path, tmp_path / path.stem, options=(OPTION,)).held) for path in paths]
    assert held == [False, True, False]


def test_the_certificate_says_why_and_by_which_classes(tmp_path: Path) -> None:
    classes = ({"Modality": "CT", "StationName": "DEFACED"},)
    methods = []
    for name, ds in (("a", chest()), ("b", chest(BodyPartExamined="HEAD", StationName="DEFACED"))):
        batch = run(make.write(ds, tmp_path / f"{name}.dcm"), tmp_path / name, options=(OPTION,), reviewed=classes)
        method, actions, _ = (batch.items[0].account or "").split("\n")
        methods.append(json.loads(method)["visual_features"])
        assert Done.ADDED in json.loads(actions)["(0028,0302)"]
    assert [method["shows_no_face"] for method in methods] == [Why.REGION, Why.REVIEWED]
    assert methods[0]["reviewed"] == methods[1]["reviewed"] != ""


def test_classes_without_the_option_are_refused() -> None:
    (problem,) = Anonymize(reviewed=({"Modality": "CT"},)).problems()
    assert f'only with the option "{OPTION}"' in problem
    assert Anonymize(reviewed=({"Modality": "CT"},), options=(OPTION,)).problems() == ()


def test_the_preview_shows_the_option_behind_it(tmp_path: Path) -> None:
    source = make.write(chest(), tmp_path / "in.dcm")
    lines = preview(Anonymize(options=(OPTION,)), source, tmp_path / "out.dcm", {"secret": SECRET})
    (line,) = [line for line in lines if line.path == (0x00280302,)]
    assert (line.done, line.after, OPTION in line.rule) == (Done.ADDED, "NO", True)


def test_no_real_image_of_a_head_or_of_no_named_region_passes() -> None:
    for folder in real_folders():
        path = min(path for path in folder.rglob("*") if path.is_file())
        ds = dcmread(path, stop_before_pixels=True)
        if ds.get("BodyPartExamined") not in ("THORAX", "EXTREMITY") and ds.get("Rows"):
            assert isinstance(decide(Plain(ds)), Refusal), path
