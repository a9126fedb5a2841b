"""The loop that asks sources: one thread finds what is due, one more per source waits for its answers.

It asks only about open units of senders that go by `find`, past the floor, with growing pauses. The collector reads
what was answered and decides; a source that is dead or hangs holds up nothing but its own next question.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from traceback import format_tb

import sqlalchemy as sa

from node.complete.policy import goes_by, policy_for
from node.config import Config, Peer
from node.errors import TryAgain
from node.evidence.due import Past, next_question
from node.evidence.pull import Pulls, Question, source_of
from node.evidence.source import Answer, Here
from node.index import Database, readings
from node.index.known import known
from node.index.readings import Subject
from node.index.units import Open, Version, open_units
from node.model import UnitKind
from node.spool import Presence

log = logging.getLogger("node.evidence")

_REMEMBERED = 10_000


@dataclass(slots=True, kw_only=True)
class Asker:
    """Asks sources. `run` is its thread; `once` is one round, and `ask` what a source's own thread does."""

    database: Database
    presence: Presence
    config: Callable[[], Config]
    pulls: Pulls
    wake: Callable[[], None]
    """Called when something was answered: a unit may be complete."""
    poll: float = 1.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _busy: dict[str, threading.Thread] = field(default_factory=dict)
    _others: set[Version] = field(default_factory=set)
    """Open units that nobody is asked about."""
    _judged_by: Config | None = None

    def run(self, stop: threading.Event) -> None:
        """Until `stop`."""
        self._stop = stop
        while not stop.wait(self.poll):
            try:
                self.once()
            except sa.exc.OperationalError as error:
                log.warning("the database is away: %s", type(error.orig).__name__)
            except Exception as error:  # worker loop: a bug here must not end evidence for good
                log.error("what is to be asked is not known: %s\n%s", type(error).__name__, _trace(error))
        for thread in list(self._busy.values()):
            thread.join(2)

    def once(self) -> None:
        """Start a thread for every source that is to be asked something and is not being asked."""
        self._busy = {key: thread for key, thread in self._busy.items() if thread.is_alive()}
        asked: dict[str, list[Question]] = {}
        for question in self.questions():
            asked.setdefault(f"{question.peer.source} as {question.subject.called_ae}", []).append(question)
        # One association per source at a time, also where it is asked under several of our titles.
        for key, of_source in asked.items():
            source = key.partition(" as ")[0]
            if source not in self._busy:
                name = f"ask {source}"
                self._busy[source] = threading.Thread(target=self.ask, args=(of_source,), name=name, daemon=True)
                self._busy[source].start()

    # ---- what is due ----------------------------------------------------------------------------------

    def questions(self) -> list[Question]:
        """What is to be asked now, longest due first."""
        config = self.config()
        if not any("find" in config.evidence_of(peer) for peer in config.peers.values()):
            return []
        if config is not self._judged_by or len(self._others) > _REMEMBERED:
            self._others.clear()
            self._judged_by = config
        others = self.presence.others()
        floor, at_most = config.complete.floor.total_seconds(), config.complete.at_most.total_seconds()
        with self.database.reader.connect() as connection:
            now = self.database.now(connection)
            waits = dict.fromkeys(config.routed, (floor, at_most))
            grouped: dict[tuple[str, str, str], tuple[Peer, list[Open]]] = {}
            for one in open_units(connection, now, waits, self._others):
                peers = _asked_for(config, one)
                if not peers:
                    self._others.add((one.unit.id, one.unit.generation, one.unit.count))
                for peer in peers:
                    key = (peer.ae_title, one.unit.called_ae, one.study)
                    grouped.setdefault(key, (peer, []))[1].append(one)
            found = [_question(connection, config, peer, key, units, others) for key, (peer, units) in grouped.items()]
        return sorted((q for q in found if q.due <= now), key=lambda q: q.due)

    # ---- asking ---------------------------------------------------------------------------------------

    def ask(self, questions: Sequence[Question]) -> None:
        """Of one source, under one of our titles: over one association. Then pull what is missing."""
        try:
            mine = [q for q in questions if self._claim(q)]
            if mine and self._read(mine):
                for question in mine:
                    if not self._stop.is_set() and self.pulls.pull(question, self._stop.is_set):
                        self.wake()
        except sa.exc.SQLAlchemyError as error:
            log.warning("what a source answered could not be noted: %s", type(error).__name__)
        except Exception as error:  # worker loop: a bug met with one source is that source's
            log.error("asking %s failed: %s\n%s", questions[0].peer.source, type(error).__name__, _trace(error))

    def _claim(self, question: Question) -> bool:
        if self._stop.is_set():
            return False
        with self.database.derived.begin() as connection:
            now = self.database.now(connection)
            return readings.claim(connection, question.subject, question.number, now, self.presence.process)

    def _read(self, questions: Sequence[Question]) -> bool:
        """False when the source did not answer everything. What it did not answer is asked again after a pause, and
        what it was not asked, because the association went before, at once."""
        left = {q.subject.study: q for q in questions}
        here = {study: self._here(question.units) for study, question in left.items()}
        answered = 0

        def note(study: str, said: Answer) -> None:
            nonlocal answered
            question = left[study]
            with self.database.derived.begin() as connection:
                readings.answer(
                    connection, question.subject, question.number, self.database.now(connection), study=said.study,
                    series=said.series, instances=said.instances,
                )  # fmt: skip
            del left[study]
            answered += 1
            self.wake()

        def failed(study: str, why: str) -> None:
            if not self._stop.is_set():
                self._failed([left.pop(study)], why)

        try:
            source_of(questions[0], self._stop.is_set).read(here, note, failed)
        except (TryAgain, OSError) as error:
            if not self._stop.is_set():
                self._failed(left.values(), str(error) if isinstance(error, TryAgain) else error.strerror or "OSError")
                left.clear()
        except sa.exc.SQLAlchemyError:
            raise
        except Exception:
            # What met a bug is asked first again, and would keep all others of this source from being asked.
            self._failed(left.values(), "a fault in the node; see its log")
            raise
        if left:
            with self.database.derived.begin() as connection:
                for question in left.values():
                    readings.give_back(connection, question.subject, question.number)
        return answered == len(questions)

    def _failed(self, questions: Collection[Question], why: str) -> None:
        first = next(iter(questions))
        others = f" and {len(questions) - 1} others" if len(questions) > 1 else ""
        log.warning("%s is not asked for now about study %s%s: %s", first.peer.source, first.subject.study, others, why)
        with self.database.derived.begin() as connection:
            for question in questions:
                readings.fail(connection, question.subject, question.number, why)

    def _here(self, of: Sequence[Open]) -> Here:
        came: dict[str, frozenset[str]] = {}
        with self.database.reader.connect() as connection:
            for one in of:
                came |= known(connection, one, {}).arrived
        return Here(series=came, whole=any(one.unit.kind is UnitKind.STUDY for one in of))


