"""A receiver process: takes the instances of associations that the node lends it, with an interpreter of its own.

The node negotiates, admits and serves everything but C-STORE. To the spool this is a process like another node, with
slots and a mark of its own: whatever kills it, what it acknowledged is shown and indexed by the node's sweep. Rows go
to the node, the one writer. It ends when the node does, however that ended.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from node.model import Arrival, Origin
from node.moment import new_receipt, utc_now
from node.receive.conversation import Told
from node.receive.keeper import Keeper
from node.receive.lent import Lent
from node.receive.marks import publish
from node.receive.pipe import Loan, Pipe, Row, row_of
from node.receive.promised import Promised
from node.receive.session import Sessions
from node.receive.turns import Turns
from node.receive.watermark import Watermark
from node.spool import Files, Kept, Presence, Spool

_GARBAGE = (50_000, 2, 2)
"""Objects more than before after which Python looks for garbage among the young, and how many looks later among all."""
_GATHER, _MOST = 0.02, 64
"""Seconds in which rows gather, and how many at the most: one message for each would cost more than the rows."""
_TURN = 1e-3
"""Seconds after which a thread that computes gives way to one that waits for the interpreter. Python's own 5 ms are as
long as two instances take: one that has been read from the disk or hashed would wait behind the rows of others."""
STALLED = 60.0
"""Seconds without room for an answer: the peer is gone."""


class ToTheNode(logging.Handler):
    """Lines of this process appear in the node's log. Of an exception its kind and its places: values may be a
    patient's."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            text = f"{text}: {record.exc_info[0].__name__} at {_places(record.exc_info[2])}"
        with contextlib.suppress(OSError):
            self._pipe.send(("line", record.name, record.levelno, text))


def _places(trace: TracebackType | None) -> str:
    places = []
    while trace is not None:
        places.append(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " > ".join(places)


@dataclass(slots=True)
class Process:
    """What the process is made of."""

    pipe: Pipe
    spool: Spool
    presence: Presence
    promised: Promised
    sessions: Sessions = field(default_factory=Sessions)
    lent: dict[int, Lent] = field(default_factory=dict)
    keep_free: int = 0
    _watermark: Watermark = field(init=False)
    _turns: Turns = field(default_factory=Turns)
    _told: deque[tuple[Origin, float]] = field(default_factory=deque)
    """Of instances that were answered; goes with the next rows."""
    _rows: list[Row] = field(default_factory=list)
    _rows_lock: threading.Lock = field(default_factory=threading.Lock)
    _some: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._watermark = Watermark(
            lambda: self.spool.files.room(self.spool.root), lambda: self.keep_free, promised=self.promised,
            say=lambda line: self.pipe.send(("low",)),
        )  # fmt: skip

    def run(self) -> None:
        """Until the node says that it is over."""
        stop = threading.Event()
        marks = threading.Thread(target=publish, args=(self.sessions, self.presence, stop), daemon=True)
        marks.start()
        threading.Thread(target=self._send_rows, args=(stop,), daemon=True).start()
        self.pipe.send(("ready",))
        while (message := self.pipe.receive()) is not None:
            match message:
                case ("lend", loan):
                    self._begin(loan, self.pipe.descriptor())
                case ("recall", number):
                    lent = self.lent.get(number)
                    if lent is not None:
                        lent.recall()
                case ("ask",):
                    self.pipe.send(("here",))
                case ("indexed", count):
                    self.presence.index(count)
                case ("stop",):
                    stop.set()
                    marks.join()
                    self.spool.close()
                    self.presence.close()
                    return
        # The node died. What is on its way here is not acknowledged; what was, its next start finds.
        os._exit(1)

    def _begin(self, loan: Loan, descriptor: int) -> None:
        connection = socket.socket(fileno=descriptor)
        connection.settimeout(STALLED)
        self.keep_free = loan.keep_free
        self.lent[loan.number] = lent = Lent(loan, connection, self._turns)
        thread = threading.Thread(target=self._serve, args=(lent,), name=f"association {loan.number}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system gives no more threads
            del self.lent[loan.number]
            connection.close()
            lent.bell.close()
            self.pipe.send(("full", loan.number, str(error)))

    def _serve(self, lent: Lent) -> None:
        told = Told(
            received=lambda origin, seconds: self._told.append((origin, seconds)),
            refused=lambda origin, status: self.pipe.send(("refused", origin, status)),
        )
        back = lent.run(self._keeper(lent.loan), self.sessions, told)
        del self.lent[lent.key]
        # First its rows: the node stops when everything is back, and then reads no more.
        self._flush()
        self.pipe.send(("back", lent.key, back, self._answered()))

    def _keeper(self, loan: Loan) -> Keeper:
        return Keeper(
            spool=self.spool, presence=self.presence, hand_on=self._hand_on, watermark=self._watermark,
            largest=lambda: loan.largest, charset=lambda origin: loan.charset, reach=lambda point: None,
            sop_classes=lambda: loan.sop_classes,
        )  # fmt: skip

    def _hand_on(self, kept: Kept, arrival: Arrival) -> None:
        """The row, for the node to write. It is not the word that counts: without it the sweep finds the file."""
        with self._rows_lock:
            self._rows.append(row_of(kept.slot, arrival))
            count = len(self._rows)
        if count == 1:
            self._some.set()
        elif count >= _MOST:
            self._flush()

    def _send_rows(self, stop: threading.Event) -> None:
        while self._some.wait() and not stop.wait(_GATHER):
            self._some.clear()
            try:
                self._flush()
            except OSError:
                return  # the node is gone, and so is this process in a moment

    def _flush(self) -> None:
        with self._rows_lock:  # also while they are sent: who finds none here may rely on it that all are
            rows, self._rows = self._rows, []
            if rows:
                self.pipe.send(("rows", rows, self._answered()))

    def _answered(self) -> list[tuple[Origin, float]]:
        told = []
        with contextlib.suppress(IndexError):
            while True:
                told.append(self._told.popleft())
        return told


def main(pipe: int, promised: int, place: int, data: Path, name: str) -> None:
    """`pipe` and `promised` are descriptors; `place` is the one in `promised`."""
    # The node is asked to end, and ends this: a service manager signals every process of the service at once.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end = Pipe(socket.socket(fileno=pipe))
    logging.basicConfig(handlers=[ToTheNode(end)], level=logging.INFO)
    process = Process(
        pipe=end, spool=Spool(data / "spool", name, files=Files(), clock=utc_now, ids=new_receipt),
        presence=Presence(data / "run", name), promised=Promised.of(promised, place),
    )  # fmt: skip
    sys.setswitchinterval(_TURN)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)  # headers are many small objects without cycles: to look for some costs 5 %
    process.run()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])
