"""Publishes, for every process to see, the units into which this one is receiving an instance right now.

Only what takes long is published: an instance that arrives within a fraction of a second cannot outlast a
quiet time, which is a second or more. So an ordinary instance costs no write here.
"""

from __future__ import annotations

import logging
import threading

from node.receive.session import Sessions
from node.spool import Presence

log = logging.getLogger("node.receive")

_LONG = 0.2
"""Seconds."""


def publish(sessions: Sessions, presence: Presence, stop: threading.Event) -> None:
    """The loop of a thread, until `stop`."""
    shown: set[str] = set()
    while not stop.wait(_LONG):
        now = sessions.receiving(_LONG)
        if now != shown:
            try:
                presence.receive(now)
            except OSError as error:
                # Tried again: a thread that ended here would leave the last list standing for ever.
                log.warning("what is being received cannot be published: %s", error.strerror)
            else:
                shown = now
