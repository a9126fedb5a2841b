"""DCMTK as the sender, where it is installed: what another implementation makes of ours."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread

from tests import make
from tests.data import real
from tests.dicom.datasets import IMPLICIT, UNCOMPRESSED
from tests.receive.station import config_of, content_of, station


def dcmtk(tool: str, *arguments: str | Path | int) -> subprocess.CompletedProcess[str]:
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed: apt-get install dcmtk")
    command = [path, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def dicom_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.read_bytes()[128:132] == b"DICM"]


def test_echoscu_gets_its_answer(tmp_path: Path) -> None:
    with station(tmp_path) as node:
        assert dcmtk("echoscu", "-aec", "NODE", "127.0.0.1", node.port).returncode == 0


def test_echoscu_is_told_why_it_is_rejected(tmp_path: Path) -> None:
    with station(tmp_path, config=config_of("senders: peers")) as node:
        for called, reason in (
            ("OTHER", "Called AE Title Not Recognized"),
            ("NODE", "Calling AE Title Not Recognized"),
        ):
            result = dcmtk("echoscu", "-v", "-aec", called, "127.0.0.1", node.port)
            assert result.returncode != 0
            assert reason in result.stdout + result.stderr


def test_storescu_sends_a_series_on_one_association_and_on_many(tmp_path: Path) -> None:
    files = make.write_all(make.ct_series(6), tmp_path / "in")
    with station(tmp_path / "node") as node:
        result = dcmtk("storescu", "-aet", "CT1", "-aec", "RESEARCH", "127.0.0.1", node.port, *files)
        assert result.returncode == 0, result.stderr
        for file in files[:3]:
            assert dcmtk("storescu", "-aec", "NODE", "127.0.0.1", node.port, file).returncode == 0
        assert len(node.kept()) == 9
        assert [a.origin.calling_ae for a in node.arrivals[:6]] == ["CT1"] * 6


@pytest.mark.parametrize("propose", ["-x=", "-xi", "-xe", "-xb", "-xd"])
def test_storescu_agrees_on_a_syntax_whatever_it_proposes(tmp_path: Path, propose: str) -> None:
    (file,) = make.write_all(make.ct_series(1), tmp_path / "in")
    with station(tmp_path / "node") as node:
        result = dcmtk("storescu", propose, "-aec", "NODE", "127.0.0.1", node.port, file)
        assert result.returncode == 0, result.stdout + result.stderr
        (kept,) = node.kept()
    meta, _ = content_of(kept)
    # It proposes its favourite in one context and all plain ones in another, and sends in the one it likes.
    assert meta.transfer_syntax in UNCOMPRESSED
    assert (meta.transfer_syntax == IMPLICIT) is (propose == "-xi")
    assert (dcmread(kept).pixel_array == dcmread(file).pixel_array).all()


@pytest.mark.parametrize("name", ["compressed_mix", "ct_straight_28", "rt_rtss", "siem_enh"])
def test_dcmsend_sends_real_images_as_they_are(tmp_path: Path, name: str) -> None:
    files = dicom_files(real(name))
    with station(tmp_path) as node:
        # -dn: propose each file's own syntax and do not decompress
        result = dcmtk("dcmsend", "-dn", "-aec", "NODE", "127.0.0.1", node.port, *files)
        assert result.returncode == 0, result.stderr
        kept = {ds.SOPInstanceUID: ds for ds in map(dcmread, node.kept())}
        for path in node.kept():
            content_of(path)
    for file in files:
        sent = dcmread(file)
        ours = kept[sent.SOPInstanceUID]
        plain = sent.file_meta.TransferSyntaxUID in UNCOMPRESSED
        assert plain or ours.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
        assert ours.get("PixelData") == sent.get("PixelData")
