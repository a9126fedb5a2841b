"""Goes on with what dead processes left, and has held what cannot go on.

DBOS itself restarts a dead process's work only when a process with the same id comes back. Here each process
looks every second, one at a time, whether somebody died with work in hand:

    1  a run that is claimed by a process whose lock can be taken, twice in a row, is followed by its successor
       (`runs.after_death`), and then cancelled, so that its process could not go on with it if it lived after all
    2  a run of this process that has ended, and whose end the database did not take, twice in a row (it was full, or
       went away in that moment), is followed likewise; nothing is counted against it
    3  a run that ended in an error, or whose process died in it too often, is given to the body to be held
    4  of the runs in which a process died twice or more, the next is let go when none is going
    5  when this machine's clock went back, what waits for a time is let go: it would wait for as long again, which
       after a clock that was years ahead is for ever
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from dbos import DBOSClient, WorkflowStatus

from node.engine.liveness import Locks
from node.engine.quirks import frames
from node.engine.runs import Body, Next, Outcome, Poisoned, Run, after_death

log = logging.getLogger(__name__)

UNSTORED = "the database did not take its outcome"
"""The error of a run that is to go on, not to be held: DBOS could store that it failed, and not what came of it."""
ITS_TURN = 10 * 365 * 86400.0
"""Seconds: the delay of a suspect until `_release_one` ends it."""

_BACK = 60.0
"""Seconds; a clock that is set back by less costs less than a try too many."""


class Reaper:
    def __init__(
        self,
        client: DBOSClient,
        locks: Locks,
        process: str,
        body: Body,
        enqueue: Callable[[Run, float], None],
        ended: set[str],
        *,
        every: float,
    ) -> None:
        self._client, self._locks, self._process, self._body = client, locks, process, body
        self._enqueue, self._every, self._ended = enqueue, every, ended
        self._stop = threading.Event()
        self._suspected: set[str] = set()
        self._unstored: set[str] = set()
        self._any_alone = True
        self._away = False
        self._ahead = _wall_ahead()
        self._thread = threading.Thread(target=self._loop, name="reaper", daemon=True)

    def start(self) -> None:
        """Show that this process lives, then look around."""
        self._locks.hold(self._process)
        self._thread.start()

    def stop(self, *, keep_alive: bool) -> None:
        """keep_alive: count as living until the process ends."""
        self._stop.set()
        self._thread.join(timeout=10)
        if not keep_alive:
            self._locks.forget(self._process)
            self._locks.close()

    def _loop(self) -> None:
        while True:
            try:
                self._look()
                self._mind_the_clock()
                self._away = False
            except sa.exc.OperationalError as error:
                if not self._away:  # it looks every second
                    log.warning("looking for dead processes: the database is away: %s", type(error.orig).__name__)
                self._away = True
            except Exception as error:
                # Whatever kind: a lost connection, or a bug in the body. Without this thread nothing that a dead
                # process left would ever go on.
                log.error("looking for dead processes failed: %s\n%s", type(error).__name__, frames(error))
            if self._stop.wait(self._every):
                return

    def _look(self) -> None:
        # After a lost connection the own lock is somebody else's for a moment, or the reaper's.
        if not self._locks.hold(self._process) or not self._locks.hold("reaper"):
            return
        try:
            self._succeed_the_dead()
            self._succeed_the_unstored()
            self._hold_the_failed()
            self._release_one()
        finally:
            self._locks.release("reaper")

    def _list(self, **chosen: Any) -> list[WorkflowStatus]:
        return self._client.list_workflows(**{"load_output": False, **chosen})

    def _succeed_the_dead(self) -> None:
        claimed = self._list(status="PENDING", load_input=False)
        others = {flow.executor_id for flow in claimed if flow.executor_id} - {self._process}
        dead = {process for process in others if self._is_dead(process)}
        # When PostgreSQL restarts, everybody's lock is gone until its next look; so one look is not enough.
        for process in dead & self._suspected:
            left = self._list(status="PENDING", executor_id=process)
            log.warning("process %s died; going on with %d of its jobs and deliveries", process, len(left))
            for flow in left:
                self._succeed(flow)
            self._locks.hold(process)
            self._locks.forget(process)
        self._suspected = dead

    def _succeed_the_unstored(self) -> None:
        ended = set(self._ended)
        if not ended:
            return
        left = {flow.workflow_id: flow for flow in self._list(status="PENDING", executor_id=self._process)}
        self._ended.difference_update(ended - left.keys())
        unstored = ended & left.keys()
        # DBOS may be storing it in this moment; so one look is not enough.
        for run in unstored & self._unstored:
            self._succeed(left[run], died=False)
        self._unstored = unstored

    def _is_dead(self, process: str) -> bool:
        if not self._locks.hold(process):
            return False
        self._locks.release(process)
        return True

    def _succeed(self, flow: WorkflowStatus, *, died: bool = True) -> None:
        run = _run(flow)
        steps = self._client.list_workflow_steps(flow.workflow_id)
        outcomes = [Outcome(**step["output"]) for step in steps if step["output"]]
        match after_death(run, outcomes, died=died):
            case Next(successor, after):
                self._enqueue(successor, ITS_TURN if successor.alone else after)
                self._any_alone |= successor.alone
            case Poisoned(why):
                self._body.poisoned(run.task, run.key, why)
        self._client.cancel_workflow(flow.workflow_id)

    def _hold_the_failed(self) -> None:
        for flow in self._list(status=["ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"], load_output=True):
            if UNSTORED in str(flow.error):
                self._succeed(flow, died=False)
            else:
                run = _run(flow)
                self._body.poisoned(run.task, run.key, str(flow.error or "it was started too often"))
            self._client.delete_workflow(flow.workflow_id)

    def _mind_the_clock(self) -> None:
        ahead = _wall_ahead()
        if self._ahead - ahead > _BACK:
            waiting = self._list(status="DELAYED", load_input=False)
            log.warning("the clock went back by %.0f s; what waits is tried now", self._ahead - ahead)
            for flow in waiting:
                if not flow.workflow_id.startswith("alone:"):
                    self._client.set_workflow_delay(flow.workflow_id, delay_seconds=0)
        self._ahead = ahead

    def _release_one(self) -> None:
        if not self._any_alone:
            return
        alone = self._list(workflow_id_prefix="alone:", status=["DELAYED", "ENQUEUED", "PENDING"], load_input=False)
        self._any_alone = bool(alone)
        if alone and all(flow.status == "DELAYED" for flow in alone):
            self._client.set_workflow_delay(alone[0].workflow_id, delay_seconds=0)


def _run(flow: WorkflowStatus) -> Run:
    if flow.input is None:
        raise ValueError(f"{flow.workflow_id} has no input")
    return Run.read(flow.input["args"][0])


def _wall_ahead() -> float:
    """Seconds by which the wall clock is ahead of the one that never jumps."""
    return time.time() - time.monotonic()
