"""Lines in the log about what senders do wrong: at once, and not again for every time that they repeat it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

_EVERY = 60.0
"""Seconds in which the same is said once."""
_PER_ADDRESS = 200
"""Different lines about one address in that time; a sender chooses its own title, and could fill the log."""


@dataclass(slots=True)
class _Line:
    text: str
    said: float
    again: int = 0


class Lines:
    """Thread-safe. `say` for every time, `settle` now and then."""

    def __init__(
        self, log: logging.Logger, *, every: float = _EVERY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log, self._every, self._clock = log, every, clock
        self._lock = threading.Lock()
        self._lines: dict[tuple[str, ...], _Line] = {}
        self._by_address: Counter[str] = Counter()

    def say(self, address: str, what: tuple[str, ...], text: str) -> None:
        """A warning about the sender at `address`; lines with the same `what` are the same, whatever their text."""
        now = self._clock()
        with self._lock:
            key = (address, *what)
            if key not in self._lines and self._by_address[address] >= _PER_ADDRESS:
                key, text = (address,), f"{address} is refused in more ways than are said here"
            line = self._lines.get(key)
            if line is not None:
                line.text = text
                line.again += 1
                if now - line.said >= self._every:
                    self._repeat(line, now)
                return
            self._lines[key] = _Line(text, now)
            self._by_address[address] += 1
        self._log.warning("%s", text)

    def settle(self) -> None:
        """Say how often what was not said happened, and forget what did not happen again."""
        now = self._clock()
        with self._lock:
            for key, line in list(self._lines.items()):
                if now - line.said < self._every:
                    continue
                if line.again:
                    self._repeat(line, now)
                else:
                    del self._lines[key]
                    self._by_address[key[0]] -= 1
                    self._by_address += Counter()  # drops the zeros

    def _repeat(self, line: _Line, now: float) -> None:
        self._log.warning("%s (%d times more in %d s)", line.text, line.again, round(now - line.said))
        line.said, line.again = now, 0
