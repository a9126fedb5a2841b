"""The loop that closes units: find, judge, match, and make the jobs in one transaction.

Several processes may run it on one database. Each of them reads the marks of every live process first: only
when what a receiver had acknowledged at that moment is in the index may a unit's quiet time be believed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from traceback import format_tb

import sqlalchemy as sa

from node.collect.foreseen import Foreseen
from node.collect.late import Late, owed
from node.complete import Complete, Facts, Missing, judge
from node.complete.policy import goes_by, policy_for, shortest
from node.config import Config, Route, freeze
from node.engine.engine import Engine
from node.index import Database, units
from node.index.known import Known, known, mark
from node.index.units import NewJob, Open, Version
from node.match import Verdict, match
from node.model import ReceiptId, UnitKind
from node.spool import Presence, Seen

log = logging.getLogger("node.collect")

_LATER = 60.0
"""Seconds before a unit that met a bug is tried again."""

_LONGEST_PAUSE = 0.02
"""Seconds between two looks at the marks of others."""

_BACK = 60.0
"""Seconds by which an open unit must have been touched in the future, to say that the clock went back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """Closes units. `run` is its thread; `once` is one round, for tests and for the loop."""

    database: Database
    presence: Presence
    engine: Engine
    config: Callable[[], Config]
    judge_duplicates: Callable[[], int]
    """Decide what is unjudged, or begin to; returns how many were decided. A unit with unjudged members waits."""
    reach: Callable[[str], None]
    poll: float = 1.0
    failed: dict[int, float] = field(default_factory=dict)
    """Units that could not be judged, and until when (database clock) they are left alone."""
    waiting: dict[Version, float] = field(default_factory=dict)
    """Units that wait for time alone, and until when: a unit may wait for hours past the floor of its evidence."""
    foreseen: Foreseen = field(default_factory=Foreseen)
    """What was matched ahead; `Soon` fills it."""
    heard: list[object] = field(default_factory=list)
    """What `waiting` was judged by: the rules, and what senders and sources had said."""

    def run(self, stop: threading.Event, wake: threading.Event, soon: threading.Event | None = None) -> None:
        """Until `stop`: one round whenever `wake` is set, and at least every `poll` seconds. `soon` is set when a
        unit may be complete within `poll` seconds, and there may be work then."""
        wait = 0.0
        while not stop.is_set():
            wake.wait(wait)
            wake.clear()
            if stop.is_set():
                return
            try:
                wait = self.once()
                if soon is not None and wait < self.poll:
                    soon.set()
            except sa.exc.OperationalError as error:
                log.warning("the database is away: %s", type(error.orig).__name__)
                wait = self.poll
            except Exception:  # worker loop: a bug must not end completion for everyone else
                log.exception("completion failed; tried again")
                wait = 5.0

    def once(self) -> float:
        """One round. Returns seconds until the next one is due (at most `poll`)."""
        config = self.config()
        # In this order: what is acknowledged after `now` cannot break a quiet time that was over at `now`, and
        # what was acknowledged before is in the marks, and in the index before the units are read.
        with self.database.reader.connect() as connection:
            now = self.database.now(connection)
            from_the_future = units.any_touched_after(connection, now + _BACK)
        if from_the_future:
            self._set_back(now)
        began = time.monotonic()
        marks = self.presence.live()
        self.judge_duplicates()
        unindexed = not self._indexed(marks) or bool(self.presence.dead())
        with self.database.reader.connect() as connection:
            waits = shortest(config)
            self._forget(now, [config, mark(connection)])
            candidates = units.open_units(connection, now, waits, self.waiting)
            due = [units.next_ripe(connection, now, waits), *self.waiting.values()]
        due += [self._tried(config, candidate, marks, unindexed, now) for candidate in candidates]
        passed = time.monotonic() - began
        return min([self.poll, *(max(0.02, at - now - passed) for at in due if at is not None)])

    def _forget(self, now: float, heard: list[object]) -> None:
        """Whose time has come, and everybody when there is news."""
        left = {} if heard != self.heard else {key: until for key, until in self.waiting.items() if until > now}
        self.waiting.clear()
        self.waiting.update(left)
        self.heard[:] = heard

    def _set_back(self, now: float) -> None:
        """The database's clock went back. Units would wait for it to come to where it was, after one that was years
        ahead for ever; so their quiet time begins anew."""
        with self.database.derived.begin() as connection:
            count = units.set_back(connection, now)
        self.waiting.clear()
        self.failed.clear()
        log.warning("the database's clock went back; %d open units begin their quiet time anew", count)

    def _tried(
        self, config: Config, candidate: Open, marks: Sequence[Seen], unindexed: bool, now: float
    ) -> float | None:
        """One unit; what goes wrong with it must not keep all the others open."""
        if self.failed.get(candidate.unit.id, 0.0) > now:
            return None
        try:
            return self._consider(config, candidate, marks, unindexed, now)
        except sa.exc.OperationalError:
            raise
        except Exception as error:  # worker loop: a bug met in one unit is one unit's
            self.failed[candidate.unit.id] = now + _LATER
            log.error(
                "%s %s stays open, tried again in %g s: %s\n%s", candidate.unit.kind, candidate.unit.uid, _LATER,
                type(error).__name__, "".join(format_tb(error.__traceback__)),
            )  # fmt: skip
            return None

    def _indexed(self, marks: Sequence[Seen]) -> bool:
        """Wait, shortly, until what these processes had acknowledged is in the index."""
        ahead = {m.process: m.acknowledged for m in marks if m.indexed < m.acknowledged}
        deadline, pause = time.monotonic() + 0.5, 0.005
        while ahead and time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 1.5)  # in full swing the next rows come in a quarter of a second
            ahead = {m.process: ahead[m.process] for m in self.presence.live() if m.indexed < ahead.get(m.process, 0)}
        return not ahead

    def _consider(
        self, config: Config, candidate: Open, marks: Sequence[Seen], unindexed: bool, now: float
    ) -> float | None:
        """Judge one unit; returns when to judge it again, if it is not closed."""
        keys = {f"{candidate.unit.called_ae}/{uid}" for uid in (candidate.study, candidate.series) if uid}
        if candidate.unit.kind is not UnitKind.STUDY:
            keys.discard(f"{candidate.unit.called_ae}/{candidate.study}")
        chosen, facts = goes_by(config, candidate.unit), Known(arrived={})
        if chosen and candidate.unit.kind is not UnitKind.INSTANCE:
            with self.database.reader.connect() as connection:
                facts = known(connection, candidate, chosen)
        verdict = judge(
            Facts(
                unit=candidate.unit, policy=policy_for(config, candidate.unit), now=datetime.fromtimestamp(now, UTC),
                receiving=any(keys & m.receiving for m in marks), unindexed=unindexed, unjudged=candidate.unjudged,
                arrived=facts.arrived, statements=facts.statements, performing=facts.performing,
                readings=facts.readings, asked=facts.asked, headers=facts.headers,
            )
        )  # fmt: skip
        if isinstance(verdict, Complete):
            evidence = f"{verdict.evidence.source}: {verdict.evidence.text}"
            self._close(config, candidate, evidence, verdict.missing)
            return None
        until = verdict.until.timestamp()
        self.waiting[candidate.unit.id, candidate.unit.generation, candidate.unit.count] = until
        return until

    def _close(self, config: Config, candidate: Open, evidence: str, missing: Missing | None) -> None:
        unit = candidate.unit
        # Without a route of its kind nobody asks what it consists of, and that is 10 KB for every instance.
        routed = unit.kind in config.routed
        with self.database.reader.connect() as connection:
            members = units.receipts(connection, unit.id, unit.generation) if routed else []
            earlier = units.routes_run(connection, unit.id, unit.generation)
            verdicts = self.foreseen.of(config, unit.kind, [one for one, _ in members])
            if verdicts is None:
                seen = units.members(connection, unit.id, unit.generation) if routed else []
                members = [(m.receipt, m.generation) for m in seen]
                verdicts = match(config.routes, [(m.header, m.origin) for m in seen], kind=unit.kind)
        held = f"it is incomplete: {missing}" if missing and config.complete.incomplete == "hold" else ""
        new = [
            job
            for route, verdict in zip(config.routes, verdicts, strict=True)
            if (verdict.matched or verdict.undecided) and members
            for job in [_job(config, route, verdict, members, unit.generation, earlier.get(route.name), held)]
            if job is not None
        ]
        self.reach("unit complete")
        with self.database.durable.begin() as connection:
            closed = units.close(
                connection, unit, evidence=evidence, now=self.database.now(connection), enqueue=self.engine.enqueue_job,
                verdicts=[(v.route, v.matched, list(v.because)) for v in verdicts], jobs=new,
            )  # fmt: skip
        if closed:
            self.reach("unit closed")
        if closed and routed:
            log.info(
                "%s %s generation %d complete (%s): %s", unit.kind, unit.uid, unit.generation, evidence,
                ", ".join(j.plan.route for j in new) or "no route",
            )  # fmt: skip


def _job(
    config: Config,
    route: Route,
    verdict: Verdict,
    members: Sequence[tuple[ReceiptId, int]],
    generation: int,
    begun: bool | None,
    held: str,
) -> NewJob | None:
    """
    begun   None: no earlier generation has a job of this route; False: none of them was begun, so that nothing is late
            for them, and this one takes their place
    held    why nothing is begun without a person; empty when it may be
    """
    late = Late(route.late or config.complete.late) if begun else Late.RERUN
    plan = freeze(route)
    targets = list(dict.fromkeys(str(s.to) for s in route.chain if s.name == "forward" and hasattr(s, "to")))
    debts = owed(late, members, generation, targets)
    if not debts:
        return None
    if verdict.undecided and late is not Late.IGNORE:
        # To guess could send what should have been dropped, or drop what should have been sent.
        held = f"it cannot be told whether this route takes it: {'; '.join(verdict.because)}"
    if held and late is not Late.IGNORE:
        debts = [(receipt, target, "held", held) for receipt, target, _, _ in debts]
    starts = any(state == "in_job" for _, _, state, _ in debts)
    rerun = late is Late.RERUN
    return NewJob(plan=plan, owed=debts, replaces=begun is not None and rerun, delta=not rerun, starts=starts)
