"""The receiver processes of this node: two are there from the start, more come when associations are busy.

One interpreter runs one thread at a time, so many senders at once need several. An association is lent between two
C-STOREs and comes back between two messages (`lent`); all else happens here. A process that dies takes the instances
in flight with it, and no other: its associations are aborted, what it acknowledged is swept, another one is started.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from node.errors import Refused
from node.model import Arrival, Origin
from node.receive.conversation import Told
from node.receive.pdata import Splitter
from node.receive.pipe import Loan, Message, Pipe, Return, arrival_of
from node.receive.promised import PLACES, Promised
from node.receive.session import Session, Sessions
from node.receive.watermark import Watermark
from node.spool import Kept

log = logging.getLogger("node.receive")

_AGAIN = 30.0
"""Seconds after a process could not be started, or died, before another one is; or before a full one gets more."""
_HUNG = 60.0
"""Seconds without a word from a process that was asked. The thread that answers touches no disk."""
_SILENT = 5.0
"""Seconds likewise, after which it gets no more associations: they would hang with it."""


class Lendable(Protocol):
    """The upper layer of an association."""

    @property
    def key(self) -> Any: ...

    @property
    def contexts(self) -> dict[int, str]: ...

    @property
    def descriptor(self) -> int: ...

    def give_back(self, back: Return) -> None:
        """From another thread."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What rules.yaml says at this moment of a sender."""

    largest: int
    keep_free: int
    charset: str | None
    sop_classes: Collection[str] = ()


@dataclass(slots=True)
class _One:
    """One process, and what it has."""

    pipe: Pipe
    process: subprocess.Popen[bytes]
    place: int
    started: float
    lent: dict[int, Lendable] = field(default_factory=dict)
    ready: bool = False
    asked: float | None = None
    """Since when it owes an answer, on the monotonic clock."""
    told: bool = False
    """That it is asked: one that does not read has no room for the question either."""
    full_until: float = 0.0
    """It had no thread for one more; on the monotonic clock."""

    def silent(self, now: float) -> bool:
        """It has not answered for a while."""
        asked = self.asked  # whoever hears it answer forgets it at any moment
        return asked is not None and now - asked > _SILENT

    def takes(self, now: float) -> bool:
        """Whether it gets one more association."""
        return self.ready and now >= self.full_until and not self.silent(now)

    def indexed(self, count: int) -> None:
        with contextlib.suppress(OSError):
            self.pipe.send(("indexed", count))


