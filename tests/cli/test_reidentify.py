from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread

from tests import make
from tests.cli.command import Ran, dicom_node
from tests.dicom.certificates import written
from tests.steps.anonymize.driver import output


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two de-identified instances, in a folder; their originals are `0.dcm` and `1.dcm` beside it."""
    certificate, _ = written(tmp_path)
    folder = tmp_path / "study"
    folder.mkdir()
    for number, ds in enumerate(make.ct_series(2, rows=8, columns=8)):
        ds.PatientName = "Secretive^Name"
        (tmp_path / f"work-{number}").mkdir()
        source = make.write(ds, tmp_path / f"{number}.dcm")
        output(source, tmp_path / f"work-{number}", reversible=certificate).rename(folder / f"{number}.dcm")
    return folder


def reidentify(study: Path, *more: object, name: str = "owner") -> Ran:
    at = study.parent
    files = ("--certificate", at / f"{name}.pem", "--key", at / f"{name}.key", "--out", at / "back")
    return dicom_node("reidentify", study, *files, *more)


def test_a_study_comes_back_as_it_was(study: Path) -> None:
    ran = reidentify(study, "--json")
    assert ran.code == 0, ran.err
    assert ran.json == {"files": ["000001.dcm", "000002.dcm"], "failed": []}
    for number, name in enumerate(ran.json["files"]):
        after, before = dcmread(study.parent / "back" / name), dcmread(study.parent / f"{number}.dcm")
        assert after.PatientIdentityRemoved == "NO"
        del after.PatientIdentityRemoved
        assert after == before
    assert (study.parent / "back").stat().st_mode & 0o777 == 0o700


def test_the_use_is_logged_without_a_patient(study: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert reidentify(study).code == 0
    assert "2 instances" in caplog.text
    assert "Secretive" not in caplog.text


def test_what_has_no_envelope_is_named_and_the_rest_come_back(study: Path) -> None:
    make.write(make.ct_series(1)[0], study / "2.dcm")
    (study / "notes.txt").write_text("no image")
    ran = reidentify(study)
    assert ran.code == 1
    assert ran.out.startswith("2 instances identified")
    assert f"{study / '2.dcm'}: it has no Encrypted Attributes Sequence (0400,0500)" in ran.err
    assert f"{study / 'notes.txt'}: it cannot be read or written" in ran.err
    assert len(list((study.parent / "back").iterdir())) == 2


def test_another_key_brings_nothing_back(study: Path) -> None:
    written(study.parent, "other")
    ran = reidentify(study, name="other")
    assert ran.code == 1
    assert "another recipient" in ran.err
    assert list((study.parent / "back").iterdir()) == []


def test_bad_usage_exits_with_2(study: Path) -> None:
    (study.parent / "back").mkdir()
    (study.parent / "back" / "x").touch()
    used = reidentify(study)
    assert (used.code, "not empty" in used.err) == (2, True)
    (study.parent / "owner.key").write_text("no key")
    wrong = reidentify(study)
    assert (wrong.code, wrong.err.startswith(str(study.parent / "owner.key"))) == (2, True)
    (study.parent / "owner.pem").unlink()
    missing = reidentify(study)
    assert (missing.code, "cannot be read" in missing.err) == (2, True)


def test_a_key_under_a_password_is_opened_with_it(study: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    key = study.parent / "owner.key"
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"password")
    key.write_bytes(loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
    assert reidentify(study).code == 2
    (study.parent / "password").write_text("password\n")
    assert reidentify(study, "--password-file", study.parent / "password").code == 0
