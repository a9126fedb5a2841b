"""UIDs with leading zeros are accepted with a warning, one for each series, over both ways in."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from pydicom import config as pydicom_config
from pydicom.dataset import FileDataset

from node.model import UID, Identity, Origin
from node.receive.folder import FolderIntake
from node.receive.irregular import Irregular
from tests import make
from tests.peers import send
from tests.receive.station import Shelf, station

ORIGIN = Origin(calling_ae="CT1", called_ae="NODE", sender="10.1.2.3")


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pydicom write what the standard forbids."""
    monkeypatch.setattr(pydicom_config.settings, "writing_validation_mode", pydicom_config.IGNORE)
    monkeypatch.setattr(pydicom_config.settings, "reading_validation_mode", pydicom_config.IGNORE)


def with_zero(count: int) -> list[FileDataset]:
    found = [make.instance(number=n) for n in range(count)]
    for ds in found:
        ds.StudyInstanceUID = "1.2.03"
    return found


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "begins with zero" in r.getMessage()]


@pytest.mark.usefixtures("lenient")
def test_each_series_of_an_association_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "node.receive")
    with station(tmp_path) as node:
        assert send(node.port, [make.instance(number=9), *with_zero(3)], calling_ae="CT1") == [0] * 4
        assert len(node.kept()) == 4
    (line,) = warned(caplog)
    assert "of CT1 at 127.0.0.1" in line
    assert "(0020,000D) Study Instance UID" in line
    assert str(make.uid("study", "series")) in line


@pytest.mark.usefixtures("lenient")
def test_each_series_of_a_folder_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "node.receive")
    make.write_all(with_zero(3), tmp_path / "inbox")
    shelf = Shelf(tmp_path / "data")
    try:
        watched = FolderIntake(tmp_path / "inbox", "NODE", shelf.keeper)
        watched.look()
        watched.look()
        assert len(shelf.kept()) == 3
    finally:
        shelf.presence.close()
    (line,) = warned(caplog)
    assert "of a folder at folder:" in line


def test_the_oldest_series_are_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    irregular = Irregular()

    def tell(number: int) -> None:
        uid = UID(f"1.2.0{number}")
        irregular.tell(
            Identity(sop_class=UID("1.2"), sop_instance=uid, study=UID("1.3"), series=uid, transfer_syntax=UID("1.2")),
            ORIGIN,
        )

    for number in [*range(501), 500, 0]:
        tell(number)
    assert len(warned(caplog)) == 502
