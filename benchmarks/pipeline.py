"""Receive, de-identify, forward: this node and Orthanc with a Lua script, each in front of a DCMTK archive.

    python -m benchmarks.pipeline [--instances 400] [--associations 4] [--rounds 3] [--only node,orthanc] [--json FILE]

One CT series over several associations at once; both sides wait 1 s of quiet. Time runs from the first connection
until the archive has the last instance, and includes that second. Both start anew for each figure.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Figures, Row, number, open_figures, table
from benchmarks.ground import give_back, memory_at_hand, new_ground, place
from benchmarks.images import ct
from benchmarks.processes import cpu_seconds, end_on_sigterm, free_port, listening, running, wait_until
from benchmarks.receivers import NODELAY, ORTHANC, count, ledger, orthanc_with, rules, serving
from benchmarks.sending import blast, shares

_AT_HAND = 1000
"""MB: what is received, made of it and stored by the archive, in the cache."""
LUA = """\
function OnStableSeries(series, tags, metadata)
  if metadata['AnonymizedFrom'] then return end  -- the result becomes stable too
  local made = ParseJson(RestApiPost('/series/' .. series .. '/anonymize', '{}'))
  RestApiPost('/modalities/archive/store', DumpJson({made['ID']}))
  RestApiDelete('/series/' .. made['ID'])
  RestApiDelete('/series/' .. series)
end
"""
"""As the Orthanc Book's "Server-side scripting with Lua" does it; with RestApiPost the next line waits."""


@contextmanager
def archive(folder: Path) -> Iterator[tuple[int, Path]]:
    """DCMTK storescp as it is, but for --fork: whoever forwards over several associations may."""
    folder.mkdir()
    port = free_port()
    command = ["storescp", "--fork", "-od", str(folder), str(port)]
    with running(command, folder.with_suffix(".log"), environment=NODELAY):
        wait_until("the archive listens", lambda: listening(port))
        yield port, folder


@contextmanager
def node(folder: Path, archive_port: int) -> Iterator[tuple[int, int, Path]]:
    path = rules(folder, quiet="1s", archive=f'dicom: "ARCHIVE@127.0.0.1:{archive_port}"')
    with serving(path) as (process, port):
        yield port, process.pid, path


@contextmanager
def orthanc(folder: Path, archive_port: int) -> Iterator[tuple[int, int, Path | None]]:
    script = folder / "route.lua"
    script.write_text(LUA)
    settings = {
        "StableAge": 1,
        "LuaScripts": [str(script)],
        "DicomModalities": {"archive": ["ARCHIVE", "127.0.0.1", archive_port]},
    }
    with orthanc_with(folder, settings) as started:
        yield started.port, started.process.pid, None


GATEWAYS = {"node": node, "orthanc": orthanc}


def measure(name: str, instances: int, associations: int, folder: Path) -> Row:
    """Seconds of one series; the node's ledger must balance afterwards."""
    folder.mkdir(parents=True)
    template = ct()
    with archive(folder / "archive") as (archive_port, shelf):
        (folder / name).mkdir()
        with GATEWAYS[name](folder / name, archive_port) as (port, process, path):
            memory_at_hand(_AT_HAND)
            busy = cpu_seconds(process)
            began = time.perf_counter()
            sent = blast(port, template, shares(1, instances, associations, one_series=True), folder)
            first = _seen(shelf, 1, began)
            last = _seen(shelf, instances, began)
            busy = cpu_seconds(process) - busy
            if path is not None:
                wait_until("every delivery is in the ledger", lambda: ledger(path).get("delivered", 0) == instances)
        wait_until("whole files", lambda: count(shelf, "*", len(template.dataset) * 9 // 10) == instances)
    print(f"{name:<8} received {sent.seconds:5.2f} s, first delivered {first:5.2f} s, last {last:5.2f} s", flush=True)
    return {
        "gateway": name, "instances": instances, "associations": associations, "received": sent.seconds,
        "first": first, "last": last, "cpu_ms": busy / instances * 1e3,
    }  # fmt: skip


def _seen(shelf: Path, wanted: int, began: float) -> float:
    """When the archive has so many files, in seconds. Looking costs a listing of a folder, 100 times a second."""
    wait_until(f"{wanted} instances in the archive", lambda: sum(1 for _ in shelf.iterdir()) >= wanted, 300)
    return time.perf_counter() - began


def show(figures: Figures) -> None:
    print(f"\n{figures.about}")
    names = [name for name in GATEWAYS if name in figures.values("gateway")]
    columns = {
        "received": "received, s",
        "first": "first delivered, s",
        "last": "last delivered, s",
        "cpu_ms": "CPU, ms",
    }
    lines = [[name, *(number(figures.median(key, gateway=name), 2) for key in columns)] for name in names]
    if len(names) == 2:
        ours, theirs = ([figures.median(key, gateway=name) or 0.0 for key in columns] for name in names)
        lines.append([" : ".join(names), *(f"{a / b:.2f}" for a, b in zip(ours, theirs, strict=True))])
    row = figures.rows[0]
    title = f"{row['instances']} CT, {row['associations']} associations, {len(figures.rows) // len(names)} rounds"
    print(f"\n{table([title, *columns.values()], lines)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=400)
    parser.add_argument("--associations", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="node,orthanc" if ORTHANC else "node")
    parser.add_argument("--json", type=Path, help="keep every figure there; rounds of earlier runs count too")
    parser.add_argument("--folder", type=Path, help="a folder on the disk; default: the one for temporary files")
    parser.add_argument("--quick", action="store_true", help="a few instances: only to see that it works")
    given = parser.parse_args()
    if shutil.which("storescp") is None:
        raise SystemExit("DCMTK's storescp is the archive: install dcmtk")
    end_on_sigterm()
    folder = given.folder or Path(tempfile.gettempdir())
    figures = open_figures(given.json, folder, "quiet time 1 s on both sides, DCMTK storescp as the archive")
    with new_ground(folder, "dicom-node-pipeline-") as temporary:
        for _ in range(1 if given.quick else given.rounds):
            for name in given.only.split(","):
                here = place(temporary)
                figures.add(measure(name, 24 if given.quick else given.instances, given.associations, here))
                give_back(here)
    show(figures)


if __name__ == "__main__":
    main()
