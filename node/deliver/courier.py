"""One delivery: what waits for one destination goes out, and each answer is kept (see recording.py).

The body of the engine's `deliver` workflow, which gives it a thread while it sends and none while it waits.
A dead destination therefore blocks nobody: its deliveries are rows with a time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from traceback import format_tb

import sqlalchemy as sa

from node.config import Destination
from node.deliver.base import Outcome as Answer
from node.deliver.base import Parcel, Result, Target
from node.deliver.folder import FolderTarget
from node.deliver.recording import Recording, at_once, side_by_side
from node.engine.runs import DONE, STOP, Outcome
from node.errors import CannotSucceed, TryAgain, lacking
from node.index import Database, jobs
from node.index.database import damage
from node.index.generations import earlier_deliveries
from node.outbox import Delivery, Outbox, Waiting
from node.retry import next_try

log = logging.getLogger("node.deliver")

Open = Callable[[Delivery, Destination, Collection[str]], Target]
"""(delivery, its destination, places that it has taken already) -> the target"""

Answered = tuple[Waiting, Result]

_AWAY = 5.0
"""Seconds after which a delivery is tried again that met a database that was away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Courier:
    """Sends deliveries. Holds no state: destinations are looked up by name when they are needed."""

    database: Database
    outbox: Outbox
    destinations: Callable[[], Mapping[str, Destination]]
    open: Open
    stop: Callable[[], bool]
    reach: Callable[[str], None]
    under_way: Callable[[str], bool] = lambda delivery: False
    """Whether some process has this delivery in its hands at this moment."""

    def deliver(self, key: str, attempt: int) -> Outcome:
        """Send what waits. `attempt` counts how often the engine was given this delivery."""
        try:
            return self._deliver(key)
        except sa.exc.OperationalError as error:
            log.warning("delivery %s: the database is away, tried again: %s", key, type(error.orig).__name__)
            return Outcome("again", _AWAY)

    def _deliver(self, key: str) -> Outcome:
        """Raises OperationalError when the database is away: at the first look, or when it is told what went wrong."""
        found = self.outbox.read(key)
        if found is None or found[0].state in ("held", "dropped", "delivered"):
            return STOP
        delivery, waiting = found
        destination = self.destinations().get(delivery.destination)
        if destination is None:
            return self._hold(delivery, f'destination "{delivery.destination}" is not in rules.yaml any more')
        if destination.accepts is not None and destination.accepts != delivery.disclosure:
            return self._hold(
                delivery, f"{delivery.destination} accepts {destination.accepts}, this is {delivery.disclosure}"
            )
        if self._earlier_under_way(delivery):
            return Outcome("again", 1.0)
        try:
            self._send(delivery, destination, waiting)
            # Within the same net: a disk or a share that fails at the end is no reason to hold what arrived.
            return self._finish(delivery, destination)
        except TryAgain as error:
            return self._later(delivery, destination, str(error))
        except OSError as error:
            return self._later(delivery, destination, error.strerror or type(error).__name__)
        except sa.exc.OperationalError:
            raise
        except CannotSucceed as error:
            return self._hold(delivery, str(error))
        except Exception as error:  # worker loop: a bug holds this delivery, and the others go on
            if lack := lacking(error) or damage(error):
                return self._later(delivery, destination, lack)
            # Without the error's text, which may quote what was in a data set.
            log.error("delivery %s: %s\n%s", key, type(error).__name__, "".join(format_tb(error.__traceback__)))
            return self._hold(delivery, f"a fault in the node ({type(error).__name__}); see its log")

    def _earlier_under_way(self, delivery: Delivery) -> bool:
        """What an earlier generation has in flight would be sent twice, or arrive behind what replaces it. What it
        has not begun to send, it sends no more (index.generations)."""
        if delivery.generation == 1:
            return False
        with self.database.reader.connect() as connection:
            earlier = earlier_deliveries(connection, delivery.id)
        return any(self.under_way(key) for key in earlier)

    def _send(self, delivery: Delivery, destination: Destination, waiting: list[Waiting]) -> None:
        """Raises TryAgain when something has to be sent again, and what the target raises."""
        target = self.open(delivery, destination, self.outbox.published(delivery))
        same = self._there(delivery, destination, waiting)
        peer = str(destination.dicom or "")
        if same and not self.outbox.delivered(delivery, same, peer=peer):
            return
        there = {w.number for w in same}
        left = [w for w in waiting if w.number not in there]
        if destination.dicom is not None:
            left = _others_first(left, delivery.failures)
        by_number = {w.number: w for w in left}
        if not by_number:
            return
        later: list[str] = []
        rest = set(by_number)

        def keep(answers: Sequence[Answered]) -> bool:
            wanted = True
            rest.difference_update(one.number for one, _ in answers)
            for some in _alike(answers):  # all of them, also when no more are wanted
                wanted = self._keep(delivery, peer, some, rest) and wanted
            return wanted

        def record(parcel: Parcel, result: Result) -> None:
            self.reach("delivery answered")
            if result.outcome is Answer.AGAIN:
                later.append(result.text)
            else:
                recording.add((by_number[parcel.number], result))
            self.reach("delivery recorded")

        # A folder is told where each file is before the next one is given a place.
        bound, sending = 1, 1
        if destination.dicom is not None:
            bound, sending = at_once(len(by_number)), side_by_side(len(by_number), destination.associations)
        with Recording(keep, bound, sending) as recording:
            self.reach("delivery begins")
            target.deliver(
                [_parcel(w) for w in by_number.values()], record, lambda: self.stop() or not recording.wanted
            )
        if later:
            raise TryAgain(later[0])

    def _keep(self, delivery: Delivery, peer: str, alike: Sequence[Answered], rest: Set[int]) -> bool:
        """Commit answers that say the same. False: the rest is not to be sent any more."""
        result, those = alike[0][1], [one for one, _ in alike]
        if result.outcome is Answer.DELIVERED:
            return self.outbox.delivered(delivery, those, result.place, peer, rest)
        return self.outbox.refused(delivery, those, result.text)

    def _there(self, delivery: Delivery, destination: Destination, waiting: list[Waiting]) -> list[Waiting]:
        """What the peer has acknowledged before with the same content: a rerun sends only what changed.

        A folder is asked itself, since a person may have taken files out of it.
        """
        if destination.dicom is None:
            return []
        known = self.outbox.already(str(destination.dicom), [w.sop_instance for w in waiting])
        return [w for w in waiting if known.get(w.sop_instance) == w.content]

    def _finish(self, delivery: Delivery, destination: Destination) -> Outcome:
        """Raises TryAgain and OSError when files that are over cannot be removed."""
        again = self.outbox.read(delivery.id)
        if again is None or again[0].state != "waiting":  # a person, or a later generation, decided meanwhile
            return STOP
        if again[1]:  # stopped in between, or the same delivery was given more meanwhile
            return Outcome("again", 1.0)
        if destination.folder is not None and not delivery.delta:
            self._tidy(delivery, destination)
        state = self.outbox.finish(delivery)
        if state == "waiting":  # given more in this moment
            return Outcome("again", 1.0)
        self._remember(delivery, f"{delivery.destination}: {state}")
        if delivery.reason:
            log.info("delivery %s: %s, after tries that failed", delivery.id, state)
        return DONE

    def _tidy(self, delivery: Delivery, destination: Destination) -> None:
        """What an earlier generation put into the folder and this one did not goes away."""
        target = self.open(delivery, destination, [])
        if isinstance(target, FolderTarget):
            target.finish(self.outbox.in_force(delivery))

    def _later(self, delivery: Delivery, destination: Destination, reason: str) -> Outcome:
        noted = self.outbox.failed(delivery, reason)
        if noted is None:
            return STOP
        failures, since = noted
        with self.database.reader.connect() as connection:
            now = datetime.fromtimestamp(self.database.now(connection), UTC)
        first = datetime.fromtimestamp(since, UTC)
        at = next_try(failures, destination.retry, first, now, delivery.id)
        self._remember(delivery, f"{delivery.destination}: try {failures} failed: {reason}")
        if at is None:
            return self._hold(delivery, f"gave up after {failures} tries: {reason}")
        self.outbox.wait(delivery, at.timestamp())
        log.warning("delivery %s: try %d failed, next at %s: %s", delivery.id, failures, f"{at:%H:%M:%S}", reason)
        return Outcome("again", max(0.0, (at - now).total_seconds()))

    def _hold(self, delivery: Delivery, reason: str) -> Outcome:
        if self.outbox.hold(delivery, reason):
            log.warning("delivery %s held: %s", delivery.id, reason)
            self._remember(delivery, f"{delivery.destination}: held: {reason}")
        return STOP

    def poisoned(self, key: str, why: str) -> None:
        found = self.outbox.read(key)
        if found is not None:
            self._hold(found[0], why)

    def _remember(self, delivery: Delivery, text: str) -> None:
        with self.database.durable.begin() as connection:
            jobs.remember(connection, delivery.job, "delivery", text, self.database.now(connection))


