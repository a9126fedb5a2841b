"""A disk that is nearly full, full, failing or read-only: the sender is told, and nothing half is kept."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from node.spool import Files
from node.spool.files import Room
from tests import make
from tests.flow.nodes import Site, wait_until
from tests.flow.small_disk import fill, mount, tmpfs
from tests.peers import Recorder, send

RULES = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: identified}
routes:
  - {name: all, when: always, steps: [{forward: archive}]}
"""
SHARE = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: identified}
  share: {folder: $folder, accepts: identified, retry: {first: 1s, factor: 1}}
routes:
  - {name: all, when: always, steps: [{forward: share}, {forward: archive}]}
"""


class Disk(Files):
    """The real one, until it is told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.free: int | None = None
        self.failing = False

    def room(self, folder: Path) -> Room:
        return super().room(folder) if self.free is None else Room(self.free, -1)

    def sync(self, descriptor: int) -> None:
        if self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(descriptor)


def test_below_keep_free_instances_are_refused_until_there_is_room_again(site: Site) -> None:
    series, disk = make.ct_series(3, rows=64, columns=64), Disk()
    with Recorder() as archive:
        site.rules(RULES, port=archive.port)
        with site.running(files=disk) as node:
            assert send(node.port, series[:1]) == [0x0000]
            disk.free = 1 << 20
            assert send(node.port, series[1:]) == [0xA700] * 2
            # What was taken before goes on meanwhile.
            archive.wait_for(1)
            disk.free = None
            assert send(node.port, series[1:]) == [0x0000] * 2
            assert site.settled(3) == {"delivered": 3}
    assert len(archive.uids) == 3


def test_an_instance_whose_sync_fails_is_not_acknowledged_and_leaves_no_trace(site: Site) -> None:
    series, disk = make.ct_series(2, rows=64, columns=64), Disk()
    with Recorder() as archive:
        site.rules(RULES, port=archive.port)
        with site.running(files=disk) as node:
            disk.failing = True
            assert send(node.port, series) == [0xA700] * 2
            assert site.spooled() == {}
            assert site.safe() == set()
            disk.failing = False
            assert send(node.port, series) == [0x0000] * 2
            assert site.settled(2) == {"delivered": 2}


def test_a_disk_that_is_really_full_takes_up_again_where_it_was(tmp_path: Path) -> None:
    """A tmpfs of a few MiB under the data folder, filled to the brim by somebody else."""
    with tmpfs(tmp_path / "small", "24m") as small, Site(small / "node", "sqlite") as site, Recorder() as archive:
        series = make.ct_series(4, rows=64, columns=64)
        site.rules(RULES, port=archive.port, node="limits: {keep_free: 1B}")
        with site.running() as node:
            assert send(node.port, series[:2]) == [0x0000] * 2
            assert site.settled(2) == {"delivered": 2}
            fill(small / "somebody else's")
            assert set(send(node.port, series[2:])) == {0xA700}
            (small / "somebody else's").unlink()
            assert send(node.port, series[2:]) == [0x0000] * 2
            assert site.settled(4) == {"delivered": 4}
    assert len(archive.uids) == len(set(archive.uids)) == 4


def test_a_share_that_cannot_be_written_blocks_nobody(tmp_path: Path, sqlite_site: Site) -> None:
    """Mounted read-only when the node starts; a person mounts it writable, and everything arrives."""
    site = sqlite_site
    with tmpfs(tmp_path / "share", "8m") as share, Recorder() as archive:
        mount("-o", "remount,ro", share)
        site.rules(SHARE, port=archive.port, folder=share / "volumes")
        with site.running() as node:
            send(node.port, make.ct_series(2, rows=64, columns=64))
            archive.wait_for(2)
            wait_until(lambda: site.rows("SELECT id FROM node_delivery WHERE state = 'waiting' AND failures > 0"))
            assert site.counts() == {"waiting": 2}
            mount("-o", "remount,rw", share)
            (share / "volumes").mkdir()
            assert site.settled(2) == {"delivered": 2}
            assert len(list(share.rglob("*.dcm"))) == 2
