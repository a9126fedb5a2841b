"""What a success promises: whenever the power goes out, every instance that was answered for is there.

Real C-STOREs over a real socket write a record of the disk's calls; every prefix of it is a moment at which the
power can go out. What is left then is put into a new folder, and the start-up sweep has to make of it exactly
what was promised.
"""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.index import connect
from node.index.intake import Intake
from node.index.schema import receipt
from node.index.versions import prepare
from node.model import UnitKind
from node.moment import new_receipt, utc_now
from node.receive.sweep import Sweep
from node.spool import Files, Presence, Spool
from tests import make
from tests.peers import Instance, Sender
from tests.receive.station import content_of, junk, station
from tests.spool.disk import Disk, Loss

INSTANCES = [Instance.of(make.instance(number=n)) for n in (1, 2, 3)]
CONTEXT = [(INSTANCES[0].sop_class, [INSTANCES[0].transfer_syntax])]
ANSWER = "before the answer"


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    """The disk's calls while three instances come in on one association, each answered with success."""
    root = tmp_path_factory.mktemp("disk")
    disk = Disk(root)
    with (
        station(root / "data", files=disk, reach=disk.note) as node,
        Sender(node.port, CONTEXT, calling_ae="CT1", called_ae="RESEARCH") as sender,
    ):
        assert [sender.store(one) for one in INSTANCES] == [0, 0, 0]
    return disk


def test_each_instance_is_written_under_a_name_that_is_synced_and_synced_itself_before_the_answer(
    record: Disk,
) -> None:
    story = record.kinds()
    ends = [number for number, kind in enumerate(story) if kind == ANSWER]
    assert len(ends) == 3
    for start, end in zip([0, *ends], ends, strict=False):
        calls = [
            c for c in record.calls[start:end] if c.kind in ("write", "patch", "sync") and c.path.suffix == ".part"
        ]
        assert [call.kind for call in calls] == ["write", "write", "patch", "sync"]
        slot = calls[0].path
        named = record.calls[: record.calls.index(calls[0])]
        made = max(n for n, call in enumerate(named) if (call.kind, call.path) == ("create", slot))
        assert ("sync_folder", slot.parent) in [(call.kind, call.path) for call in named[made:]]
        assert {call.path for call in calls} == {slot}


def test_each_instance_has_two_names_while_it_is_given_its_place(record: Disk) -> None:
    """In whatever order the disk writes the two folders, it has at least one."""
    for link in [call for call in record.calls if call.kind == "link"]:
        after = record.calls[record.calls.index(link) :]
        synced = next(n for n, c in enumerate(after) if (c.kind, c.path) == ("sync_folder", link.to.parent))
        removed = next(n for n, c in enumerate(after) if (c.kind, c.path) == ("remove", link.path))
        assert synced < removed