def _others_first(waiting: list[Waiting], failures: int) -> list[Waiting]:
    """The first may be what a peer breaks off every association at, or puts off each time: after one try that failed it
    goes last, after two the first half of all, then a quarter, three quarters, an eighth, ... Of many such in a row
    one that gets through is found in a few tries, and every one is the first at some time."""
    first = failures
    if failures > 1:
        part = failures - 1
        first = int(bin(part)[:1:-1], 2) * len(waiting) >> part.bit_length()  # its bits backwards, behind the point
    first = first % len(waiting) if waiting else 0
    return waiting[first:] + waiting[:first]


def _alike(answers: Sequence[Answered]) -> Iterator[list[Answered]]:
    """Neighbours with one outcome, place and, when refused, reason: they go into the books together."""
    for _, some in groupby(
        answers, key=lambda a: (a[1].outcome, a[1].place, a[1].outcome is Answer.REFUSED and a[1].text)
    ):
        yield list(some)


def _parcel(one: Waiting) -> Parcel:
    return Parcel(
        number=one.number, path=one.path, name=one.name, kind=one.kind, sop_class=one.sop_class,
        sop_instance=one.sop_instance, transfer_syntax=one.transfer_syntax, fields=one.fields, sources=one.sources,
    )  # fmt: skip
