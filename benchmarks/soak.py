"""Many senders at once, one of them killed at random every second and replaced; then everything is counted.

    python -m benchmarks.soak [--seconds 600] [--senders 64]

To hold: every instance that a sender saw acknowledged is in the spool with the same SHA-256 of its data set, the
ledger balances and counts every file, and the node has no more threads and descriptors, and little more memory, than
after a first, short load of the same kind. One sender in 64 has a route, to a folder; the series of the others belong
to none. Exit 1 when it does not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import table
from benchmarks.ground import new_ground
from benchmarks.images import ct, mr
from benchmarks.machine import disk, machine, tree
from benchmarks.processes import PATIENCE, connections, descriptors, end_on_sigterm, family, memory, threads, wait_until
from benchmarks.receivers import ledger, rows, serving
from node.dicom.part10 import read_meta

RULES = """\
node: {ae_title: NODE, listen: "127.0.0.1:0", status: off, data: ./data,
       limits: {keep_free: 1GiB, associations: 200, per_address: 200, per_sender: 200}}
complete: {series: {quiet: 2s}, study: {quiet: 2s}}
destinations: {share: {folder: ./out, accepts: deidentified}}
routes: [{name: one, when: {calling_ae: SOAK1}, steps: [anonymize, {forward: share}]}]
"""
_SPARE = 4
"""Threads or descriptors that may come and go: a timer, a connection to a peer."""
_MEMORY = 120
"""MB of all processes together over the first load: heaps of many short threads. A leak of 1 KB an instance, or of one
association's objects, is more in ten minutes."""
_POOL = 40
"""Connections to the database that the pool of the node may keep, with two files each."""


@dataclass(slots=True)
class Load:
    """The senders of one node, and their records."""

    port: int
    folder: Path
    pace: float
    """Instances a second of each."""
    killed: int = 0
    _started: int = 0
    _live: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def keep_up(self, senders: int, seconds: float, node: subprocess.Popen[str]) -> None:
        """So many for so long, one killed every second."""
        ends = time.monotonic() + seconds
        try:
            while time.monotonic() < ends:
                while len(self._live) < senders:
                    self._start()
                time.sleep(1.0)  # the load goes on meanwhile; time is what is measured here
                if node.poll() is not None:
                    raise SystemExit("the node has ended")
                victim = self._live.pop(random.randrange(len(self._live)))
                victim.kill()
                victim.wait()
                self.killed += 1
        finally:
            self._end()

    def _start(self) -> None:
        self._started += 1
        command = [sys.executable, "-m", "benchmarks.soak_sender"]
        arguments = [f"{self.port}", f"{self._started}", f"{self.folder}", f"{self.pace}"]
        with (self.folder / "senders.log").open("ab") as log:
            self._live.append(subprocess.Popen([*command, *arguments], stdout=log, stderr=log))

    def _end(self) -> None:
        for sender in self._live:
            sender.terminate()
        for sender in self._live:
            try:
                sender.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                sender.kill()
                sender.wait()
        self._live.clear()

    def records(self) -> Iterator[tuple[str, str]]:
        """(SOP Instance UID, what became of it) of every attempt that got so far."""
        for path in self.folder.glob("*.record"):
            for line in path.read_text().splitlines():
                instance, _, word = line.partition(" ")
                yield instance, word


@dataclass(frozen=True, slots=True)
class Resting:
    """What the node's processes have while nobody sends."""

    threads: int
    descriptors: Counter[str]
    """By kind, see `processes.descriptors`; without those of the database."""
    pool: int
    """Descriptors of the database: as many as connections were needed at once."""
    megabytes: float


def rest(process: int, database: Path, port: int) -> Resting:
    """Wait until every association is over and every job is done, and look."""
    with contextlib.suppress(SystemExit):  # a leak: it is counted below
        wait_until("associations are closed", lambda: connections(port) == 0)
    wait_until("jobs are done", lambda: _open(database) == 0, 300, 0.2)
    every = family(process)
    found: Counter[str] = Counter()
    for one in every:
        # Slots of the spool are open ahead, in number as they were needed.
        found.update({kind: n for kind, n in descriptors(one).items() if "/spool/incoming/" not in kind})
    pool = found.pop(str(database.parent), 0)
    return Resting(sum(map(threads, every)), found, pool, sum(memory(one, "VmRSS") for one in every))


