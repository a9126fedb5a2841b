"""The end of a connection on which we have said our last: aborted, rejected or released (PS3.8 AA-6).

The peer is left to close (PS3.8 9.2, Sta13), and what it sends before that is read: a connection closed under bytes
that nobody read is reset, and a reset may take our last PDU from a peer that has not read it. It is not parsed, nor
decrypted: what stands behind an abort may have no end.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

GOODBYE = 1.0
"""Seconds that a peer has to close when it was told the end; after them its first silence ends the connection. ARTIM
alone would let it hold its place for thirty (PS3.8 9.1.5)."""


@dataclass(slots=True)
class Goodbye:
    """Of one connection."""

    clock: Callable[[], float] = time.monotonic
    _until: float | None = None

    def begin(self, connection: socket.socket) -> None:
        """The peer hears that nothing more comes. Again it does nothing."""
        if self._until is None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            self._until = self.clock() + GOODBYE

    @property
    def remaining(self) -> float:
        """Seconds that the peer still has; all of them before it began."""
        return GOODBYE if self._until is None else max(0.0, self._until - self.clock())

    def heard(self, connection: socket.socket, room: memoryview) -> bool:
        """Read what came, for nobody. True when it was the end."""
        try:
            return not socket.socket.recv_into(connection, room)
        except InterruptedError:
            return False
        except OSError:
            return True
