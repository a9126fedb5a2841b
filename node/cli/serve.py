"""`dicom-node serve`"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.config import Config
    from node.spool.alone import Alone

log = logging.getLogger("node")

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h of glibc
_UNTIL_ENDED = 30.0
"""Seconds for a node that is just stopping: longer than it takes to put down what it has in its hands."""


def serve(path: Path) -> int:
    # First: the first process of a container has no other way to hear them, and importing all of it takes a second.
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    again = threading.Event()
    # Whoever closes the terminal that it runs in ends it; without one it means, as elsewhere, to read the file again.
    hung_up = done if sys.stdin is not None and sys.stdin.isatty() else again
    signal.signal(signal.SIGHUP, lambda *_: hung_up.set())

    from node.config import load
    from node.report.log import configure
    from node.steps import STEPS

    _give_memory_back()
    config = load(path, STEPS)
    configure(config.node.log)
    # What is held here is held until this process ends, whatever it ends of.
    with contextlib.ExitStack() as held:
        return _serve(path, config, held, done, again)


def _serve(
    path: Path, config: Config, held: contextlib.ExitStack, done: threading.Event, again: threading.Event
) -> int:  # fmt: skip
    from node.config import Address
    from node.service import build
    from node.spool.alone import Alone

    try:
        if config.node.database.url == "sqlite":
            alone = held.enter_context(contextlib.closing(Alone(config.node.data / "run")))
            if not _becomes_alone(alone, config.node.data, done):
                return 0
        service = build(path, config=config)
    except OSError as error:
        print(_why(error, config), file=sys.stderr)
        return 2
    try:
        service.start()
    except OSError as error:
        print(_why(error, config), file=sys.stderr)
        service.stop(1.0)
        return 2
    service.start_workers()
    # What was imported and built stays for good: to look through it again and again costs receiving 2 to 3 %.
    gc.collect()
    gc.freeze()
    # Headers are many small objects without cycles, associations are rings of objects: a look at the young is rare, and
    # a look at all comes soon after it. With Python's 10 and 10 none came in ten minutes of short associations.
    gc.set_threshold(50_000, 2, 2)
    addresses = ", ".join(str(Address(*each)) for each in service.listening)
    print(f"dicom-node ready: {'/'.join(config.node.ae_title)} on {addresses}, data in {config.node.data}", flush=True)
    while not done.wait(1.0):
        # The system may hand a signal to any thread, and Python runs its handler only when this one wakes up.
        if again.is_set():
            again.clear()
            service.read_rules_again()
    if not service.stop():
        sys.stdout.flush()
        os._exit(0)  # a thread that waits for a peer would keep the process alive for as long as that takes
    return 0


def _becomes_alone(alone: Alone, data: Path, done: threading.Event) -> bool:
    """Wait until no other node runs on a data folder; False when this one is to end before. Raises ConfigurationError.

    SQLite is for one node. Two lose nothing on it, but each waits for the other's writes, and neither works ahead.
    """
    from node.errors import ConfigurationError

    over, told = time.monotonic() + _UNTIL_ENDED, False
    while others := alone.others():
        if time.monotonic() > over:
            raise ConfigurationError(
                f"another node runs on {data} ({others}): stop it, or give this one a data folder of its own (`data`); "
                "nodes that share the work need a PostgreSQL (`database`)"
            )
        if not told:
            log.warning("another node still runs on %s (%s); waiting %.0f s for its end", data, others, _UNTIL_ENDED)
            told = True
        if done.wait(0.1):
            return False
    return True


def _why(error: OSError, config: Config) -> str:
    """Which address, or which folder, cannot be had: an address of `listen` stands in the place of a file name, and the
    one of `status` in none."""
    what = error.strerror or str(error)
    if error.filename is None:
        return f"node: status: cannot listen on {config.node.status}: {what}"
    if error.filename in [str(one.address) for one in config.node.listen]:
        return f"node: listen: cannot listen on {error.filename}: {what}"
    return f"{error.filename} cannot be used: {what}"


def _give_memory_back() -> None:
    """Have glibc return what is freed. Threads would get heaps of their own, in which the long-lived sits between the
    short-lived: in its first 20,000 instances a node grew by 47 MB with them, and by 36 without."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # another C library
    for parameter, value in ((_M_ARENA_MAX, 2), (_M_MMAP_THRESHOLD, 1 << 17)):
        mallopt(parameter, value)
