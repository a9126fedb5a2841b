"""A node's data to look at: what one that has run and stopped left behind."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from tests import make
from tests.flow.nodes import Site
from tests.peers import free_port, send

RULES = """
destinations:
  share: {folder: ./out, accepts: deidentified}
  archive: {dicom: "ARCHIVE@127.0.0.1:PORT", accepts: deidentified, retry: {first: 1h, at_most: 1h}}
routes:
  - {name: share-ct, when: {Modality: CT}, steps: [anonymize, {forward: share}]}
  - {name: send-mr, when: {Modality: MR}, steps: [anonymize, {forward: archive}]}
  - {name: captures, when: {Modality: OT}, steps: [anonymize, {forward: share}]}
"""
"""`share-ct` works, `send-mr` waits for an archive that nobody answers for, `captures` holds a burned-in image."""


@dataclass(frozen=True, slots=True)
class Left:
    """What was sent: three CT delivered, one MR that waits, one capture held, one report that no route takes."""

    rules: Path
    ct: str
    mr: str
    capture: str
    report: str
    port: int
    """Where nobody answers for the archive."""


def mr() -> FileDataset:
    ds = make.instance(make.MR_IMAGE, study="mr", series="mr")
    ds.ImageType = ["ORIGINAL", "PRIMARY"]  # else it may be a screen, and waits
    make.set_pixels(ds, np.zeros((8, 8), np.int16))
    return ds


@pytest.fixture(scope="session")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """Made once by a real node; tests get copies."""
    ct, waiting = make.ct_series(3, rows=8, columns=8), mr()
    capture, report = make.secondary_capture(np.zeros((8, 8), np.uint8), number=50), make.report(study="report")
    port = free_port()
    with Site(tmp_path_factory.mktemp("run") / "node", "sqlite") as site:
        site.rules(RULES.replace("PORT", str(port)))
        with site.running() as node:
            assert set(send(node.port, [*ct, waiting, capture, report])) == {0x0000}
            expected = {"delivered": 3, "waiting": 1, "held": 1, "unrouted": 1}
            site.wait(lambda: site.counts() == expected and _tried(site), why=f"not {expected}")
        return Left(
            site.path, ct[0].SeriesInstanceUID, waiting.SeriesInstanceUID, capture.SOPInstanceUID,
            report.SOPInstanceUID, port,
        )  # fmt: skip


@pytest.fixture
def left(run_once: Left, tmp_path: Path) -> Left:
    shutil.copytree(run_once.rules.parent, tmp_path / "node")
    return replace(run_once, rules=tmp_path / "node" / "rules.yaml")


def _tried(site: Site) -> bool:
    """The archive was called once, and its delivery waits for the next time."""
    return bool(site.rows("SELECT 1 FROM node_delivery WHERE next_at IS NOT NULL"))
