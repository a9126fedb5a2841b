"""From a destination in rules.yaml to its target, and whose each path in a folder is."""

from __future__ import annotations

from pathlib import Path

from node.config import Config
from node.deliver.dicom import DicomTarget
from node.deliver.folder import FolderTarget
from node.deliver.targets import Books, open_target
from tests.kit import Kit
from tests.peers import Recorder


def destinations(kit: Kit, text: str) -> Config:
    return kit.load(f"destinations: {{{text}}}\nroutes: [{{name: r, when: always, steps: [drop]}}]")


def test_an_application_entity_is_called_by_our_title_or_the_one_for_it(kit: Kit) -> None:
    with Recorder() as archive:
        at = f"dicom: ARCHIVE@127.0.0.1:{archive.port}"
        config = destinations(kit, f"plain: {{{at}}}, other: {{{at}, as: GATEWAY}}")
        for name, destination in config.destinations.items():
            target = open_target(name, destination, "NODE", None)
            assert isinstance(target, DicomTarget)
            assert "ARCHIVE" in target.check()
        assert archive.associations == 2


def test_a_folder_is_checked_without_a_database(kit: Kit) -> None:
    (kit.data / "out").mkdir()
    config = destinations(kit, "share: {folder: ./out}")
    target = open_target("share", config.destinations["share"], "NODE", None)
    assert isinstance(target, FolderTarget)
    assert "can be written to" in target.check()


def test_books_know_whose_a_path_is(kit: Kit) -> None:
    books = Books(kit.database, "share")
    assert books.owner("x/1.dcm") is None
    books.claim("x/1.dcm", "4.research")
    books.claim("x/1.dcm", "4.research")
    books.claim("x/2.dcm", "4.research")
    assert books.owner("x/1.dcm") == "4.research"
    assert sorted(books.published("4.research")) == ["x/1.dcm", "x/2.dcm"]
    books.claim("x/2.dcm", "5.research")
    assert books.published("4.research") == ["x/1.dcm"]
    books.forget("x/1.dcm")
    assert books.owner("x/1.dcm") is None


def test_each_destination_has_its_own_books(kit: Kit) -> None:
    Books(kit.database, "share").claim("1.dcm", "4.research")
    assert Books(kit.database, "other").owner("1.dcm") is None
    assert Books(kit.database, "other").published("4.research") == []


def test_without_a_database_everything_is_nobodys(tmp_path: Path) -> None:
    books = Books(None, "share")
    books.claim("1.dcm", "4.research")
    books.forget("1.dcm")
    assert books.owner("1.dcm") is None
    assert books.published("4.research") == []
