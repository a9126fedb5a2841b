"""What a process left behind gets its rows; what cannot be trusted is held with the reason."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from node.index import Database
from node.index.intake import Counted
from node.model import UID, Arrival, Identity, Origin, ReceiptId
from node.moment import new_receipt, utc_now
from node.receive import sweep
from node.receive.rows import record
from node.receive.sweep import NOT_IN_THE_BACKUP, Sweep
from node.spool import Files, Presence, Spool
from node.spool.proof import flaw
from tests import make
from tests.dicom.datasets import encoded
from tests.peers import Instance, send
from tests.receive.station import Shelf, station
from tests.receive.store import intake, opened, rows


class Next:
    """The process that starts after another one ended, or runs beside it."""

    def __init__(self, database: Database, data: Path, name: str = "next", restored: float | None = None) -> None:
        self.presence = Presence(data / "run", name)
        self.spool = Spool(data / "spool", name, files=Files(), clock=utc_now, ids=new_receipt)
        self.sweep = Sweep(
            spool=self.spool, presence=self.presence, intake=intake(database), charset=lambda origin: None,
            restored=lambda: restored,
        )  # fmt: skip

    def close(self) -> None:
        self.spool.close()
        self.presence.close()


@contextmanager
def dead(data: Path, count: int = 3, called_ae: str = "RESEARCH") -> Iterator[Shelf]:
    """A process that answered for so many instances, wrote no row, and is gone but for its files."""
    with station(data, process="dead") as node:
        instances = [make.instance(number=n) for n in range(1, count + 1)]
        assert send(node.port, instances, calling_ae="CT1", called_ae=called_ae) == [0] * count
        node.spool.begin(node.arrivals[0].identity, node.arrivals[0].origin)
        yield node


def left_by_the_dead(data: Path, count: int = 3) -> list[Path]:
    with dead(data, count) as node:
        return node.kept()


def test_what_was_answered_before_a_crash_is_indexed_at_the_next_start(database_url: str, tmp_path: Path) -> None:
    left_by_the_dead(tmp_path)
    with opened(database_url, tmp_path) as database, closing(Next(database, tmp_path)) as process:
        assert process.presence.dead() == ("dead",)
        assert process.sweep.start() == 3
        assert process.sweep.start() == 0
        found = rows(database)
        assert [row.id for row in found] == [path.stem for path in process.spool.kept()]
        assert {(row.state, row.calling_ae, row.called_ae, row.sender) for row in found} == {
            ("current", "CT1", "RESEARCH", "127.0.0.1")
        }
        assert {row.sop_instance for row in found} == {make.uid("study", "series", n) for n in (1, 2, 3)}
        assert process.presence.dead() == ()
        assert process.spool.abandoned() == ("next",)


def test_the_row_is_the_one_that_the_process_would_have_written(database_url: str, tmp_path: Path) -> None:
    with dead(tmp_path) as node, opened(database_url, tmp_path) as database:
        record(intake(database), node.arrivals)
        written = rows(database)
    shutil.rmtree(tmp_path / "run")
    with opened("sqlite", tmp_path / "other") as database, closing(Next(database, tmp_path)) as process:
        process.sweep.start()
        assert [tuple(row) for row in rows(database)] == [tuple(row) for row in written]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_what_a_former_version_acknowledged_is_not_thrown_away_for_how_it_begins(tmp_path: Path, syntax: str) -> None:
    """Such data sets are refused today: with file meta information of their own, behind which ours was not found."""
    ds = make.instance()
    ds.add_new(0x00020010, "UI", "1.2.3")
    data = encoded(ds, syntax)
    identity = Identity(
        sop_class=UID(str(ds.SOPClassUID)), sop_instance=UID(str(ds.SOPInstanceUID)), study=UID(""), series=UID(""),
        transfer_syntax=UID(syntax),
    )  # fmt: skip
    with station(tmp_path, process="dead") as node:
        incoming = node.spool.begin(identity, Origin(calling_ae="CT1", called_ae="RESEARCH", sender="10.1.2.3"))
        incoming.write(data)
        receipt = incoming.keep().receipt
        assert node.spool.unshown() == [receipt]
    with opened("sqlite", tmp_path) as database, closing(Next(database, tmp_path)) as process:
        assert process.sweep.start() == 1
        (row,) = rows(database)
        assert (row.id, row.state) == (receipt, "current")
        assert flaw(process.spool.where(row.path), receipt, hashlib.sha256(data).hexdigest()) == ""


def test_rows_that_are_there_are_left_as_they_are(database_url: str, tmp_path: Path) -> None:
    with dead(tmp_path) as node, opened(database_url, tmp_path) as database:
        record(intake(database), node.arrivals[:2])
    with opened(database_url, tmp_path) as database, closing(Next(database, tmp_path)) as process:
        assert process.sweep.start() == 1
        assert len(rows(database)) == 3


def test_more_instances_than_one_group_are_all_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.receive.sweep._GROUP", 4)
    left_by_the_dead(tmp_path, 10)
    with opened("sqlite", tmp_path) as database, closing(Next(database, tmp_path)) as process:
        assert process.sweep.start() == 10


# ---- several processes -------------------------------------------------------------------------------------


def test_a_live_process_takes_over_what_another_left_when_it_died(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as database, closing(Next(database, tmp_path, "alive")) as alive:
        assert alive.sweep.start() == 0
        left_by_the_dead(tmp_path)
        assert alive.sweep.dead() == 3
        assert alive.sweep.dead() == 0
        assert alive.spool.abandoned() == ("alive",)
        assert len(rows(database)) == 3


def test_a_live_process_keeps_what_it_is_writing_when_another_one_starts(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path) as database, dead(tmp_path) as not_dead:
        with closing(Next(database, tmp_path)) as process:
            assert process.sweep.start() == 3
            assert process.spool.abandoned() == ("dead", "next")
            assert len(not_dead.leftovers()) == 1
            assert process.presence.dead() == ()
        record(intake(database), not_dead.arrivals)
        assert len(rows(database)) == 3


def test_a_process_that_dies_during_the_walk_is_left_to_the_next_round(tmp_path: Path) -> None:
    """What it kept behind the walk's back has no row yet: with its mark gone nobody would look for it."""
    with opened("sqlite", tmp_path) as database, closing(Next(database, tmp_path)) as process:
        real = process.spool.kept

        def kept_while_another_dies() -> Iterator[Path]:
            yield from real()
            left_by_the_dead(tmp_path)

        process.spool.kept = kept_while_another_dies  # type: ignore[method-assign]
        assert process.sweep.start() == 0
        process.spool.kept = real  # type: ignore[method-assign]
        assert process.presence.dead() == ("dead",)
        assert process.sweep.dead() == 3


