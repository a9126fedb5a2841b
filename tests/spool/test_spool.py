from __future__ import annotations

import errno
import hashlib
import shutil
import tempfile
import threading
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.part10 import read_meta
from node.model import UID, Identity, Origin, ReceiptId
from node.moment import new_receipt
from node.spool import Files, Incoming, Kept, Spool
from tests.spool.disk import Disk

IDENTITY = Identity(
    sop_class=UID("1.2.840.10008.5.1.4.1.1.2"), sop_instance=UID("1.2.3"), study=UID("1.2"), series=UID("1.2.1"),
    transfer_syntax=UID("1.2.840.10008.1.2.1"),
)  # fmt: skip
ORIGIN = Origin(calling_ae="CT1", called_ae="NODE", sender="10.1.2.3")
START = datetime(2026, 11, 22, 23, 59, 59, 999_000, tzinfo=UTC)


class Clock:
    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def spool_in(root: Path, clock: Clock | None = None, *, process: str = "one", files: Files | None = None) -> Spool:
    return Spool(root, process, files=files or Files(), clock=clock or Clock(), ids=new_receipt)


def begun(spool: Spool, data: bytes = b"data") -> Incoming:
    incoming = spool.begin(IDENTITY, ORIGIN)
    incoming.write(data)
    return incoming


def keep(spool: Spool, incoming: Incoming | None = None) -> Kept:
    """Keep one instance and show it."""
    kept = (incoming or begun(spool)).keep()
    spool.show([(kept.slot, kept.path)])
    return kept