def _asked_for(config: Config, one: Open) -> list[Peer]:
    """The peers among the senders of a unit that are asked."""
    titles = {title for title, evidence in goes_by(config, one.unit).items() if "find" in evidence}
    return [
        peer
        for peer in config.peers.values()
        if peer.ae_title in titles and peer.source is not None and any(map(peer.answers_for, one.unit.senders))
    ]


def _question(
    connection: sa.Connection, config: Config, peer: Peer, key: tuple[str, str, str], units: Sequence[Open],
    others: Collection[str],
) -> Question:  # fmt: skip
    """
    others   processes that live beside this one. What they do not ask, nobody does: this one has one thread for each
             source, and what it asks is not due before that thread has ended.
    """
    subject = Subject(peer=key[0], called_ae=key[1], study=key[2])
    asked = readings.past(connection, subject)
    last = max(one.unit.last for one in units)
    quiet = max(one.unit.last + policy_for(config, one.unit).quiet for one in units)
    due = next_question(
        last.timestamp(), config.complete.floor.total_seconds(), [_past(one, others) for one in asked],
        quiet.timestamp() if peer.pull is not None else None,
    )  # fmt: skip
    return Question(
        peer=peer, subject=subject, units=tuple(units), number=asked[-1].number + 1 if asked else 1, due=due
    )


def _past(one: readings.Asked, others: Collection[str]) -> Past:
    left = not one.answered and not one.failed and one.claimed not in ("", *others)
    return Past(at=one.at, answered=one.answered, failed=one.failed, left=left)


def _trace(error: BaseException) -> str:
    """Without the error's text, which may quote what a source answered."""
    return "".join(format_tb(error.__traceback__))
