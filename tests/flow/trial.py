"""One cell of the fault matrix, tried: a series goes through a whole node, and the fault strikes on its way.

What the node must be true to is bytes: what was answered with success is, by its SHA-256, in the spool, and came to
the archive; what was not answered is not shown; and only what was in flight goes anywhere twice.
"""

from __future__ import annotations

import gzip
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from node.model import State
from tests import make
from tests.flow.matrix import Cell, Phase, Point
from tests.flow.nodes import PATIENCE, Site, send_until_cut, wait_until
from tests.peers import Gone, Instance, Recorder, Sender, send

RULES = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: identified, timeout: 1s, retry: {first: 1s, factor: 1}}
  share: {folder: ./out, accepts: deidentified, layout: "{PatientID}", retry: {first: 1s, factor: 1}}
routes:
  - name: research-ct
    when: {Modality: CT, called_ae: RESEARCH}
    steps: [{forward: archive}, anonymize, nifti, {forward: {to: share, what: [nifti]}}]
"""
SERIES = [Instance.of(one) for one in make.ct_series(3, rows=64, columns=64)]
UNROUTED = Instance.of(make.ct_series(1, rows=64, columns=64, series="unrouted")[0])


def digest(one: Instance) -> str:
    return sha256(one.data).hexdigest()


@dataclass(slots=True)
class Trip:
    """Called by the node at its named points, and by peers at theirs: at the right one the fault strikes, once."""

    point: Point
    strike: Callable[[], None] = lambda: None
    struck: threading.Event = field(default_factory=threading.Event)
    failed: list[BaseException] = field(default_factory=list)
    _times: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, reached: str) -> None:
        if reached == self.point.value.reached:
            self.here()

    def here(self) -> None:
        with self._lock:
            self._times += 1
            if self._times != self.point.value.time:
                return
        try:
            self.strike()
        except BaseException as error:  # it would be lost in a thread of the node, and the cell would pass
            self.failed.append(error)
        self.struck.set()

    def wait(self) -> None:
        wait_until(self.struck.is_set, why=lambda: f"{self.point.value} was not reached")
        assert not self.failed, self.failed


class Modality:
    """Sends the series on one association, and keeps account of what it was answered."""

    def __init__(self, cell: Cell, trip: Trip) -> None:
        self._cell, self._trip = cell, trip
        self._sender: Sender | None = None
        self.kept: list[Instance] = []
        """Answered with success."""
        self.refused: list[int] = []
        """The other answers."""
        self.in_flight: Instance | None = None
        """Begun, and not answered."""

    def send(self, port: int) -> None:
        """All of it, or until the association is over or this end is the one that fails."""
        contexts = [(SERIES[0].sop_class, [SERIES[0].transfer_syntax])]
        with suppress(Gone, OSError):
            self._sender = Sender(port, contexts, called_ae="RESEARCH")
            self._sender.connect()
            self._sender.associate()
            for number, one in enumerate(SERIES, 1):
                if self._fell_silent() or not self._store(self._sender, number, one):
                    return

    def _store(self, sender: Sender, number: int, one: Instance) -> bool:
        self.in_flight = one
        if self._cell.point is Point.INSIDE_A_PDV:
            message = b"".join(sender.message(one))
            half = len(message) // 2
            sender.raw(message[:half])
            self._trip.here()
            if self._fell_silent():
                return False
            sender.raw(message[half:])
        else:
            sender.begin(one)
        wait_until(lambda: sender.answered() or self._fell_silent())
        if self._fell_silent():
            return False
        status = sender.status()
        self.in_flight = None
        if status == 0x0000:
            self.kept.append(one)
        else:
            self.refused.append(status)
        return True

    def _fell_silent(self) -> bool:
        ours = self._cell.fault.of_a_peer and self._cell.point.value.phase is Phase.RECEIVING
        return ours and self._trip.struck.is_set()

    def again(self, port: int) -> None:
        """What was not answered with success comes once more, as senders do."""
        rest = [one for one in SERIES if one not in self.kept]
        assert send_until_cut(port, rest, called_ae="RESEARCH") == rest
        self.kept += rest

    # ---- as a peer that fails --------------------------------------------------------------------------

    def abort(self) -> None:
        if self._sender is not None:
            self._sender.abort()

    def vanish(self) -> None:
        if self._sender is not None:
            self._sender.vanish()

    def hang(self) -> None:
        pass  # `_fell_silent`

    def resume(self) -> None:
        if self._sender is not None:
            self._sender.cut()


class Archive(Recorder):
    """A destination that strikes, and falls silent, before it answers."""

    def __init__(self, cell: Cell, trip: Trip) -> None:
        super().__init__(meanwhile=self._before_the_answer)
        self._strikes = trip.here if cell.point is Point.IN_A_SEND_BEFORE_THE_ANSWER_OF_THE_PEER else lambda: None
        self._talks = threading.Event()
        self._talks.set()

    def hang(self) -> None:
        self._talks.clear()

    def resume(self) -> None:
        self._talks.set()

    def _before_the_answer(self) -> None:
        self._strikes()
        self._talks.wait(PATIENCE)


@dataclass(frozen=True, slots=True)
class Books:
    """What has to be true in the end, whatever struck."""

    site: Site
    cell: Cell
    archive: Archive
    modality: Modality

    def nothing_is_shown_that_was_not_answered(self) -> bool:
        """Waits for all that was, and returns whether the instance in flight was kept too."""
        answered = {digest(one) for one in self.modality.kept}
        self.site.wait(lambda: answered <= self.spooled(), why="an acknowledged instance is not in the spool")
        more = self.spooled() - answered
        flying = self.modality.in_flight
        allowed = {digest(flying)} if flying is not None and self.cell.may_be_kept_unanswered else set()
        assert more <= allowed
        return bool(more)

    def spooled(self) -> set[str]:
        return {sha256(data).hexdigest() for data in self.site.spooled().values()}

    def settle(self) -> None:
        """Wait until nothing moves any more; then the ledger balances, and owes and hides nothing."""

        def over() -> bool:
            ledger = self.site.ledger()
            moving = ledger.states[State.IN_JOB] + ledger.states[State.WAITING] + ledger.unindexed
            return ledger.acknowledged >= len(SERIES) and not moving

        self.site.wait(over, deadline=2 * PATIENCE, why="not settled")
        ledger = self.site.ledger()
        assert ledger.balanced, ledger
        assert self.site.rows("SELECT id FROM node_delivery WHERE state = 'held'") == []
        repeated = ledger.acknowledged - len(SERIES)
        assert 0 <= repeated <= int(self.modality.in_flight is not None and self.cell.may_be_kept_unanswered)
        assert self.site.counts() == {"delivered": len(SERIES)} | ({"duplicate": repeated} if repeated else {})

    def every_byte_is_where_it_belongs(self, volume: bytes) -> None:
        assert self.spooled() == {digest(one) for one in SERIES}
        self.the_archive_has_it_once()
        assert self.volumes() == [volume]

    def the_archive_has_it_once(self) -> None:
        arrived = {sha256(one.data).hexdigest() for one in self.archive.received}
        assert arrived == {digest(one) for one in SERIES}
        twice = {uid: n for uid, n in Counter(self.archive.uids).items() if n > 1}
        # One for each delivery: on a busy machine what is late is a generation of its own, and both are sent at once.
        deliveries = len(self.site.rows("SELECT id FROM node_delivery WHERE destination = 'archive'"))
        # One that was complete before the fault may be on its way while the next is received.
        early = deliveries - 1 if self.cell.hits_every_send else 0
        assert len(twice) <= (deliveries if self.cell.may_be_sent_twice else early), twice
        assert sum(twice.values()) - len(twice) < max(1, self.archive.associations)

    def volumes(self) -> list[bytes]:
        return [gzip.decompress(path.read_bytes()) for path in (self.site.folder / "out").rglob("*.nii.gz")]

    def the_answers_were_the_right_ones(self) -> None:
        """Only a disk refuses, with a status that tells the sender to come again."""
        assert set(self.modality.refused) <= ({0xA700} if self.cell.fault.of_the_disk else set())

    def nothing_closed_early(self) -> None:
        """By the database's clock, each generation was quiet for as long as the rules say.

        SQLite's clock is the machine's, and jumped.
        """
        if self.site.database == "sqlite":
            return
        closed = self.site.rows(
            "SELECT c.at - u.last_at FROM node_completion c JOIN node_unit u "
            "ON u.id = c.unit AND u.generation = c.generation"
        )
        assert closed
        assert all(quiet >= 0.5 for (quiet,) in closed)


def clean_volume(folder: Path) -> bytes:
    """The volume that comes of the series when nothing goes wrong."""
    with Recorder() as archive, Site(folder, "sqlite") as site:
        site.rules(RULES, port=archive.port)
        with site.running() as node:
            assert set(send(node.port, SERIES, called_ae="RESEARCH")) == {0x0000}
            assert site.settled(len(SERIES)) == {"delivered": len(SERIES)}
        (volume,) = (folder / "out").rglob("*.nii.gz")
        return gzip.decompress(volume.read_bytes())
