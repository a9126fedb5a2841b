"""The fault matrix as data: where something goes wrong, what goes wrong, and what is promised then.

`test_fault_matrix.py` tries every cell, `tests/house/pages.py` prints it into docs/RELIABILITY.md. A cell that
would say nothing is named too, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class Phase(Enum):
    """Who is at work at a point, and so which peer a fault of a peer is about."""

    RECEIVING = auto()
    WORKING = auto()
    SENDING = auto()
    REMOVING = auto()


@dataclass(frozen=True, slots=True)
class Where:
    """Where a fault strikes."""

    reached: str
    """The node's own name of the point; empty where a peer brings it about."""
    time: int
    """At the n-th time it is reached."""
    phase: Phase


class Point(Enum):
    """In the order of the data. The names on the right may change with the node, those on the left are the page's."""

    INSIDE_A_PDV = Where("", 2, Phase.RECEIVING)
    AFTER_THE_WRITE = Where("instance written", 2, Phase.RECEIVING)
    AFTER_THE_SYNC = Where("instance synced", 2, Phase.RECEIVING)
    AFTER_VISIBLE = Where("instance visible", 1, Phase.RECEIVING)
    BEFORE_THE_ANSWER = Where("before the answer", 2, Phase.RECEIVING)
    BEFORE_THE_INDEX_COMMIT = Where("before the rows", 1, Phase.RECEIVING)
    AT_COMPLETION = Where("unit complete", 1, Phase.WORKING)
    IN_THE_STEP_FORWARD = Where("step 0 begins", 1, Phase.WORKING)
    IN_THE_STEP_ANONYMIZE = Where("step 1 begins", 1, Phase.WORKING)
    IN_THE_STEP_NIFTI = Where("step 2 begins", 1, Phase.WORKING)
    IN_A_SEND_BEFORE_THE_ANSWER_OF_THE_PEER = Where("", 2, Phase.SENDING)
    IN_A_SEND_AFTER_THE_ANSWER_OF_THE_PEER = Where("delivery answered", 2, Phase.SENDING)
    IN_RETENTION = Where("retention forgot", 1, Phase.REMOVING)

    @property
    def words(self) -> str:
        return self.name.replace("_", " ").lower().replace("pdv", "PDV")


class Fault(StrEnum):
    """What goes wrong."""

    KILL = "kill -9"
    FULL = "ENOSPC"
    EIO = "EIO"
    READ_ONLY = "read-only disk"
    LOCKED = "database locked"
    AWAY = "database away"
    ABORT = "peer abort"
    HANG = "peer hang"
    HALF_OPEN = "half-open TCP"
    AHEAD = "clock + 1 h"
    BACK = "clock - 1 h"

    @property
    def of_a_peer(self) -> bool:
        return self in (Fault.ABORT, Fault.HANG, Fault.HALF_OPEN)

    @property
    def of_the_disk(self) -> bool:
        return self in (Fault.FULL, Fault.EIO, Fault.READ_ONLY)

    @property
    def of_the_database(self) -> bool:
        return self in (Fault.LOCKED, Fault.AWAY)

    @property
    def of_the_clock(self) -> bool:
        return self in (Fault.AHEAD, Fault.BACK)

    @property
    def asks_the_database(self) -> bool:
        """Whether the database has a part in what becomes of it, so that both are tried."""
        return self is Fault.KILL or self.of_the_database or self.of_the_clock


