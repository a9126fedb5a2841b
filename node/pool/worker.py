"""One worker process: reads a task, does it, writes the answer; ends when its parent is gone.

A task and its answer are pickled, each after its length (8 bytes, big endian). The pipes are between this
process and the node that started it; nothing from the network is unpickled.
"""

from __future__ import annotations

import errno
import logging
import os
import pickle
import resource
import struct
import sys
import threading
import time
import traceback
import warnings
from typing import BinaryIO

from node.errors import CannotSucceed, NodeError, TryAgain
from node.pool.deadline import keep_deadlines
from node.pool.priority import step_back

LENGTH = struct.Struct(">Q")

WORLD = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENFILE, errno.EMFILE, errno.ENOMEM})
"""Errors of the machine and not of what is worked on: a full disk, too many open files."""


def main() -> None:
    memory = int(sys.argv[1])
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    step_back()
    _end_with(int(sys.argv[2]))
    keep_deadlines()
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    _silence()
    tasks = os.fdopen(0, "rb")
    while True:
        task = receive(tasks)
        if task is None:
            return
        function, arguments = pickle.loads(task)
        try:
            answer = pickle.dumps((True, function(*arguments)), protocol=pickle.HIGHEST_PROTOCOL)
        except TryAgain as error:
            answer = pickle.dumps((False, TryAgain(str(error))))
        except NodeError as error:
            # Rebuilt plainly: a subclass with arguments of its own does not survive the pipe.
            answer = pickle.dumps((False, CannotSucceed(str(error))))
        except MemoryError:
            most = f"the {memory >> 20} MiB a worker may use" if memory else "there is"
            answer = pickle.dumps((False, CannotSucceed(f"it needs more memory than {most}")))
        except OSError as error:
            answer = pickle.dumps((False, TryAgain(str(error.strerror)) if error.errno in WORLD else Bug.of(error)))
        except Exception as error:  # worker loop: a bug ends one task, not the process
            answer = pickle.dumps((False, Bug.of(error)))
        send(answers, answer)


def _end_with(parent: int) -> None:
    """End when the node does, also in the middle of a task: its successor starts the same task again, and the
    two would write the same files."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _silence() -> None:
    """Libraries print, warn and log, and some quote the data set; on the answer pipe it would even be read as an
    answer. What a crash of the interpreter says still goes to standard error."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)


class Bug(Exception):
    """What a step raised that no one expected. `str()` names the kind and the place, never the values."""

    def __init__(self, text: str, trace: str) -> None:
        super().__init__(text, trace)
        self.trace = trace

    @classmethod
    def of(cls, error: BaseException) -> Bug:
        # Frames only: the text of an exception may quote a value of the data set.
        frames = "".join(traceback.format_tb(error.__traceback__))
        return cls(f"{type(error).__name__} in {_place(error)}", f"{frames}{type(error).__name__}")

    def __str__(self) -> str:
        return str(self.args[0])


def _place(error: BaseException) -> str:
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return f"{os.path.basename(at.tb_frame.f_code.co_filename)}:{at.tb_lineno}" if at else "?"  # noqa: PTH119  os is here


def receive(pipe: BinaryIO) -> bytes | None:
    """One message, or None at the end of the pipe."""
    head = _exactly(pipe, LENGTH.size)
    if head is None:
        return None
    return _exactly(pipe, LENGTH.unpack(head)[0])


def _exactly(pipe: BinaryIO, count: int) -> bytes | None:
    parts, missing = [], count
    while missing:
        part = pipe.read(missing)
        if not part:
            return None
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def send(pipe: BinaryIO, message: bytes) -> None:
    view = memoryview(LENGTH.pack(len(message)) + message)
    while view:
        view = view[pipe.write(view) :]
    pipe.flush()
