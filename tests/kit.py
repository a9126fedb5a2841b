"""A node's durable parts for tests, put together without sockets and threads: database, spool, outbox.

    kit.index(*make.ct_series(3))              three instances in the spool, with their rows
    kit.close()                                their units are quiet: complete them, make the jobs
    kit.run(job); kit.deliver(delivery)        what the engine would do, in this thread

Everything is real: files, rows, rules.yaml text, worker processes. Time passes by `kit.age`, which moves what
the rows say back, so that no test waits for a quiet time.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydicom.dataset import Dataset

from node.acts import Acts
from node.collect.collector import Collector
from node.collect.duplicates import Duplicates
from node.config import Config, Destination, load_text
from node.crosswalk import Crosswalk
from node.deliver.base import Target
from node.deliver.courier import Courier
from node.deliver.targets import open_target
from node.dicom.header import pack, read_header
from node.dicom.identity import identify
from node.engine.engine import Engine
from node.engine.runs import Outcome
from node.index import Database, connect, jobs
from node.index.intake import Counted, Intake
from node.index.ledger import Ledger, instance_states
from node.index.schema import delivery, job, meta, metadata, obligation, parcel, receipt, unit
from node.index.versions import prepare
from node.model import UID, Arrival, Disclosure, Kind, Origin, ReceiptId, State, Step
from node.moment import new_receipt, process_name, utc_now
from node.outbox import Delivery, Goods, Outbox, Waiting, delivery_id
from node.pool import Pool
from node.report.health import take_ledger
from node.run.certify import Certifier
from node.run.runner import Runner
from node.run.supply import supply_of
from node.secret import Keys
from node.spool import Files, Presence, Spool
from node.steps import STEPS
from tests import make

QUIET = 60.0
"""Seconds: quiet time of a series; at_most is 4 h."""

RULES = """
node: {{ae_title: NODE, data: {data}}}
complete: {{series: {{quiet: 60s}}, study: {{quiet: 60s}}}}
"""

SECRET = b"a secret of the tests, no one else's"


class Kit:
    """One data folder and one database. `rules` may be changed at any time, like rules.yaml."""

    def __init__(self, store: Store, data: Path, pool: Pool | None = None) -> None:
        """`store` may outlive the kit; `data` is its own."""
        self.store, self.data, self._pool = store, data, pool
        self.database: Database = store.database
        self.spool = Spool(data / "spool", "kit", files=Files(), clock=utc_now, ids=new_receipt)
        self.presence = Presence(data / "run", "kit")
        self.outbox = Outbox(data / "outbox", self.database, Files())
        self.steps: Mapping[str, type[Step]] = STEPS
        self.config = self.load("")
        self.reached: list[str] = []
        self.reach: Callable[[str], None] = self.reached.append

    @property
    def engine(self) -> Engine:
        """A client: takes jobs and deliveries, and runs none."""
        return self.store.engine

    @property
    def pool(self) -> Pool:
        assert self._pool is not None, "this test needs workers: take the fixture `working`"
        return self._pool

    def end(self) -> None:
        self.presence.close()
        self.spool.close()

    # ---- rules ----------------------------------------------------------------------------------------

    def load(self, text: str) -> Config:
        """`text` below the usual `node` and `complete`; it may give its own."""
        keys = re.findall(r"^(\w+):", text, re.MULTILINE)
        usual = RULES.format(data=self.data).strip().splitlines()
        kept = [line for line in usual if line.partition(":")[0] not in keys]
        return load_text("\n".join([*kept, text]), self.steps, folder=self.data)

    def rules(self, text: str) -> None:
        self.config = self.load(text)

    # ---- instances ------------------------------------------------------------------------------------

    def arrival(
        self, ds: Dataset, *, calling: str = "CT1", called: str = "NODE", sender: str = "127.0.0.1", held: str = ""
    ) -> Arrival:
        """Keep an instance in the spool, as receive does."""
        origin = Origin(calling_ae=calling, called_ae=called, sender=sender)
        data, syntax = encoded(ds)
        header = read_header(data, syntax).header
        identity = identify(header, UID(syntax))
        incoming = self.spool.begin(identity, origin)
        incoming.write(data)
        kept = incoming.keep()
        self.spool.show([(kept.slot, kept.path)])
        return Arrival(
            receipt=kept.receipt, path=self.spool.relative(kept.path), size=kept.size, sha256=kept.sha256,
            received=kept.received, origin=origin, identity=identity, header=pack(header), held=held,
        )  # fmt: skip

    def record(self, *arrivals: Arrival) -> Counted:
        return Intake(self.database, lambda: self.config.kinds).record(arrivals)

    def index(self, *instances: Dataset, **how: str) -> list[ReceiptId]:
        """Keep and index instances, as one group. Returns their receipts, in order."""
        arrivals = [self.arrival(ds, **how) for ds in instances]
        self.record(*arrivals)
        return [arrival.receipt for arrival in arrivals]

    def age(self, seconds: float) -> None:
        """As if everything that is open had come so much earlier."""
        with self.database.derived.begin() as connection:
            connection.execute(
                sa.update(unit).values(first_at=unit.c.first_at - seconds, last_at=unit.c.last_at - seconds)
            )

    # ---- the loops of a node, one round each ----------------------------------------------------------

    def collector(self, judge: Callable[[], int] = lambda: 0) -> Collector:
        return Collector(
            database=self.database, presence=self.presence, engine=self.engine, config=lambda: self.config,
            judge_duplicates=judge, reach=self.reach,
        )  # fmt: skip

    def duplicates(self) -> Duplicates:
        return Duplicates(
            database=self.database, spool=self.spool, pool=self.pool, config=lambda: self.config,
            kinds=lambda: self.config.kinds,
        )  # fmt: skip

    def close(self, seconds: float = QUIET + 1) -> list[str]:
        """Let the quiet time pass and complete what is open. Returns the jobs that this made."""
        before = set(self.jobs())
        self.age(seconds)
        self.collector().once()
        return [key for key in self.jobs() if key not in before]

    def runner(self) -> Runner:
        return Runner(
            database=self.database, spool=self.spool, outbox=self.outbox, engine=self.engine,
            work=self.data / "work", pool=self.pool, supply=supply_of(self.crosswalk()), steps=self.steps,
            takes=lambda name: self.config.takes(name),
            concurrent=lambda name: self.config.destinations[name].concurrent, reach=self.reach,
            certifier=Certifier(database=self.database, pool=self.pool, secret=lambda: SECRET, process="kit"),
            charset=lambda origin: self.config.charset_of(origin),
        )  # fmt: skip

    def crosswalk(self) -> Crosswalk:
        made = Crosswalk(url=self.store.url, data=self.data, keys=Keys(SECRET))
        made.prepare()
        return made

    def run(self, job_id: str) -> Outcome:
        """The steps of a job one after the other, until one says that it does not go on."""
        outcome = Outcome("done")
        for number in range(self.plan_length(job_id)):
            outcome = self.runner().step(job_id, number)
            if outcome.verdict != "done":
                break
        return outcome

    def goods(self, name: str, *receipts: str, content: str = "", **how: Any) -> Goods:
        """A file as a step leaves it, made from these receipts; its UID is its name."""
        path = self.data / "made" / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)  # not over what the outbox has a link to
        path.write_text(content or name)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        usual: dict[str, Any] = {"kind": Kind.DICOM, "sop_instance": name, "fields": {}, **how}
        return Goods(path=path, content=digest, sources=tuple(ReceiptId(r) for r in receipts), **usual)

    def put(
        self, job_id: str, destination: str, *goods: Goods, step: int = 0, last: bool = True,
        disclosure: Disclosure = Disclosure.IDENTIFIED,
    ) -> str:  # fmt: skip
        """Hand files over as a forward step does, the engine aside. Returns the delivery."""

        def also(connection: sa.Connection, sent: set[ReceiptId], tries: int | None) -> None:
            if last:
                jobs.hand_over(connection, job_id, destination, sent)

        self.outbox.put(job_id, destination, goods, disclosure, step=step, also=also)
        return delivery_id(job_id, destination)

    def read(self, key: str) -> tuple[Delivery, list[Waiting]]:
        found = self.outbox.read(key)
        assert found is not None
        return found

    def courier(self, open: Callable[[Delivery, Destination, Collection[str]], Target] | None = None) -> Courier:
        def by_rules(one: Delivery, destination: Destination, taken: Collection[str]) -> Target:
            return open_target(one.destination, destination, "NODE", self.database, one.owner, taken)

        return Courier(
            database=self.database, outbox=self.outbox, destinations=lambda: self.config.destinations,
            open=open or by_rules, stop=lambda: False, reach=self.reach,
        )  # fmt: skip

    def acts(self) -> Acts:
        return Acts(
            database=self.database, engine=self.engine, kinds=self.config.kinds,
            concurrent=lambda name: d.concurrent if (d := self.config.destinations.get(name)) else None,
        )  # fmt: skip

    # ---- what the rows say ----------------------------------------------------------------------------

    def rows(self, table: sa.Table, *where: sa.ColumnElement[bool]) -> list[Any]:
        """Rows in order of their primary key."""
        with self.database.reader.connect() as connection:
            return list(connection.execute(sa.select(table).where(*where).order_by(*table.primary_key)).mappings())

    def write(self, statement: sa.Executable) -> None:
        """Change rows behind the node's back."""
        with self.database.durable.begin() as connection:
            connection.execute(statement)

    def receipts(self) -> dict[str, str]:
        """receipt -> state of its row."""
        return {row["id"]: row["state"] for row in self.rows(receipt)}

    def jobs(self) -> dict[str, str]:
        return {row["id"]: row["state"] for row in self.rows(job)}

    def deliveries(self) -> dict[str, str]:
        return {row["id"]: row["state"] for row in self.rows(delivery)}

    def parcels(self, key: str) -> list[str]:
        """States, in order of number."""
        return [row["state"] for row in self.rows(parcel, parcel.c.delivery == key)]

    def owed(self, job_id: str, target: str | None = None) -> dict[str, str]:
        """receipt -> state of what a job owes for it; to one target, when it has several."""
        chosen = [obligation.c.job == job_id, *([obligation.c.target == target] if target else [])]
        return {row["receipt"]: row["state"] for row in self.rows(obligation, *chosen)}

    def reasons(self, job_id: str) -> set[str]:
        return {row["reason"] for row in self.rows(obligation, obligation.c.job == job_id)} - {""}

    def plan_length(self, job_id: str) -> int:
        (row,) = self.rows(job, job.c.id == job_id)
        return len(json.loads(row["plan"])["steps"])

    def ledger(self) -> Ledger:
        with self.database.reader.connect() as connection:
            return take_ledger(connection, self.spool, self.config.routed, patience=0)

    def balance(self) -> dict[str, int]:
        """States that have instances; fails when the ledger does not balance."""
        found = self.ledger()
        assert found.balanced, found
        return {state.value: n for state, n in found.states.items() if n}

    def state_of(self, receipt_id: str) -> State | None:
        with self.database.reader.connect() as connection:
            return dict(instance_states(connection, self.config.routed))[ReceiptId(receipt_id)]