@dataclass(frozen=True, slots=True)
class Cell:
    """One point and one fault. `expected` in words, or `meaningless` with the reason."""

    point: Point
    fault: Fault
    expected: str = ""
    meaningless: str = ""

    @property
    def sampled(self) -> tuple[str, ...]:
        """The databases with which it is tried in the short run too."""
        return SAMPLE.get((self.point, self.fault), ())

    @property
    def may_be_kept_unanswered(self) -> bool:
        """Whether the instance in flight has arrived as a whole, and may be kept without its sender knowing.

        No protocol can avoid that: the answer itself may be lost. The sender comes again, and it is a duplicate.
        """
        return self.point.value.phase is Phase.RECEIVING and self.point is not Point.INSIDE_A_PDV

    @property
    def may_be_sent_twice(self) -> bool:
        """Whether the one instance in flight to a destination may go out again."""
        # Sending goes on beside the steps after the first one.
        beside = self.point in (Point.IN_THE_STEP_ANONYMIZE, Point.IN_THE_STEP_NIFTI)
        sending = self.point.value.phase is Phase.SENDING
        return (self.hits_every_send and (sending or beside)) or (self.fault.of_a_peer and sending)

    @property
    def hits_every_send(self) -> bool:
        """Whether what is on its way to a destination at that moment may go out again, wherever the fault strikes."""
        return self.fault in (Fault.KILL, Fault.FULL) or self.fault.of_the_database


_GROUPS = {
    "receiving": [p for p in Point if p.value.phase is Phase.RECEIVING],
    "working": [p for p in Point if p.value.phase is Phase.WORKING],
    "sending": [p for p in Point if p.value.phase is Phase.SENDING],
}
_REMOVED = "rows forget a file before it goes, so none names a file that is gone; "

_EXPECTED: dict[Fault, dict[str | Point, str]] = {
    Fault.KILL: {
        Point.INSIDE_A_PDV: "nothing of the part is kept; what was answered before is",
        "receiving": "answered: kept. In flight: kept once or not at all, never in part; a repeat is a duplicate",
        "working": "the interrupted part is done again from what is on the disk, by the next start",
        "sending": "what is in flight goes out once more, no other: one instance, in a large delivery at most 16",
        Point.IN_RETENTION: _REMOVED + "what is left over is removed at the next start",
    },
    Fault.FULL: {
        "receiving": "0xA700 and nothing kept, or kept; taken up again as soon as there is room",
        "working": "tried again until there is room; nothing is held, nothing done twice is seen outside",
        "sending": "sent as before; what cannot be noted is in flight, and may go out once more",
        Point.IN_RETENTION: "removing needs no room in the spool; a commit that fails is tried at the next round",
    },
    Fault.EIO: {
        "receiving": "a sync that fails fails the C-STORE: 0xA700 and nothing kept; what was kept before stays",
        "working": "tried again where it touches the outbox, until the disk takes it",
        "sending": "the delivery is recorded; cleaning its folder up is tried again",
        Point.IN_RETENTION: _REMOVED + "what could not be removed is removed by a later round",
    },
    Fault.READ_ONLY: {
        "receiving": "0xA700 and nothing kept; taken up again once it is mounted writable, without a restart",
        "working": "tried again where it touches the outbox, until the disk takes it",
        "sending": "the delivery is recorded; cleaning its folder up is tried again",
        Point.IN_RETENTION: _REMOVED + "what could not be removed is removed by a later round",
    },
    Fault.LOCKED: {
        "receiving": "receiving and answering go on, since rows follow bytes; units wait for the rows",
        "working": "waits for the lock, then goes on; nothing is begun twice",
        "sending": "no more is sent than may be without a committed answer; nothing goes out twice",
        Point.IN_RETENTION: "waits for the lock, then goes on",
    },
    Fault.AWAY: {
        "receiving": "receiving and answering go on; rows are written when it is back, in the process that waits",
        "working": "tried again until it is back; the step's files are made again where their record is missing",
        "sending": "an answer that cannot be committed counts as in flight: what may be in flight may go out again",
        Point.IN_RETENTION: "this round fails, a later one goes on",
    },
    Fault.ABORT: {
        Point.INSIDE_A_PDV: "nothing of the part is kept; what was answered before is, and its unit closes",
        "receiving": "what had arrived as a whole is kept, unanswered; the sender's repeat is a duplicate",
        Point.AT_COMPLETION: "an association that idles keeps no unit open, and its end changes nothing",
        "sending": "the next try goes on behind the last answer; only what was in flight may go out again",
    },
    Fault.HANG: {
        Point.INSIDE_A_PDV: "others are served meanwhile; its unit waits for it, and closes when it is gone",
        "receiving": "the answer waits in the socket; others are served, the unit closes without it",
        Point.AT_COMPLETION: "an association that idles keeps no unit open",
        "sending": "cut after `timeout`; the next try goes on behind the last answer",
    },
    Fault.HALF_OPEN: {
        Point.INSIDE_A_PDV: "noticed when no byte comes for the longest wait; then as an abort",
        "receiving": "the answer meets nobody; what had arrived is kept, the sender's repeat is a duplicate",
        Point.AT_COMPLETION: "an association that idles keeps no unit open",
        "sending": "noticed after `timeout`; the next try goes on behind the last answer",
    },
    Fault.AHEAD: {
        "receiving": "PostgreSQL: its clock decides, nothing closes early. SQLite: quiet time is over at once, what "
        "comes later is late arrivals, and the last generation is whole",
        "working": "goes on; nothing depends on the wall clock here",
        "sending": "goes on; tries that wait come due early",
        Point.IN_RETENTION: "removes at most what is over, an hour early",
    },
    Fault.BACK: {
        "receiving": "PostgreSQL: its clock decides. SQLite: quiet time begins anew where it would last an hour longer",
        "working": "goes on; nothing depends on the wall clock here",
        "sending": "goes on; what waits for its next try is tried at once, not an hour later",
        Point.IN_RETENTION: "removes nothing for an hour",
    },
}
_MEANINGLESS: dict[str | Point, str] = {
    Point.IN_THE_STEP_FORWARD: "no peer is on the line: this step writes to the outbox, sending is a delivery's",
    Point.IN_THE_STEP_ANONYMIZE: "no peer is on the line: steps know no network",
    Point.IN_THE_STEP_NIFTI: "no peer is on the line: steps know no network",
    Point.IN_RETENTION: "no peer is on the line: retention removes files of this node",
}
"""Why a fault of a peer says nothing at a point."""

