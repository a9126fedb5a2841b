"""Every fault at every point: what was acknowledged is there, byte for byte, and the books balance."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.service import Service
from tests.flow.clocks import wall_clock
from tests.flow.faults import Peer, Struck, brought_about, warnings
from tests.flow.matrix import Cell, Fault, Phase, Point, cells
from tests.flow.nodes import Running, Site, wait_until
from tests.flow.small_disk import mounted, unmount
from tests.flow.trial import RULES, SERIES, UNROUTED, Archive, Books, Modality, Trip, clean_volume, digest
from tests.peers import send
from tests.spool.disk import Disk


def cases() -> list[object]:
    """All but the meaningless; with both databases where the database has a say."""
    return [
        pytest.param(
            database, cell, id=f"{cell.point.words}, {cell.fault}, {database}",
            marks=[] if database in cell.sampled else [pytest.mark.full],
        )
        for cell in cells() if not cell.meaningless
        for database in (("sqlite", "postgresql") if cell.fault.asks_the_database else ("sqlite",))
    ]  # fmt: skip


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return clean_volume(tmp_path_factory.mktemp("clean"))


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a node waits for in minutes, it waits for in seconds."""
    monkeypatch.setattr("node.receive.association._STALLED", 2.0)
    monkeypatch.setattr("node.run.runner._AGAIN", 1.0)


@pytest.mark.parametrize(("database", "cell"), cases())
def test_what_was_acknowledged_is_there_and_nothing_else_is_shown(
    request: pytest.FixtureRequest, tmp_path: Path, volume: bytes, database: str, cell: Cell
) -> None:
    if cell.fault is Fault.AWAY and database == "sqlite":
        request.getfixturevalue("monkeypatch").setattr("node.index.database.BUSY_MS", 500)
    url = request.getfixturevalue(f"{database}_site").database
    root, trip = tmp_path / "disk", Trip(cell.point)
    modality = Modality(cell, trip)
    with ExitStack() as stack:
        small = cell.fault is Fault.FULL and mounted(root, "32m")
        if small:
            stack.callback(unmount, root)
        archive = stack.enter_context(Archive(cell, trip))
        stack.callback(modality.resume)
        books = Books(stack.enter_context(Site(root / "node", url)), cell, archive, modality)
        if cell.point is Point.IN_RETENTION:
            _through_retention(books, trip, small)
        elif cell.fault is Fault.KILL:
            _through_death(books, trip)
            books.every_byte_is_where_it_belongs(volume)
        else:
            _through_the_fault(books, trip, small)
            books.every_byte_is_where_it_belongs(volume)


def _through_death(books: Books, trip: Trip) -> None:
    """The process dies by SIGKILL at the point, and another one takes up what is on the disk."""
    site, modality, point = books.site, books.modality, books.cell.point.value
    _rules(books)
    with site.process(kill=(point.reached, point.time) if point.reached else None) as node:
        trip.strike = node.kill
        modality.send(node.port)
        node.wait_for_death()
    with site.process() as node:
        books.nothing_is_shown_that_was_not_answered()
        modality.again(node.port)
        books.settle()
    books.the_answers_were_the_right_ones()


def _through_the_fault(books: Books, trip: Trip, small: bool) -> None:
    """The node lives through it."""
    modality, fault = books.modality, books.cell.fault
    _rules(books)
    with _node(books, trip, small) as (node, struck):
        modality.send(node.port)
        trip.wait()
        wait_until(struck.met, why=lambda: "the node has not met the fault")
        if not fault.of_a_peer:
            struck.over()
        books.nothing_is_shown_that_was_not_answered()
        modality.again(node.port)
        # A peer that hangs hangs until others have been served.
        if fault.of_a_peer:
            struck.over()
        books.settle()
        if fault.of_the_clock:
            books.nothing_closed_early()
    books.the_answers_were_the_right_ones()


def _through_retention(books: Books, trip: Trip, small: bool) -> None:
    """What is over leaves the spool, what no route took stays, and the fault strikes in between."""
    site, archive, point = books.site, books.archive, books.cell.point.value
    _rules(books, "keep: {received: 0s, finished: 0s}")
    with site.running() as node:
        assert set(send(node.port, SERIES, called_ae="RESEARCH")) == {0x0000}
        assert send(node.port, [UNROUTED]) == [0x0000]
        states = site.settled(len(SERIES) + 1)
        assert states == {"delivered": len(SERIES), "unrouted": 1}
    if books.cell.fault is Fault.KILL:
        with site.process(kill=(point.reached, point.time)) as process:
            process.wait_for_death()
        with site.running() as node:
            node.service.retention.once()
    else:
        with _node(books, trip, small) as (node, struck):
            upkeep = threading.Thread(target=_upkeep, args=(node.service,))
            upkeep.start()
            trip.wait()
            wait_until(lambda: struck.met() or not upkeep.is_alive(), why=lambda: "retention has not met the fault")
            struck.over()
            upkeep.join(60)
            assert not upkeep.is_alive()
            node.service.retention.once()
    assert books.spooled() == {digest(UNROUTED)}
    books.the_archive_has_it_once()
    assert site.settled(len(SERIES) + 1) == states
    assert len(archive.received) == len(SERIES)


def _upkeep(service: Service) -> None:
    """As the node's own loop does it: what fails is tried again at the next round."""
    with suppress(OSError, sa.exc.SQLAlchemyError):
        service.retention.once()


def _rules(books: Books, keep: str = "") -> None:
    books.site.rules(RULES, port=books.archive.port, node=f"limits: {{keep_free: 1B}}\n{keep}")


@contextmanager
def _node(books: Books, trip: Trip, small: bool) -> Iterator[tuple[Running, Struck]]:
    """A node in this process that the fault will strike."""
    site, cell, phase = books.site, books.cell, books.cell.point.value.phase
    peer: Peer = books.archive if phase is Phase.SENDING else books.modality
    with warnings() as seen, wall_clock() as clock:
        disk = Disk(site.folder)
        with site.running(files=disk, clock=clock.now, reach=trip) as node:

            def noticed() -> bool:
                """A peer that only idles leaves nothing to notice; nor does one that has got its answer."""
                if cell.fault is Fault.HANG and phase is Phase.RECEIVING:
                    return True
                return bool(seen.lines) or (phase is not Phase.SENDING and cell.point is not Point.INSIDE_A_PDV)

            struck = brought_about(
                cell.fault, root=site.folder.parent, small=small, files=disk, seen=seen, url=site.database,
                data=site.data, database=node.service.database, peer=peer, noticed=noticed, clock=clock,
            )  # fmt: skip
            trip.strike = struck.strike
            yield node, struck
