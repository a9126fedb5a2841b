"""What hostile input must not move: threads, descriptors, memory, the log at ERROR, and the service of others."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import logging
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.dicom.header import read_header
from node.dicom.identity import identify
from node.receive.association import Acceptance
from tests import make
from tests.dicom.datasets import EXPLICIT
from tests.hostile.conversations import CT
from tests.peers import Instance, Sender
from tests.receive.station import Station, content_of, until

HEAP, BLOCKS, RESIDENT = 2 << 20, 20_000, 64 << 20
"""How much more there may be in use, once the test has forgotten what it kept: bytes that C's malloc gave out, objects
of Python of up to 512 bytes each, and bytes resident. Of the last, holes are a large part: what was freed in a place
from which it cannot be given back. So a leak is found by the first two."""
SERVED_WITHIN = 10.0
"""Seconds in which a healthy sender has its answer, on a machine of two cores that is under attack."""
_PAUSE = 0.02
_Cached = functools._lru_cache_wrapper


@dataclass(slots=True)
class Watch:
    """What happened that must not."""

    uncaught: list[str] = field(default_factory=list)
    """Exceptions that ended a thread."""
    errors: list[str] = field(default_factory=list)
    """Lines of the node at ERROR: a bug of ours, survived."""
    lines: Counter[str] = field(default_factory=Counter)
    """All lines of the node, by logger and level."""


class _Ear(logging.Handler):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        self.watch.lines[f"{record.name} {record.levelname}"] += 1
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            self.watch.errors.append(f"{text} {record.exc_info[1]!r}" if record.exc_info else text)
        assert "Invented" not in text


@contextlib.contextmanager
def watching() -> Iterator[Watch]:
    """Hears every line of the node and every thread that dies. Nothing of it is kept by pytest, whose own handlers
    would hold a hundred thousand conversations in memory."""
    watch = Watch()
    ears, before = _Ear(watch), threading.excepthook
    loggers = [logging.getLogger(name) for name in ("node", "pynetdicom", "pydicom")]
    states = [(one.propagate, one.handlers[:]) for one in loggers]
    for one in loggers:
        one.propagate, one.handlers = False, [ears if one.name == "node" else logging.NullHandler()]
    threading.excepthook = lambda dead: watch.uncaught.append(f"{dead.thread}: {dead.exc_value!r}")
    try:
        yield watch
    finally:
        threading.excepthook = before
        for one, (propagate, handlers) in zip(loggers, states, strict=True):
            one.propagate, one.handlers = propagate, handlers


@dataclass(frozen=True, slots=True)
class Held:
    """What the process holds, at a moment at which nobody is connected."""

    threads: int
    descriptors: int
    """Without the slots of the spool, which are open ahead, and without the database's: its pool has a limit of its
    own, and opens another connection (three files) when two threads happen to ask at once."""
    associations: int
    heap: int
    """Bytes that are in use of what malloc manages; 0 where C's library does not say (glibc 2.33 does)."""
    blocks: int
    """Objects and buffers of up to 512 bytes that are in use, which Python manages itself."""
    resident: int
    """Bytes."""

    @classmethod
    def by(cls, node: Station) -> Held:
        _collect()
        return cls(
            threads=threading.active_count(),
            descriptors=_descriptors() - len(node.spool.slots._ready),
            associations=sum(isinstance(one, Acceptance) for one in gc.get_objects()),
            heap=_heap(),
            blocks=sys.getallocatedblocks(),
            resident=int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        )

    def leaks(self, node: Station) -> list[str]:
        """What is held more than before, once everybody is gone and the test has forgotten what it kept."""
        node.until_nobody_is_here()
        until(lambda: threading.active_count() <= self.threads, "the threads of associations end")
        now = Held.by(node)
        allowed = {"threads": 0, "descriptors": 0, "associations": 0,
                   "heap": HEAP, "blocks": BLOCKS, "resident": RESIDENT}  # fmt: skip
        return [
            f"{name}: {getattr(self, name)} before, {getattr(now, name)} now"
            for name, more in allowed.items()
            if getattr(now, name) > getattr(self, name) + more
        ]

    def growth(self, now: Held) -> str:
        return (
            f"{(now.heap - self.heap) / 1024:+.0f} KiB of malloc, {now.blocks - self.blocks:+} blocks, "
            f"{(now.resident - self.resident) / (1 << 20):+.1f} MiB resident"
        )


