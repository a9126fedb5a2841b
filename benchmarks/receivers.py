"""The storage SCPs that are compared, each as it ships: how one is started, and what it has kept.

Ours and Orthanc sync before they answer and keep an index; stock pynetdicom and DCMTK storescp do neither.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.processes import free_port, line_of, listening, running, wait_until

# pynetdicom puts scripts with the names of DCMTK's programs into its virtual environment: an activated one would be
# measured instead.
os.environ["PATH"] = os.pathsep.join(
    folder for folder in os.environ.get("PATH", "").split(os.pathsep) if not Path(folder, "qrscp").exists()
)

ORTHANC = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
NODELAY = {"TCP_NODELAY": "1"}
"""DCMTK waits 40 ms for an acknowledgement now and then without it."""

RULES = """\
node: {{ae_title: NODE, listen: "127.0.0.1:0", status: "127.0.0.1:{status}", data: ./data, receivers: {receivers},
  limits: {{{limits}}}}}
complete: {{series: {{quiet: {quiet}}}, study: {{quiet: {quiet}}}}}
destinations: {{archive: {{{archive}, accepts: deidentified}}}}
routes: [{{name: all, when: always, steps: [anonymize, {{forward: archive}}]}}]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A receiver that listens."""

    port: int
    process: subprocess.Popen[str]
    files: Callable[[], int]
    """Whole instances on its disk."""
    indexed: Callable[[], int | None] = lambda: None
    """Instances in its index, where it has one that can be asked at once."""
    facts: Callable[[], str] = lambda: ""
    """What it says of itself afterwards; raises SystemExit where that is not right."""


@dataclass(frozen=True, slots=True)
class Receiver:
    name: str
    start: Callable[[Path, int], Iterator[Running]]
    """(folder, associations) -> a context; the number says only how many will come at once."""
    installed: bool = True

    @contextmanager
    def running(self, folder: Path, associations: int) -> Iterator[Running]:
        folder.mkdir(parents=True)
        yield from self.start(folder, associations)


def count(folder: Path, pattern: str, at_least: int = 1000) -> int:
    """Files that are longer than an empty one would be."""
    return sum(1 for path in folder.rglob(pattern) if path.is_file() and path.stat().st_size >= at_least)


# ---- this node ------------------------------------------------------------------------------------------


def rules(
    folder: Path, *, quiet: str = "10m", archive: str = "folder: ./out", limits: str = "keep_free: 1GiB",
    receivers: str = "auto",
) -> Path:  # fmt: skip
    """A rules.yaml with one route."""
    path = folder / "rules.yaml"
    path.write_text(RULES.format(status=free_port(), quiet=quiet, archive=archive, limits=limits, receivers=receivers))
    return path


@contextmanager
def serving(path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`dicom-node serve` of this tree, and its port."""
    log = path.with_suffix(".log")
    with running([sys.executable, "-m", "node", "serve", "--config", str(path)], log) as process:
        # A large database of an older schema is brought forward first.
        found = re.search(r"on 127\.0\.0\.1:(\d+),", line_of(process, log, 600))
        if found is None:
            raise SystemExit(f"the node is not ready:\n{log.read_text()[-2000:]}")
        yield process, int(found[1])


def ledger(path: Path) -> dict[str, int]:
    """`dicom-node ledger --json`. Ends the program when it does not balance."""
    command = [sys.executable, "-m", "node", "ledger", "--json", "--config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the ledger does not balance: {done.stdout}{done.stderr}")
    found: dict[str, int] = json.loads(done.stdout)
    return found


def rows(database: Path) -> int:
    """Receipts in the node's index."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30) as connection:
        return int(connection.execute("select count(*) from node_receipt").fetchone()[0])


def node(folder: Path, associations: int, receivers: str = "auto") -> Iterator[Running]:
    path = rules(folder, receivers=receivers)
    with serving(path) as (process, port):
        yield Running(
            port=port, process=process, files=lambda: count(folder / "data" / "spool", "*.dcm"),
            indexed=lambda: rows(folder / "data" / "node.db"),
            facts=lambda: f"ledger balances, {ledger(path)['acknowledged']} acknowledged",
        )  # fmt: skip


# ---- others ---------------------------------------------------------------------------------------------


def scripted(folder: Path, associations: int, name: str) -> Iterator[Running]:
    """One of the programs beside this one."""
    kept, log = folder / "kept", folder / "log"
    kept.mkdir()
    script = Path(__file__).with_name(name)
    with running([sys.executable, str(script), str(kept)], log) as process:
        port = int(line_of(process, log).split()[-1])
        yield Running(port=port, process=process, files=lambda: count(kept, "*"))


def storescp(folder: Path, associations: int, options: Sequence[str] = ()) -> Iterator[Running]:
    """As it is for one association; with --fork for several, because it serves one after the other without."""
    kept, port = folder / "kept", free_port()
    kept.mkdir()
    fork = ["--fork"] if associations > 1 else []
    command = ["storescp", *fork, *options, "-od", str(kept), str(port)]
    with running(command, folder / "log", environment=NODELAY) as process:
        wait_until("storescp listens", lambda: listening(port))
        yield Running(port=port, process=process, files=lambda: count(kept, "*"))


def storescp_bit_preserving(folder: Path, associations: int) -> Iterator[Running]:
    return storescp(folder, associations, ["+B"])


def orthanc(folder: Path, associations: int) -> Iterator[Running]:
    """Its own defaults: StorageArea synced, SQLite, four threads for DICOM."""
    with orthanc_with(folder, {}) as running:
        yield running


@contextmanager
def orthanc_with(folder: Path, settings: dict[str, object]) -> Iterator[Running]:
    """Orthanc with these settings beside its defaults."""
    dicom, http = free_port(), free_port()
    kept = folder / "StorageArea"
    config = {
        "StorageDirectory": str(kept), "IndexDirectory": str(folder / "index"), "DicomAet": "NODE",
        "DicomPort": dicom, "HttpPort": http, "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        **settings,
    }  # fmt: skip
    path = folder / "orthanc.json"
    path.write_text(json.dumps(config))
    assert ORTHANC is not None
    # Plugins of the distribution (DICOMweb and others) listen and index too; the plain server is compared.
    with running([ORTHANC, str(path)], folder / "log", environment=NODELAY) as process:
        wait_until("Orthanc listens", lambda: listening(dicom) and listening(http))
        yield Running(port=dicom, process=process, files=lambda: count(kept, "*"))


RECEIVERS = {
    "node": Receiver("node", node),
    "node-1": Receiver("node-1", partial(node, receivers="1")),
    "orthanc": Receiver("orthanc", orthanc, ORTHANC is not None),
    "pynetdicom": Receiver("pynetdicom", partial(scripted, name="pynetdicom_scp.py")),
    "storescp": Receiver("storescp", storescp, shutil.which("storescp") is not None),
    "storescp+B": Receiver("storescp+B", storescp_bit_preserving, shutil.which("storescp") is not None),
    "least": Receiver("least", partial(scripted, name="least.py")),
}