def test_no_answer_leaves_while_the_disk_is_still_syncing(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    with station(tmp_path / "data", files=disk) as node, Sender(node.port, CONTEXT, deadline=0.3) as sender:
        for kind in ("create", "sync_folder", "write", "patch", "sync"):
            disk.gates = {kind: threading.Event()}
            sender.begin(INSTANCES[0])
            with pytest.raises(TimeoutError):
                sender.status()
            disk.gates.pop(kind).set()
            assert sender.status() == 0
            # So that the next one has to make its own name again.
            node.spool.slots.close()


@pytest.mark.parametrize("loss", list(Loss))
def test_after_a_power_cut_at_any_call_every_answered_instance_is_there(
    record: Disk, loss: Loss, tmp_path: Path
) -> None:
    seen: dict[frozenset[tuple[Path, bytes]], set[bytes]] = {}
    for calls in range(len(record.calls) + 1):
        left = record.surviving(calls, loss)
        state = frozenset(left.items())
        if state not in seen:
            seen[state] = _swept(tmp_path / str(calls), left)
        answered = record.kinds()[:calls].count(ANSWER)
        assert seen[state] >= {one.data for one in INSTANCES[:answered]}, f"lost at call {calls}"
        assert seen[state] <= {one.data for one in INSTANCES}
    assert len(seen) >= 4, "the power went out at different moments"


def _swept(folder: Path, left: dict[Path, bytes]) -> set[bytes]:
    """The data sets of the instances that the sweep indexes; each with its provenance, none held, nothing else left."""
    for path, content in left.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    data = folder / "data"
    database = connect("sqlite", data)
    prepare(database.durable, data)
    presence = Presence(data / "run", "next")
    spool = Spool(data / "spool", "next", files=Files(), clock=utc_now, ids=new_receipt)
    intake = Intake(database, lambda: {UnitKind.SERIES})
    Sweep(
        spool=spool, presence=presence, intake=intake, charset=lambda origin: None, restored=lambda: None
    ).start()  # fmt: skip
    with database.reader.connect() as connection:
        rows = connection.execute(sa.select(receipt)).all()
    assert spool.abandoned() == ("next",), "what was being received is swept away"
    assert {row.path for row in rows} == {spool.relative(path) for path in spool.kept()}
    for row in rows:
        assert (row.state, row.calling_ae, row.called_ae, row.sender) == ("current", "CT1", "RESEARCH", "127.0.0.1")
    presence.close()
    database.close()
    return {content_of(spool.where(row.path))[1] for row in rows}


@pytest.mark.parametrize("broken", ["sync", "sync_folder", "remove", "close"])
def test_the_model_of_the_disk_notices_a_call_that_is_left_out(record: Disk, broken: str, tmp_path: Path) -> None:
    """The proof can fail: without the sync, or without the name, a promised instance is gone."""
    weaker = Disk(record.root)
    weaker.calls = [call for call in record.calls if call.kind != broken]
    harmless = broken in ("remove", "close")
    left = weaker.surviving(len(weaker.calls), Loss.EVERYTHING)
    whole = {one.data for one in INSTANCES} == {content[-len(INSTANCES[0].data) :] for content in left.values()}
    assert whole is harmless


@pytest.mark.parametrize("earlier", [0, 1], ids=["the first", "with a name that was made before"])
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("create", errno.EROFS), ("create", errno.ENOSPC), ("write", errno.ENOSPC), ("write", errno.EIO),
        ("patch", errno.EIO), ("sync", errno.EIO), ("sync", errno.ENOSPC), ("sync_folder", errno.EIO),
    ],
)  # fmt: skip
def test_an_instance_that_cannot_be_made_durable_is_refused_and_leaves_nothing(
    kind: str, error: int, earlier: int, tmp_path: Path
) -> None:
    disk = Disk(tmp_path)
    with station(tmp_path / "data", files=disk) as node, Sender(node.port, CONTEXT) as sender:
        assert [sender.store(one) for one in INSTANCES[:earlier]] == [0] * earlier
        if kind in ("create", "sync_folder"):
            node.spool.slots.close()
        disk.faults = {kind: {disk.counts.get(kind, 0) + 1: error}}
        assert [sender.store(one) for one in INSTANCES[1:]] == [0xA700, 0]
        assert node.refused == [0xA700]
        assert node.stored() == [one.data for one in (*INSTANCES[:earlier], INSTANCES[2])]
        assert node.leftovers() == []
        assert [mark.acknowledged for mark in node.presence.live()] == [1 + earlier]
        assert len(node.arrivals) == 1 + earlier
        # Not taken, so to come again: the sender's second try is a new instance for us.
        assert sender.store(INSTANCES[1]) == 0


def test_the_second_write_fails_in_the_middle_of_the_data_set(tmp_path: Path) -> None:
    disk = Disk(tmp_path, {"write": {2: errno.ENOSPC}})
    with station(tmp_path / "data", files=disk) as node, Sender(node.port, CONTEXT) as sender:
        assert [sender.store(one) for one in INSTANCES] == [0xA700, 0, 0]
        assert node.stored() == [one.data for one in INSTANCES[1:]]
        assert node.leftovers() == []


def test_a_disk_that_is_broken_for_good_refuses_everything_and_the_association_goes_on(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    with station(tmp_path / "data", files=disk) as node, Sender(node.port, CONTEXT) as sender:
        disk.faults = {"sync": {0: errno.EIO}, "remove": {0: errno.EIO}}
        assert [sender.store(one) for one in INSTANCES] == [0xA700] * 3
        disk.faults = {}
        assert sender.store(INSTANCES[0]) == 0
        assert node.stored() == [INSTANCES[0].data]


def test_what_is_refused_is_never_synced_and_its_file_is_gone(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    with station(tmp_path / "data", files=disk) as node, Sender(node.port, CONTEXT) as sender:
        calls = len(disk.calls)
        assert sender.store(junk(data=b"this is no data set")) == 0xC000
        assert "sync" not in [call.kind for call in disk.calls[calls:]]
        assert node.leftovers() == []
