"""What this process is receiving at this moment, per association, for completion and for a clean end."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from node.model import Identity, Origin
from node.receive.irregular import Irregular
from node.receive.places import Admitted, Place, Reject

_LINES = 100
"""Lines that are not said twice about one association; a sender that makes up more is not worth one."""
_REMEMBERED = 500
"""Units that an association is known to contribute to; a day-long one forgets the oldest."""


class Phase(Enum):
    """Where an association is with the message it sends."""

    IDLE = auto()
    ARRIVING = auto()
    """Fragments come."""
    SERVED = auto()
    """It is here as a whole, and its answer is not out yet."""
    LENT = auto()
    """A receiver process has the association, and says itself what it is receiving."""


class Belongs(Protocol):
    """An instance on its way in."""

    def belongs_to(self) -> Sequence[str]:
        """UIDs of the study and series that it is for, as far as they are known."""


@dataclass(slots=True)
class Session:
    """One association."""

    origin: Origin
    phase: Phase = Phase.IDLE
    since: float = 0.0
    """Monotonic time of the first fragment; while IDLE, of the last answer or of its begin."""
    contributed: OrderedDict[str, None] = field(default_factory=OrderedDict)
    irregular: Irregular = field(default_factory=Irregular)
    arriving: Belongs | None = None
    """What it is in the middle of; its first instance is of a unit that it has not contributed to yet."""
    said: set[str] = field(default_factory=set)
    """Lines about it that are not repeated."""
    last_call: bool = False
    """The node stops: the instance in flight is answered, the next one is not."""

    def stored(self, identity: Identity) -> None:
        self.irregular.tell(identity, self.origin)
        for key in self._keys((identity.series, identity.study)):
            self.contributed[key] = None
            self.contributed.move_to_end(key)
        while len(self.contributed) > _REMEMBERED:
            self.contributed.popitem(last=False)

    def first(self, line: str) -> bool:
        """Whether this line is said for the first time."""
        if line in self.said or len(self.said) >= _LINES:
            return False
        self.said.add(line)
        return True

    def coming(self) -> set[str]:
        """Units of the instance that is arriving."""
        arriving = self.arriving
        return set(self._keys(arriving.belongs_to())) if arriving is not None else set()

    def _keys(self, uids: Sequence[str]) -> list[str]:
        return [f"{self.origin.called_ae}/{uid}" for uid in uids]


class Sessions:
    """Every association of this process, by a key of the transport's own. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._awaited = False
        """Somebody waits, or has waited, until `_changed` is told: the node ends."""
        self._open: dict[Hashable, Session] = {}
        self._stopping = False

    def enter(
        self, key: Hashable, origin: Origin, admit: Callable[[Sequence[Place]], Admitted | Reject]
    ) -> Admitted | Reject:
        """Ask `admit`, which gets the places of the others, and add the association when it is admitted.

        In one go, so that two that come at the same moment cannot both take the last place, and none that is to
        make room can begin another instance: it is no longer known here, and the caller ends it.
        """
        with self._lock:
            verdict = admit(self.places())
            if isinstance(verdict, Admitted):
                if verdict.instead_of is not None:
                    self._open.pop(verdict.instead_of.key, None)
                self._open[key] = Session(origin, since=time.monotonic())
            return verdict

    def places(self) -> list[Place]:
        now = time.monotonic()
        with self._lock:
            return [
                Place(key=key, origin=s.origin, idle=now - s.since if s.phase is Phase.IDLE else None)
                for key, s in self._open.items()
            ]

    def remove(self, key: Hashable) -> Session | None:
        """The association is over; may be said twice."""
        with self._lock:
            session = self._open.pop(key, None)
            self._tell()
            return session

    def count(self) -> int:
        with self._lock:
            return len(self._open)

    def arrive(self, key: Hashable) -> None:
        """The first fragment of a message came."""
        with self._lock:
            session = self._open.get(key)
            if session is not None and session.phase is Phase.IDLE and not self._stopping:
                session.phase, session.since = Phase.ARRIVING, time.monotonic()

    def session(self, key: Hashable) -> Session | None:
        with self._lock:
            return self._open.get(key)

    def serve(self, key: Hashable) -> Session | None:
        """The message is here as a whole. None when it may not be answered: the association is over or the node
        stops."""
        with self._lock:
            session = self._open.get(key)
            if session is None or (self._stopping and not session.last_call):
                return None
            session.phase, session.last_call = Phase.SERVED, False
            return session

    def end(self, key: Hashable) -> None:
        """The answer is out."""
        with self._lock:
            session = self._open.get(key)
            if session is not None:
                session.phase, session.since = Phase.IDLE, time.monotonic()
            self._tell()

    def lend(self, key: Hashable) -> Session | None:
        """An idle association goes to a receiver process. None when it is over, or ends."""
        with self._lock:
            session = self._open.get(key)
            if session is None or session.phase is not Phase.IDLE or self._stopping:
                return None
            session.phase = Phase.LENT
            return session

    def adopt(self, key: Hashable, session: Session) -> None:
        """In the receiver process: it is here."""
        with self._lock:
            session.phase, session.last_call = Phase.IDLE, False
            self._open[key] = session

    def back(self, key: Hashable, returned: Session | None) -> None:
        """It has come back, with what it has contributed to meanwhile."""
        with self._lock:
            session = self._open.get(key)
            if session is not None:
                if returned is not None:
                    session.contributed, session.irregular = returned.contributed, returned.irregular
                    session.said = returned.said
                session.phase, session.since, session.last_call = Phase.IDLE, time.monotonic(), False
            self._tell()

    def receiving(self, longer_than: float) -> set[str]:
        """Units of associations that have been in the middle of an instance for so many seconds: of that instance, and
        all that the association contributed to."""
        limit = time.monotonic() - longer_than
        with self._lock:
            busy = [s for s in self._open.values() if s.phase in (Phase.ARRIVING, Phase.SERVED) and s.since <= limit]
            # In one go: the thread of an association adds to it meanwhile.
            found = {unit for s in busy for unit in tuple(s.contributed)}
        return found.union(*(s.coming() for s in busy))

    def last_calls(self) -> list[Hashable]:
        """The node stops: what is in flight may end, nothing else begins. Returns the associations that are idle."""
        with self._lock:
            self._stopping = True
            for session in self._open.values():
                session.last_call = session.phase is not Phase.IDLE
            return [key for key, session in self._open.items() if not session.last_call]

    def wait_until_answered(self, seconds: float) -> bool:
        """Until no instance is in flight, for at most so long."""
        with self._lock:
            self._awaited = True
            return self._changed.wait_for(
                lambda: all(s.phase is Phase.IDLE for s in self._open.values()), timeout=seconds
            )

    def _tell(self) -> None:
        if self._awaited:
            self._changed.notify_all()
