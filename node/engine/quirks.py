"""Where DBOS 3.4 does not do what we need: it wakes only at its polls, and it logs too much.

Private to DBOS is here, and only here, that a queue's worker is a thread called `queue-worker-<queue>` which waits
on an event of `DBOS.background_thread_stop_events`. When that changes, work starts at the next poll instead.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections import defaultdict

SETTLE = 0.05
"""Seconds between a ring and the look that follows: the transaction that rang commits meanwhile, and a burst
of rings becomes one look."""

WORKER = "queue-worker-"


class Doorbells:
    """Ends a queue worker's wait for its next poll."""

    def __init__(self) -> None:
        self._bells: defaultdict[str, threading.Event] = defaultdict(threading.Event)

    def ring(self, queue: str) -> None:
        self._bells[queue].set()

    def ring_all(self) -> None:
        for bell in list(self._bells.values()):
            bell.set()

    def hang(self, stop: threading.Event) -> None:
        """Make the workers that wait on this event listen for their bell as well."""
        wait_for_stop = stop.wait

        def wait(timeout: float | None = None) -> bool:
            thread = threading.current_thread().name
            if not thread.startswith(WORKER):
                return wait_for_stop(timeout)
            bell = self._bells[thread.removeprefix(WORKER)]
            if bell.wait(timeout):
                wait_for_stop(SETTLE)
                bell.clear()  # before the look, so that a ring during it brings another one
            return stop.is_set()

        stop.wait = wait  # type: ignore[method-assign]  # the event is made inside DBOS.launch


class Stops(list[threading.Event]):
    """For `DBOS.background_thread_stop_events`: gets each event before the threads that wait on it start."""

    def __init__(self, bells: Doorbells) -> None:
        self._bells = bells

    def append(self, stop: threading.Event) -> None:
        self._bells.hang(stop)
        super().append(stop)


def quiet_log() -> None:
    """Let DBOS log through the program's handlers, warnings and worse, and never with the text of an exception."""
    log = logging.getLogger("dbos")
    if not any(isinstance(handler, logging.NullHandler) for handler in log.handlers):
        log.addHandler(logging.NullHandler())  # with any handler there, DBOS adds none and lets records propagate
        log.addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    """Every cancelled or taken-over run comes with an error and its traceback; only the kind is of use."""
    if record.exc_info and record.exc_info[0]:
        kind = record.exc_info[0].__name__
        record.msg, record.args = f"{record.getMessage()} {kind}", ()
        record.exc_info = record.exc_text = None
        return kind not in EXPECTED
    return "is no longer owned by this execution" not in record.getMessage()


EXPECTED = frozenset({"DBOSAwaitedWorkflowCancelledError", "DBOSWorkflowCancelledError", "DBOSException"})


def frames(error: BaseException) -> str:
    """Where an error was raised, without its text, which may carry what was in a data set."""
    return "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