def forget(node: Station, *more: list[Any] | set[Any]) -> None:
    """All that the test has kept of what was said and heard, so that what has grown is the node's."""
    for kept in (node.arrivals, node.received, node.refused, node.turned_away, *more):
        kept.clear()


class _MallInfo(ctypes.Structure):
    """mallinfo(3), of all arenas."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks",
                     "keepcost")
    ]  # fmt: skip


_libc = ctypes.CDLL(None)


def _heap() -> int:
    if not hasattr(_libc, "mallinfo2"):
        return 0
    _libc.mallinfo2.restype = _MallInfo
    info = _libc.mallinfo2()
    return int(info.uordblks + info.hblkhd)


@functools.cache
def _frozen() -> tuple[object, ...]:
    """The caches among what conftest.py keeps from the garbage collector, which does not list it either."""
    gc.unfreeze()
    found = tuple(one for one in gc.get_objects() if isinstance(one, _Cached))
    gc.collect()
    gc.freeze()
    return found


def _descriptors() -> int:
    found = 0
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # that of the listing itself
            found += ".db" not in one.readlink().name
    return found


def _collect() -> None:
    """Free what nobody needs: garbage, caches that have a limit (one without is a leak), and holes between blocks."""
    for one in (*_frozen(), *gc.get_objects()):
        if isinstance(one, _Cached) and one.cache_parameters()["maxsize"] is not None:
            one.cache_clear()
    gc.collect()
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


@dataclass(slots=True)
class Healthy:
    """A well-behaved sender that stores one instance after the other while others do not behave."""

    port: int
    sent: list[bytes] = field(default_factory=list)
    """Data sets that were answered with success, in order."""
    slowest: float = 0.0
    trouble: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[Healthy]:
        thread = threading.Thread(target=self._work, name="healthy")
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join(2 * SERVED_WITHIN)
        assert self.trouble == []
        assert self.slowest < SERVED_WITHIN

    def _work(self) -> None:
        try:
            with Sender(self.port, [(CT, [EXPLICIT])], calling_ae="HEALTHY", deadline=SERVED_WITHIN) as sender:
                while not self._over.is_set() or not self.sent:
                    one = Instance.of(make.instance(series="healthy", number=len(self.sent)))
                    began = time.monotonic()
                    status = sender.store(one)
                    self.slowest = max(self.slowest, time.monotonic() - began)
                    if status:
                        self.trouble.append(f"0x{status:04X}")
                    self.sent.append(one.data)
                    self._over.wait(_PAUSE)
        except Exception as error:  # whatever it is, the test has to hear of it
            self.trouble.append(repr(error))


def assert_only_instances_are_kept(node: Station, acknowledged: Iterator[str] | list[str]) -> None:
    """The spool shows what was counted as acknowledged, nothing else, and each is an instance that says what its row
    says; all that a sender was told to be stored is among it; nothing is left half written."""
    arrivals = {node.spool.where(one.path): one for one in node.arrivals}
    kept = node.kept()
    assert sorted(arrivals) == kept
    assert [mark.acknowledged for mark in node.presence.live()] == [len(kept)]
    assert node.leftovers() == []
    for path in kept:
        meta, data = content_of(path)
        identity = identify(read_header(data, meta.transfer_syntax).header, meta.transfer_syntax)
        assert identity == arrivals[path].identity
    missing = Counter(uid for uid in acknowledged if uid) - Counter(str(a.identity.sop_instance) for a in node.arrivals)
    assert not missing, f"acknowledged and not kept: {missing}"
