from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread as read_file
from pydicom.dataset import Dataset

from tests import make
from tests.cli.command import dicom_node
from tests.peers import Recorder, free_port


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    return make.write(make.ct_series(1, rows=8, columns=8)[0], tmp_path / "ct.dcm")


def rules(folder: Path, port: int) -> Path:
    path = folder / "rules.yaml"
    path.write_text(
        "node: {ae_title: NODE}\n"
        f"peers: {{pacs: {{ae_title: PACS, host: 127.0.0.1, port: {port}}}}}\n"
        f"destinations: {{archive: {{dicom: 'ARCHIVE@127.0.0.1:{port}'}}, share: {{folder: ./out}}}}\n"
    )
    return path


# ---- show ------------------------------------------------------------------------------------------


def test_show_prints_the_header_with_names(ct: Path) -> None:
    ran = dicom_node("show", ct)
    assert ran.code == 0
    assert "(0008,0060) Modality CS: CT" in ran.out
    assert "(7FE0,0010) Pixel Data" in ran.out


@pytest.mark.parametrize("tag", ["Modality", "(0008,0060)", "00080060"])
def test_show_prints_one_value(ct: Path, tag: str) -> None:
    assert dicom_node("show", ct, tag).out == "CT\n"
    assert dicom_node("show", ct, tag, "--json").json == ["CT"]


@pytest.mark.parametrize(
    ("tag", "shown"),
    [
        ('(0019,"GEMS_ACQU_01",0c)', "5\n"),
        ("(0019,100c)", "5\n"),
        ("(0019,'GEMS_ACQU_01',0C)", "5\n"),
        ("RequestAttributesSequence.ScheduledProcedureStepID", "A\\B\n"),
        ('RequestAttributesSequence.(0019,"GEMS_ACQU_01",0c)', "7\n"),
    ],
)
def test_show_takes_every_element_that_a_rule_may_speak_of(tmp_path: Path, tag: str, shown: str) -> None:
    ds = make.ct_series(1, rows=8, columns=8)[0]
    ds.private_block(0x0019, "GEMS_ACQU_01", create=True).add_new(0x0C, "IS", "5")
    ds.RequestAttributesSequence = [Dataset(), Dataset()]
    first, second = ds.RequestAttributesSequence
    first.ScheduledProcedureStepID, second.ScheduledProcedureStepID = "A", "B"
    second.private_block(0x0019, "GEMS_ACQU_01", create=True).add_new(0x0C, "IS", "7")
    ran = dicom_node("show", make.write(ds, tmp_path / "ct.dcm"), tag)
    assert (ran.code, ran.out) == (0, shown), ran.err


def test_show_of_what_is_not_there_exits_with_1_and_of_what_is_no_attribute_with_2(ct: Path) -> None:
    assert dicom_node("show", ct, "PatientComments").code == 1
    ran = dicom_node("show", ct, "Modalitty")
    assert ran.code == 2
    assert 'Did you mean "Modality"?' in ran.err