SAMPLE: dict[tuple[Point, Fault], tuple[str, ...]] = {
    (Point.INSIDE_A_PDV, Fault.KILL): ("sqlite",),
    (Point.AFTER_THE_WRITE, Fault.EIO): ("sqlite",),
    (Point.AFTER_THE_SYNC, Fault.KILL): ("sqlite",),
    (Point.AFTER_VISIBLE, Fault.ABORT): ("sqlite",),
    (Point.BEFORE_THE_ANSWER, Fault.HANG): ("sqlite",),
    (Point.BEFORE_THE_INDEX_COMMIT, Fault.AWAY): ("sqlite", "postgresql"),
    (Point.AT_COMPLETION, Fault.LOCKED): ("sqlite",),
    (Point.AT_COMPLETION, Fault.BACK): ("postgresql",),
    (Point.IN_THE_STEP_FORWARD, Fault.EIO): ("sqlite",),
    (Point.IN_THE_STEP_ANONYMIZE, Fault.FULL): ("sqlite",),
    (Point.IN_THE_STEP_NIFTI, Fault.AHEAD): ("sqlite",),
    (Point.IN_A_SEND_BEFORE_THE_ANSWER_OF_THE_PEER, Fault.HALF_OPEN): ("sqlite",),
    (Point.IN_A_SEND_BEFORE_THE_ANSWER_OF_THE_PEER, Fault.KILL): ("postgresql",),
    (Point.IN_A_SEND_AFTER_THE_ANSWER_OF_THE_PEER, Fault.EIO): ("sqlite",),
    (Point.IN_RETENTION, Fault.READ_ONLY): ("sqlite",),
}
"""What is tried in the short run: each fault, each point, and each database where it has a say."""


def _cell(point: Point, fault: Fault) -> Cell:
    if fault.of_a_peer and point in _MEANINGLESS:
        return Cell(point, fault, meaningless=_MEANINGLESS[point])
    found = _EXPECTED[fault]
    group = next((name for name, points in _GROUPS.items() if point in points), "")
    return Cell(point, fault, expected=found[point] if point in found else found[group])


def cells() -> Iterator[Cell]:
    """Every one there is."""
    for point in Point:
        for fault in Fault:
            yield _cell(point, fault)