@pytest.mark.parametrize("begin", ["at start", "while running"])
def test_the_mark_of_a_dead_process_stays_until_its_instances_have_rows(tmp_path: Path, begin: str) -> None:
    """Until then it keeps units open."""
    with opened("sqlite", tmp_path) as database, closing(Next(database, tmp_path)) as process:
        left_by_the_dead(tmp_path)
        dead_at_the_row: list[tuple[str, ...]] = []
        write = process.sweep.intake.record

        def recorded(arrivals: Sequence[Arrival]) -> Counted:
            dead_at_the_row.append(process.presence.dead())
            return write(arrivals)

        process.sweep.intake.record = recorded  # type: ignore[method-assign]
        assert (process.sweep.start if begin == "at start" else process.sweep.dead)() == 3
        assert dead_at_the_row == [("dead",)]
        assert process.presence.dead() == ()


def test_a_dead_process_of_which_only_the_mark_is_left_is_buried_at_start(tmp_path: Path) -> None:
    ended = Presence(tmp_path / "run", "dead")
    ended.acknowledge()
    ended.close()
    with opened("sqlite", tmp_path) as database, closing(Next(database, tmp_path)) as process:
        assert process.sweep.start() == 0
        assert process.presence.dead() == ()


@pytest.mark.parametrize("broken", ["read", "show"])
@pytest.mark.parametrize("begin", ["at start", "while running"])
def test_of_a_process_whose_slots_the_disk_does_not_let_us_see_nothing_is_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, begin: str, broken: str
) -> None:
    def fault(*of: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with station(tmp_path, process="dead") as node:
        node.shows = False
        assert send(node.port, [make.instance(number=n) for n in (1, 2)]) == [0, 0]
    slots = Spool(tmp_path / "spool", "look", files=Files(), clock=utc_now, ids=new_receipt).slots_of("dead")
    assert len(slots) == 2
    with opened("sqlite", tmp_path) as database, closing(Next(database, tmp_path)) as process:
        look = process.sweep.start if begin == "at start" else process.sweep.dead
        with monkeypatch.context() as disk:
            if broken == "read":
                disk.setattr(sweep, "read_meta", fault)
            else:
                disk.setattr(process.spool, "show", fault)
            assert look() == 0
        assert "Input/output error; tried again" in caplog.text
        assert all(slot.is_file() for slot in slots)
        assert process.presence.dead() == ("dead",)
        assert look() == 2
        assert process.presence.dead() == ()


# ---- what cannot be trusted --------------------------------------------------------------------------------


def cut_off(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-10])
    return path