def test_show_of_what_is_no_image_exits_with_1(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("no image at all")
    assert dicom_node("show", text).code == 1
    assert dicom_node("show", tmp_path / "nothing.dcm").code == 1


# ---- echo ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["archive", "pacs"])
def test_echo_asks_a_destination_or_a_peer(tmp_path: Path, name: str) -> None:
    with Recorder() as archive:
        path = rules(tmp_path, archive.port)
        assert dicom_node("echo", name, "--config", path).code == 0
        ran = dicom_node("echo", name, "--config", path, "--json")
    assert ran.json["answers"] is True


def test_echo_needs_no_rules_for_an_address() -> None:
    with Recorder() as archive:
        assert dicom_node("echo", f"ARCHIVE@127.0.0.1:{archive.port}").code == 0


def test_echo_writes_into_a_folder_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    ran = dicom_node("echo", "share", "--config", rules(tmp_path, 104))
    assert ran.code == 0, ran.err
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_echo_of_nobody_exits_with_1_and_of_an_unknown_name_with_2(tmp_path: Path) -> None:
    path = rules(tmp_path, free_port())
    ran = dicom_node("echo", "archive", "--config", path)
    assert (ran.code, ran.out) == (1, "")
    assert dicom_node("echo", "archive", "--config", path, "--json").json["answers"] is False
    unknown = dicom_node("echo", "archve", "--config", path)
    assert unknown.code == 2
    assert "archive, share, pacs" in unknown.err


# ---- send ------------------------------------------------------------------------------------------


def test_send_sends_files_and_folders_as_they_are(tmp_path: Path) -> None:
    series = make.ct_series(3, rows=8, columns=8)
    make.write_all(series, tmp_path / "study")
    (tmp_path / "study" / "notes.txt").write_text("no image")
    with Recorder() as archive:
        ran = dicom_node("send", "archive", tmp_path / "study", "--config", rules(tmp_path, archive.port))
        received = archive.wait_for(3)
    assert ran.code == 0, ran.err
    assert "3 of 3 instances delivered" in ran.out
    assert "notes.txt: not DICOM" in ran.err
    assert {one.sop_instance for one in received} == {ds.SOPInstanceUID for ds in series}


def test_send_says_which_were_refused_and_exits_with_1(ct: Path, tmp_path: Path) -> None:
    with Recorder(refuse=0xA700) as archive:
        ran = dicom_node("send", "archive", ct, "--config", rules(tmp_path, archive.port), "--json")
    assert ran.code == 1
    assert ran.json["delivered"] == 0
    assert ran.json["failed"][0][0] == str(ct)
    assert "0xA700" in ran.json["failed"][0][1]


@pytest.mark.parametrize("left", [0, 200, 400, 701, -1])
def test_send_goes_on_behind_a_file_that_is_cut_off_and_exits_with_1(tmp_path: Path, left: int) -> None:
    series = make.ct_series(3, rows=8, columns=8)
    make.write_all(series, tmp_path / "study")
    first, cut, last = sorted((tmp_path / "study").iterdir())
    cut.write_bytes(cut.read_bytes()[:left])
    with Recorder() as archive:
        path = rules(tmp_path, archive.port)
        ran = dicom_node("send", "archive", tmp_path / "study", "--config", path)
        received = archive.wait_for(2)
    assert [one.sop_instance for one in received] == [read_file(each).SOPInstanceUID for each in (first, last)]
    assert ran.code == 1
    assert ran.out == "2 of 3 instances delivered to archive\n"
    assert ran.err.startswith(f"{cut}: not sent: ")


def test_send_goes_on_behind_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make.write_all(make.ct_series(2, rows=8, columns=8), tmp_path / "study")
    closed, opening = min((tmp_path / "study").iterdir()), Path.open

    def opened(path: Path, *how: Any, **more: Any) -> Any:
        if path == closed:  # root may read what nobody may
            raise PermissionError(13, "Permission denied", str(path))
        return opening(path, *how, **more)

    monkeypatch.setattr(Path, "open", opened)
    with Recorder() as archive:
        ran = dicom_node("send", "archive", tmp_path / "study", "--config", rules(tmp_path, archive.port), "--json")
    assert (ran.code, ran.json["delivered"]) == (1, 1)
    assert ran.json["failed"] == [[str(closed), "not sent: it cannot be read: Permission denied"]]


def test_send_takes_destinations_alone_and_names_no_peer(ct: Path, tmp_path: Path) -> None:
    with Recorder() as pacs:
        ran = dicom_node("send", "pacs", ct, "--config", rules(tmp_path, pacs.port))
    assert (ran.code, pacs.received) == (2, [])
    assert ran.err.endswith("there are: archive, share\n")


def test_send_of_nothing_exits_with_1_and_of_a_path_that_is_not_there_with_2(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    path = rules(tmp_path, free_port())
    assert dicom_node("send", "archive", tmp_path / "empty", "--config", path).code == 1
    assert dicom_node("send", "archive", tmp_path / "nowhere", "--config", path).code == 2


@pytest.mark.parametrize(
    ("accepts", "goes", "stays"),
    [("deidentified", ["YES"], ["NO", "", None]), ("identified", ["NO", "", None], ["YES"])],
)
def test_send_keeps_back_what_the_destination_does_not_accept(
    tmp_path: Path, accepts: str, goes: list[str | None], stays: list[str | None]
) -> None:
    series = make.ct_series(len(goes) + len(stays), rows=8, columns=8)
    for number, (ds, removed) in enumerate(zip(series, goes + stays, strict=True)):
        if removed is not None:
            ds.PatientIdentityRemoved = removed
        make.write(ds, tmp_path / "study" / f"{number}.dcm")
    path = tmp_path / "rules.yaml"
    path.write_text(
        f"node: {{ae_title: NODE}}\ndestinations: {{share: {{folder: ./out, layout: all, accepts: {accepts}}}}}\n"
    )
    (tmp_path / "out").mkdir()
    ran = dicom_node("send", "share", tmp_path / "study", "--config", path)
    assert ran.code == 1
    assert f"{len(goes)} of {len(series)} instances delivered" in ran.out
    assert ran.err.count(f"not sent: share accepts only {accepts} data") == len(stays)
    assert ("`dicom-node process` it" in ran.err) == (accepts == "deidentified")
    arrived = {read_file(file).SOPInstanceUID for file in (tmp_path / "out" / "all").iterdir()}
    assert arrived == {ds.SOPInstanceUID for ds in series[: len(goes)]}


def test_send_to_an_address_or_to_a_destination_that_accepts_anything_is_free(ct: Path, tmp_path: Path) -> None:
    with Recorder() as archive:
        assert dicom_node("send", f"ANY@127.0.0.1:{archive.port}", ct).code == 0
        assert dicom_node("send", "archive", ct, "--config", rules(tmp_path, archive.port)).code == 0
