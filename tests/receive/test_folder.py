"""Watched folders: taken when they have stood still, removed when they are safe, else left and said once."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.model import Origin
from node.receive import folder as folder_module
from node.receive.folder import FolderIntake, compare, nameless
from node.spool.files import Room
from tests import make
from tests.dicom.datasets import BIG_ENDIAN, DEFLATED, IMPLICIT, encoded, explicit
from tests.peers import Instance
from tests.receive.station import Shelf, content_of, until
from tests.spool.disk import Disk

GOOD = Instance.of(make.instance())


class Full(Disk):
    """A disk with as much room as the test says."""

    left = 1 << 40

    def room(self, folder: Path) -> Room:
        return Room(bytes=self.left, inodes=-1)


@contextmanager
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    one = Shelf(tmp_path / "data", files=Full(tmp_path))
    try:
        yield one
    finally:
        one.presence.close()


def intake(tmp_path: Path, shelf: Shelf) -> FolderIntake:
    inbox = tmp_path / "inbox"
    inbox.mkdir(exist_ok=True)
    return FolderIntake(inbox, "RESEARCH", shelf.keeper, settle=0.05, rescan=0.2)


def file_meta_for(syntax: str) -> bytes:
    return bytes(128) + b"DICM" + explicit(0x00020010, "UI", syntax.encode() + bytes(len(syntax) % 2))


def left_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def said(caplog: pytest.LogCaptureFixture, word: str) -> int:
    return sum(word in r.getMessage() for r in caplog.records if r.name == "node.receive")


def test_a_file_is_taken_at_the_second_look_and_leaves_the_folder(tmp_path: Path) -> None:
    told: list[Origin] = []
    with shelf(tmp_path) as node:
        watched = intake(tmp_path, node)
        watched.taken = told.append
        make.write(make.instance(), tmp_path / "inbox" / "a" / "b" / "IM1")
        assert [path.name for path in watched.look().growing] == ["IM1"]
        assert node.kept() == []
        assert [path.name for path in watched.look().ready] == ["IM1"]
        (path,) = node.kept()
    meta, data = content_of(path)
    assert data == GOOD.data
    assert meta.provenance is not None
    assert meta.provenance.origin == Origin(calling_ae="", called_ae="RESEARCH", sender=f"folder:{tmp_path / 'inbox'}")
    assert told == [meta.provenance.origin]
    assert left_in(tmp_path / "inbox") == []


def test_a_file_that_grows_is_not_cut_off(tmp_path: Path) -> None:
    whole = make.write(make.instance(), tmp_path / "whole").read_bytes()
    with shelf(tmp_path) as node:
        watched = intake(tmp_path, node)
        target = tmp_path / "inbox" / "slow"
        for end in (400, 500, 600, len(whole)):
            target.write_bytes(whole[:end])
            os.utime(target, ns=(end, end))
            assert watched.look().ready == ()
        watched.look()
        assert node.stored() == [GOOD.data]


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG_ENDIAN, "1.2.840.10008.1.2.1", DEFLATED])
@pytest.mark.parametrize("part", [0.5, 0.999])
def test_a_copy_that_pauses_is_not_taken_cut_off_but_when_it_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, syntax: str, part: float
) -> None:
    whole = encoded(make.ct_series(1)[0], syntax)
    if syntax == DEFLATED:  # which is only known by what the file says
        whole = file_meta_for(syntax) + whole
    with shelf(tmp_path) as node:
        watched = intake(tmp_path, node)
        target = tmp_path / "inbox" / "slow"
        with target.open("wb") as copy:
            copy.write(whole[: int(len(whole) * part)])
            copy.flush()
            for _ in range(4):
                watched.look()
            assert node.kept() == []
            assert said(caplog, "is taken when the rest is here") == 1
            copy.write(whole[int(len(whole) * part) :])
        watched.look()
        watched.look()
        (path,) = node.kept()
        assert whole.endswith(content_of(path)[1])
    assert left_in(tmp_path / "inbox") == []


@pytest.mark.parametrize("size", [-10, 0, 10])
def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """It may be half of one instance and half of another, and whole all the same."""
    with shelf(tmp_path) as node:
        watched = intake(tmp_path, node)
        target = make.write(make.ct_series(1)[0], tmp_path / "inbox" / "file")
        watched.look()
        real = node.keeper.check_room

        def meanwhile(of: int) -> None:
            data = target.read_bytes()
            more = explicit(0xFFFCFFFC, "OB", b"behind") if size > 0 else b""
            target.write_bytes(data[:size] if size < 0 else data + more)
            real(of)

        monkeypatch.setattr(type(node.keeper), "check_room", lambda self, size: meanwhile(size))
        watched.look()
        assert node.kept() == []
        assert target.is_file()


def test_a_file_that_is_replaced_after_it_was_read_is_not_removed(tmp_path: Path) -> None:
    with shelf(tmp_path) as node:
        watched = intake(tmp_path, node)
        target = make.write(make.instance(number=1), tmp_path / "inbox" / "file")

        def meanwhile(origin: Origin) -> None:
            make.write(make.report(), target)

        watched.taken = meanwhile
        watched.look()
        watched.look()
        watched.taken = lambda origin: None
        assert target.is_file()
        watched.look()
        watched.look()
        assert len(node.kept()) == 2
        assert not target.exists()


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG_ENDIAN, "1.2.840.10008.1.2.1"])
def test_a_data_set_without_file_meta_is_taken_as_it_is(tmp_path: Path, syntax: str) -> None:
    data = encoded(make.instance(), syntax)
    with shelf(tmp_path) as node:
        watched = intake(tmp_path, node)
        (tmp_path / "inbox" / "bare").write_bytes(data)
        watched.look()
        watched.look()
        (path,) = node.kept()
    meta, kept = content_of(path)
    assert kept == data
    assert meta.transfer_syntax == syntax


def test_a_dicomdir_is_passed_over_quietly_and_its_instances_are_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "node")
    directory = make.instance("1.2.840.10008.1.3.10")
    del directory.SOPClassUID, directory.SOPInstanceUID
    make.write(directory, tmp_path / "inbox" / "DICOMDIR")
    make.write_all(make.ct_series(3), tmp_path / "inbox" / "IMAGES")
    with shelf(tmp_path) as node:
        watched = intake(tmp_path, node)
        for _ in range(3):
            watched.look()
        assert len(node.kept()) == 3
    assert left_in(tmp_path / "inbox") == ["DICOMDIR"]
    assert [r.levelno for r in caplog.records if "DICOMDIR" in r.getMessage()] == [logging.INFO]


def test_what_is_no_instance_is_left_alone_and_said_once_until_it_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with shelf(tmp_path) as node:
        watched = intake(tmp_path, node)
        inbox = tmp_path / "inbox"
        (inbox / "readme.txt").write_text("hello")
        (inbox / "empty").write_bytes(b"")
        (inbox / "half").write_bytes(make.write(make.instance(), tmp_path / "x").read_bytes()[:300])
        (inbox / ".hidden").write_bytes(b"")
        (inbox / ".rsync").mkdir()
        make.write(make.instance(), inbox / ".rsync" / "part")
        for _ in range(4):
            watched.look()
        assert node.kept() == []
        assert said(caplog, "is left where it is") == 3
        make.write(make.instance(), inbox / "half")
        for _ in range(3):
            watched.look()
        assert node.stored() == [GOOD.data]
        assert said(caplog, "is left where it is") == 3
    assert left_in(inbox) == [".hidden", ".rsync/part", "empty", "readme.txt"]


def test_an_instance_that_is_refused_stays_and_the_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ds = make.instance(number=2)
    ds.StudyInstanceUID = ""
    with shelf(tmp_path) as node:
        watched = intake(tmp_path, node)
        make.write(make.instance(), tmp_path / "inbox" / "good")
        make.write(ds, tmp_path / "inbox" / "a bad one")
        for _ in range(4):
            watched.look()
        assert node.stored() == [GOOD.data]
    assert left_in(tmp_path / "inbox") == ["a bad one"]
    assert said(caplog, f"file {nameless(Path('a bad one'), Path())} (") == 1
    assert said(caplog, "is left where it is") == 1


def test_files_wait_while_the_disk_is_full_and_are_taken_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with shelf(tmp_path) as node:
        assert isinstance(node.files, Full)
        watched = intake(tmp_path, node)
        make.write(make.instance(), tmp_path / "inbox" / "file")
        node.keep_free, node.files.left = 1 << 20, 1 << 10
        for _ in range(4):
            watched.look()
        assert left_in(tmp_path / "inbox") == ["file"]
        assert said(caplog, "keep_free") == 1
        node.files.left = 1 << 40
        watched.look()
        assert node.stored() == [GOOD.data]
    assert left_in(tmp_path / "inbox") == []


def test_a_file_that_is_too_large_is_not_even_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with shelf(tmp_path) as node:
        node.largest = 100
        watched = intake(tmp_path, node)
        make.write(make.instance(), tmp_path / "inbox" / "file")
        for _ in range(3):
            watched.look()
        assert node.kept() == []
    assert said(caplog, "limits: instance") == 1


@pytest.mark.parametrize("kind", ["create", "sync", "sync_folder"])
def test_a_file_that_cannot_be_made_durable_stays_and_is_tried_again(tmp_path: Path, kind: str) -> None:
    with shelf(tmp_path) as node:
        assert isinstance(node.files, Full)
        watched = intake(tmp_path, node)
        make.write(make.instance(), tmp_path / "inbox" / "file")
        watched.look()
        node.files.faults = {kind: {0: errno.EIO}}
        watched.look()
        assert left_in(tmp_path / "inbox") == ["file"]
        assert node.kept() == []
        node.files.faults = {}
        watched.look()
        assert node.stored() == [GOOD.data]
        assert left_in(tmp_path / "inbox") == []


def test_the_file_goes_only_after_the_instance_is_durable(tmp_path: Path) -> None:
    with shelf(tmp_path) as node:
        assert isinstance(node.files, Full)
        watched = intake(tmp_path, node)
        file = make.write(make.instance(), tmp_path / "inbox" / "file")
        watched.look()
        watched.look()
        calls = [(call.kind, call.path) for call in node.files.calls]
        (kept,) = node.kept()
        assert calls.index(("remove", file)) > len(calls) - 1 - calls[::-1].index(("sync_folder", kept.parent))


def test_a_folder_that_cannot_be_written_gives_its_files_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with shelf(tmp_path) as node:
        assert isinstance(node.files, Full)
        watched = intake(tmp_path, node)
        make.write(make.instance(), tmp_path / "inbox" / "file")
        node.files.faults = {"remove": {0: errno.EROFS}}
        for _ in range(4):
            watched.look()
        assert node.stored() == [GOOD.data]
    assert left_in(tmp_path / "inbox") == ["file"]
    assert said(caplog, "it is taken in, and cannot be removed") == 1


def test_the_log_has_no_file_names_and_says_how_to_know_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    name = "MUELLER^HANS_19500102"
    with shelf(tmp_path) as node:
        watched = intake(tmp_path, node)
        assert isinstance(node.files, Full)
        folder = tmp_path / "inbox" / name
        folder.mkdir()
        (folder / f"{name}.txt").write_bytes(b"no image")
        (folder / "DICOMDIR").write_bytes(b"")
        make.write(make.instance(), folder / f"{name}.dcm")
        (folder / f"{name}.gone").symlink_to(folder / "nowhere")
        node.files.faults = {"remove": {0: errno.EROFS}}
        for _ in range(3):
            watched.look()
    digest = hashlib.sha256(f"{name}/{name}.txt".encode()).hexdigest()[:12]
    assert said(caplog, f"folder {tmp_path / 'inbox'}: file {digest} (8 bytes) is left where it is: ") == 1
    assert said(caplog, "is left where it is") == 3
    assert "MUELLER" not in caplog.text
    assert "1950" not in caplog.text


def test_a_bug_that_one_file_meets_leaves_it_for_later_and_the_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, secret = folder_module.sniff, "MUELLER^HANS is no number"

    def faulty(path: Path) -> object:
        if path.name == "a":
            raise ValueError(secret)
        return real(path)

    monkeypatch.setattr(folder_module, "sniff", faulty)
    with shelf(tmp_path) as node:
        watched = intake(tmp_path, node)
        make.write(make.instance(number=1), tmp_path / "inbox" / "a")
        make.write(make.instance(number=2), tmp_path / "inbox" / "b")
        for _ in range(3):
            watched.look()
        assert left_in(tmp_path / "inbox") == ["a"]
        assert len(node.kept()) == 1
        assert said(caplog, "a fault in the node (ValueError)") == said(caplog, "in faulty") == 1
        assert secret not in caplog.text
        monkeypatch.setattr(folder_module, "sniff", real)
        watched.look()
        assert len(node.kept()) == 2
    assert left_in(tmp_path / "inbox") == []


# ---- the running thread ------------------------------------------------------------------------------------


@contextmanager
def running(watched: FolderIntake) -> Iterator[None]:
    watched.start()
    try:
        yield
    finally:
        watched.stop()


def test_what_is_there_at_the_start_and_what_comes_later_is_taken(tmp_path: Path) -> None:
    with shelf(tmp_path) as node:
        watched = intake(tmp_path, node)
        watched.rescan = 60.0
        make.write(make.instance(number=1), tmp_path / "inbox" / "early")
        with running(watched):
            until(lambda: len(node.kept()) == 1, "the one that was there")
            make.write(make.instance(number=2), tmp_path / "inbox" / "new folder" / "late")
            until(lambda: len(node.kept()) == 2, "the one that came")
            (tmp_path / "x").write_bytes((make.write(make.instance(number=3), tmp_path / "y")).read_bytes())
            (tmp_path / "x").rename(tmp_path / "inbox" / "moved in")
            until(lambda: len(node.kept()) == 3, "the one that was moved in")


def test_folders_without_events_are_looked_at_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network file systems send none, and the system may have none left to give."""

    def none_left(self: object) -> None:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    monkeypatch.setattr("node.watching.Observer.start", none_left)
    with shelf(tmp_path) as node, running(intake(tmp_path, node)):
        make.write(make.instance(), tmp_path / "inbox" / "file")
        until(lambda: len(node.kept()) == 1, "it is found without an event")


