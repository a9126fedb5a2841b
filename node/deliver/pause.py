"""Stops pynetdicom's reactor for sure, so that it cannot take the answer that we wait for.

pynetdicom clears an event, waits until its reactor thread says "I am paused", and sends. But the reactor also says so
for a moment in each round, just before it looks at the event; and when the event was set just before, by the end of
the last request, the thread still says so while it is already on its way out. Either way it goes on, finds our answer
in the queue, drops it as "unexpected", and we wait for it until the time is over.
"""

from __future__ import annotations

import threading
from typing import Protocol


class Pausing(Protocol):
    """A pynetdicom Association."""

    _is_paused: bool
    """What its `send_*` and `release` wait for after they have cleared the event."""


class Pause(threading.Event):
    """In the place of an association's `_reactor_checkpoint`. Only its reactor waits on it.

    After `clear`, `_is_paused` is true only while the reactor stands in `wait` and cannot leave it before `set`.
    """

    def __init__(self, association: Pausing) -> None:
        super().__init__()
        self._association = association
        self._changed = threading.Condition()
        self._open = True
        self._stands = False

    def is_set(self) -> bool:
        return self._open

    def set(self) -> None:
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            self._open = False
            self._association._is_paused = self._stands

    def wait(self, timeout: float | None = None) -> bool:
        """Not over when the event was set and cleared again meanwhile, as threading's own is."""
        with self._changed:
            if not self._open:
                self._stands = self._association._is_paused = True
                self._changed.wait_for(lambda: self._open, timeout)
                self._stands = False
            return self._open
