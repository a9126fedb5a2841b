"""The same content lies in the spool once, whatever ends the process, and never less than once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydicom.uid import ImplicitVRLittleEndian

from node.collect.once import Once
from node.dicom.part10 import read_meta
from node.index.schema import SAME_CONTENT, job, receipt
from node.index.schema import twice as few
from node.model import ReceiptId
from node.moment import new_receipt, utc_now
from node.spool import Spool
from node.spool.proof import flaw
from tests import make
from tests.kit import Kit, Store, changed, opened
from tests.spool.disk import Disk
from tests.test_retention import left, retention

ROUTES = "destinations: {a: {folder: ./a}}\nroutes: [{name: r, when: {Modality: CT}, steps: [{forward: a}]}]"


def settle(kit: Kit) -> int:
    return Once(database=kit.database, spool=kit.spool, reach=kit.reach).settle()


def twice(kit: Kit) -> tuple[ReceiptId, ReceiptId]:
    first, again = kit.index(make.instance()), kit.index(make.instance())
    return first[0], again[0]


def file_of(kit: Kit, one: str) -> Path:
    (row,) = kit.rows(receipt, receipt.c.id == one)
    return kit.spool.where(row["path"])


def row(kit: Kit, one: str) -> dict[str, object]:
    return dict(kit.rows(receipt, receipt.c.id == one)[0])


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_the_file_goes_at_once_and_the_row_stays(kit: Kit) -> None:
    first, again = twice(kit)
    assert settle(kit) == 1
    assert left(kit) == {first}
    assert (row(kit, again)["state"], row(kit, again)["path"], row(kit, again)["header"]) == ("duplicate", None, None)
    assert kit.balance() == {"in_job": 1, "duplicate": 1}
    assert settle(kit) == 0


def test_it_is_not_processed_again(kit: Kit) -> None:
    kit.rules(ROUTES)
    first, again = twice(kit)
    settle(kit)
    (key,) = kit.close()
    assert set(kit.owed(key)) == {first}
    kit.index(make.instance())
    settle(kit)
    assert kit.close() == []
    assert again in kit.receipts()


def test_a_crash_before_the_file_goes_leaves_a_file_that_retention_finds(kit: Kit) -> None:
    class PowerCut(Exception):
        pass

    def cut(point: str) -> None:
        if point == "duplicate forgot":
            raise PowerCut

    first, again = twice(kit)
    kit.reach = cut
    with pytest.raises(PowerCut):
        settle(kit)
    assert left(kit) == {first, again}
    assert row(kit, again)["path"] is None, "the row never names a file that may be gone"
    assert kit.balance() == {"in_job": 1, "duplicate": 1}
    kit.reach = kit.reached.append
    retention(kit).once()
    assert left(kit) == {first}


def test_the_row_has_forgotten_it_on_the_disk_before_the_file_goes(kit: Kit) -> None:
    """Seen by another connection at the moment of removal."""
    _, again = twice(kit)
    seen: list[object] = []
    kit.reach = lambda point: seen.append((point, row(kit, again)["path"], file_of_id(kit, again).exists()))
    settle(kit)
    assert seen == [("duplicate forgot", None, True)]


def file_of_id(kit: Kit, one: str) -> Path:
    return next((p for p in kit.spool.kept() if p.stem == one), kit.data / "gone")


def test_it_stays_when_retention_removed_the_first_file(kit: Kit) -> None:
    first, again = twice(kit)
    file_of(kit, first).unlink()
    kit.write(sa.update(receipt).where(receipt.c.id == first).values(path=None, header=None))
    assert settle(kit) == 0
    assert left(kit) == {again}
    assert "has left the spool" in str(row(kit, again)["reason"])
    assert settle(kit) == 0, "and is not looked at again"


def test_two_that_are_each_a_duplicate_of_the_other_keep_the_file_that_is_left(kit: Kit) -> None:
    first, again = twice(kit)
    kit.write(sa.update(receipt).where(receipt.c.id == first).values(state="duplicate", against=again, path=None))
    assert settle(kit) == 0
    assert again in left(kit)


def test_one_that_stays_keeps_no_other_file(kit: Kit) -> None:
    first, again = twice(kit)
    _, other = kit.index(make.instance(number=2))[0], kit.index(make.instance(number=2))[0]
    file_of(kit, first).unlink()
    kit.write(sa.update(receipt).where(receipt.c.id == first).values(path=None))
    assert settle(kit) == 1
    assert again in left(kit)
    assert row(kit, other)["path"] is None


@pytest.mark.parametrize("harm", [damage, Path.unlink])
def test_a_first_file_that_is_damaged_or_gone_is_made_whole_by_the_same_bytes(kit: Kit, harm: object) -> None:
    first, again = twice(kit)
    before = file_of(kit, first).read_bytes()
    meta = read_meta(file_of(kit, first))
    harm(file_of(kit, first))  # type: ignore[operator]  # one of the two above
    assert settle(kit) == 1
    assert left(kit) == {first}
    assert flaw(file_of(kit, first), first, str(row(kit, first)["sha256"])) == ""
    assert file_of(kit, first).read_bytes()[meta.dataset_offset :] == before[meta.dataset_offset :]
    assert read_meta(file_of(kit, first)).provenance == meta.provenance
    assert kit.balance() == {"in_job": 1, "duplicate": 1}
    assert again not in left(kit)


def on_a_disk(kit: Kit, disk: Disk) -> Once:
    spool = Spool(kit.spool.root, "mends", files=disk, clock=utc_now, ids=new_receipt)
    return Once(database=kit.database, spool=spool, reach=disk.note)


def test_what_is_made_whole_is_on_the_disk_with_its_name_before_the_other_file_goes(kit: Kit) -> None:
    first, again = twice(kit)
    place, other = file_of(kit, first), file_of(kit, again)
    place.unlink()
    disk = Disk(kit.data)
    once = on_a_disk(kit, disk)
    before = len(disk.calls)
    assert once.settle() == 1
    story = [(call.kind, call.path.suffix, call.to) for call in disk.calls[before:]]
    steps = [
        ("sync", ".mend", Path()), ("show", ".mend", place), ("sync_folder", "", Path()),
        ("note", "", Path()), ("remove", ".dcm", Path()),
    ]  # fmt: skip
    at = [max(n for n, call in enumerate(story) if call == step) for step in steps]
    assert at == sorted(at)
    hour, day = place.parent, place.parent.parent
    folders = [call.path for call in disk.calls[before:] if call.kind == "sync_folder"]
    assert {hour, day, kit.spool.root} <= set(folders), "names of folders that were made anew count too"
    assert [call.path for call in disk.calls[before:] if call.kind == "remove"][-1] == other


def test_what_does_not_become_whole_lets_no_file_go(kit: Kit) -> None:
    class Bad(Disk):
        def show(self, hidden: Path, visible: Path) -> None:
            damage(hidden)
            super().show(hidden, visible)

    first, again = twice(kit)
    file_of(kit, first).unlink()
    assert on_a_disk(kit, Bad(kit.data)).settle() == 0
    assert not flaw(file_of(kit, again), again, str(row(kit, again)["sha256"]))


@pytest.mark.parametrize("other", ["damaged too", "other bytes", "the same content in other bytes"])
def test_only_the_same_bytes_take_the_place_of_a_damaged_file(kit: Kit, other: str) -> None:
    first, again = twice(kit)
    damage(file_of(kit, first))
    before = file_of(kit, first).read_bytes()
    values = {"other bytes": {"sha256": "0" * 64}, "the same content in other bytes": {"reason": SAME_CONTENT}}
    if other == "damaged too":
        damage(file_of(kit, again))
    else:
        kit.write(sa.update(receipt).where(receipt.c.id == again).values(values[other]))
    assert settle(kit) == 0
    assert file_of(kit, first).read_bytes() == before
    assert file_of(kit, again).is_file()


@pytest.mark.parametrize(
    ("whose", "became"), [("first", {"path": None}), ("again", {"state": "dropped"}), ("again", {"path": "elsewhere"})]
)
def test_what_changed_while_the_first_file_was_read_is_looked_at_again(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, whose: str, became: dict[str, object]
) -> None:
    """Retention may remove the first file in this moment, and a person may drop the other one."""
    first, again = twice(kit)
    file = file_of(kit, again)
    one = first if whose == "first" else again

    def meanwhile(path: Path, *of: object, **how: object) -> str:
        kit.write(sa.update(receipt).where(receipt.c.id == one).values(became))
        return ""

    monkeypatch.setattr("node.collect.once.flaw", meanwhile)
    once = Once(database=kit.database, spool=kit.spool)
    (new,) = once._next("")
    assert not once._one(new)
    assert file.is_file()


def test_when_both_are_damaged_both_stay(kit: Kit) -> None:
    first, again = twice(kit)
    damage(file_of(kit, first))
    damage(file_of(kit, again))
    assert settle(kit) == 0
    assert left(kit) == {first, again}
    assert "damaged or gone" in str(row(kit, again)["reason"])


def test_the_same_content_encoded_otherwise_is_stored_once_too(working: Kit) -> None:
    otherwise = make.ct_series(1)[0]
    otherwise.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    (first,) = working.index(make.ct_series(1)[0])
    (other,) = working.index(otherwise)
    (same,) = working.index(otherwise)  # of the one that is not compared yet
    assert settle(working) == 1
    assert left(working) == {first, other}
    working.duplicates().judge()
    assert settle(working) == 1
    assert left(working) == {first}
    assert [working.receipts()[r] for r in (first, other, same)] == ["current", "duplicate", "duplicate"]


def test_other_content_is_kept_till_it_is_decided_and_for_its_time(working: Kit) -> None:
    (first,) = working.index(make.ct_series(1)[0])
    (other,) = working.index(changed(make.ct_series(1)[0], KVP=80))
    settle(working)
    assert left(working) == {first, other}
    working.duplicates().judge()
    settle(working)
    assert left(working) == {first, other}


def test_two_processes_settle_at_once(kit: Kit) -> None:
    ds = [make.instance(number=n) for n in range(1, 9)]
    first = kit.index(*ds)
    kit.index(*ds)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            settle(kit)
        except Exception as error:  # handed to the test
            raised.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []
    assert left(kit) == set(first)
    assert kit.balance() == {"in_job": 8, "duplicate": 8}


def test_what_no_route_took_keeps_the_one_file(kit: Kit) -> None:
    kit.rules(ROUTES)
    ds = make.instance(make.MR_IMAGE)
    (first,) = kit.index(ds)
    kit.close()
    kit.index(ds)
    settle(kit)
    assert left(kit) == {first}
    assert kit.balance() == {"unrouted": 1, "duplicate": 1}
    assert not kit.rows(job)


def test_looking_for_them_is_a_look_at_an_index_of_few(sqlite_store: Store, tmp_path: Path) -> None:
    """It happens every second, beside a million rows. PostgreSQL plans by what is in the table, here nothing."""
    statement = sa.select(receipt).where(few, receipt.c.id > "").order_by(receipt.c.id).limit(9)
    with opened(sqlite_store, tmp_path) as kit, kit.database.reader.connect() as connection:
        text = statement.compile(connection, compile_kwargs={"literal_binds": True})
        plan = [str(line) for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    assert any("node_receipt_twice" in line for line in plan), plan
    assert not any("ORDER BY" in line for line in plan), plan
