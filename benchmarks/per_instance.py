"""Processor time that the node spends on each instance once its bytes are there: its header, its row, its place.

    python -m benchmarks.per_instance [--rounds 9] [--real /path/to/images]

Time of this process alone (user and system), the least of some rounds: what else the machine does hardly shows.
Without sockets, and without the hash and the sync of the bytes.
"""

from __future__ import annotations

import argparse
import mmap
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.figures import table
from benchmarks.images import ct
from benchmarks.machine import disk, machine, tree
from benchmarks.template import Template, Which
from benchmarks.wire import EXPLICIT_LE
from node.dicom.header import pack, read_header
from node.dicom.identity import identify
from node.dicom.sniff import Sniffed, sniff
from node.index import connect
from node.index.intake import Arrival, Intake
from node.index.versions import prepare
from node.model import UID, Origin, UnitKind
from node.moment import new_receipt, utc_now
from node.receive.rows import record
from node.spool import Files, Kept, Spool

_ROWS = 16
"""Of the images: what is measured does not depend on pixels."""
_GROUP = 50
_ORIGIN = Origin(calling_ae="BENCH", called_ae="NODE", sender="127.0.0.1")

Encoded = tuple[mmap.mmap, int, str]
"""(file, where its data set begins, transfer syntax), as it is there to be read while it is received."""


def instances(template: Template, run: int, count: int) -> list[bytes]:
    return [template.instance(Which(run, 0, number)) for number in range(count)]


def mapped(data: bytes) -> mmap.mmap:
    held = mmap.mmap(-1, len(data))
    held.write(data)
    return held


def real(folder: Path) -> list[Encoded]:
    """Every image below a folder."""
    found = [(path, sniff(path)) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [
        (mapped(path.read_bytes()), sniffed.dataset_offset, sniffed.transfer_syntax)
        for path, sniffed in found
        if isinstance(sniffed, Sniffed)
    ]


def microseconds(work: Callable[[], object], count: int, rounds: int) -> float:
    """Processor time of one of `count`, the least of `rounds`."""
    least = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        work()
        least = min(least, time.process_time() - began)
    return least / count * 1e6


def headers(encoded: Sequence[Encoded], rounds: int) -> list[tuple[str, float]]:
    read = [(read_header(data, syntax, start=start).header, syntax) for data, start, syntax in encoded]

    def reading() -> None:
        for data, start, syntax in encoded:
            read_header(data, syntax, start=start)

    def identifying() -> None:
        for header, syntax in read:
            identify(header, UID(syntax))

    def packed() -> None:
        for data, start, syntax in encoded:
            read_header(data, syntax, start=start).packed()

    def packing() -> None:
        for header, _ in read:
            pack(header)

    count = len(encoded)
    return [
        ("read_header", microseconds(reading, count, rounds)),
        ("identify", microseconds(identifying, count, rounds)),
        ("read_header + packed", microseconds(packed, count, rounds)),
        ("pack", microseconds(packing, count, rounds)),
    ]


def keep(spool: Spool, data: bytes) -> tuple[Kept, Arrival]:
    header = read_header(data, EXPLICIT_LE).header
    identity = identify(header, UID(EXPLICIT_LE))
    incoming = spool.begin(identity, _ORIGIN)
    incoming.write(data)
    kept = incoming.keep()
    arrival = Arrival(
        receipt=new_receipt(), path=spool.relative(kept.path), size=kept.size, sha256=kept.sha256,
        received=kept.received, origin=_ORIGIN, identity=identity, header=pack(header),
    )  # fmt: skip
    return kept, arrival


def rows(template: Template, folder: Path, rounds: int) -> list[tuple[str, float]]:
    """Showing and indexing, in groups; every round has instances of its own."""
    database = connect("sqlite", folder / "data")
    prepare(database.durable, folder / "data")
    spool = Spool(folder / "data" / "spool", "benchmark", files=Files(), clock=utc_now, ids=new_receipt)
    intake = Intake(database, lambda: {UnitKind.SERIES, UnitKind.STUDY})
    showing, recording = [], []
    try:
        for run in range(rounds):
            group = [keep(spool, data) for data in instances(template, run, _GROUP)]
            places = [(kept.slot, kept.path) for kept, _ in group]
            arrivals = [arrival for _, arrival in group]
            showing.append(microseconds(lambda places=places: spool.show(places), _GROUP, 1))
            recording.append(microseconds(lambda arrivals=arrivals: record(intake, arrivals), _GROUP, 1))
    finally:
        spool.close()
        database.close()
    return [("spool.show", min(showing)), ("rows.record", min(recording))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--real", type=Path, help="measure reading on these images too")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="on the disk to measure on")
    parser.add_argument("--quick", action="store_true", help="only to see that it works")
    options = parser.parse_args()
    rounds, count = (2, 5) if options.quick else (options.rounds, 200)
    template = ct(_ROWS)
    encoded = [(mapped(data), 0, EXPLICIT_LE) for data in instances(template, 0, count)]
    found = [("CT", *line) for line in headers(encoded, rounds)]
    if options.real:
        found += [(options.real.name, *line) for line in headers(real(options.real), rounds)]
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="dicom-node-per-instance-") as temporary:
        found += [("CT", *line) for line in rows(template, Path(temporary), rounds)]
    print(f"{machine()}, {disk(options.folder)}; dicom-node {tree()}; rows in groups of {_GROUP}\n")
    print(table(["", "microseconds an instance"], [[f"{what}, {kind}", f"{us:.0f}"] for kind, what, us in found]))


if __name__ == "__main__":
    main()