def _open(database: Path) -> int:
    """Series, jobs and deliveries under way."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return sum(
            int(connection.execute(f"select count(*) from {table} where state in ({states})").fetchone()[0])
            for table, states in (
                ("node_unit", "'open'"), ("node_job", "'queued', 'running'"), ("node_delivery", "'waiting'"),
            )
        )  # fmt: skip


def kept(spool: Path) -> Counter[tuple[str, str]]:
    """(SOP Instance UID, SHA-256 of the data set as it is on the disk) of every file of the spool."""
    found: Counter[tuple[str, str]] = Counter()
    for path in spool.rglob("*.dcm"):
        meta = read_meta(path)
        with path.open("rb") as file:
            file.seek(meta.dataset_offset)
            found[f"{meta.sop_instance}", hashlib.file_digest(file, "sha256").hexdigest()] += 1
    return found


def soak(folder: Path, senders: int, seconds: float, rate: float) -> tuple[list[tuple[str, str]], bool]:
    """Returns lines of the report, and whether everything held."""
    records, first = folder / "senders", max(3.0, min(20.0, seconds / 4))
    records.mkdir()
    for template in (mr(32), mr(64), mr(128), ct()):
        template.save(records / f"{template.name}.template")
    path = folder / "rules.yaml"
    path.write_text(RULES)
    database, spool = folder / "data" / "node.db", folder / "data" / "spool"
    with serving(path) as (process, port):
        load = Load(port, records, rate / senders)
        load.keep_up(senders, first, process)
        before = rest(process.pid, database, port)
        load.keep_up(senders, seconds, process)
        after = rest(process.pid, database, port)
        words = list(load.records())
        acknowledged = [(instance, word) for instance, word in words if len(word) == 64]
        wait_until("everything is indexed", lambda: rows(database) >= len(acknowledged))
        there = kept(spool)
        counted = ledger(path)
    log = (records / "senders.log").read_text()
    lost = [instance for instance, word in acknowledged if (instance, word) not in there]
    other = Counter(word.partition(" ")[0] for _, word in words if len(word) != 64)
    files = there.total()
    held = (
        not lost and counted["acknowledged"] == files and after.threads <= before.threads + _SPARE
        and after.descriptors.total() <= before.descriptors.total() + _SPARE and after.pool <= 2 * _POOL and not log
        and after.megabytes <= before.megabytes + _MEMORY
        and not other["broken"]  # else so many were not at once
    )  # fmt: skip
    lines = [
        ("senders at once, killed", f"{senders}, {load.killed}"),
        (
            "acknowledged to a sender",
            f"{len(acknowledged)}, {len(acknowledged) / (seconds + first):.0f}/s",
        ),
        ("acknowledged and lost", f"{len(lost)}"),
        ("refused; connections broken", f"{other['refused']}; {other['broken']}"),
        ("files in the spool", f"{files}"),
        ("ledger", f"balances; acknowledged {counted['acknowledged']}, " + _states(counted)),
        ("threads, after a short load; at the end", f"{before.threads}; {after.threads}"),
        ("descriptors", f"{before.descriptors.total()}; {after.descriptors.total()}"),
        (
            "more descriptors of",
            ", ".join(f"{k} {n}" for k, n in (after.descriptors - before.descriptors).items()) or "none",
        ),
        ("descriptors of the database", f"{before.pool}; {after.pool}"),
        ("memory, MB", f"{before.megabytes:.0f}; {after.megabytes:.0f}"),
    ]
    if log:
        lines.append(("a sender said", log.strip().splitlines()[-1]))
    return lines, held


def _states(counted: dict[str, int]) -> str:
    return ", ".join(f"{k} {n}" for k, n in counted.items() if n and k not in ("acknowledged", "balanced"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seconds", type=float, default=600.0, help="of the second load; the first is a quarter, at most 20 s"
    )
    parser.add_argument("--senders", type=int, default=64)
    parser.add_argument("--rate", type=float, default=300.0, help="most instances a second, all together: 6 MB/s")
    parser.add_argument("--folder", type=Path, help="a folder on the disk; default: the one for temporary files")
    parser.add_argument("--quick", action="store_true", help="8 senders for 4 s: only to see that it works")
    given = parser.parse_args()
    end_on_sigterm()
    folder = given.folder or Path(tempfile.gettempdir())
    print(f"{machine()}, {disk(folder)}; dicom-node {tree()}")
    senders, seconds = (8, 4.0) if given.quick else (given.senders, given.seconds)
    with new_ground(folder, "dicom-node-soak-") as temporary:
        lines, held = soak(temporary, senders, seconds, given.rate)
    print(f"\n{table([f'{seconds:.0f} s', 'figures'], lines)}\n\n{'held' if held else 'NOT HELD'}")
    raise SystemExit(0 if held else 1)


if __name__ == "__main__":
    main()
