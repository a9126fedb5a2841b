"""Time that passes on an association, by a clock that nobody sets."""

from __future__ import annotations

import time

from pynetdicom.timer import Timer


class SteadyTimer(Timer):
    """pynetdicom's, by a clock that cannot be set: an hour forward would end every association."""

    def start(self) -> None:
        self._start_time, self._end_time = time.monotonic(), None

    def stop(self) -> None:
        self._end_time = time.monotonic()

    @property
    def remaining(self) -> float:
        """Seconds; 1 when it never expires, as in pynetdicom."""
        if self.timeout is None:
            return 1
        if self._start_time is None:
            return float(self.timeout)
        now = time.monotonic() if self._end_time is None else self._end_time
        return float(self.timeout) - (now - self._start_time)

    @property
    def running(self) -> bool:
        return self._start_time is not None and self._end_time is None and self.timeout is not None
