"""The corpus has every kind of object, character set and transfer syntax, is valid, and is the same at every run."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from deid.config import DeidRecipe
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from benchmarks.corpus import planting
from benchmarks.corpus.generate import generate
from benchmarks.corpus.people import REPERTOIRES
from node.dicom import deid_table
from tests.benchmarks.corpus.conftest import Made

# Warned of on purpose: a text in bytes, and values of newer editions than pydicom's dictionary.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def read(corpus: Made) -> dict[int, FileDataset]:
    return {one.number: dcmread(corpus.path(one)) for one in corpus.instances}


def test_every_kind_of_object_is_there(corpus: Made) -> None:
    expected = {"CT", "MR", "US", "CR", "DX", "MG", "PT", "NM", "OT", "SR", "DOC", "RTSTRUCT", "SEG", "PR"}
    assert {one.kind for one in corpus.instances} == expected


def test_pydicom_reads_every_value_of_every_object(read: dict[int, FileDataset]) -> None:
    for ds in read.values():
        ds.decode()
        assert len(str(ds)) > 1000
        if "PixelData" in ds:
            assert ds.pixel_array.shape[-3:-1] or ds.pixel_array.size


def test_every_character_set_and_transfer_syntax_is_there(read: dict[int, FileDataset]) -> None:
    sets = {str(ds.get("SpecificCharacterSet", "")) for ds in read.values()}
    assert len(sets) == len({repertoire.terms for repertoire in REPERTOIRES.values()})
    syntaxes = {ds.file_meta.TransferSyntaxUID.name for ds in read.values()}
    assert len(syntaxes) == 6, syntaxes


def test_instance_numbers_tell_all_objects_apart(corpus: Made, read: dict[int, FileDataset]) -> None:
    assert [ds.InstanceNumber for ds in read.values()] == [one.number for one in corpus.instances]
    assert len({ds.SOPInstanceUID for ds in read.values()}) == len(corpus.instances)


def test_every_row_of_the_table_is_planted_somewhere(read: dict[int, FileDataset]) -> None:
    found: set[int] = set()
    for ds in read.values():
        ds.walk(lambda _ds, element: found.add(int(element.tag)))
    assert [hex(tag) for tag in planting.rows() if tag not in found] == []
    assert len(planting.rows()) > len(deid_table.rows()) - 10


def test_a_study_has_one_patient_and_its_references_lead_to_its_own_objects(read: dict[int, FileDataset]) -> None:
    studies = defaultdict(list)
    for ds in read.values():
        studies[ds.StudyInstanceUID].append(ds)
    for objects in studies.values():
        assert len({(ds.PatientID, ds.StudyDate, ds.AccessionNumber) for ds in objects}) == 1
        own = {ds.SOPInstanceUID for ds in objects}
        for ds in objects:
            if ds.Modality == "SEG":
                assert {
                    r.ReferencedSOPInstanceUID for r in ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence
                } <= own
    patients = {(ds.PatientID, ds.StudyInstanceUID) for ds in read.values()}
    assert len(patients) > len({patient for patient, _ in patients}), "somebody comes twice"


def test_the_same_seed_gives_the_same_bytes(small: Made, tmp_path: Path) -> None:
    generate(tmp_path, patients=3)
    names = [path.relative_to(tmp_path) for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert len(names) == len(small.instances) + 2
    assert all((tmp_path / name).read_bytes() == (small.folder / name).read_bytes() for name in names)


def test_deid_itself_reads_the_filter(corpus: Made) -> None:
    labels = [each["name"] for each in DeidRecipe(str(corpus.folder / "pixels.dicom")).get_filters("graylist")]
    assert labels == ["LABEL invented CR", "LABEL invented OT"]


def test_the_filter_matches_the_devices_that_draw_and_no_others(corpus: Made, read: dict[int, FileDataset]) -> None:
    rules = (corpus.folder / "pixels.dicom").read_text()
    matched = {one.kind for one in corpus.instances if read[one.number].ManufacturerModelName in rules}
    assert matched == {"CR", "OT"}
    burned = {one.kind for one in corpus.instances if read[one.number].get("BurnedInAnnotation") == "YES"}
    assert burned == matched | {"US", "DOC"}


def errors(path: Path) -> set[str]:
    """What dciodvfy calls an error; of 2022, it does not know the attributes that later editions have."""
    done = subprocess.run(
        ["dciodvfy", "-new", str(path)], capture_output=True, text=True, errors="replace", check=False
    )
    lines = {line for line in done.stderr.splitlines() if line.startswith("Error")}
    return {line for line in lines if "is not a recognized standard attribute" not in line}


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dciodvfy (dicom3tools) is not installed")
def test_dciodvfy_finds_no_error_in_any_object(corpus: Made, read: dict[int, FileDataset]) -> None:
    looked = 0
    for one in corpus.instances:
        if read[one.number].file_meta.TransferSyntaxUID != DeflatedExplicitVRLittleEndian:  # which it cannot inflate
            assert errors(corpus.path(one)) == set(), one.file
            looked += 1
    assert looked > 60


@pytest.mark.skipif(not shutil.which("dcentvfy"), reason="dcentvfy (dicom3tools) is not installed")
def test_dcentvfy_finds_that_the_objects_of_a_study_agree(corpus: Made, read: dict[int, FileDataset]) -> None:
    studies = defaultdict(list)
    for one in corpus.instances:
        if read[one.number].file_meta.TransferSyntaxUID != DeflatedExplicitVRLittleEndian:
            studies[Path(one.file).parent].append(str(corpus.path(one)))
    for paths in studies.values():
        done = subprocess.run(["dcentvfy", *paths], capture_output=True, text=True, errors="replace", check=False)
        assert not re.findall(r"^Error.*", done.stdout + done.stderr, re.MULTILINE)
