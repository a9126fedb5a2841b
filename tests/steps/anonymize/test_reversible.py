"""The original comes back for the owner of the key, bit by bit, in every transfer syntax; nobody else sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from node.dicom.dataset import read, write
from node.dicom.envelope import Owner, read_certificate, read_private_key
from node.errors import CannotSucceed
from node.steps.anonymize import Anonymize
from node.steps.anonymize.reversible import NotReversibleError, restore
from tests import make
from tests.dicom.certificates import written
from tests.steps.anonymize.driver import output, run

OURS = {0x00120062, 0x00120063, 0x00120064, 0x00280303}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return written(tmp_path_factory.mktemp("owner"))


@pytest.fixture(scope="module")
def owner(files: tuple[Path, Path]) -> Owner:
    return read_private_key(files[1], read_certificate(files[0]))


def instance() -> FileDataset:
    ds = make.ct_series(1)[0]
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Müller^Jürgen=", "SECRETIVE", "19610203"
    ds.OtherPatientIDsSequence = Sequence([Dataset()])
    ds.OtherPatientIDsSequence[0].PatientID = "SECRETIVE-2"
    ds.RequestAttributesSequence = Sequence([Dataset()])
    ds.RequestAttributesSequence[0].RequestedProcedureDescription = "Thorax SECRETIVE"
    block = ds.private_block(0x0029, "VENDOR", create=True)
    block.add_new(1, "LO", "SECRETIVE too")
    block.add_new(2, "OB", b"SECRETIVE!\x00\xff")
    return ds


def back(path: Path, owner: Owner) -> FileDataset:
    with path.open("rb") as file:
        ds = read(file)
        assert restore(ds, owner)
    write(ds, path.with_name("back.dcm"))
    return dcmread(path.with_name("back.dcm"))


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian,
        RLELossless,
    ],
    ids=lambda syntax: syntax.name,
)  # fmt: skip
def test_every_attribute_comes_back_in_every_transfer_syntax(
    tmp_path: Path, files: tuple[Path, Path], owner: Owner, syntax: str
) -> None:
    ds = instance()
    if syntax == RLELossless:
        ds.compress(RLELossless, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        ds.PixelData = ds.pixel_array.astype(">i2").tobytes()
    ds.file_meta.TransferSyntaxUID = syntax
    source = tmp_path / "in.dcm"
    implicit, little_endian = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    dcmwrite(source, ds, implicit_vr=implicit, little_endian=little_endian, enforce_file_format=True)
    made = output(source, tmp_path, reversible=files[0])
    assert b"SECRETIVE" not in made.read_bytes()
    sealed = dcmread(made)
    assert sealed.PatientIdentityRemoved == "YES"
    (item,) = sealed.EncryptedAttributesSequence
    assert item.EncryptedContentTransferSyntaxUID == ExplicitVRLittleEndian
    assert len(item.EncryptedContent) % 2 == 0

    before, after = dcmread(source), back(made, owner)
    assert after.PatientIdentityRemoved == "NO"
    del after.PatientIdentityRemoved
    assert after == before
    assert after.file_meta.MediaStorageSOPInstanceUID == before.SOPInstanceUID
    assert after.file_meta.TransferSyntaxUID == syntax


def test_the_output_is_otherwise_the_one_without_it_and_only_the_envelope_differs_between_two_runs(
    tmp_path: Path, files: tuple[Path, Path]
) -> None:
    found = []
    for number, options in enumerate(({}, {"reversible": files[0]}, {"reversible": files[0]})):
        (tmp_path / str(number)).mkdir()
        found.append(dcmread(output(instance(), tmp_path / str(number), **options)))
    assert found[1] != found[2]
    for ds in found[1:]:
        del ds.EncryptedAttributesSequence
        assert ds == found[0]


def test_an_envelope_of_before_is_removed_and_comes_back_with_the_rest(
    tmp_path: Path, files: tuple[Path, Path], owner: Owner
) -> None:
    (tmp_path / "second").mkdir()
    once = output(instance(), tmp_path, reversible=files[0])
    twice = output(once, tmp_path / "second", reversible=files[0])
    assert len(dcmread(twice).EncryptedAttributesSequence) == 1
    assert back(twice, owner) == dcmread(once), "de-identified as it was, its mark too"


def test_another_key_gets_nothing_and_changes_nothing(tmp_path: Path, files: tuple[Path, Path]) -> None:
    certificate, key = written(tmp_path, "other")
    other = read_private_key(key, read_certificate(certificate))
    ds = dcmread(output(instance(), tmp_path, reversible=files[0]))
    before = dcmread(tmp_path / "out" / "in.dcm")
    with pytest.raises(NotReversibleError, match="another recipient"):
        restore(ds, other)
    assert ds == before


def test_what_has_no_envelope_or_another_syntax_in_it_says_so(
    tmp_path: Path, files: tuple[Path, Path], owner: Owner
) -> None:
    with pytest.raises(NotReversibleError, match=r"\(0400,0500\)"):
        restore(instance(), owner)
    ds = dcmread(output(instance(), tmp_path, reversible=files[0]))
    ds.EncryptedAttributesSequence[0].EncryptedContentTransferSyntaxUID = ImplicitVRLittleEndian
    with pytest.raises(NotReversibleError, match="transfer syntax"):
        restore(ds, owner)


def test_a_held_instance_is_sealed_for_nobody(tmp_path: Path, files: tuple[Path, Path]) -> None:
    ds = instance()
    ds.BurnedInAnnotation = "YES"
    batch = run(ds, tmp_path, reversible=files[0])
    assert not batch.items
    assert not list((tmp_path / "out").iterdir())


def test_a_certificate_that_is_of_no_use_is_a_problem_of_the_rules_and_passes_nothing_on(tmp_path: Path) -> None:
    missing = tmp_path / "none.pem"
    (problem,) = Anonymize(reversible=missing).problems()
    assert problem.startswith(f"reversible: {missing}: ")
    with pytest.raises(CannotSucceed, match="reversible"):
        run(instance(), tmp_path, reversible=missing)
