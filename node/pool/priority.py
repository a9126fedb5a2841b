"""Who has the processor first: whoever answers an association, before a worker."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

NICE = 5
"""How much less of a busy processor a worker gets than the node that started it: a third (sched(7))."""

SLICE = 0.02
"""Seconds. Since Linux 6.12 whoever wakes with a shorter slice than the one that runs need not wait for the end of
that one's, which is 1 to 3 ms, several times in each C-STORE."""

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
"""Numbers of the system call, for which the C library has a name since glibc 2.41 only."""
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
"""struct sched_attr (sched_setattr(2)): size, policy, flags, nice, priority, runtime, deadline, period."""


def step_back() -> None:
    """Let this process, and what it starts, have what the others leave of the processor, for as long as they want it.

    A sender waits for the answer to its C-STORE, and for nothing that is done here. SCHED_BATCH: what only computes
    takes no processor from another at the moment it wakes, as a worker does once for each block that its compressing
    threads give each other. Not SCHED_IDLE: on a machine with other work a step would take for ever. Where the
    kernel has nothing of this, nothing happens.
    """
    nice = min(os.nice(0) + NICE, 19)
    os.nice(NICE)
    if sys.platform != "linux":
        return
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    number = _SCHED_SETATTR.get(platform.machine())
    if number is not None:
        # An older kernel takes the length of the slice and does not use it; one that refuses leaves what is above.
        wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_BATCH, 0, nice, 0, int(SLICE * 1e9), 0, 0)
        ctypes.CDLL(None).syscall(number, 0, wanted, 0)
