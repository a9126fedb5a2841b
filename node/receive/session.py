"""What this process is receiving at this moment, per association, for completion and for a clean end."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from node.model import Identity, Origin

_REMEMBERED = 500
"""Units that an association is known to contribute to; a day-long one forgets the oldest."""


@dataclass(slots=True)
class Session:
    """One association. `receiving_since` is a monotonic time while an instance is on its way, else None."""

    origin: Origin
    receiving_since: float | None = None
    contributed: OrderedDict[str, None] = field(default_factory=OrderedDict)
    last_call: bool = False
    """The node stops: the instance in flight is answered, the next one is not."""

    def stored(self, identity: Identity) -> None:
        for uid in (identity.series, identity.study):
            key = f"{self.origin.called_ae}/{uid}"
            self.contributed[key] = None
            self.contributed.move_to_end(key)
        while len(self.contributed) > _REMEMBERED:
            self.contributed.popitem(last=False)


class Sessions:
    """Every association of this process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._open: dict[int, Session] = {}

    def add(self, key: int, origin: Origin) -> Session:
        with self._lock:
            session = Session(origin)
            self._open[key] = session
            return session

    def remove(self, key: int) -> None:
        with self._lock:
            self._open.pop(key, None)
            self._lock.notify_all()

    def get(self, key: int) -> Session | None:
        with self._lock:
            return self._open.get(key)

    def origins(self) -> list[Origin]:
        with self._lock:
            return [s.origin for s in self._open.values()]

    def count(self) -> int:
        with self._lock:
            return len(self._open)

    def begin(self, key: int) -> None:
        """The first fragment of an instance came."""
        with self._lock:
            session = self._open.get(key)
            if session is not None and session.receiving_since is None:
                session.receiving_since = time.monotonic()

    def end(self, key: int) -> None:
        """The instance is over: answered, or the association is gone."""
        with self._lock:
            session = self._open.get(key)
            if session is not None:
                session.receiving_since = None
            self._lock.notify_all()

    def receiving(self, longer_than: float) -> set[str]:
        """Units of associations that have been in the middle of an instance for so many seconds."""
        limit = time.monotonic() - longer_than
        with self._lock:
            return {
                unit
                for s in self._open.values()
                if s.receiving_since is not None and s.receiving_since <= limit
                for unit in s.contributed
            }

    def last_calls(self) -> list[int]:
        """The node stops: what is in flight may end. Returns the associations that are idle."""
        with self._lock:
            idle = []
            for key, session in self._open.items():
                session.last_call = session.receiving_since is not None
                if not session.last_call:
                    idle.append(key)
            return idle

    def wait_until_answered(self, seconds: float) -> bool:
        """Until no instance is in flight, for at most so long."""
        with self._lock:
            return self._lock.wait_for(
                lambda: all(s.receiving_since is None for s in self._open.values()), timeout=seconds
            )
