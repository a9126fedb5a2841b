"""Durable jobs and deliveries on DBOS: SQLite by default, PostgreSQL when scaled out.

What is put in with a transaction is in exactly when that commits, and then it runs: step by step, each step's
result stored, over any number of crashes, in whichever process lives (`reaper.py`). One queue for jobs, and one
for deliveries per distinct limit, in which each destination has its own part; so one that does not answer
blocks no other.

A step is repeated when the process dies in it, and may then run in another process; so steps are idempotent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions, WorkflowStatus
from dbos import error as refused
from sqlalchemy import event

from node.engine.liveness import AdvisoryLocks, FileLocks
from node.engine.quirks import Doorbells, Stops, frames, quiet_log
from node.engine.reaper import UNSTORED, Reaper
from node.engine.runs import Body, Outcome, Run, Task

log = logging.getLogger(__name__)

APPLICATION = "dicom-node"
VERSION = "jobs-1"
"""Fixed, and the inputs are keys only: an update of the node never strands what an older one put in."""

WORKFLOW = "run"
ACTIVE = ["DELAYED", "ENQUEUED", "PENDING"]
FINISHED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
MANY = 1_000_000_000


class Engine:
    """Before `launch` a client, which can put in and cancel; after it, this process also works."""

    def __init__(
        self, database: sa.Engine, data: Path, process: str, *, jobs: int = 2, poll: float = 1.0, look: float = 1.0
    ) -> None:
        """Prepares DBOS's tables.

        database: of `open_database`: on SQLite its transactions must begin IMMEDIATE, or limits are not exact.
        data:     the data folder; liveness on SQLite is kept in `run/executors` below it.
        process:  host-pid-random, another at every start.
        jobs:     how many jobs run at once in this process.
        poll:     seconds between looks for work put in by other processes, or whose delay is over.
        look:     seconds between looks for dead processes; two looks find one.
        """
        quiet_log()
        self.process = process
        self._database, self._data, self._jobs, self._poll, self._look = database, data, jobs, poll, look
        self._url = database.url.set(drivername=database.dialect.name).render_as_string(hide_password=False)
        self._bells = Doorbells()
        self._ended: set[str] = set()
        """Runs whose thread has ended; DBOS is storing that, or could not."""
        self._stopping = threading.Event()
        self.reachable = True
        """Whether the database was there when the last steps ended."""
        self._dbos: DBOS | None = None
        self._reaper: Reaper | None = None
        DBOS.migrate(self._url)
        self._client = DBOSClient(
            system_database_engine=database, serializer=DBOSPortableJSONSerializer(), application_name=APPLICATION
        )

    # ---- work -------------------------------------------------------------------------------------------

    def launch(self, body: Body, concurrent: Collection[int]) -> None:
        """Start working, and go on with what a dead process left.

        concurrent: every limit that a destination has; see `enqueue_delivery`.
        """
        self._body = body
        config = DBOSConfig(
            name=APPLICATION, system_database_url=self._url, system_database_engine=self._database,
            executor_id=self.process, application_version=VERSION, run_migrations=False, enable_otlp=False,
            serializer=DBOSPortableJSONSerializer(), log_level="WARNING",
            notification_listener_polling_interval_sec=0.25,  # it asks nothing; `stop` waits for it
            notification_coalesce_sec=1.0,
        )  # fmt: skip
        locks = AdvisoryLocks(self._database) if self._on_postgresql else FileLocks(self._data / "run" / "executors")
        self._reaper = Reaper(self._client, locks, self.process, body, self._enqueue, self._ended, every=self._look)
        self._dbos = DBOS(config=config)
        self._dbos.background_thread_stop_events = Stops(self._bells)

        @DBOS.workflow(name=WORKFLOW)
        def run(stored: dict[str, Any]) -> None:
            self._perform(Run.read(stored))

        # Before the launch, which looks for queues once a second only.
        self._client.register_queue("jobs", worker_concurrency=self._jobs, polling_interval_sec=self._poll)
        self.allow(concurrent)
        self._reaper.start()  # and shows that this process lives before it can claim anything
        DBOS.launch()

    def allow(self, concurrent: Collection[int]) -> None:
        """Serve destinations with these limits too, from about a second later on."""
        for limit in sorted(set(concurrent)):
            # The global limit limits nothing; with it, DBOS claims at SERIALIZABLE on PostgreSQL. Below that, a
            # delayed delivery that comes due between two processes' looks could go over the limit.
            self._client.register_queue(
                f"send-{limit}", partition_concurrency=limit, global_concurrency=MANY, polling_interval_sec=self._poll
            )

    def stop(self, timeout: float) -> bool:
        """Begin no step any more, wait for those in flight, and leave the rest for the next start.

        timeout: seconds. Returns whether all ended in time. If not, this process still counts as living until it
        ends, so that nobody starts the same step beside it; its threads keep the interpreter from ending.
        """
        deadline = time.monotonic() + timeout
        self._stopping.set()
        ended = True
        if self._dbos is not None and self._reaper is not None:
            for stop in self._dbos.background_thread_stop_events:
                stop.set()
            self._bells.ring_all()
            ended = self._wait_for_those_in_flight(deadline)
            self._reaper.stop(keep_alive=not ended)
            DBOS.destroy(destroy_registry=True)
            self._dbos = self._reaper = None
        self._client.destroy()
        return ended

    @property
    def stopping(self) -> bool:
        """Whether `stop` has begun: from then on no step begins."""
        return self._stopping.is_set()

    def _wait_for_those_in_flight(self, deadline: float) -> bool:
        told = False
        try:
            while True:
                # DBOS would wait for a database that is away, without an end.
                with self._database.connect() as connection:
                    connection.execute(sa.text("SELECT 1"))
                mine = self._list(status="PENDING", executor_id=self.process)
                if not mine:
                    return True
                if not told:
                    log.info("stopping: %d jobs and deliveries are in flight, and end their step first", len(mine))
                    told = True
                if time.monotonic() > deadline:
                    log.warning("%d jobs or deliveries did not end in time", len(mine))
                    return False
                time.sleep(0.02)
        except sa.exc.DBAPIError as error:
            log.warning("the database is away and cannot say what is in flight: %s", type(error.orig).__name__)
            self.reachable = False
            return False

    # ---- put in, hurry, cancel ---------------------------------------------------------------------------

    def enqueue_job(
        self,
        connection: sa.Connection, job: str, steps: int, *, start: int = 0, tries: int = 1,
        delay: timedelta = timedelta(0),
    ) -> bool:  # fmt: skip
        """Put a job in with the caller's transaction; it starts when that has committed.

        start: the first step to run. tries: 1, and another number for every time that it is put in again.
        Returns False, and changes nothing, when this job with this number was put in before.
        """
        run = Run(task=Task.JOB, key=job, steps=steps, start=start, tries=tries)
        return self._enqueue_with(connection, run, delay)

    def enqueue_delivery(
        self,
        connection: sa.Connection, delivery: str, destination: str, concurrent: int, *, tries: int = 1,
        delay: timedelta = timedelta(0),
    ) -> bool:  # fmt: skip
        """Put a delivery in with the caller's transaction. `tries`, `delay`, result: as for `enqueue_job`.

        concurrent: how many deliveries to this destination may run at once, over all processes. One of the
        numbers given to `launch` or `allow`; deliveries with another number of the same destination count apart.
        """
        run = Run(task=Task.DELIVERY, key=delivery, tries=tries, destination=destination, concurrent=concurrent)
        return self._enqueue_with(connection, run, delay)

    def hurry(self, task: Task, key: str) -> int:
        """What waits for its delay starts within about a second. Returns how many waited: 0 or 1."""
        waiting = self._find(task, key, ["DELAYED"])
        for id in waiting:
            self._client.set_workflow_delay(id, delay_seconds=0)
        return len(waiting)

    def cancel(self, task: Task, key: str) -> int:
        """No further step or try begins; one in flight runs to its end. Returns how many were active: 0 or 1."""
        active = self._find(task, key, ACTIVE)
        self._client.cancel_workflows(active)
        return len(active)

    def running(self, task: Task, key: str) -> bool:
        """Whether a process has it in its hands at this moment, or had when it died and nobody took it over yet."""
        return bool(self._find(task, key, ["PENDING"]))

    def has(self, task: Task, key: str) -> bool:
        """Whether it waits or is in a process's hands."""
        return bool(self._find(task, key, ACTIVE))

    # ---- housekeeping ------------------------------------------------------------------------------------

    def prune(self, older_than: timedelta) -> int:
        """Delete what ended before then. Returns how many."""
        before = (datetime.now(UTC) - older_than).isoformat()
        return self._delete(status=FINISHED, completed_before=before)

    def clear(self) -> int:
        """Forget everything, after a restore and before `launch`. Returns how many."""
        return self._delete()

    # ---- inside ------------------------------------------------------------------------------------------

    @property
    def _on_postgresql(self) -> bool:
        return self._database.dialect.name == "postgresql"

    def _perform(self, run: Run) -> None:
        """One run, in a thread of DBOS. Each outcome is stored before anything follows from it."""
        try:
            self._perform_steps(run)
        except sa.exc.DBAPIError as error:
            # The database did not take the outcome, for being full perhaps. Not the body's fault: see `reaper`.
            log.warning("%s %s: its outcome is not stored: %s", run.task, run.key, type(error.orig).__name__)
            raise RuntimeError(UNSTORED) from None
        finally:
            self._ended.add(run.id)
            self._bells.ring(run.queue)  # its slot is free

    def _perform_steps(self, run: Run) -> None:
        for number in range(run.start, run.steps):
            if self.stopping:
                self._enqueue(run.handed_over(number), 0)
                return
            outcome = Outcome(**DBOS.run_step({"name": str(number)}, self._step, run, number))
            if outcome.verdict == "again":
                self._enqueue(run.again(number), outcome.after)
            if outcome.verdict != "done":
                return

    def _step(self, run: Run, number: int) -> dict[str, Any]:
        attempt = run.attempt if number == run.start else 1
        try:
            if run.task is Task.JOB:
                return asdict(self._body.step(run.key, number, attempt))
            return asdict(self._body.deliver(run.key, attempt))
        except Exception as error:
            # Whatever kind: it is a bug in the body, and ends as an error in the database, from where the reaper
            # has it held. The text is left behind, since DBOS stores it.
            kind = type(error).__name__
            log.error("%s %s, step %d: %s\n%s", run.task, run.key, number, kind, frames(error))
            raise RuntimeError(f"{kind} in step {number}; its traceback is in the log") from None

    def _options(self, run: Run, delay: float) -> EnqueueOptions:
        options = EnqueueOptions(workflow_name=WORKFLOW, queue_name=run.queue, workflow_id=run.id, app_version=VERSION)
        if run.task is Task.DELIVERY:
            options["queue_partition_key"] = run.destination
        if delay > 0:
            options["delay_seconds"] = delay
        return options

    def _enqueue(self, run: Run, delay: float) -> None:
        self._client.enqueue(self._options(run, delay), run.stored())
        self._bells.ring(run.queue)

    def _enqueue_with(self, connection: sa.Connection, run: Run, delay: timedelta) -> bool:
        options = self._options(run, delay.total_seconds())
        options["workflow_id_reuse_policy"] = "reject"
        try:
            self._client.enqueue_in_transaction(connection, options, run.stored())
        except refused.DBOSWorkflowIDInUseError:
            return False
        event.listen(connection, "commit", lambda _connection: self._bells.ring(run.queue), once=True)
        return True

    def _find(self, task: Task, key: str, status: list[str]) -> list[str]:
        prefixes = [f"{task}:{key}:", f"alone:{task}:{key}:"]
        found = self._list(status=status, workflow_id_prefix=prefixes, load_input=True)
        # A key may hold a colon, and then be the beginning of another one.
        return [flow.workflow_id for flow in found if flow.input and Run.read(flow.input["args"][0]).key == key]

    def _list(self, **chosen: Any) -> list[WorkflowStatus]:
        return self._client.list_workflows(**{"load_input": False, "load_output": False, **chosen})

    def _delete(self, **chosen: Any) -> int:
        deleted = 0
        while found := [flow.workflow_id for flow in self._list(**chosen, limit=500)]:
            self._client.delete_workflows(found)
            deleted += len(found)
        return deleted
