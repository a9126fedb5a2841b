"""Disk and memory: what does not fit is refused with "out of resources", and taken again when it does."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from node.receive.watermark import MINIMUM_INODES
from node.spool import Files
from node.spool.files import Room
from tests import make
from tests.dicom.datasets import EXPLICIT, explicit
from tests.peers import Instance, Sender
from tests.receive.station import station

CT = make.CT_IMAGE
SMALL = Instance.of(make.instance())
CONTEXT = [(CT, [EXPLICIT])]


def of_size(size: int) -> Instance:
    pixels = explicit(0x7FE00010, "OW", b"\0" * size)
    return Instance(
        sop_class=CT, sop_instance=SMALL.sop_instance, transfer_syntax=EXPLICIT, data=SMALL.data + pixels
    )  # fmt: skip


class Small(Files):
    """A disk on which there is as much room as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.left: Room | OSError = Room(bytes=1 << 30, inodes=1 << 20)

    def room(self, folder: Path) -> Room:
        if isinstance(self.left, OSError):
            raise self.left
        return self.left


def test_below_keep_free_instances_are_refused_until_there_is_room_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Small()
    with station(tmp_path, files=disk, keep_free=1 << 20) as node, Sender(node.port, CONTEXT) as sender:
        assert sender.store(SMALL) == 0
        disk.left = Room(bytes=1 << 20, inodes=1 << 20)
        assert sender.store(SMALL) == 0xA700
        assert sender.store(SMALL) == 0xA700
        disk.left = Room(bytes=(1 << 20) + len(SMALL.data), inodes=1 << 20)
        assert sender.store(SMALL) == 0
        assert len(node.kept()) == 2
        assert node.refused == [0xA700] * 2
    assert "keep_free" in caplog.text


@pytest.mark.parametrize(
    ("left", "status"),
    [
        (Room(bytes=1 << 40, inodes=MINIMUM_INODES - 1), 0xA700),
        (Room(bytes=1 << 40, inodes=MINIMUM_INODES), 0),
        (Room(bytes=1 << 40, inodes=-1), 0),
        (OSError(5, "Input/output error"), 0xA700),
    ],
    ids=["few inodes", "just enough", "not counted", "unknown"],
)
def test_inodes_count_too_where_the_file_system_counts_them(tmp_path: Path, left: Room, status: int) -> None:
    disk = Small()
    with station(tmp_path, files=disk) as node, Sender(node.port, CONTEXT) as sender:
        disk.left = left
        assert sender.store(SMALL) == status


def test_an_instance_larger_than_the_limit_is_refused_and_the_next_one_taken(tmp_path: Path) -> None:
    with station(tmp_path, largest=len(SMALL.data) + 1000) as node, Sender(node.port, CONTEXT) as sender:
        assert [sender.store(one) for one in (of_size(2000), SMALL, of_size(100_000), of_size(100))] == [
            0xA700, 0, 0xA700, 0,
        ]  # fmt: skip
        assert node.stored() == [SMALL.data, of_size(100).data]


def test_what_is_over_the_limit_is_thrown_away_as_it_comes(tmp_path: Path) -> None:
    fragment, count = b"\0" * 100_000, 300
    with station(tmp_path, largest=1 << 20) as node, Sender(node.port, CONTEXT) as sender:
        sender.begin(of_size(len(fragment) * count), only=0)
        pdu = sender.p_data(1, 0x00, fragment)
        tracemalloc.start()
        try:
            for _ in range(count):
                sender.raw(pdu)
            sender.raw(sender.p_data(1, 0x02, b""))
            assert sender.status() == 0xA700
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 8 << 20
        assert sender.store(SMALL) == 0
