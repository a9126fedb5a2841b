"""Memory of the node's processes: at start, after 20,000 instances, and while one of 2 GB arrives.

    python -m benchmarks.memory [--instances 20000] [--megabytes 2048]

To hold: no process is more than 40 MB (10^6 bytes) above what it had when the node was ready.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import number, table
from benchmarks.images import mr, multiframe
from benchmarks.machine import disk, machine, tree
from benchmarks.processes import end_on_sigterm, family, forget_peak, memory, title, wait_until
from benchmarks.receivers import count, ledger, rules, serving
from benchmarks.sending import blast, shares
from benchmarks.wire import Association, store_large

_ALLOWED = 40.0
_FRAME = 512 * 512 * 2
_COLUMNS = ("ready", "after {instances}", "peak until then", "after {large} MB", "peak while it came")
_WARM = 100
"""Instances after which everything that is imported late has been."""

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


def measure(folder: Path, instances: int, megabytes: int) -> tuple[dict[int, str], Seen]:
    seen: Seen = {}
    path = rules(folder)
    with serving(path) as (process, port):
        look(process.pid, seen, 0, peak=False)
        template = mr(128)
        blast(port, template, shares(1, _WARM, 1), folder)
        warm = memory(process.pid, "VmRSS")
        print(f"ready {seen[process.pid][0]:.0f} MB, after {_WARM} instances {warm:.0f} MB", flush=True)
        sent = blast(port, template, shares(2, instances, 4), folder)
        look(process.pid, seen, 1, peak=True)
        print(f"{instances} instances of {len(template.dataset)} bytes in {sent.seconds:.0f} s", flush=True)
        size = large(port, megabytes)
        look(process.pid, seen, 3, peak=True)
        spool = folder / "data" / "spool"
        if count(spool, "*.dcm", size) != 1 or count(spool, "*.dcm") != _WARM + instances + 1:
            raise SystemExit("not everything that was acknowledged is in the spool")
        names = {one: title(one) for one in family(process.pid)}
        wait_until("everything is indexed", lambda: ledger(path)["acknowledged"] == _WARM + instances + 1)
    return names, seen


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
    with tempfile.TemporaryDirectory(dir=folder, prefix="dicom-node-memory-") as temporary:
        names, seen = measure(Path(temporary), instances, megabytes)
    head = [column.format(instances=instances, large=megabytes) for column in _COLUMNS]
    lines = [[f"{one} {names.get(one, 'ended')}", *(number(value) for value in line)] for one, line in seen.items()]
    print(f"\n{table(['process, MB', *head], lines)}\n")
    grown = max(
        max(value for value in line if value is not None) - line[0] for line in seen.values() if line[0] is not None
    )
    print(
        f"most above its start: {grown:.0f} MB; {'held' if grown <= _ALLOWED else 'not held'} (at most {_ALLOWED:.0f})"
    )


if __name__ == "__main__":
    main()