def one_bit(path: Path) -> Path:
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    return path


def empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def only_meta(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:600])
    return path


def no_dicom(path: Path) -> Path:
    path.write_bytes(b"an office document" * 100)
    return path


def renamed(path: Path) -> Path:
    return path.rename(path.with_name(f"{new_receipt()}.dcm"))


def copied_in_by_hand(path: Path) -> Path:
    path.unlink()
    return make.write(make.instance(), path.with_name("IM0001.dcm"))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (cut_off, "not those that were received"),
        (one_bit, "not those that were received"),
        (empty, "not a DICOM file"),
        (only_meta, ""),
        (no_dicom, "not a DICOM file"),
        (renamed, "renamed or copied"),
        (copied_in_by_hand, "no provenance"),
    ],
)
def test_a_file_that_does_not_say_for_certain_what_it_is_is_held_with_the_reason(
    database_url: str, tmp_path: Path, harm: Callable[[Path], Path], reason: str
) -> None:
    paths = left_by_the_dead(tmp_path)
    harmed = harm(paths[1])
    with opened(database_url, tmp_path) as database, closing(Next(database, tmp_path)) as process:
        assert process.sweep.start() == 3
        assert process.sweep.start() == 0
        found = {row.id: row for row in rows(database)}
    row = found[ReceiptId(harmed.stem)]
    assert (row.state, row.called_ae, row.series) == ("held", "", "")
    assert reason in row.reason
    assert row.path == f"{harmed.parent.parent.name}/{harmed.parent.name}/{harmed.name}"
    assert harmed.is_file(), "the file stays for the person who decides"
    assert [found[paths[n].stem].state for n in (0, 2)] == ["current", "current"]


def test_a_file_that_vanishes_during_the_sweep_is_no_matter(tmp_path: Path) -> None:
    left_by_the_dead(tmp_path)
    with opened("sqlite", tmp_path) as database, closing(Next(database, tmp_path)) as process:
        real = process.spool.kept

        def kept_and_gone() -> Iterator[Path]:
            for number, path in enumerate(real()):
                if number == 1:
                    path.unlink()
                yield path

        process.spool.kept = kept_and_gone  # type: ignore[method-assign]
        assert process.sweep.start() == 2


def test_a_name_that_is_no_text_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (first, *_) = left_by_the_dead(tmp_path)
    shutil.copy(first, first.with_name("\udcff.dcm"))
    with opened("sqlite", tmp_path) as database, closing(Next(database, tmp_path)) as process:
        assert process.sweep.start() == 3
    assert "a name that is no text" in caplog.text


def test_what_was_here_before_a_restore_is_held_and_what_came_since_is_not(database_url: str, tmp_path: Path) -> None:
    with dead(tmp_path) as node:
        moment = node.arrivals[1].received.timestamp()
    with opened(database_url, tmp_path) as database, closing(Next(database, tmp_path, restored=moment)) as process:
        process.sweep.start()
        found = rows(database)
    assert [row.state for row in found] == ["held", "held", "current"]
    assert found[0].reason == found[1].reason == NOT_IN_THE_BACKUP
    assert found[0].called_ae == "RESEARCH"


def test_the_fallback_character_set_of_the_peer_is_asked_for_again(tmp_path: Path) -> None:
    ds = make.instance()
    del ds.SpecificCharacterSet
    ds.PatientName = "Invented"
    data = Instance.of(ds).data.replace(b"Invented", b"M\xfcller  ")
    instance = Instance(
        sop_class=str(ds.SOPClassUID), sop_instance=str(ds.SOPInstanceUID), transfer_syntax="1.2.840.10008.1.2.1",
        data=data,
    )  # fmt: skip
    with station(tmp_path, process="dead", charset="ISO_IR 100") as node:
        assert send(node.port, [instance]) == [0]
        header = node.arrivals[0].header
    with opened("sqlite", tmp_path) as database, closing(Next(database, tmp_path)) as process:
        Sweep(
            spool=process.spool, presence=process.presence, intake=intake(database),
            charset=lambda origin: "ISO_IR 100" if origin.calling_ae == "SENDER" else None, restored=lambda: None,
        ).start()  # fmt: skip
        assert rows(database)[0].header == header
