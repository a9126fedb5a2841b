"""DCMTK and Orthanc as senders and as archives, where they are installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread

from tests import make
from tests.flow.nodes import PATIENCE, Site, wait_until
from tests.peers import free_port, wait_until_open

RULES = """
destinations:
  archive: {dicom: "$title@127.0.0.1:$port", accepts: $accepts, retry: {first: 1s}}
routes:
  - {name: all, when: always, steps: $steps}
"""
DEIDENTIFIED = "[anonymize, {forward: archive}]"
SLICES = 6


def installed(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(name: str, *arguments: object) -> None:
    # Without TCP_NODELAY DCMTK waits 40 ms for the acknowledgement of every instance.
    subprocess.run(
        [installed(name), *map(str, arguments)], check=True, timeout=PATIENCE, capture_output=True,
        env={**os.environ, "TCP_NODELAY": "1"},
    )  # fmt: skip


def rules(site: Site, port: int, title: str, *, accepts: str = "deidentified", steps: str = DEIDENTIFIED) -> None:
    site.rules(RULES, port=port, title=title, accepts=accepts, steps=steps)


@contextmanager
def storescp(folder: Path) -> Iterator[int]:
    """DCMTK's storage SCP; yields its port."""
    folder.mkdir()
    port = free_port()
    command = [installed("storescp"), "-aet", "DCMTK", "--output-directory", str(folder), str(port)]
    with subprocess.Popen(command, env={**os.environ, "TCP_NODELAY": "1"}) as process:
        try:
            wait_until_open(port)
            yield port
        finally:
            process.terminate()


class Orthanc:
    """An Orthanc with one modality, the node; REST and DICOM on loopback."""

    def __init__(self, folder: Path, node_port: int) -> None:
        self.dicom, self.http = free_port(), free_port()
        self._configuration = folder / "orthanc.json"
        self._configuration.write_text(json.dumps({
            "Name": "test", "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
            "DicomAet": "ORTHANC", "DicomPort": self.dicom, "HttpPort": self.http,
            "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "Plugins": [],
            "DicomModalities": {"node": ["NODE", "127.0.0.1", node_port]},
        }))  # fmt: skip

    def __enter__(self) -> Orthanc:
        self._process = subprocess.Popen(
            [installed("Orthanc"), str(self._configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until_open(self.http, PATIENCE)
        wait_until_open(self.dicom, PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)

    def ask(self, path: str, data: bytes | None = None) -> object:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", data, PATIENCE) as answer:
            return json.loads(answer.read())

    def instances(self) -> list[str]:
        """SOP Instance UIDs that it holds."""
        return sorted(i["MainDicomTags"]["SOPInstanceUID"] for i in self.ask("/instances?expand"))  # type: ignore[attr-defined]  # JSON


def test_dcmtk_sends_and_keeps(sqlite_site: Site, tmp_path: Path) -> None:
    site, files = sqlite_site, make.write_all(make.ct_series(SLICES, rows=64, columns=64), tmp_path / "ct")
    with storescp(tmp_path / "kept") as port:
        rules(site, port, "DCMTK")
        with site.running() as node:
            run("echoscu", "-aec", "NODE", "127.0.0.1", node.port)
            # One association for each image, as some modalities do.
            for path in files[: SLICES // 2]:
                run("storescu", "-aet", "CT1", "-aec", "NODE", "127.0.0.1", node.port, path)
            # And the whole folder over one; what came before is a duplicate.
            run("dcmsend", "-aet", "CT1", "-aec", "NODE", "--scan-directories", "127.0.0.1", node.port, tmp_path / "ct")
            assert site.settled(SLICES + SLICES // 2) == {"delivered": SLICES, "duplicate": SLICES // 2}
        kept = [dcmread(path) for path in (tmp_path / "kept").iterdir()]
    assert len({one.SOPInstanceUID for one in kept}) == len(kept) == SLICES
    assert {one.PatientIdentityRemoved for one in kept} == {"YES"}
    assert {one.PatientID for one in kept}.isdisjoint({"T-0001"})


def test_orthanc_keeps(sqlite_site: Site, tmp_path: Path) -> None:
    site, files = sqlite_site, make.write_all(make.ct_series(SLICES, rows=64, columns=64), tmp_path / "ct")
    with Orthanc(tmp_path, free_port()) as orthanc:
        rules(site, orthanc.dicom, "ORTHANC")
        with site.running() as node:
            run("dcmsend", "-aec", "NODE", "127.0.0.1", node.port, *files)
            assert site.settled(SLICES) == {"delivered": SLICES}
        made = [uid for (uid,) in site.rows("SELECT sop_instance FROM node_parcel")]
        assert orthanc.instances() == sorted(made)


def test_orthanc_sends(sqlite_site: Site, tmp_path: Path) -> None:
    """Orthanc sends a study to the node as an operator has it do; the node hands the originals on to DCMTK."""
    site, sent = sqlite_site, make.ct_series(SLICES, rows=64, columns=64)
    with storescp(tmp_path / "kept") as port:
        rules(site, port, "DCMTK", accepts="identified", steps="[{forward: archive}]")
        with site.running() as node, Orthanc(tmp_path, node.port) as orthanc:
            for path in make.write_all(sent, tmp_path / "ct"):
                orthanc.ask("/instances", path.read_bytes())
            study = orthanc.ask("/studies")[0]  # type: ignore[index]  # JSON
            answer = orthanc.ask("/modalities/node/store", json.dumps({"Resources": [study]}).encode())
            assert answer["FailedInstancesCount"] == 0  # type: ignore[index]  # JSON
            assert site.settled(SLICES) == {"delivered": SLICES}
            kept = sorted(dcmread(path).SOPInstanceUID for path in (tmp_path / "kept").iterdir())
            assert kept == sorted(one.SOPInstanceUID for one in sent)
            told = site.story(make.uid("study"))
            assert {i["calling_ae"] for i in told["instances"]} == {"ORTHANC"}
            wait_until(lambda: not node.service.sessions.count())
