"""Connections on which nobody has asked for an association yet.

No limit of `places` knows them, for nobody said who they are; but each holds descriptors and a thread for up to ARTIM,
and whoever opened enough of them would keep every other peer out and the node from its own files.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

log = logging.getLogger("node.receive")

MOST = 128
"""At the same time. A peer that means it asks within milliseconds."""
GRACE = 1.0
"""Seconds that each has to ask, however many there are."""


@dataclass(frozen=True, slots=True)
class _One:
    address: str
    connection: socket.socket
    """Another descriptor of it: whoever serves it may wrap or close its own at any moment."""
    since: float

    def end(self) -> None:
        """Whoever serves it wakes up."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


@dataclass(slots=True)
class Unasked:
    """Thread-safe. `enter` and `leave` for each connection; leaving twice is no matter.

    ended   told whose connection was ended, and why
    """

    ended: Callable[[str, str], None] = lambda address, why: log.warning("%s: %s", address, why)
    most: int = MOST
    grace: float = GRACE
    clock: Callable[[], float] = time.monotonic
    _there: dict[Hashable, _One] = field(default_factory=dict)
    _left: threading.Condition = field(default_factory=threading.Condition)

    def __len__(self) -> int:
        return len(self._there)

    def enter(self, key: Hashable, address: str, connection: socket.socket) -> None:
        """A connection was accepted. At the limit the oldest one of the address that has most is ended for it; while
        that is younger than `grace`, who comes waits for so long, in the queue of the kernel. Raises OSError when
        there are no descriptors left."""
        goes = None
        with self._left:
            deadline = self.clock() + self.grace
            while len(self._there) >= self.most:
                oldest, one = self._oldest()
                patience = min(deadline, one.since + self.grace) - self.clock()
                if patience > 0:
                    self._left.wait(patience)
                    continue
                goes = self._there.pop(oldest)
                goes.end()
            self._there[key] = _One(address, connection.dup(), self.clock())
        if goes is not None:
            why = f"{self.most} connections had asked for no association yet, most of them from there"
            self.ended(goes.address, why)

    def leave(self, key: Hashable) -> bool:
        """It asked, or is over. False: it was not there any more, as after it was ended for another one."""
        with self._left:
            one = self._there.pop(key, None)
            if one is None:
                return False
            one.connection.close()
            self._left.notify()
            return True

    def end_all(self) -> None:
        """The node stops."""
        with self._left:
            while self._there:
                self._there.popitem()[1].end()

    def _oldest(self) -> tuple[Hashable, _One]:
        """Of the address that has most."""
        have = Counter(one.address for one in self._there.values())
        return max(self._there.items(), key=lambda item: (have[item[1].address], -item[1].since))
