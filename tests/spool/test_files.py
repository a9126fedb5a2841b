from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from node.spool import Files
from tests.spool.disk import Disk


def synced(disk: Disk) -> list[Path]:
    return [call.path for call in disk.calls if call.kind == "sync_folder"]


def test_a_new_folder_is_made_with_its_parents_and_every_name_is_synced(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    assert synced(disk)[-3:] == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]


def test_folders_that_something_else_made_a_moment_ago_are_synced_too(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    disk = Disk(tmp_path)
    disk.make_folder(tmp_path / "a" / "b" / "c")
    assert synced(disk)[-3:] == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]


def test_what_this_process_has_synced_once_costs_nothing_the_second_time(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.make_folder(tmp_path / "a" / "b" / "c")
    before = len(disk.calls)
    disk.make_folder(tmp_path / "a" / "b" / "d")
    assert [(call.kind, call.path) for call in disk.calls[before:]] == [
        ("mkdir", tmp_path / "a" / "b" / "d"),
        ("sync_folder", tmp_path / "a" / "b"),
    ]


def test_a_folder_that_was_removed_meanwhile_is_made_and_synced_again(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.make_folder(tmp_path / "a" / "b")
    (tmp_path / "a" / "b").rmdir()
    (tmp_path / "a").rmdir()
    before = len(disk.calls)
    disk.make_folder(tmp_path / "a" / "b")
    assert [call.path for call in disk.calls[before:] if call.kind == "sync_folder"] == [tmp_path, tmp_path / "a"]


def test_many_threads_may_make_the_same_folder(tmp_path: Path) -> None:
    files, start, failed = Files(), threading.Barrier(8), []

    def make() -> None:
        start.wait()
        try:
            files.make_folder(tmp_path / "a" / "b" / "c")
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_write_goes_on_where_the_system_stopped_early(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, True)
    data = bytes(range(256)) * 4096

    def write() -> None:
        Files().write(writer, data)
        os.close(writer)

    thread = threading.Thread(target=write)
    thread.start()
    got = b""
    while part := os.read(reader, 1 << 16):
        got += part
    thread.join()
    os.close(reader)
    assert got == data


def path_of(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def test_what_is_synced_is_handed_to_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Disk` believes these calls; that they do something, no test could tell before the power fails."""
    synced: list[tuple[str, Path]] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(("names", path_of(number))))
    monkeypatch.setattr(os, "fdatasync", lambda number: synced.append(("content", path_of(number))))
    files, path = Files(), tmp_path / "file"
    descriptor = files.create(path)
    files.sync(descriptor)
    files.close(descriptor)
    files.sync_path(path)
    files.sync_folder(tmp_path)
    assert synced == [("content", path), ("content", path), ("names", tmp_path)]


def test_a_patch_that_the_system_cuts_short_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Files()
    descriptor = files.create(tmp_path / "file")
    files.write(descriptor, b"0123456789")
    files.patch(descriptor, b"abc", 2)
    assert (tmp_path / "file").read_bytes() == b"01abc56789"
    monkeypatch.setattr(os, "pwrite", lambda number, data, offset: len(data) - 1)
    with pytest.raises(OSError, match="short write"):
        files.patch(descriptor, b"abc", 2)
    files.close(descriptor)


def test_create_never_writes_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        Files().create(tmp_path / "there")


def test_remove_is_content_when_the_file_is_gone(tmp_path: Path) -> None:
    Files().remove(tmp_path / "gone")


def test_link_gives_the_same_bytes_a_second_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"bytes")
    assert Files().link(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").samefile(tmp_path / "b")


def test_link_says_where_it_is_only_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    (tmp_path / "a").write_bytes(b"bytes")
    monkeypatch.setattr(os, "link", none)
    assert not Files().link(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"bytes"


def test_room_says_what_is_free(tmp_path: Path) -> None:
    room = Files().room(tmp_path)
    assert 0 < room.bytes <= os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
    assert room.inodes == -1 or room.inodes > 0
