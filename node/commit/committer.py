"""The loop of storage commitment: decide what was asked for, report it, and ask destinations where that is wanted.

Several processes may run it on one database. Deciding twice gives the same; what is sent is claimed first, by a row
that names a live process, so that one of them sends. What is sent waits for a peer, and has a thread of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from node.commit.peers import Ask, Tell, Unreachable, address_of
from node.commitment import Committed, Failed, Patience, Proof, Verdict, judge, next_look
from node.config import Config, Retry
from node.dicom.commitment import PROCESSING_FAILURE, Reference
from node.errors import NodeError
from node.index import Database, asking, commitments
from node.index.asking import Asked
from node.index.commitments import Commitment
from node.index.proofs import Proofs, proofs
from node.model import UID
from node.retry import next_try
from node.spool import Presence

log = logging.getLogger("node.commit")

REPORTING = Retry(first=timedelta(seconds=10), factor=2, at_most=timedelta(hours=1), give_up=timedelta(days=7))
"""How long a report is tried: a modality that was switched off for a weekend still gets it."""

GRACE = timedelta(seconds=30)
"""For an instance that is not in the index: requests come on another association, and may be quicker."""

_IDLE = 30.0
"""Seconds between two looks when nothing is open: another process may have recorded something."""
_ELSEWHERE = 5.0
"""Seconds that a report is left to the process that has the association of its request."""
_THREADS = 4


@dataclass(slots=True, kw_only=True)
class Committer:
    """Decides and reports. `run` is its thread; `once` is one round, for tests and for the loop."""

    database: Database
    presence: Presence
    config: Callable[[], Config]
    here: Callable[[int], bool]
    """Whether the association of a request is open in this process."""
    tell: Tell
    ask: Ask
    damaged: Callable[[Collection[UID]], Mapping[UID, str]] = lambda instances: {}
    """Which of these files of the spool are not what was received, and what is wrong with them."""
    reach: Callable[[str], None] = lambda point: None
    reporting: Retry = REPORTING
    grace: timedelta = GRACE
    _looked: dict[int, float] = field(default_factory=dict)
    """Request -> when it is looked at again (database clock)."""
    _busy: set[tuple[str, int]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _wake: threading.Event = field(default_factory=threading.Event)

    def run(self, stop: threading.Event, wake: threading.Event) -> None:
        """Until `stop`: one round whenever `wake` is set, and whenever something is due."""
        self._wake = wake
        wait = 0.0
        while not stop.is_set():
            wake.wait(wait)
            wake.clear()
            if stop.is_set():
                return
            try:
                wait = self.once()
            except sa.exc.OperationalError as error:
                log.warning("the database is away: %s", type(error.orig).__name__)
                wait = 5.0
            except Exception:  # worker loop: a bug must not end commitment for everyone else
                log.exception("storage commitment failed; tried again")
                wait = 5.0

    def once(self) -> float:
        """One round. Returns seconds until the next one is due."""
        with self.database.reader.connect() as connection:
            now = self.database.now(connection)
            undecided = commitments.undecided(connection)
        self._forget(undecided)
        for one in undecided:
            if self._looked.get(one.id, 0.0) <= now:
                self._decide(one, now)
                self._looked[one.id] = now + next_look(now - one.at)
        with self.database.reader.connect() as connection:
            now = self.database.now(connection)
            reports, questions = commitments.due(connection, now), asking.due(connection, now)
            later = [commitments.next_due(connection, now), asking.next_due(connection, now)]
        live = [seen.process for seen in self.presence.nodes()]
        waits = [self._report(one, live, now) for one in reports]
        waits += [self._question(one, live, now) for one in questions]
        due = [at for at in (*later, *self._looked.values(), *waits) if at is not None]
        return min([_IDLE, *(max(0.05, at - now) for at in due)])

    def wait_until_sent(self, seconds: float) -> bool:
        """For at most so long, until nothing is being sent."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self._lock:
                if not self._busy:
                    return True
            time.sleep(0.01)
        return False

    def _forget(self, undecided: list[Commitment]) -> None:
        still = {one.id for one in undecided}
        for gone in [key for key in self._looked if key not in still]:
            del self._looked[gone]

    # ---- deciding -------------------------------------------------------------------------------------

    def _decide(self, one: Commitment, now: float) -> None:
        config = self.config()
        titles = {name: d.dicom.ae_title for name, d in config.destinations.items() if d.dicom is not None}
        patience = Patience(grace=self.grace, within=config.node.commitment.within)
        with self.database.reader.connect() as connection:
            items = commitments.waiting_items(connection, one.id)
            known = proofs(
                connection, (i.sop_instance for i in items.values()), one.origin.called_ae, config.routed, one.id,
                askable=titles, own=config.destinations_at(one.origin.calling_ae),
            )  # fmt: skip
        age = timedelta(seconds=max(0.0, now - one.at))
        verdicts: dict[int, Verdict] = {}
        places: dict[str, list[Reference]] = {}
        for number, item in items.items():
            found = known.get(item.sop_instance, Proofs())
            verdicts[number] = judge(item.sop_class, found.facts, one.proof, age, patience)
            for destination in found.destinations & titles.keys() if one.proof is Proof.DOWNSTREAM else ():
                if not found.facts.committed:
                    places.setdefault(destination, []).append(item)
        here = self._look_at_files(items, verdicts, known) if one.proof is Proof.STORED else set()
        with self.database.durable.begin() as connection:
            if here:
                there = commitments.still_spooled(connection, one.id)
                for number in (n for n in here if items[n].sop_instance not in there):
                    del verdicts[number]  # retention took it since; judged anew at the next look
            commitments.decide(connection, one.id, verdicts)
            if places:
                asking.ask(connection, one.id, places, titles, self.database.now(connection))

    def _look_at_files(
        self, items: Mapping[int, Reference], verdicts: dict[int, Verdict], known: Mapping[str, Proofs]
    ) -> set[int]:
        """What is committed because it is here must be here. Returns the numbers of such items."""
        here = {
            number: items[number].sop_instance
            for number, verdict in verdicts.items()
            if isinstance(verdict, Committed) and not known[items[number].sop_instance].facts.delivered
        }
        flaws = self.damaged(set(here.values())) if here else {}
        for number, uid in here.items():
            if uid in flaws:
                log.error("%s is not committed: %s; see `dicom-node ledger --verify`", uid, flaws[uid])
                verdicts[number] = Failed(PROCESSING_FAILURE, f"in the spool {flaws[uid]}")
        return {number for number, uid in here.items() if uid not in flaws}

    # ---- sending --------------------------------------------------------------------------------------

    def _report(self, one: Commitment, live: list[str], now: float) -> float | None:
        """Send a report, in a thread of its own. Returns when to look again, where it is left alone now."""
        if one.tries == 0 and len(live) > 1 and not self.here(one.id) and now < one.next_at + _ELSEWHERE:
            return one.next_at + _ELSEWHERE
        return self._in_a_thread(
            ("report", one.id), lambda c: commitments.claim(c, one.id, self.presence.process, live, now),
            lambda: self._send_report(one), now,
        )  # fmt: skip

    def _question(self, one: Asked, live: list[str], now: float) -> float | None:
        return self._in_a_thread(
            ("question", one.id), lambda c: asking.claim(c, one, self.presence.process, live, now),
            lambda: self._send_question(one), now,
        )  # fmt: skip

    def _in_a_thread(
        self, key: tuple[str, int], claim: Callable[[sa.Connection], bool], send: Callable[[], None], now: float
    ) -> float | None:
        with self._lock:
            if key in self._busy or len(self._busy) >= _THREADS:
                return now + 1.0
            self._busy.add(key)
        claimed = False
        try:
            with self.database.durable.begin() as connection:
                claimed = claim(connection)
        finally:
            if not claimed:
                with self._lock:
                    self._busy.discard(key)
        if not claimed:  # another process has it in its hands
            return now + _ELSEWHERE
        thread = threading.Thread(target=self._sending, args=(key, send), name=f"{key[0]} {key[1]}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system gives no more threads; its claim stays, and this process tries again
            log.warning("%s %d could not be sent: %s", *key, error)
            with self._lock:
                self._busy.discard(key)
            return now + 1.0
        return None

    def _sending(self, key: tuple[str, int], send: Callable[[], None]) -> None:
        try:
            send()
        except sa.exc.OperationalError as error:
            log.warning("the database is away: %s", type(error.orig).__name__)
        except Exception:  # worker loop: its claim stays, and this process tries again
            log.exception("%s %d could not be sent", *key)
        finally:
            with self._lock:
                self._busy.discard(key)
            self._wake.set()

    def _send_report(self, one: Commitment) -> None:
        with self.database.reader.connect() as connection:
            report = commitments.report_of(connection, one)
        self.reach("commitment report begins")
        try:
            how = self.tell(one, report, address_of(self.config(), one.origin))
        except NodeError as error:
            self._not_reported(one, str(error), quiet=isinstance(error, Unreachable) and str(error) == one.reason)
            return
        self.reach("commitment report sent")
        with self.database.durable.begin() as connection:
            commitments.answered(connection, one.id, self.presence.process)
        log.info(
            "transaction %s of %s is reported %s: %d committed, %d failed", one.transaction, one.origin.calling_ae,
            how, len(report.committed), len(report.failed),
        )  # fmt: skip

    def _not_reported(self, one: Commitment, reason: str, *, quiet: bool) -> None:
        with self.database.durable.begin() as connection:
            now = self.database.now(connection)
            first = _time(now if one.failing_since is None else one.failing_since)
            at = next_try(one.tries + 1, self.reporting, first, _time(now), f"commitment {one.id}")
            commitments.not_answered(
                connection, one.id, self.presence.process, reason, now=now,
                next_at=None if at is None else at.timestamp(),
            )  # fmt: skip
        if at is None:
            log.error(
                "the report of transaction %s to %s is given up after %d tries: %s; when that is mended, %s has to "
                "ask again", one.transaction, one.origin.calling_ae, one.tries + 1, reason, one.origin.calling_ae,
            )  # fmt: skip
        elif not quiet:
            log.warning("the report of transaction %s to %s did not get through, next at %s: %s", one.transaction,
                        one.origin.calling_ae, f"{at:%H:%M:%S}", reason)  # fmt: skip

    def _send_question(self, one: Asked) -> None:
        destination = self.config().destinations.get(one.destination)
        with self.database.reader.connect() as connection:
            request = asking.request_of(connection, one)
        try:
            if request is not None:
                self.ask(one, request, destination)
        except NodeError as error:
            with self.database.durable.begin() as connection:
                now = self.database.now(connection)
                retry = destination.retry if destination is not None else self.reporting
                at = next_try(one.tries + 1, retry, _time(now), _time(now), f"asked {one.id}") or _time(now)
                asking.was_not_asked(connection, one, self.presence.process, str(error), at.timestamp())
            log.warning("commitment cannot be asked of %s, next at %s: %s", one.destination, f"{at:%H:%M:%S}", error)
            return
        with self.database.durable.begin() as connection:
            asking.was_asked(connection, one, self.presence.process, self.database.now(connection))


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
