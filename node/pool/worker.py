"""One worker process: reads a task, does it, writes the answer; ends when its parent is gone.

A task and its answer are pickled, each after its length (8 bytes, big endian). The pipes are between this
process and the node that started it; nothing from the network is unpickled.
"""

from __future__ import annotations

import logging
import os
import pickle
import resource
import struct
import sys
from typing import BinaryIO

from node.errors import CannotSucceed, NodeError, TryAgain

LENGTH = struct.Struct(">Q")


def main() -> None:
    memory = int(sys.argv[1])
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for library in ("pydicom", "deid"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    # Codecs and libraries print; on the answer pipe that would be read as an answer.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    tasks = os.fdopen(0, "rb")
    while True:
        task = receive(tasks)
        if task is None:
            return
        function, arguments = pickle.loads(task)
        try:
            answer: tuple[bool, object] = (True, function(*arguments))
        except TryAgain as error:
            answer = (False, TryAgain(str(error)))
        except NodeError as error:
            # Rebuilt plainly: a subclass with arguments of its own does not survive the pipe.
            answer = (False, CannotSucceed(str(error)))
        except MemoryError:
            answer = (False, CannotSucceed(f"needs more memory than the {memory >> 20} MiB a worker may use"))
        except Exception as error:
            # A worker loop: whatever a step raises that is not one of our errors is a bug, told to the
            # parent with its traceback; the process goes on to the next task.
            import traceback

            answer = (False, Bug(f"{type(error).__name__} in {_place(error)}", traceback.format_exc()))
        send(answers, pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL))


class Bug(Exception):
    """What a step raised that no one expected. `str()` names the kind and the place, never the values."""

    def __init__(self, text: str, trace: str) -> None:
        super().__init__(text, trace)
        self.trace = trace

    def __str__(self) -> str:
        return str(self.args[0])


def _place(error: BaseException) -> str:
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return f"{os.path.basename(at.tb_frame.f_code.co_filename)}:{at.tb_lineno}" if at else "?"  # noqa: PTH119


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