def test_an_instance_lies_in_the_folder_of_its_hour_under_its_receipt_id(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    kept = keep(spool)
    assert kept.path == tmp_path / "2026-11-22" / "23" / f"{kept.receipt}.dcm"
    assert spool.where(spool.relative(kept.path)) == kept.path


def test_the_hour_is_that_of_utc_wherever_the_clock_stands(tmp_path: Path) -> None:
    west = Clock(datetime(2026, 11, 22, 20, 30, tzinfo=timezone(timedelta(hours=-5))))
    assert keep(spool_in(tmp_path, west)).path.parent == tmp_path / "2026-11-23" / "01"


def test_the_file_carries_the_bytes_their_hash_and_where_they_came_from(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    incoming = spool.begin(IDENTITY, ORIGIN)
    for part in (b"one ", bytearray(b"two "), memoryview(b"three")):
        incoming.write(part)
    kept = keep(spool, incoming)
    meta = read_meta(kept.path)
    data = kept.path.read_bytes()[meta.dataset_offset :]
    assert data == b"one two three"
    assert (kept.size, kept.sha256) == (13, hashlib.sha256(data).hexdigest())
    assert meta.provenance is not None
    assert meta.provenance.sha256 == kept.sha256
    assert (meta.provenance.receipt, meta.provenance.origin, meta.provenance.received) == (kept.receipt, ORIGIN, START)


def test_nothing_is_visible_before_keep_and_nothing_is_left_after_discard(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    incoming = begun(spool)
    assert list(spool.kept()) == []
    incoming.discard()
    incoming.discard()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_discard_after_keep_does_nothing(tmp_path: Path) -> None:
    incoming = begun(spool_in(tmp_path))
    kept = incoming.keep()
    incoming.discard()
    assert kept.slot.is_file()


def test_instances_are_listed_oldest_first_across_midnight(tmp_path: Path) -> None:
    clock = Clock()
    ids = iter(f"{n:032x}" for n in range(10))
    spool = Spool(tmp_path, "one", files=Files(), clock=clock, ids=lambda: ReceiptId(next(ids)))
    kept = []
    for _ in range(4):
        kept.append(keep(spool).path)
        clock.now += timedelta(minutes=31)
    assert list(spool.kept()) == kept
    assert len({path.parent for path in kept}) == 3
    assert len({path.parent.parent for path in kept}) == 2


def test_a_slow_walk_over_a_large_hour_holds_little_of_it(tmp_path: Path) -> None:
    """The running check walks for minutes; with a path for each file a busy hour took 150 MB."""
    spool = spool_in(tmp_path)
    hour = spool.root / "2026-11-22" / "08"
    hour.mkdir(parents=True)
    count = 4000
    for number in range(count):
        (hour / f"{number:032x}.dcm").touch()
    walk = spool.kept()
    tracemalloc.start()
    try:
        assert next(walk).stem == f"{0:032x}"
        assert tracemalloc.get_traced_memory()[0] < 100 * count
        assert sum(1 for _ in walk) == count - 1
    finally:
        tracemalloc.stop()


def test_an_hour_that_goes_during_the_walk_does_not_end_it(tmp_path: Path) -> None:
    clock = Clock()
    spool = spool_in(tmp_path, clock)
    first = keep(spool)
    clock.now += timedelta(hours=5)
    gone = keep(spool)
    clock.now += timedelta(hours=5)
    last = keep(spool)
    walk = spool.kept()
    assert next(walk) == first.path
    shutil.rmtree(gone.path.parent)
    assert list(walk) == [last.path]


def test_what_lies_about_in_the_spool_is_not_listed(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    kept = keep(spool)
    begun(spool)
    for stray in ("notes.dcm", "2026-11-22/stray.dcm", "2026-11-22/23/.hidden", "2026-11-22/23/x.txt", "lost/23/x.dcm"):
        (tmp_path / stray).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / stray).write_bytes(b"")
    assert list(spool.kept()) == [kept.path]


def test_two_processes_keep_into_one_folder_and_write_into_their_own(tmp_path: Path) -> None:
    one, two = spool_in(tmp_path, process="one"), spool_in(tmp_path, process="two")
    kept = [keep(one).path, keep(two).path]
    assert sorted(kept) == list(one.kept()) == list(two.kept())
    assert one.abandoned() == ("one", "two")


def test_what_a_dead_process_was_writing_is_removed_and_what_it_kept_stays(tmp_path: Path) -> None:
    dead, alive = spool_in(tmp_path, process="dead"), spool_in(tmp_path, process="alive")
    kept = keep(dead)
    begun(dead)
    begun(dead)
    going_on = begun(alive)
    assert alive.abandon("dead") == 2
    assert alive.abandon("dead") == 0
    assert alive.abandoned() == ("alive",)
    assert kept.path.is_file()
    keep(alive, going_on)


def test_what_is_kept_and_not_shown_yet_is_known_by_its_receipt_to_every_process(tmp_path: Path) -> None:
    one, two = spool_in(tmp_path, process="one"), spool_in(tmp_path, process="two")
    kept = begun(one).keep()
    begun(one)
    assert two.unshown() == [kept.receipt]
    one.show([(kept.slot, kept.path)])
    assert two.unshown() == []


def test_close_leaves_no_folder_of_the_process_unless_something_is_in_it(tmp_path: Path) -> None:
    clean, busy = spool_in(tmp_path, process="clean"), spool_in(tmp_path, process="busy")
    begun(busy)
    clean.close()
    busy.close()
    assert busy.abandoned() == ("busy",)


def test_empty_folders_go_but_not_those_into_which_something_may_still_come(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 11, 22, 1, 0, tzinfo=UTC))
    spool = spool_in(tmp_path, clock)
    paths = []
    for _ in range(30):
        paths.append(keep(spool).path)
        clock.now += timedelta(hours=1)
    for path in paths[:5] + paths[6:]:
        path.unlink()
    clock.now -= timedelta(hours=1)
    spool.forget_empty_folders()
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("2026*/*"))
    assert left == ["2026-11-22/06", "2026-11-23/04", "2026-11-23/05", "2026-11-23/06"]
    assert list(spool.kept()) == [paths[5]]


def test_a_day_into_which_an_hour_is_being_made_stays(tmp_path: Path) -> None:
    spool = spool_in(tmp_path, Clock(datetime(2026, 11, 22, 12, 0, tzinfo=UTC)))
    (tmp_path / "2026-11-22").mkdir()
    (tmp_path / "2026-11-21").mkdir()
    spool.forget_empty_folders()
    assert sorted(path.name for path in tmp_path.glob("2026*")) == ["2026-11-22"]


def test_what_cannot_be_begun_leaves_nothing(tmp_path: Path) -> None:
    disk = Disk(tmp_path, {"write": {1: errno.ENOSPC}})
    spool = spool_in(tmp_path, files=disk)
    with pytest.raises(OSError, match="space"):
        spool.begin(IDENTITY, ORIGIN)
    assert list(spool.incoming.iterdir()) == []
    assert keep(spool).path.is_file()


def test_a_slot_that_nobody_wrote_into_is_no_instance(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    (tmp_path / "incoming" / "other").mkdir()
    (tmp_path / "incoming" / "other" / "0000000000.part").touch()
    assert spool.slots_of("other") == []
    assert spool.abandon("other") == 0
    assert spool.abandoned() == ("one",)


def test_an_instance_that_began_before_the_hour_turned_is_kept_though_its_folder_was_cleared_away(
    tmp_path: Path,
) -> None:
    clock = Clock()
    spool, other = spool_in(tmp_path, clock), spool_in(tmp_path, clock, process="other")
    first = keep(spool)
    slow = begun(spool)
    first.path.unlink()
    clock.now += timedelta(days=1)
    other.forget_empty_folders()
    assert not first.path.parent.exists()
    assert keep(spool, slow).path.parent == first.path.parent


def test_clearing_away_and_keeping_side_by_side_lose_nothing(tmp_path: Path) -> None:
    spool, other = spool_in(tmp_path), spool_in(tmp_path, process="other")
    over = threading.Event()

    def clear() -> None:
        while not over.is_set():
            other.forget_empty_folders()

    thread = threading.Thread(target=clear)
    thread.start()
    try:
        for _ in range(50):
            kept = keep(spool)
            assert kept.path.is_file()
            kept.path.unlink()
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("name", ["calling_ae", "called_ae"])
def test_names_from_the_network_are_in_no_path(tmp_path: Path, name: str) -> None:
    evil = Origin(**{"calling_ae": "A", "called_ae": "B", "sender": "10.0.0.1"} | {name: "../../evil"})
    incoming = spool_in(tmp_path / "spool").begin(IDENTITY, evil)
    incoming.keep()
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name]


class Full(Files):
    """A disk that takes so many pieces, and then a part of one."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.left = pieces

    def write(self, descriptor: int, data: bytes | bytearray | memoryview) -> None:
        self.left -= 1
        if self.left < 0:
            super().write(descriptor, memoryview(data)[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(descriptor, data)


@pytest.mark.parametrize("kind", ["patch", "sync"])
def test_of_what_cannot_be_made_durable_nothing_is_left(kind: str, tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    spool = spool_in(tmp_path, files=disk)
    incoming = begun(spool)
    slot = spool.slots_of("one")[0]
    disk.faults = {kind: {0: errno.EIO}}
    with pytest.raises(OSError, match="error"):
        incoming.keep()
    assert not slot.exists()


class Copies(Disk):
    """A file system without hard links."""

    def link(self, existing: Path, new: Path) -> bool:
        super().link(existing, new)
        new.unlink()
        shutil.copyfile(existing, new)
        return False


def test_a_copy_is_synced_before_its_slot_goes(tmp_path: Path) -> None:
    disk = Copies(tmp_path)
    spool = spool_in(tmp_path, files=disk)
    kept = begun(spool).keep()
    before = len(disk.calls)
    spool.show([(kept.slot, kept.path)])
    story = [(call.kind, call.path) for call in disk.calls[before:]]
    assert story[-3:] == [("sync", kept.path), ("sync_folder", kept.path.parent), ("remove", kept.slot)]


def test_a_copy_that_was_interrupted_is_made_again(tmp_path: Path) -> None:
    disk = Copies(tmp_path)
    spool = spool_in(tmp_path, files=disk)
    kept = begun(spool).keep()
    whole = kept.slot.read_bytes()
    kept.path.parent.mkdir(parents=True)
    kept.path.write_bytes(whole[:100])
    spool.show([(kept.slot, kept.path)])
    assert kept.path.read_bytes() == whole
    assert ("sync", kept.path) in [(call.kind, call.path) for call in disk.calls]
    assert not kept.slot.exists()


def test_what_has_both_names_or_its_place_alone_is_shown_again_without_harm(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    kept = begun(spool).keep()
    kept.path.parent.mkdir(parents=True)
    kept.path.hardlink_to(kept.slot)
    for _ in range(2):
        spool.show([(kept.slot, kept.path)])
        assert read_meta(kept.path).provenance is not None
        assert not kept.slot.exists()


def test_what_has_no_name_any_more_cannot_be_shown(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    kept = begun(spool).keep()
    kept.slot.unlink()
    with pytest.raises(FileNotFoundError):
        spool.show([(kept.slot, kept.path)])


def test_the_folder_of_an_hour_that_another_process_made_is_synced_at_its_first_use(tmp_path: Path) -> None:
    """The other one may not have come to its sync yet."""
    disk = Disk(tmp_path)
    spool = spool_in(tmp_path, files=disk)
    first, second = begun(spool).keep(), begun(spool).keep()
    hour = first.path.parent
    hour.mkdir(parents=True)
    for kept, synced in ((first, True), (second, False)):
        before = len(disk.calls)
        spool.show([(kept.slot, kept.path)])
        story = [(call.kind, call.path) for call in disk.calls[before:]]
        above = [("sync_folder", folder) in story for folder in (tmp_path, hour.parent)]
        assert above == [synced, synced]
        assert ("sync_folder", hour) in story


def test_of_what_could_not_be_written_nothing_can_be_kept(tmp_path: Path) -> None:
    """Its hash would be of more than its file has."""
    spool = spool_in(tmp_path, files=Full(2))
    incoming = spool.begin(IDENTITY, ORIGIN)
    incoming.write(b"a" * 100_000)
    with pytest.raises(OSError, match="No space"):
        incoming.write(b"b" * 100_000)
    with pytest.raises(OSError, match="Bad file descriptor"):
        incoming.keep()
    assert not spool.slots_of(spool.incoming.name)


class Hurried(Files):
    """Notes what the disk is told to begin with."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[tuple[int, int]] = []
        self.at_sync: int | None = None

    def hurry(self, descriptor: int, start: int, length: int) -> None:
        self.parts.append((start, start + length))
        super().hurry(descriptor, start, length)

    def sync(self, descriptor: int) -> None:
        self.at_sync = len(self.parts)
        super().sync(descriptor)


@given(pieces=st.lists(st.sampled_from([1, 1000, 4096, 70_000, 262_144, 600_000]), min_size=1, max_size=8))
def test_the_disk_begins_early_with_every_page_but_the_first_and_with_none_twice(pieces: list[int]) -> None:
    """The first page is written again with the hash; the last one may still be filled."""
    files = Hurried()
    with tempfile.TemporaryDirectory() as folder:
        spool = spool_in(Path(folder), files=files)
        incoming = spool.begin(IDENTITY, ORIGIN)
        for piece in pieces:
            incoming.write(bytes(piece))
        before = list(files.parts)
        incoming.hurry()
        data, start = incoming.written()
        end = len(data)
        assert end - start == sum(pieces)
        kept = incoming.keep()
        assert kept.sha256 == hashlib.sha256(bytes(sum(pieces))).hexdigest()
        del data
        spool.close()
    assert all(first % 4096 == last % 4096 == 0 for first, last in before)
    edges = [4096, *(last for _, last in files.parts)]
    assert [first for first, _ in files.parts] == edges[:-1], "one behind the other"
    little = end - edges[len(before)] < 65_536
    assert edges[-1] == (edges[len(before)] if little else end), "what is left at the end, unless it is little"
    assert files.at_sync == len(files.parts)


def test_what_only_a_hurried_disk_has_is_not_on_it(tmp_path: Path) -> None:
    """It promises nothing: success follows the sync in any case."""
    disk = Disk(tmp_path)
    spool = spool_in(tmp_path / "spool", files=disk)
    incoming = begun(spool, bytes(1 << 20))
    incoming.written()
    assert "sync" not in disk.kinds()
    incoming.keep()
    assert disk.kinds()[-3:] == ["patch", "sync", "close"]


def test_where_the_system_cannot_begin_early_the_sync_does_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.spool.files._range", None)
    spool = spool_in(tmp_path)
    kept = keep(spool, begun(spool, bytes(1 << 20)))
    assert kept.path.stat().st_size > 1 << 20
