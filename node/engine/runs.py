"""What is put into the engine, and what follows from what happened to it. Pure.

A *run* is one entry of the engine's queue: a job from some step on, or one try of a delivery. A run is never
changed; whatever must go on later goes on as its successor, whose id follows from its own, so that deciding
twice makes one successor:

    again         the body wants another try        -> the same step, attempt + 1, after a wait
    handed over   the process stops in good order   -> the same step, nothing counted
    unstored      the database did not take its end -> the first step without a result, nothing counted
    died          the process died in it            -> the first step without a result, deaths + 1
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Literal, Protocol

MOST_DEATHS = 3
"""A step in which the process died more often than this is not started again."""


class Task(StrEnum):
    JOB = "job"
    DELIVERY = "delivery"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step, or a try of a delivery, came to."""

    verdict: Literal["done", "again", "stop"]
    """done: on to the next step. again: the same later. stop: the rest is not run; the body has noted why."""
    after: float = 0.0
    """Seconds to wait, for `again`. Waiting holds no thread and no slot; whole seconds, about 1 s late."""


DONE = Outcome("done")
STOP = Outcome("stop")


class Body(Protocol):
    """What the node does; `run/` and `deliver/` supply it. Called from several threads; may block."""

    def step(self, job: str, number: int, attempt: int) -> Outcome:
        """Run step `number` (from 0). Repeated after a crash, so twice must be as once.

        attempt: from 1; counts the `again` of this step, not deaths of the process.
        """
        ...

    def deliver(self, delivery: str, attempt: int) -> Outcome:
        """Send. Repeated after a crash. attempt: as for `step`."""
        ...

    def poisoned(self, task: Task, key: str, why: str) -> None:
        """Hold it: the process died in it too often, or the body raised. Twice only after a crash in here."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One entry of a queue. Only keys and numbers: it is stored as it is."""

    task: Task
    key: str
    """The job's id, or the delivery's."""
    tries: int = 1
    """How often the caller put this key into the engine; with the key, what makes an entry the same."""
    turn: int = 0
    """Successors since then."""
    steps: int = 1
    start: int = 0
    """The first step that is not done."""
    attempt: int = 1
    deaths: int = 0
    """How often a process died in step `start`."""
    destination: str = ""
    concurrent: int = 0
    """How many deliveries to the destination may run at once, over all processes."""

    @property
    def id(self) -> str:
        return f"{'alone:' if self.alone else ''}{self.task}:{self.key}:{self.tries}.{self.turn}"

    @property
    def alone(self) -> bool:
        """Whether it waits for its turn: after two deaths, of all suspects only one runs at a time.

        Otherwise a job that kills its process would drag every job beside it over the limit with it.
        """
        return self.deaths >= 2

    @property
    def queue(self) -> str:
        """The limit belongs to a queue, so there is one queue per distinct limit, with a part per destination."""
        return "jobs" if self.task is Task.JOB else f"send-{self.concurrent}"

    def stored(self) -> dict[str, Any]:
        return {**asdict(self), "task": str(self.task)}

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Run:
        return cls(**{**stored, "task": Task(stored["task"])})

    def again(self, number: int) -> Run:
        """The successor for another try of step `number`."""
        attempt = self.attempt + 1 if number == self.start else 2
        return replace(self, start=number, turn=self.turn + 1, attempt=attempt, deaths=0)

    def handed_over(self, number: int) -> Run:
        """The successor when step `number` was not begun, because the process stops."""
        if number == self.start:
            return replace(self, turn=self.turn + 1)
        return replace(self, start=number, turn=self.turn + 1, attempt=1, deaths=0)


@dataclass(frozen=True, slots=True)
class Next:
    run: Run
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Poisoned:
    why: str


@dataclass(frozen=True, slots=True)
class Over:
    """Everything was done; only the note of it was missing."""


def after_death(run: Run, outcomes: Sequence[Outcome], *, died: bool = True) -> Next | Poisoned | Over:
    """What becomes of a run that has no end in the database.

    outcomes: of its steps from `run.start` on, as far as they were stored.
    died: whether its process died; else the database did not take its end, and that is not counted.
    """
    number = run.start + len(outcomes)
    last = outcomes[-1] if outcomes else DONE
    if last.verdict == "again":
        return Next(run.again(number - 1), last.after)
    if last.verdict == "stop" or number >= run.steps:
        return Over()
    going_on = run.handed_over(number)
    successor = replace(going_on, deaths=going_on.deaths + died)
    if successor.deaths > MOST_DEATHS:
        return Poisoned(f"the process died {successor.deaths} times in step {number}; see the system's log for why")
    return Next(successor)
