"""A driver for whole nodes: write rules, start a node, wait until the ledger says so, stop or lose the node.

A `Site` is the place. `site.running()` is a node in this process, `site.process(kill=(point, n))` one in a process
of its own, `site.settled(n)` waits until the ledger accounts for n instances.
"""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

import sqlalchemy as sa
import yaml

from node.cli.opened import Opened, opened
from node.dicom.part10 import read_meta
from node.errors import CannotSucceed
from node.index.ledger import Ledger
from node.index.overview import overview
from node.index.story import story
from node.lifecycle import Service
from node.model import State
from node.report.health import take_ledger
from node.service import build
from tests.conftest import FULL
from tests.flow import killable
from tests.peers import Gone, Instance, Rejected, Sender

PATIENCE = 30.0
"""Seconds after which a test gives up waiting."""

HEAD: dict[str, dict[str, Any]] = {
    "node": {
        "ae_title": ["NODE", "RESEARCH"], "listen": "127.0.0.1:0", "data": "./data", "status": "off", "workers": 1,
        "limits": {"keep_free": "1MiB"},
        # Two more processes for each node: the long run pays for them, the short one where it is about them.
        **({} if FULL else {"receivers": 1}),
    },
    "complete": {"series": {"quiet": "500ms"}, "study": {"quiet": "500ms"}, "at_most": "1h"},
}  # fmt: skip
"""What every story's rules begin with."""

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.flow.killable"])


@dataclass(slots=True)
class Site:
    """A folder with rules.yaml and data, where nodes run one after the other or together."""

    folder: Path
    database: str
    _open: ExitStack = field(default_factory=ExitStack)
    _opened: Opened | None = None
    _started: int = 0

    def __enter__(self) -> Site:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def path(self) -> Path:
        return self.folder / "rules.yaml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def rules(self, body: str, *, node: str = "", **values: object) -> Path:
        """Write rules.yaml: the common head, what `node` (YAML) says otherwise, and `body` with its $values."""
        content: dict[str, Any] = {key: dict(value) for key, value in HEAD.items()}
        # pgserver names an empty password, and rules.yaml takes none.
        content["node"] |= {"database": self.database.replace(":@", "@")} | (yaml.safe_load(node) or {})
        content |= yaml.safe_load(Template(body).substitute(values))
        hidden = self.path.with_suffix(".part")
        hidden.write_text(yaml.safe_dump(content, sort_keys=False))
        hidden.rename(self.path)
        return self.path

    # ---- nodes ----------------------------------------------------------------------------------------

    @contextmanager
    def running(self, **how: Any) -> Iterator[Running]:
        """A node in this process; `how` goes to `service.build`."""
        service = build(self.path, **how)
        try:
            service.start()
            yield Running(service)
        finally:
            service.stop()

    @contextmanager
    def process(self, *, kill: tuple[str, int] | None = None) -> Iterator[Process]:
        """A node in a process of its own, ready to receive, that dies at the n-th time of a point (name, n).

        A node that still runs at the end of the block is stopped with SIGTERM, and must end with 0.
        """
        self._started += 1
        one = Process(self, self.folder / f"{self._started}", kill)
        try:
            one.wait_until_ready()
            yield one
            if one.lives:
                code = one.terminate()
                assert code == 0, f"exit {code} of SIGTERM:\n{one.log.read_text()[-4000:]}"
        finally:
            one.end()

    # ---- looking --------------------------------------------------------------------------------------

    @property
    def opened(self) -> Opened:
        """The database and the spool, seen from outside; opened once, so only after a node has started."""
        if self._opened is None:
            self._opened = self._open.enter_context(opened(self.path))
        return self._opened

    def ledger(self) -> Ledger:
        with self.opened.database.reader.connect() as connection:
            return take_ledger(connection, self.opened.spool, self.opened.config.routed)

    def counts(self) -> dict[str, int]:
        """Instances by their worst state, states without any left out."""
        return {state.value: n for state, n in self.ledger().states.items() if n}

    def story(self, uid: str) -> dict[str, Any]:
        with self.opened.database.reader.connect() as connection:
            found = story(connection, uid, self.opened.config.routed)
        assert found is not None, f"{uid} was never received"
        return found

    def held(self) -> list[dict[str, Any]]:
        with self.opened.database.reader.connect() as connection:
            return list(overview(connection, self.opened.config.routed)["held"])

    def rows(self, query: str) -> list[Any]:
        with self.opened.database.reader.connect() as connection:
            return list(connection.execute(sa.text(query)).all())

    def safe(self) -> set[str]:
        """Receipts of what is on the disk as a whole, shown or not yet: what a node that starts will find."""
        spool, found = self.data / "spool", set()
        for path in [*spool.rglob("*.dcm"), *spool.rglob("*.part")]:
            with suppress(CannotSucceed):
                meta = read_meta(path)
                data = path.read_bytes()[meta.dataset_offset :]
                if meta.provenance is not None and meta.provenance.sha256 == hashlib.sha256(data).hexdigest():
                    found.add(str(meta.provenance.receipt))
        return found

    def spooled(self) -> dict[str, bytes]:
        """Receipt -> bytes of the data set, of every instance in the spool. A duplicate may go meanwhile: what came
        twice is stored once."""
        for _ in range(100):
            with contextlib.suppress(FileNotFoundError):
                return self._spooled()
        raise AssertionError("instances leave the spool without end")

    def _spooled(self) -> dict[str, bytes]:
        return {path.stem: path.read_bytes()[read_meta(path).dataset_offset :] for path in self.opened.spool.kept()}

    def wait(self, what: Callable[[], object], *, deadline: float = PATIENCE, why: str = "") -> None:
        """Return when `what` says True."""
        wait_until(what, deadline=deadline, why=lambda: f"{why or 'it did not come to that'}: {self.ledger()}")

    def settled(self, acknowledged: int, *, deadline: float = PATIENCE) -> dict[str, int]:
        """Wait until so many instances are acknowledged and none is on its way; the ledger must balance.

        Returns instances by state.
        """
        seen: list[Ledger] = []

        def over() -> bool:
            seen[:] = [self.ledger()]
            moving = seen[0].states[State.IN_JOB] + seen[0].states[State.WAITING] + seen[0].unindexed
            return seen[0].acknowledged >= acknowledged and not moving

        self.wait(over, deadline=deadline, why=f"{acknowledged} instances are not settled")
        assert seen[0].balanced, seen[0]
        assert seen[0].acknowledged == acknowledged, seen[0]
        return {state.value: n for state, n in seen[0].states.items() if n}


