"""The four kinds of errors. Each is decided in one place.

    NodeError
    ├── ConfigurationError   load of rules.yaml; caught in cli.py; exit 2
    ├── Refused              receive; caught in receive/; becomes the C-STORE status or a line in the log
    ├── CannotSucceed        a step or a delivery; caught in the worker loops; becomes held, with the reason
    └── TryAgain             the world may change; caught in the worker loops; becomes a later try

Anything else that is raised is a bug: the worker loops log it with its traceback and hold what it was
working on. A message is for the person who must act: what, where, what to change. It never carries a
patient's name, id, accession number or date.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class NodeError(Exception):
    """The root; `str()` of every NodeError is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a configuration file. Line and column count from 1; 0 means unknown."""

    file: str
    line: int
    column: int
    path: str
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: "
        return f"{place}{self.path}: {self.text}" if self.path else f"{place}{self.text}"


class ConfigurationError(NodeError):
    """The configuration cannot be used. Carries every problem found, not only the first."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        self.problems: tuple[Problem, ...] = () if isinstance(problems, str) else tuple(problems)
        super().__init__(problems if isinstance(problems, str) else "\n".join(str(p) for p in problems))


class Refused(NodeError):
    """An instance is not taken. `status` is the C-STORE status to answer (PS3.4 B.2.3, PS3.7 Annex C)."""

    def __init__(self, status: int, why: str, *, said: bool = False) -> None:
        self.status = status
        self.said = said
        """Its line is in the log already, for this one and those that follow."""
        super().__init__(why)


class CannotSucceed(NodeError):
    """Trying the same again gives the same result. What it concerns is held with this reason."""


class TryAgain(NodeError):
    """It did not work now and may work later."""

    def __init__(self, why: str, *, after: float | None = None) -> None:
        self.after = after
        """Seconds until then, where it is known what is waited for."""
        super().__init__(why)


def lacking(error: BaseException) -> str:
    """What the machine has no more of at this moment, where that is all that went wrong; else empty.

    Python says of threads that cannot be started by the text of a RuntimeError alone, also within an executor.
    """
    if isinstance(error, MemoryError):
        return "there is no memory left"
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return "the system gives no more threads"
    return ""