@dataclass(slots=True, kw_only=True)
class Receivers:
    """Thread-safe. `hand_on` gets (kept, arrival, whom to tell how many are indexed)."""

    data: Path
    process: str
    """The name of this one in the spool; theirs begin with it."""
    count: Callable[[], int]
    """How many there may be; 0 for none: then everything is received here."""
    sessions: Sessions
    terms: Callable[[Origin], Terms]
    hand_on: Callable[[Kept, Arrival, Callable[[int], None]], None]
    told: Told
    watermark: Watermark
    promised: Promised
    _ones: list[_One] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _changed: threading.Condition = field(init=False)
    """One is ready, or is no more, or could not be started."""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _names: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _starting: int = 0
    _not_before: float = 0.0
    _stopping: bool = False
    """Nothing is lent any more."""
    _ending: bool = False
    """The processes end."""

    def __post_init__(self) -> None:
        self._changed = threading.Condition(self._lock)

    def start(self) -> None:
        """Start the first ones, so that the first study finds them; `wait_ready` waits for them."""
        with self._lock:
            self._start_all()

    def wait_ready(self, seconds: float) -> bool:
        """Whether all that were begun are ready, within so long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._starting and all(one.ready for one in self._ones), seconds)

    def lend(self, layer: Lendable) -> bool:
        """Give a busy association away, between two messages. False: it stays here."""
        with self._lock:
            if self._stopping or not self.count():
                return False
            self._start_all()
            now = time.monotonic()
            ready = [one for one in self._ones if one.takes(now)]
            if not ready:
                return False
            session = self.sessions.lend(layer.key)
            if session is None:
                return False
            one = min(ready, key=lambda one: len(one.lent))
            number = next(self._numbers)
            one.lent[number] = layer
            try:
                one.pipe.send(("lend", self._loan(number, session, layer)), layer.descriptor)
            except OSError:  # it is dying; its reader clears up
                del one.lent[number]
                self.sessions.back(layer.key, None)
                return False
            return True

    def recall(self, layer: Lendable) -> None:
        """It is wanted here, as soon as the instance in flight is answered."""
        with self._lock:
            for one in self._ones:
                for number, lent in one.lent.items():
                    if lent is layer:
                        with contextlib.suppress(OSError):
                            one.pipe.send(("recall", number))

    def look(self, now: float) -> None:
        """End a process that does not answer any more, and ask the others; to be called every few seconds.

        One that hangs would keep its associations, and get new ones. Senders are told by the abort, as when it dies.
        Takes no lock that a thread may hold which speaks to it, and waits for no room in its pipe.

        now     on the monotonic clock, seconds
        """
        for one in list(self._ones):
            asked = one.asked  # who hears it speak forgets that at any moment
            if asked is None:
                if not one.ready:
                    continue
                asked = one.asked = now
                one.told = False
            if not one.told:
                with contextlib.suppress(OSError):  # it is dying; its reader clears up
                    one.told = one.pipe.offer(("ask",))
            if now - asked > _HUNG:
                log.error("a receiver process has not answered for %.0f s; it is ended", now - asked)
                one.process.kill()

    def recall_all(self) -> None:
        """The node stops: nothing is lent any more, and what is lent comes back."""
        with self._lock:
            self._stopping = True
        self.recall_lent()

    def recall_lent(self) -> None:
        """The rules changed: what is lent comes back, and goes again on their terms."""
        with self._lock:
            for one in self._ones:
                for number in one.lent:
                    with contextlib.suppress(OSError):
                        one.pipe.send(("recall", number))

    def stop(self, seconds: float = 5.0) -> None:
        """End the processes; to be called when everything is back and its rows are written."""
        with self._lock:
            self._stopping = self._ending = True
            ones = list(self._ones)
        for one in ones:
            self._end(one)
        deadline = time.monotonic() + seconds
        for one in ones:
            try:
                one.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.wait()

    # ---- one process ----------------------------------------------------------------------------------

    def _loan(self, number: int, session: Session, layer: Lendable) -> Loan:
        terms = self.terms(session.origin)
        return Loan(
            number=number, session=session, contexts=layer.contexts, largest=terms.largest,
            keep_free=terms.keep_free, charset=terms.charset, sop_classes=terms.sop_classes,
        )  # fmt: skip

    def _start_all(self) -> None:
        """Start those that are missing; it takes a moment, and nobody waits for it."""
        if time.monotonic() < self._not_before:
            return
        busy = sum(len(one.lent) for one in self._ones)
        while len(self._ones) + self._starting < min(self.count(), PLACES - 1, busy + 2):
            self._starting += 1
            try:
                threading.Thread(target=self._start, name="receiver", daemon=True).start()
            except RuntimeError as error:  # the system gives no more threads
                self._not_started(str(error))
                return

    def _not_started(self, why: str) -> None:
        log.warning("a receiver process cannot be started: %s; the node receives without it", why)
        with self._lock:
            self._starting, self._not_before = self._starting - 1, time.monotonic() + _AGAIN
            self._changed.notify_all()

    def _start(self) -> None:
        try:
            one = self._new()
        except OSError as error:
            self._not_started(error.strerror or str(error))
            return
        with self._lock:
            self._ones.append(one)
            self._starting -= 1
            if self._ending:
                self._end(one)
        self._listen(one)

    def _new(self) -> _One:
        with self._lock:
            number = next(self._names)
        place, name = 1 + number % (PLACES - 1), f"{self.process}-r{number}"
        ours, its = socket.socketpair()
        with its:
            try:
                process = subprocess.Popen(
                    [sys.executable, "-m", "node.receive.process", str(its.fileno()),
                     str(self.promised.descriptor), str(place), str(self.data), name],
                    pass_fds=(its.fileno(), self.promised.descriptor), stdin=subprocess.DEVNULL,
                )  # fmt: skip
            except OSError:
                ours.close()
                raise
        return _One(Pipe(ours), process, place, time.monotonic())

    def _end(self, one: _One) -> None:
        with contextlib.suppress(OSError):
            one.pipe.send(("stop",))

    def _listen(self, one: _One) -> None:
        """In a thread of its own: what a process says, until it ends."""
        while True:
            try:
                message = one.pipe.receive()
                if message is None:
                    break
                self._hear(one, message)
            except OSError:
                break
            except Exception:  # worker loop: a row or an association would be lost; its end brings both back
                log.exception("what a receiver process said could not be taken; it is ended")
                break
        self._over(one)

    def _hear(self, one: _One, message: Message) -> None:
        one.asked = None  # whatever it says, it is there
        match message:
            case ("rows", rows, answered):
                root = self.data / "spool"
                for row in rows:
                    slot, arrival = arrival_of(row)
                    kept = Kept(
                        receipt=arrival.receipt, slot=slot, root=root, name=arrival.path, size=arrival.size,
                        sha256=arrival.sha256, received=arrival.received, origin=arrival.origin,
                    )  # fmt: skip
                    self.hand_on(kept, arrival, one.indexed)
                self._count(answered)
            case ("back", number, back, answered):
                self._count(answered)
                with self._lock:
                    layer = one.lent.pop(number)
                self.sessions.back(layer.key, back.session)
                layer.give_back(back)
            case ("full", number, why):
                self._full(one, number, why)
            case ("refused", origin, status):
                self.told.refused(origin, status)
            case ("line", name, level, text):
                logging.getLogger(name).log(level, "%s", text)
            case ("low",):
                with contextlib.suppress(Refused):
                    self.watermark.look_again()
            case ("ready",):
                self._share_with(one)

    def _full(self, one: _One, number: int, why: str) -> None:
        """It could not take one, and nothing of it is read: that goes on here, or in another process."""
        with self._lock:
            one.full_until = time.monotonic() + _AGAIN
            layer = one.lent.pop(number)
        log.warning("a receiver process takes no more associations for %.0f s: %s; the node receives them itself, see "
                    "the limit of threads and memory it runs under", _AGAIN, why)  # fmt: skip
        self.sessions.back(layer.key, None)
        layer.give_back(Return(session=None, splitter=Splitter()))

    def _share_with(self, one: _One) -> None:
        """It is ready: half of what the busiest has comes back, and will be lent to this one."""
        with self._lock:
            one.ready = True
            self._changed.notify_all()
            busiest = max(self._ones, key=lambda each: len(each.lent))
            for number in list(busiest.lent)[: len(busiest.lent) // 2]:
                with contextlib.suppress(OSError):
                    busiest.pipe.send(("recall", number))

    def _count(self, answered: list[tuple[Origin, float]]) -> None:
        for origin, seconds in answered:
            self.told.received(origin, seconds)

    def _over(self, one: _One) -> None:
        one.process.kill()  # it says nothing more, so whatever it still does is of no use
        one.process.wait()
        with self._lock:
            self._ones.remove(one)
            self._changed.notify_all()
            lost, one.lent = one.lent, {}
            self.promised.forget(one.place)
            if not self._stopping:
                self._not_before = time.monotonic() + (_AGAIN if time.monotonic() - one.started < _AGAIN else 0.0)
        if not self._stopping:
            log.error(
                "a receiver process ended (exit %s); %d associations are aborted, and what it acknowledged is indexed",
                one.process.returncode, len(lost),
            )  # fmt: skip
        one.pipe.close()
        for layer in lost.values():
            self.sessions.back(layer.key, None)
            layer.give_back(Return(session=None, splitter=Splitter(), lost=True))
