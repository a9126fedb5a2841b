"""Worker processes for what is heavy on the processor: codecs, volumes, de-identification.

Never in the process that answers associations: most codecs hold the interpreter lock for a whole frame, and
some abort the process on a broken file. A worker that dies, hangs or takes too much memory is replaced;
its task fails, and the node goes on.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from node.errors import CannotSucceed, TryAgain
from node.pool.worker import receive, send

P = ParamSpec("P")
R = TypeVar("R")

_TASKS_PER_WORKER = 400
"""A worker is replaced after so many tasks: libraries that leak (deid's caches) cost nothing then."""


class WorkerDied(CannotSucceed):
    """The process ended in the middle of a task: a codec aborted it, or it was killed for memory."""


class Pool:
    """At most `size` workers, started when first needed. `call` may be used by many threads."""

    def __init__(self, size: int, *, memory: int = 0, seconds: float = 3600.0) -> None:
        """`memory`: bytes of address space for each worker, 0 for no limit; `seconds`: longest task."""
        self.size, self._memory, self._seconds = size, memory, seconds
        self._free: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(size):
            self._free.put(None)
        self._all: set[_Worker] = set()
        self._lock = threading.Lock()
        self._closed = False

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a module-level function in a worker and return what it returns, or raise what it raised.

        Raises WorkerDied when the process ended, CannotSucceed when it took longer than it may, TryAgain when
        the pool was closed meanwhile: that is no fault of the task.
        """
        return self.call_within(self._seconds, function, *args, **kwargs)

    def call_within(self, seconds: float, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`call` for a task that may run for `seconds` at most, whatever the pool's own limit; waiting for a worker
        does not count.

        Raises what `call` raises.
        """
        assert not kwargs, "tasks take positional arguments only"
        worker = self._free.get()
        try:
            worker = self._alive(worker)
            good, answer = worker.do(pickle.dumps((function, args), protocol=pickle.HIGHEST_PROTOCOL), seconds)
        except BaseException as error:
            if worker is not None:
                self._end(worker)
                worker = None
            if self._closed and isinstance(error, WorkerDied):
                raise TryAgain("the node is stopping") from error
            raise
        finally:
            self._free.put(worker)
        if good:
            return cast(R, answer)
        raise cast(BaseException, answer)

    def processes(self) -> list[int]:
        """Ids of the workers that there are now."""
        with self._lock:
            return [worker.process.pid for worker in self._all]

    def _alive(self, worker: _Worker | None) -> _Worker:
        if worker is not None and (worker.tasks >= _TASKS_PER_WORKER or worker.process.poll() is not None):
            self._end(worker)
            worker = None
        if worker is None:
            with self._lock:
                if self._closed:
                    raise TryAgain("the node is stopping")
                worker = _Worker(self._memory)
                self._all.add(worker)
        return worker

    def _end(self, worker: _Worker) -> None:
        with self._lock:
            self._all.discard(worker)
        worker.end()

    def close(self) -> None:
        """End every worker, also one that is in the middle of a task."""
        with self._lock:
            self._closed = True
            workers = list(self._all)
        for worker in workers:
            worker.kill()
        # The pipes of a busy one are its caller's to close: closed here, the descriptor could be another file's
        # by the time the caller reads on.
        places = 0
        with contextlib.suppress(queue.Empty):
            while True:
                idle = self._free.get_nowait()
                places += 1
                if idle is not None:
                    self._end(idle)
        for _ in range(places):
            self._free.put(None)


class _Worker:
    def __init__(self, memory: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        program = "from node.pool.worker import main; main()"
        self.process = subprocess.Popen(
            # Warnings of libraries may quote values of the header.
            [sys.executable, "-W", "ignore", "-c", program, str(memory), str(os.getpid())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True,
        )  # fmt: skip
        self.tasks = 0

    def do(self, task: bytes, seconds: float) -> tuple[bool, Any]:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        self.tasks += 1
        try:
            send(stdin, task)  # type: ignore[arg-type]  # Popen types its pipes as IO[bytes]
            # Not select(): it refuses descriptors above 1023, which a node with many associations has.
            answering = select.poll()
            answering.register(stdout, select.POLLIN)
            if not answering.poll(seconds * 1000):
                raise CannotSucceed(f"it took longer than {seconds:g} s and was stopped")
            answer = receive(stdout)  # type: ignore[arg-type]  # as above
        except (BrokenPipeError, ConnectionResetError):
            answer = None
        if answer is None:
            raise WorkerDied(f"the worker process died ({_how(self.process)})")
        good, value = pickle.loads(answer)
        return bool(good), value

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    def end(self) -> None:
        self.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _how(process: subprocess.Popen[bytes]) -> str:
    code = process.wait()
    if code == -signal.SIGALRM:
        return "a decoder that came to no end was stopped"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
    return f"exit {code}"
