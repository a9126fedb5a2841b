"""A recount from the files finds each way in which rows, files, parcels and evidence can part, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from node.index import jobs
from node.index.schema import delivery, history, job, obligation, parcel, receipt, sent
from node.report.verify import Discrepancy, Verification
from tests import make
from tests.kit import Kit
from tests.test_retention import left

RULES = """
destinations: {a: {folder: ./a}, b: {folder: ./b}, c: {folder: ./c}}
routes:
  - {name: sends, when: {SeriesNumber: 3}, steps: [{forward: a}, {forward: b}, {forward: c}]}
  - {name: makes, when: {SeriesNumber: 4}, steps: [{set: {assign: {InstitutionName: x}}}]}
"""


class World:
    """Delivered to a, which stands for an application entity; waiting for b; held for c; one produced, one unrouted."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        kit.rules(RULES)
        made, alone = make.instance(series="made"), make.instance(series="alone")
        made.SeriesNumber, alone.SeriesNumber = 4, 5
        self.sent = kit.index(*make.ct_series(2))
        self.made, self.alone = kit.index(made, alone)
        kit.close()
        rows = {row["route"]: row["id"] for row in kit.rows(job)}
        self.job, self.making = rows["sends"], rows["makes"]
        for key in (self.job, self.making):
            assert kit.run(key).verdict == "done"
        self.to = {name: f"{self.job}>{name}" for name in "abc"}
        one, waiting = kit.read(self.to["a"])
        kit.outbox.delivered(one, waiting, peer="A@127.0.0.1:104")
        kit.outbox.finish(one)
        kit.outbox.hold(kit.read(self.to["c"])[0], "gave up")

    def file(self, one: str) -> Path:
        (row,) = self.kit.rows(receipt, receipt.c.id == one)
        return self.kit.spool.where(row["path"])

    def parcel(self, to: str) -> Path:
        return self.kit.outbox.root / str(self.kit.rows(parcel, parcel.c.delivery == self.to[to])[0]["path"])


def verified(kit: Kit, patience: float = 0.0) -> list[Discrepancy]:
    one = Verification(
        database=kit.database, spool=kit.spool, outbox=kit.outbox.root, routed=kit.config.routed, patience=patience
    )  # fmt: skip
    return list(one.discrepancies())


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()  # the outbox has a link to the same bytes
    path.write_bytes(content)


