"""Memory of the node's processes: when they are ready, after 20,000 instances, and while one of 2 GB arrives.

    python -m benchmarks.memory [--instances 20000] [--megabytes 2048]

Looked at are `serve` and everything below it: its workers, and the receiver processes that take busy associations.
To hold: no process is more than 40 MB (10^6 bytes) above what it had when it was ready.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import number, table
from benchmarks.ground import new_ground
from benchmarks.images import mr, multiframe
from benchmarks.machine import disk, machine, tree
from benchmarks.processes import end_on_sigterm, family, forget_peak, memory, title, wait_until
from benchmarks.receivers import count, ledger, rows, rules, serving
from benchmarks.sending import blast, shares
from benchmarks.wire import Association, store_large

_ALLOWED = 40.0
_FRAME = 512 * 512 * 2
_COLUMNS = ("ready", "after {instances}", "peak until then", "after {large} MB", "peak while it came")
_WARM, _TOGETHER = 100, 4
"""Instances after which everything that is imported late has been; associations at once."""
_STARTS_WITHIN = 3.0
"""Seconds after which no further receiver process is expected."""
_SHOWN_WITHIN = 300.0
"""Seconds from the last answer until the last file is shown and its row is written."""

Seen = dict[int, list[float | None]]
"""Process -> MB in the order of _COLUMNS; None where it was not there yet."""


def large(port: int, megabytes: int) -> int:
    """Send one instance of so many MB (2^20) of zeros; the sender holds one piece of it. Returns bytes sent."""
    sop_class, instance, head, size = multiframe(max(1, megabytes * (1 << 20) // _FRAME))

    def pieces() -> Iterator[bytes]:
        yield head
        frame = bytes(_FRAME)
        for _ in range(size // _FRAME):
            yield frame

    with Association(port, sop_class, timeout=600) as association:
        status = store_large(association, sop_class, instance, pieces())
    if status != 0x0000:
        raise SystemExit(f"the large instance got the status {status:#06x}")
    return len(head) + size


def look(process: int, seen: Seen, position: int, *, peak: bool) -> None:
    """What every process has now, and the most since it was last asked."""
    for one in family(process):
        line = seen.setdefault(one, [None] * len(_COLUMNS))
        line[position] = memory(one, "VmRSS")
        if peak:
            line[position + 1] = memory(one, "VmHWM")
        forget_peak(one)


def receivers(process: int) -> list[int]:
    return [one for one in family(process) if "node.receive.process" in title(one)]


def warm(process: int, port: int, folder: Path) -> int:
    """Keep the node busy until it has started all the receiver processes that it may have; they are ready then.
    Returns instances sent. (A node with one processor has none.)"""
    template, sent, before, marks = mr(128), 0, -1, folder / "data" / "run"

    def ready() -> bool:
        """Its mark is the last thing that a process makes before it is ready; the node has one too."""
        return len(list(marks.glob("*.mark"))) > len(receivers(process))

    while len(receivers(process)) > before:
        before = len(receivers(process))
        blast(port, template, shares(2 + sent, _WARM, _TOGETHER), folder)
        sent += _WARM
        deadline = time.monotonic() + _STARTS_WITHIN
        while len(receivers(process)) == before and time.monotonic() < deadline:
            time.sleep(0.05)
        wait_until("receiver processes are ready", ready)
    return sent


def measure(folder: Path, instances: int, megabytes: int) -> tuple[dict[int, str], Seen]:
    seen: Seen = {}
    path = rules(folder)
    with serving(path) as (process, port):
        look(process.pid, seen, 0, peak=False)
        before = warm(process.pid, port, folder)
        for one in receivers(process.pid):
            seen[one] = [memory(one, "VmRSS"), *[None] * (len(_COLUMNS) - 1)]
        now, many = memory(process.pid, "VmRSS"), len(receivers(process.pid))
        print(f"ready {seen[process.pid][0]:.0f} MB, after {before} instances {now:.0f} MB, {many} receiver processes",
              flush=True)  # fmt: skip
        template = mr(128)
        sent = blast(port, template, shares(1, instances, _TOGETHER), folder)
        settle(folder, before + instances)
        look(process.pid, seen, 1, peak=True)
        print(f"{instances} instances of {len(template.dataset)} bytes in {sent.seconds:.0f} s", flush=True)
        size = large(port, megabytes)
        settle(folder, before + instances + 1)
        look(process.pid, seen, 3, peak=True)
        if count(folder / "data" / "spool", "*.dcm", size) != 1:
            raise SystemExit("the large instance is not in the spool as a whole")
        if ledger(path)["acknowledged"] != before + instances + 1:
            raise SystemExit("the ledger does not have everything that was acknowledged")
        names = {one: title(one) for one in family(process.pid)}
    return names, seen


def settle(folder: Path, wanted: int) -> None:
    """Until so many instances are shown and have their rows: both happen in groups, after the answers.

    Ends the program when there are fewer for too long, or more.
    """
    spool, database = folder / "data" / "spool", folder / "data" / "node.db"
    wait_until("everything that was acknowledged is indexed", lambda: rows(database) >= wanted, _SHOWN_WITHIN, 0.2)
    wait_until("and in the spool", lambda: count(spool, "*.dcm") >= wanted, _SHOWN_WITHIN, 0.5)
    if (rows(database), count(spool, "*.dcm")) != (wanted, wanted):
        raise SystemExit("there is more in the spool, or in the index, than was acknowledged")


def growth(line: list[float | None]) -> float:
    """MB above the first figure of a process."""
    figures = [value for value in line if value is not None]
    return max(figures) - figures[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=20_000, help="MR 128x128, over four associations")
    parser.add_argument("--megabytes", type=int, default=2048, help="of the large instance")
    parser.add_argument("--folder", type=Path, help="a folder on the disk; default: the one for temporary files")
    parser.add_argument("--quick", action="store_true", help="200 instances and 32 MB: only to see that it works")
    given = parser.parse_args()
    end_on_sigterm()
    folder = given.folder or Path(tempfile.gettempdir())
    print(f"{machine()}, {disk(folder)}; dicom-node {tree()}")
    instances, megabytes = (200, 32) if given.quick else (given.instances, given.megabytes)
    with new_ground(folder, "dicom-node-memory-") as temporary:
        names, seen = measure(temporary, instances, megabytes)
    head = [column.format(instances=instances, large=megabytes) for column in _COLUMNS]
    lines = [[f"{one} {names.get(one, 'ended')}", *(number(value) for value in line)] for one, line in seen.items()]
    print(f"\n{table(['process, MB', *head], lines)}\n")
    grown = max(map(growth, seen.values()))
    print(
        f"most above its start: {grown:.0f} MB; {'held' if grown <= _ALLOWED else 'not held'} (at most {_ALLOWED:.0f})"
    )


if __name__ == "__main__":
    main()