@dataclass(frozen=True, slots=True)
class Running:
    """A node in this process."""

    service: Service

    @property
    def port(self) -> int:
        return self.service.listening[0][1]


class Process:
    """A node in a process of its own."""

    def __init__(self, site: Site, files: Path, kill: tuple[str, int] | None) -> None:
        self._site = site
        self._notes, self.log = files.with_suffix(".points"), files.with_suffix(".log")
        self.port = 0
        self._ready, theirs = _processes.Pipe(duplex=False)
        self._process = _processes.Process(
            target=killable.run, args=(site.path, self._notes, self.log, kill, theirs), daemon=True
        )
        self._process.start()
        theirs.close()

    def wait_until_ready(self) -> None:
        assert self._ready.poll(PATIENCE), "the node is not ready"
        try:
            self.port = self._ready.recv()
        except EOFError:
            raise AssertionError(f"the node ended at its start:\n{self.log.read_text()}") from None

    @property
    def lives(self) -> bool:
        return self._process.is_alive()

    def points(self) -> list[str]:
        """Every named point that the process reached, in order."""
        return self._notes.read_text().splitlines() if self._notes.exists() else []

    def wait_for_death(self) -> None:
        self._process.join(PATIENCE)
        assert self._process.exitcode == -9, f"exit {self._process.exitcode}; reached {self.points()}"

    def kill(self) -> None:
        """SIGKILL, now."""
        self._process.kill()
        self._process.join(PATIENCE)

    def terminate(self) -> int | None:
        """SIGTERM; returns the exit code."""
        self._process.terminate()
        self._process.join(PATIENCE)
        return self._process.exitcode

    def end(self) -> None:
        self._process.kill()
        self._process.join(PATIENCE)
        self._process.close()
        self._ready.close()


def wait_until(what: Callable[[], object], *, deadline: float = PATIENCE, why: Callable[[], str] = str) -> None:
    """Return when `what` says True; fails with `why` after `deadline` seconds.

    Looks 20 times a second, or less often where looking takes long: what it waits for needs the processor too.
    """
    end = time.monotonic() + deadline
    while True:
        begun = time.monotonic()
        if what():
            return
        now = time.monotonic()
        assert now < end, why()
        time.sleep(max(0.05, min(4 * (now - begun), 0.25)))


def send_until_cut(port: int, instances: list[Instance], *, called_ae: str = "NODE") -> list[Instance]:
    """Send each over one association until the node goes away, or takes none because it is about to; returns those that
    were acknowledged."""
    acknowledged = []
    contexts = [(sop, [syntax]) for sop, syntax in dict.fromkeys((i.sop_class, i.transfer_syntax) for i in instances)]
    with suppress(Gone, Rejected, OSError), Sender(port, contexts, called_ae=called_ae) as sender:
        for instance in instances:
            if sender.store(instance) == 0x0000:
                acknowledged.append(instance)
    return acknowledged