class Store:
    """A database with every table in it, and a client of the engine. Emptied between tests: to make a new one for
    each would take most of their time."""

    def __init__(self, url: str, data: Path) -> None:
        """`data` holds the file for `sqlite`."""
        self.url = url
        self.database: Database = connect(url, data)
        prepare(self.database.durable, data)
        self.engine = Engine(self.database.derived, data, process_name())

    def empty(self) -> None:
        self.engine.clear()
        with self.database.derived.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(sa.delete(table).where(table.c.key != "schema" if table is meta else sa.true()))

    def close(self) -> None:
        self.engine.stop(0)
        self.database.close()


@contextmanager
def opened(store: Store, data: Path, pool: Pool | None = None) -> Iterator[Kit]:
    store.empty()
    kit = Kit(store, data, pool)
    try:
        yield kit
    finally:
        kit.end()


def encoded(ds: Dataset) -> tuple[bytes, str]:
    """(data set as it goes over the wire, transfer syntax)"""
    buffer = BytesIO()
    syntax = str(ds.file_meta.TransferSyntaxUID)
    Dataset(ds).save_as(
        buffer, implicit_vr=syntax == "1.2.840.10008.1.2", little_endian=syntax != "1.2.840.10008.1.2.2",
        enforce_file_format=False,
    )  # fmt: skip
    return buffer.getvalue(), syntax


def changed(ds: Dataset, **values: object) -> Dataset:
    """The same SOP Instance UID with other content."""
    other = make.instance()  # for its type: a copy of a FileDataset keeps a lock
    other.update(ds)
    other.file_meta = ds.file_meta
    for keyword, value in values.items():
        setattr(other, keyword, value)
    return other


def series(count: int = 3, **how: Any) -> Sequence[Dataset]:
    return make.ct_series(count, **how)
