"""What is kept is what came, whole; what does not fit is refused, and taken again when there is room."""

from __future__ import annotations

import errno
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node.dicom.header import Reading, read_header, unpack
from node.dicom.status import CANNOT_UNDERSTAND
from node.errors import Refused
from node.model import UID, Origin
from node.receive import watermark
from node.receive.keeper import Command
from node.receive.watermark import MINIMUM_INODES
from node.spool import Files, Incoming
from node.spool.files import Room
from tests import make
from tests.dicom.datasets import EXPLICIT, UNCOMPRESSED, encoded, explicit
from tests.peers import Instance, Sender
from tests.receive.station import Shelf, station

CT = make.CT_IMAGE
SMALL = Instance.of(make.instance())
ORIGIN = Origin(calling_ae="CT1", called_ae="NODE", sender="10.1.2.3")
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


def test_a_data_set_that_begins_with_file_meta_information_is_refused(tmp_path: Path) -> None:
    """Behind our own, other readers take it for more of it, and its transfer syntax for that of the data."""
    meta = explicit(0x00020010, "UI", b"1.2.840.10008.1.2\0")
    doubled = Instance(
        sop_class=CT, sop_instance=SMALL.sop_instance, transfer_syntax=EXPLICIT, data=meta + SMALL.data
    )  # fmt: skip
    with station(tmp_path) as node, Sender(node.port, CONTEXT) as sender:
        assert sender.store(doubled) == 0xC000
        assert node.leftovers() == []
        assert sender.store(SMALL) == 0
        assert node.stored() == [SMALL.data]


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


def _step(number: int) -> Dataset:
    item = Dataset()
    item.ScheduledProcedureStepID, item.ScheduledProcedureStepDescription = f"STEP{number:04d}", "x" * 56
    return item


