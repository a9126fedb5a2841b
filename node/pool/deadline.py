"""A limit in time for one call into a library, kept in a worker process only."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_here = False


def keep_deadlines() -> None:
    """This process is a worker: it may be ended when something takes too long."""
    global _here
    _here = True


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """End this worker process when the block takes longer; in any other process nothing happens.

    A codec that loops in C cannot be interrupted by anything in Python, and may hold the interpreter lock: so the
    kernel's timer ends the process, by a signal that nothing handles. The task is then one that its worker died in.
    Not to be nested, and of two threads the last to begin or end sets the timer.
    """
    if not _here:
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
