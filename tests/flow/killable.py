"""A node in a process of its own that dies by SIGKILL at a named point, as if somebody had pulled the plug.

The process is forked from a server that has imported everything already (multiprocessing's forkserver), which
makes a start cheap enough to die at every point there is.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from node.report.log import configure
from node.service import build


@dataclass(slots=True)
class Points:
    """Called at every named point: notes it in a file, and ends the process at the n-th time of the chosen one."""

    notes: Path
    kill: tuple[str, int] | None
    _seen: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, point: str) -> None:
        with self._lock:
            self._seen[point] = self._seen.get(point, 0) + 1
            with self.notes.open("a") as file:
                file.write(f"{point}\n")
            if self.kill == (point, self._seen[point]):
                os.kill(os.getpid(), signal.SIGKILL)


def run(rules: Path, notes: Path, log: Path, kill: tuple[str, int] | None, ready: Connection) -> None:
    """The life of the process: build, start, say on which port, end on SIGTERM with exit code 0.

    Log lines and whatever else is printed go to `log`.
    """
    with log.open("a", buffering=1) as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    configure("json")
    logging.getLogger("node").setLevel(logging.INFO)
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    service = build(rules, reach=Points(notes, kill))
    service.start()
    ready.send(service.listening[0][1])
    if kill is not None and kill[0].startswith("retention"):
        service.retention.once()  # its own time comes after five minutes
    while not over.wait(1.0):
        pass  # a signal may come to any thread, and its handler runs only when this one wakes up, as in `serve`
    service.stop()
    sys.exit(0)
