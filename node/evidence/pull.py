"""Missing instances are pulled from the source that has them, by C-MOVE to ourselves or by C-GET.

What comes by C-MOVE is a C-STORE like any other. What comes by C-GET goes through the same keeper, with the source as
its sender. So spool, index and ledger know of no difference.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from traceback import format_tb

import sqlalchemy as sa

from node.complete import Facts
from node.complete.policy import policy_for
from node.complete.sources import find_lacks, find_twice
from node.config import Config, Peer
from node.dicom.status import PROCESSING_FAILURE, SUCCESS
from node.errors import Refused, TryAgain
from node.evidence.due import LEASE
from node.evidence.source import Source, Wanted
from node.index import Database, readings
from node.index.known import known
from node.index.readings import Subject
from node.index.units import Open
from node.model import UID, Origin
from node.spool import Presence

log = logging.getLogger("node.evidence")

Keep = Callable[[memoryview, UID, Origin, UID, UID], None]
"""(data set, transfer syntax, origin, SOP class, SOP instance): as for a C-STORE. Raises Refused."""

_TRIES = 3
"""Pulls of the same missing instances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one source is to be asked about one study, and for which open units."""

    peer: Peer
    subject: Subject
    units: tuple[Open, ...]
    number: int
    due: float


def source_of(question: Question, stop: Callable[[], bool]) -> Source:
    remote = question.peer.source
    assert remote is not None  # config checks it where `find` is chosen
    return Source(remote=remote, calling_ae=question.subject.called_ae, stop=stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulls:
    """Pulls when the quiet time is over, so that nothing comes by itself any more, and the source has said twice that
    it has more. Each pull is recorded; the same instances are asked for three times."""

    database: Database
    presence: Presence
    config: Callable[[], Config]
    keep: Keep

    def pull(self, question: Question, stop: Callable[[], bool]) -> bool:
        """Pull what the units of a question lack; False when there is nothing to pull now."""
        if question.peer.pull is None:
            return False
        wanted, missing = self._wanted(question)
        if not wanted:
            return False
        how = "C-MOVE" if question.peer.pull == "move" else "C-GET"
        with self.database.derived.begin() as connection:
            number = readings.begin_pull(
                connection, question.subject, wanted, missing=missing, how=how, now=self.database.now(connection),
                lease=LEASE, tries=_TRIES, process=self.presence.process, others=self.presence.others(),
            )  # fmt: skip
        if number is None:
            return False
        log.info("%d instances of study %s are missing, %s", missing, question.subject.study, how)
        try:
            result = self._retrieve(question, wanted, stop)
        except (TryAgain, OSError) as error:
            result = str(error) if isinstance(error, TryAgain) else error.strerror or type(error).__name__
            log.warning("%s of study %s: %s", how, question.subject.study, result)
        if not stop():
            with self.database.derived.begin() as connection:
                readings.end_pull(connection, question.subject, number, self.database.now(connection), result)
        return True

    def _wanted(self, question: Question) -> tuple[Wanted, int]:
        """What the units lack, by series, and how many instances that is."""
        config, wanted = self.config(), dict[str, list[str] | None]()
        missing = 0
        with self.database.reader.connect() as connection:
            now = datetime.fromtimestamp(self.database.now(connection), UTC)
            for one in question.units:
                facts = _facts(connection, config, one, question.peer, now)
                lack, said = find_lacks(facts), find_twice(facts)
                if lack is None or not said or now < one.unit.last + facts.policy.quiet:
                    continue
                missing = max(missing, lack.count)
                for series, count in said[0].series.items():
                    came = facts.arrived.get(series, frozenset())
                    mine = series == one.series or not one.series
                    listed = said[0].instances.get(series)
                    absent = sorted(listed - came) if listed is not None else None
                    if mine and (absent if absent is not None else (count or 0) > len(came)):
                        wanted[series] = absent
        return wanted, missing

    def _retrieve(self, question: Question, wanted: Wanted, stop: Callable[[], bool]) -> str:
        source, subject = source_of(question, stop), question.subject
        if question.peer.pull == "move":
            return source.move(subject.study, wanted, subject.called_ae)
        at = source.remote.address.host
        origin = Origin(calling_ae=source.remote.ae_title, called_ae=subject.called_ae, sender=at)
        with self.database.reader.connect() as connection:
            kinds = readings.kinds_of(connection, subject)

        def stored(data: memoryview, transfer_syntax: str, sop_class: str, instance: str) -> int:
            try:
                self.keep(data, UID(transfer_syntax), origin, UID(sop_class), UID(instance))
            except Refused as error:
                log.warning("instance of %s at %s refused: %s", origin.calling_ae, at, error)
                return error.status
            except Exception as error:  # worker loop: one bad instance must not end the association of the others
                log.error(
                    "an instance of %s could not be kept: %s\n%s",
                    origin.calling_ae,
                    type(error).__name__,
                    "".join(format_tb(error.__traceback__)),
                )
                return PROCESSING_FAILURE
            return SUCCESS

        return source.get(subject.study, wanted, sorted(kinds), stored)


def _facts(connection: sa.Connection, config: Config, one: Open, peer: Peer, now: datetime) -> Facts:
    found = known(connection, one, {peer.ae_title: frozenset({"find"})})
    return Facts(
        unit=one.unit, policy=policy_for(config, one.unit), now=now, receiving=False, unindexed=False, unjudged=0,
        arrived=found.arrived, readings=found.readings,
    )  # fmt: skip