def test_a_folder_that_goes_away_is_said_and_taken_up_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with shelf(tmp_path) as node, running(intake(tmp_path, node)):
        (tmp_path / "inbox").rename(tmp_path / "unmounted")
        until(lambda: said(caplog, "cannot be read") > 0, "it is said")
        (tmp_path / "unmounted").rename(tmp_path / "inbox")
        make.write(make.instance(), tmp_path / "inbox" / "file")
        until(lambda: len(node.kept()) == 1, "it goes on")


def test_a_slow_writer_is_waited_for_however_often_it_pauses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "node.receive")
    whole = make.write(make.ct_series(1)[0], tmp_path / "whole").read_bytes()
    ends = [len(whole) // 3, len(whole) // 2, len(whole) - 1, len(whole)]
    with shelf(tmp_path) as node, running(intake(tmp_path, node)), (tmp_path / "inbox" / "slow").open("wb") as copy:
        for begin, end in pairwise([0, *ends]):
            copy.write(whole[begin:end])
            copy.flush()
            if end < len(whole):
                # It has stood still for longer than the settling time.
                until(lambda: said(caplog, f"({copy.tell()} bytes) is left where it is") == 1, "it is left")
                assert node.kept() == []
        until(lambda: len(node.kept()) == 1, "it is taken")
        until(lambda: left_in(tmp_path / "inbox") == [], "and leaves the folder")
        assert whole.endswith(node.stored()[0])


# ---- compare -----------------------------------------------------------------------------------------------

_STAMPS = st.dictionaries(st.sampled_from([Path(c) for c in "abcd"]), st.tuples(st.integers(0, 2), st.integers(0, 2)))


@given(_STAMPS, _STAMPS, _STAMPS)
def test_a_file_is_ready_when_it_stood_still_and_was_not_dealt_with(
    before: dict[Path, tuple[int, int]], now: dict[Path, tuple[int, int]], done: dict[Path, tuple[int, int]]
) -> None:
    look = compare(before, now, done)
    assert not set(look.ready) & set(look.growing)
    assert set(look.ready) | set(look.growing) == {path for path in now if done.get(path) != now[path]}
    assert all(before.get(path) == now[path] for path in look.ready)
    assert all(before.get(path) != now[path] for path in look.growing)