def _with_header_of(size: int, syntax: str = EXPLICIT) -> bytes:
    """The data set of an image whose pixel data begin some `size` bytes behind its beginning."""
    ds = make.instance()
    ds.RequestAttributesSequence = [_step(number) for number in range(size // 100)]
    make.set_pixels(ds, make.picture(256, 256, low=0, high=100))
    return encoded(ds, syntax)


@pytest.mark.parametrize("size", [0, 1000, 30_000, 32_000, 34_000, 200_000])
@pytest.mark.parametrize("syntax", UNCOMPRESSED)
@pytest.mark.parametrize("piece", [7000, 1 << 20])
def test_the_header_is_that_of_the_whole_instance_however_long_it_is(
    tmp_path: Path, size: int, syntax: str, piece: int
) -> None:
    """It is read from the beginning, which is in memory, or from the file."""
    shelf, data = Shelf(tmp_path), _with_header_of(size, syntax)
    arriving = shelf.keeper.begin(
        UID(syntax), ORIGIN, Command(sop_class=UID(CT), sop_instance=UID(_named(data, syntax)))
    )
    for at in range(0, len(data), piece):
        arriving.write(data[at : at + piece])
    arriving.keep()
    (arrival,) = shelf.arrivals
    assert unpack(arrival.header) == read_header(data, syntax).header
    assert shelf.stored() == [data]


def _named(data: bytes, syntax: str) -> str:
    return str(read_header(data, syntax).header["00080018"][1][0])


def test_a_header_goes_on_where_what_is_in_memory_ends_between_two_elements(tmp_path: Path) -> None:
    creator = explicit(0x00290010, "LO", b"X ")
    filler = bytes((1 << 15) - len(SMALL.data) - len(creator) - 12)
    beginning = SMALL.data + creator + explicit(0x00291001, "OB", filler)
    assert len(beginning) == 1 << 15
    data = beginning + explicit(0x00291002, "LO", b"BEHIND") + explicit(0x7FE00010, "OW", bytes(100_000))
    shelf = Shelf(tmp_path)
    shelf.keeper.keep(data, UID(EXPLICIT), ORIGIN)
    (arrival,) = shelf.arrivals
    assert unpack(arrival.header)["00291002"] == ["LO", ["BEHIND"]]


def test_an_image_that_breaks_off_before_its_pixel_data_is_refused_as_it_was(tmp_path: Path) -> None:
    """What is wrong is said of the whole, not of the beginning that is in memory."""
    shelf, data = Shelf(tmp_path), _with_header_of(60_000)[:50_001]
    arriving = shelf.keeper.begin(UID(EXPLICIT), ORIGIN, Command(sop_class=UID(CT), sop_instance=UID("1.2")))
    arriving.write(data)
    with pytest.raises(Refused, match="cannot be read") as refused:
        arriving.keep()
    assert refused.value.status == 0xC000
    assert not shelf.leftovers()
    assert not shelf.kept()


class Marked(Files):
    """A disk that notes, at each sync of a file, what the mark of the process says by then."""

    def __init__(self) -> None:
        super().__init__()
        self.shelf: Shelf | None = None
        self.counted: list[int] = []
        self.fails = False

    def sync(self, descriptor: int) -> None:
        assert self.shelf is not None
        self.counted.append(acknowledged(self.shelf))
        if self.fails:
            raise OSError(errno.EIO, "Input/output error")
        super().sync(descriptor)


def acknowledged(shelf: Shelf) -> int:
    (mark,) = shelf.presence.live()
    return mark.acknowledged


def test_an_instance_is_counted_before_it_is_safe_and_is_not_when_it_cannot_be_made_so(tmp_path: Path) -> None:
    """Safe and not counted it would be invisible to completion; counted and not kept, completion would wait for it."""
    disk = Marked()
    disk.shelf = shelf = Shelf(tmp_path, disk)
    shelf.keeper.keep(SMALL.data, UID(EXPLICIT), ORIGIN)
    assert (disk.counted, acknowledged(shelf)) == ([1], 1)
    disk.fails = True
    with pytest.raises(Refused, match="cannot be written"):
        shelf.keeper.keep(SMALL.data, UID(EXPLICIT), ORIGIN)
    assert (disk.counted, acknowledged(shelf)) == ([1, 2], 1)
    assert not shelf.leftovers()


def test_what_has_not_begun_belongs_to_nothing_and_cannot_be_kept(tmp_path: Path) -> None:
    arriving = Shelf(tmp_path).keeper.begin(UID(EXPLICIT), ORIGIN, Command(CT, SMALL.sop_instance))
    assert arriving.belongs_to() == ()
    assert not arriving.reads(memoryview(b""))
    with pytest.raises(Refused, match="empty") as refused:
        arriving.keep()
    assert refused.value.status == CANNOT_UNDERSTAND


def test_what_is_still_being_hashed_may_not_be_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arriving = Shelf(tmp_path).keeper.begin(UID(EXPLICIT), ORIGIN, Command(CT, SMALL.sop_instance))
    arriving.write(SMALL.data)
    buffer = memoryview(bytearray(10))
    for hashed in (True, False):
        monkeypatch.setattr(Incoming, "reads", lambda incoming, of, hashed=hashed: hashed and of is buffer)
        assert arriving.reads(buffer) is hashed
    arriving.discard()


def test_what_cannot_be_counted_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(tmp_path)

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shelf.presence, "acknowledge", full)
    with pytest.raises(Refused, match="the data folder cannot be written: No space"):
        shelf.keeper.keep(SMALL.data, UID(EXPLICIT), ORIGIN)
    assert (shelf.arrivals, shelf.leftovers()) == ([], [])


def test_a_fault_in_what_the_index_gets_comes_before_the_instance_is_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be safe, and counted, and nobody would ever make its row."""
    shelf = Shelf(tmp_path)

    def bug(reading: Reading) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(Reading, "packed", bug)
    with pytest.raises(ZeroDivisionError):
        shelf.keeper.keep(SMALL.data, UID(EXPLICIT), ORIGIN)
    assert (shelf.arrivals, shelf.leftovers(), acknowledged(shelf)) == ([], [], 0)


def test_what_has_come_counts_as_used_and_what_may_come_as_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watermark, "_STEP", 1000)
    shelf = Shelf(tmp_path)
    arriving = shelf.keeper.begin(UID(EXPLICIT), ORIGIN, Command(CT, SMALL.sop_instance))
    assert shelf.keeper.watermark._coming() == 0
    for promised in (1500, 1500, 2600):
        arriving.write(bytes(500 if promised == 1500 else 600))
        assert shelf.keeper.watermark._coming() == promised - arriving.size
    arriving.discard()
    assert shelf.keeper.watermark._coming() == 0


def test_what_no_peer_sends_by_c_store_may_be_of_any_class(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.keeper = replace(shelf.keeper, sop_classes=lambda: ["1.2.840.10008.5.1.4.1.1.4"])
    shelf.keeper.keep(SMALL.data, UID(EXPLICIT), ORIGIN)
    arriving = shelf.keeper.begin(UID(EXPLICIT), ORIGIN, Command(sop_class=UID(CT), sop_instance=UID("1.2")))
    arriving.write(SMALL.data)
    with pytest.raises(Refused, match="node: sop_classes does not list") as refused:
        arriving.keep()
    assert refused.value.status == 0x0122
    assert len(shelf.kept()) == 1


def test_what_arrives_belongs_to_its_study_and_series_until_it_is_refused(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, largest=len(SMALL.data))
    arriving = shelf.keeper.begin(UID(EXPLICIT), ORIGIN, Command(CT, SMALL.sop_instance))
    arriving.write(SMALL.data)
    assert set(arriving.belongs_to()) == {make.uid("study"), make.uid("study", "series")}
    arriving.write(b"more than may come")
    assert arriving.belongs_to() == ()
    arriving.discard()
