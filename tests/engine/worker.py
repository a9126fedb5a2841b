"""A process that works, for the tests; stopped by SIGTERM, and killed.

What a job or a delivery does is written in its key, `<what>-<name>`; everything that happens is appended to
the file `events`, one JSON object a line.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import signal
import threading
import time
from pathlib import Path

from node.engine.engine import Engine
from node.engine.liveness import FileLocks
from node.engine.runs import DONE, STOP, Outcome, Task
from node.index.database import open_database

LIMITS = (1, 2, 3)


class Scripted:
    """A body that does what the key says."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def tell(self, what: str, **more: object) -> None:
        line = json.dumps({"what": what, "pid": os.getpid(), "at": time.monotonic(), **more}) + "\n"
        handle = os.open(self.data / "events", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, line.encode())
        os.close(handle)

    def step(self, job: str, number: int, attempt: int) -> Outcome:
        self.tell("start", key=job, number=number, attempt=attempt)
        outcome = self.act(job, number, attempt)
        self.tell("end", key=job, number=number, attempt=attempt)
        return outcome

    def deliver(self, delivery: str, attempt: int) -> Outcome:
        return self.step(delivery, 0, attempt)

    def act(self, key: str, number: int, attempt: int) -> Outcome:
        match key.partition("-")[0], number:
            case "poison", 1:
                os.kill(os.getpid(), signal.SIGKILL)
            case ("wait", 1) | ("hang", 0):
                self.until("go")
            case what, _ if what.startswith("busy"):
                threading.Event().wait(0.04)
            case "slow", 1:
                threading.Event().wait(0.4)
            case "again", 1:
                return DONE if attempt == 3 else Outcome("again", after=0)
            case "later", 0:
                return Outcome("again", after=3600) if attempt == 1 else DONE
            case "dead", _:
                return Outcome("again", after=1)
            case "stop", 1:
                return STOP
            case "raise", 1:
                raise ValueError("^".join(["Doe", "John"]))  # not as one word: a traceback shows the source line
        return DONE

    def until(self, name: str) -> None:
        while not (self.data / name).exists():
            threading.Event().wait(0.01)

    def poisoned(self, task: Task, key: str, why: str) -> None:
        self.tell("poisoned", task=task, key=key, why=why)


def work(url: str, data: Path, process: str, poll: float = 0.2) -> None:
    logging.basicConfig(level="WARNING", filename=data / "log")
    database = open_database(url, data, full_sync=False)
    engine = Engine(database, data, process, jobs=4, poll=poll, look=0.1)
    body = Scripted(data)
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    engine.launch(body, LIMITS)
    threading.Thread(target=tell_when_stopping, args=(engine, body), daemon=True).start()
    body.tell("ready")
    while not asked.wait(0.02):
        for request in data.glob("put-in-*"):  # what a receiver in this process would do
            request.unlink()
            with database.begin() as connection:
                body.tell("put in")
                engine.enqueue_job(connection, request.name, steps=1)
    body.tell("stopped", ended=engine.stop(timeout=5))


def tell_when_stopping(engine: Engine, body: Scripted) -> None:
    """`stop` says when it is over; a test that ends a step during it has to know when it has begun."""
    while not engine.stopping:
        threading.Event().wait(0.01)
    body.tell("stopping")


def restarted(url: str, data: Path, process: str) -> None:
    """Work, and come back after a death, as under systemd."""
    for number in itertools.count():
        child = os.fork()
        if child == 0:
            work(url, data, f"{process}-{number}")
            os._exit(0)
        signal.signal(signal.SIGTERM, lambda *_, child=child: os.kill(child, signal.SIGTERM))
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            return


def hold(folder: Path) -> None:
    """Hold the lock `a` until killed."""
    locks = FileLocks(folder)
    if locks.hold("a"):
        (folder / "held").touch()
        threading.Event().wait()