def another_syntax(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.5", 1))


def swap(one: Path, other: Path) -> None:
    one.unlink()
    one.write_bytes(other.read_bytes())


def obliged(w: World, target: str) -> sa.Update:
    return sa.update(obligation).where(obligation.c.job == w.job, obligation.c.target == target)


BREAKS: dict[str, tuple[Callable[[World], Any], str, Callable[[World], str]]] = {
    "a byte of a received file is flipped": (
        lambda w: flip(w.file(w.sent[0])), "its bytes are not those that were received", lambda w: w.sent[0]
    ),
    "a bit of the transfer syntax of a received file is flipped": (
        lambda w: another_syntax(w.file(w.alone)), "names another instance, class or transfer syntax", lambda w: w.alone
    ),
    "a link that leads nowhere is in the spool": (
        lambda w: w.file(w.alone).with_name("nowhere.dcm").symlink_to("/nonexistent"), "has no row",
        lambda w: "nowhere.dcm",
    ),
    "a received file is gone": (lambda w: w.file(w.alone).unlink(), "its file is gone", lambda w: w.alone),
    "a received file that is over is gone": (lambda w: w.file(w.made).unlink(), "its file is gone", lambda w: w.made),
    "a received file is another one": (
        lambda w: swap(w.file(w.sent[0]), w.file(w.sent[1])), "not those that were received", lambda w: w.sent[0]
    ),
    "a row names another sender than its file": (
        lambda w: sa.update(receipt).where(receipt.c.id == w.alone).values(calling_ae="ELSE"),
        "names another sender", lambda w: w.alone,
    ),
    "a row that is needed forgot its file": (
        lambda w: sa.update(receipt).where(receipt.c.id == w.alone).values(path=None),
        "names no file", lambda w: w.alone,
    ),
    "a row is gone": (lambda w: w.kit.arrival(make.instance(series="new")), "has no row", lambda w: ".dcm"),
    "a stranger is in the spool": (
        lambda w: w.file(w.alone).with_name("stranger.txt").write_text("x"), "has no row", lambda w: "stranger.txt"
    ),
    "a copy is in the spool": (
        lambda w: make.write(make.instance(), w.kit.spool.root / "2020-01-01/00" / f"{w.alone}.dcm"),
        "its row names another place", lambda w: f"2020-01-01/00/{w.alone}.dcm",
    ),
    "a file that waits is gone": (lambda w: w.parcel("b").unlink(), "gone from the outbox", lambda w: w.to["b"]),
    "a file that is held is gone": (lambda w: w.parcel("c").unlink(), "gone from the outbox", lambda w: w.to["c"]),
    "a byte of a file that waits is flipped": (
        lambda w: flip(w.parcel("b")), "is not what its step made", lambda w: w.to["b"]
    ),
    "a file that no row knows is in a delivery's folder": (
        lambda w: w.parcel("b").with_name("stranger.dcm").write_bytes(b"x"), "belongs to no delivery",
        lambda w: f"outbox/{w.parcel('b').parent.name}/stranger.dcm",
    ),
    "a file that no row knows is in the outbox": (
        lambda w: (w.kit.outbox.root / "stranger.dcm").write_bytes(b"x"), "belongs to no delivery",
        lambda w: "outbox/stranger.dcm",
    ),
    "a folder that no row knows is in the outbox": (
        lambda w: make.write(make.instance(), w.kit.outbox.root / "0123456789abcdef01234567" / "a" / "stranger.dcm"),
        "belongs to no delivery", lambda w: "outbox/0123456789abcdef01234567/a/stranger.dcm",
    ),
    "the row of a file that waits is gone": (
        lambda w: sa.delete(parcel).where(parcel.c.delivery == w.to["b"], parcel.c.number == 1),
        "waits in it for b, and no file of it does", lambda w: w.to["b"],
    ),
    "the row of a file that was delivered is gone": (
        lambda w: sa.delete(parcel).where(parcel.c.delivery == w.to["a"], parcel.c.number == 1),
        "counts as delivered to a, and no file of it was", lambda w: w.to["a"],
    ),
    "an answer is not on record": (
        lambda w: sa.delete(sent).where(sent.c.instance == str(make.ct_series(2)[1].SOPInstanceUID)),
        "no answer on record", lambda w: w.to["a"],
    ),
    "it counts as delivered and still waits": (
        lambda w: obliged(w, "b").values(state="delivered"), "counts as delivered to b", lambda w: w.to["b"]
    ),
    "a delivery waits with nothing to send": (
        lambda w: sa.update(parcel).where(parcel.c.delivery == w.to["b"]).values(state="delivered", place="x"),
        "it is waiting, and none of its files is", lambda w: w.to["b"],
    ),
    "a delivery is over and some of it waits": (
        lambda w: sa.update(delivery).where(delivery.c.id == w.to["b"]).values(state="delivered"),
        "it is delivered, and some of its files are not", lambda w: w.to["b"],
    ),
    "what is owed in an outbox is gone": (
        lambda w: sa.delete(obligation).where(obligation.c.target == "b"), "nobody is owed it", lambda w: w.to["b"]
    ),
    "a held file is gone from its delivery": (
        lambda w: sa.delete(parcel).where(parcel.c.delivery == w.to["c"], parcel.c.number == 1),
        "is held in it for c, and no file of it is", lambda w: w.to["c"],
    ),
    "an obligation is in a job that is over": (
        lambda w: obliged(w, "b").values(state="in_job"), "it is nowhere", lambda w: w.sent[0]
    ),
    "a job owes nothing": (
        lambda w: sa.delete(obligation).where(obligation.c.job == w.making), "owes nothing", lambda w: f"job {w.making}"
    ),
    "what was produced has no step on record": (
        lambda w: sa.delete(history).where(history.c.subject == w.making), "no step of it", lambda w: f"job {w.making}"
    ),
}  # fmt: skip


def test_a_node_at_rest_has_no_discrepancy(working: Kit) -> None:
    World(working)
    assert verified(working) == []


@pytest.mark.parametrize("how", BREAKS)
def test_each_break_is_found_and_named(working: Kit, how: str) -> None:
    world = World(working)
    breaks, what, subject = BREAKS[how]
    if isinstance(done := breaks(world), sa.Executable):
        working.write(done)
    found = verified(working)
    assert any(what in one.what and subject(world) in one.subject for one in found), found
    assert all(one.remedy for one in found)


def test_an_instance_that_gets_its_row_meanwhile_is_no_discrepancy(kit: Kit) -> None:
    arrival = kit.arrival(make.instance())

    class Late:
        """Asks for files; when one was found without a row, the row comes."""

        def __getattr__(self, name: str) -> Any:
            return getattr(kit.spool, name)

        def relative(self, path: Path) -> str:
            kit.record(arrival)
            return kit.spool.relative(path)

    late: Any = Late()
    one = Verification(
        database=kit.database, spool=late, outbox=kit.outbox.root, routed=kit.config.routed, patience=10.0
    )  # fmt: skip
    assert list(one.discrepancies()) == []
    assert kit.receipts() == {arrival.receipt: "current"}


def test_a_file_whose_row_forgot_it_is_retention_s(kit: Kit) -> None:
    """It goes in this moment, or after the next start."""
    (one,) = kit.index(make.instance())
    kit.write(sa.update(receipt).where(receipt.c.id == one).values(path=None, state="duplicate"))
    assert left(kit) == {one}
    assert verified(kit) == []


def test_what_was_dropped_or_sent_by_a_later_generation_is_none(working: Kit) -> None:
    world = World(working)
    working.acts().drop(world.to["c"])
    working.index(make.ct_series(3)[2])
    (rerun,) = [key for key in working.close() if working.jobs()[key] == "queued"]
    working.run(rerun)
    assert verified(working) == []
    with working.database.durable.begin() as connection:
        jobs.hold(connection, rerun, "why not", 1.0)
    assert verified(working) == []


def test_it_counts_what_it_checked_and_tells_its_progress(working: Kit) -> None:
    World(working)
    seen: list[int] = []
    one = Verification(
        database=working.database, spool=working.spool, outbox=working.outbox.root, routed=working.config.routed,
        advance=seen.append,
    )  # fmt: skip
    assert list(one.discrepancies()) == []
    assert one.checked == {"receipts": 4, "files": 4, "outbox": 3, "deliveries": 3, "jobs": 2}
    assert sum(seen) == one.total() == 9
