"""What workers are asked to do in tests of the pool; imported by name in the worker."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import sys
import time
import warnings
from pathlib import Path

from node.errors import CannotSucceed, Refused, TryAgain
from node.pool import at_most

SECRET = "^".join(["Doe", "John"])


def add(a: int, b: int) -> int:
    return a + b


def process() -> int:
    return os.getpid()


def parent() -> int:
    return os.getppid()


def die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(code: int) -> None:
    os._exit(code)


def sleep(started: Path, seconds: float) -> None:
    started.write_text(str(os.getpid()))
    time.sleep(seconds)


def fill(mebibytes: int) -> int:
    return len(bytearray(mebibytes << 20))


def bug(value: str) -> None:
    raise ValueError(f"{value} is no date")


def cannot() -> None:
    raise CannotSucceed("there is nothing in it")


def again() -> None:
    raise TryAgain("come back later")


def refuse() -> None:
    raise Refused(0xA700, "no room")


def fail_with(number: int) -> None:
    raise OSError(number, os.strerror(number), f"/data/{SECRET}")


def full() -> None:
    fail_with(errno.ENOSPC)


def unsendable() -> object:
    return lambda: None


def chatter() -> str:
    print(SECRET)
    print(SECRET, file=sys.stdout, flush=True)
    os.write(1, SECRET.encode())
    warnings.warn(SECRET, stacklevel=1)
    logging.getLogger("pydicom").warning(SECRET)
    logging.getLogger("deid").error(SECRET)
    return "done"


def loop_in_c(seconds: float) -> int:
    """What a codec does that is caught in a loop: no signal handler of Python runs, no other thread does."""
    with at_most(seconds):
        return sum(range(10**12))


def in_time(seconds: float) -> str:
    with at_most(seconds):
        done = "in time"
    time.sleep(2 * seconds)
    return done


def in_time_again(seconds: float) -> str:
    with contextlib.suppress(KeyError), at_most(seconds):
        raise KeyError
    return in_time(seconds)


def priority() -> tuple[int, int, int | None]:
    """Nice value, policy, and the slice in nanoseconds as the kernel has it (proc(5), sched); None where it has not."""
    slices = [
        int(line.rpartition(":")[2])
        for line in Path("/proc/self/sched").read_text().splitlines()
        if line.startswith("se.slice")
    ]
    return os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), slices[0] if slices else None


def processors() -> frozenset[int]:
    """That every thread of this worker may use."""
    return frozenset.intersection(
        *(frozenset(os.sched_getaffinity(int(thread.name))) for thread in Path("/proc/self/task").iterdir())
    )


THREADS = """
import sys, threading
over = threading.Event()
threads = [threading.Thread(target=over.wait) for _ in range(2)]
for thread in threads: thread.start()
print("three threads", flush=True)
sys.stdin.readline()
threads.append(threading.Thread(target=over.wait))
threads[-1].start()
print("a fourth", flush=True)
sys.stdin.readline()
over.set()
"""
"""A program of three threads, which starts one more after a line, and ends after another."""
