"""Processor time that the node spends on each instance once its bytes are there: its header, its row, its place.

    python -m benchmarks.per_instance [--rounds 9] [--real /path/to/images]

Time of this process alone (user and system), the least of some rounds: what else the machine does hardly shows.
Without sockets, and with small images: what their pixels cost is not in it.
"""

from __future__ import annotations

import argparse
import mmap
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.figures import table
from benchmarks.ground import new_ground
from benchmarks.images import ct
from benchmarks.machine import disk, machine, tree
from benchmarks.template import Template, Which
from benchmarks.wire import EXPLICIT_LE
from node.dicom.header import Reading, pack, read_header
from node.dicom.identity import identify
from node.dicom.sniff import Sniffed, sniff
from node.index import connect
from node.index.intake import Intake
from node.index.versions import prepare
from node.model import UID, Arrival, Identity, Origin, UnitKind
from node.moment import new_receipt, utc_now
from node.receive.rows import record
from node.spool import Files, Kept, Spool

_ROWS = 16
"""Of the images: what is measured does not depend on pixels."""
_GROUP = 50
_ORIGIN = Origin(calling_ae="BENCH", called_ae="NODE", sender="127.0.0.1")

Encoded = tuple[mmap.mmap, int, str]
"""(file, where its data set begins, transfer syntax), as it is there to be read while it is received."""

Prepared = Sequence[tuple[bytes, tuple[Identity, bytes]]]
"""(data set, (identity, packed header)) of each."""


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


def microseconds(work: Callable[[], object], count: int) -> float:
    """Processor time of one of `count`."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / count * 1e6


def headers(encoded: Sequence[Encoded]) -> dict[str, float]:
    found: list[tuple[Reading, str]] = []

    def reading() -> None:
        for data, start, syntax in encoded:
            read_header(data, syntax, start=start)

    def identifying() -> None:
        for reading, syntax in found:
            identify(reading.header, UID(syntax))

    def packing() -> None:
        for reading, _ in found:
            reading.packed()

    count = len(encoded)
    read = microseconds(reading, count)
    found += [(read_header(data, syntax, start=start), syntax) for data, start, syntax in encoded]
    return {
        "read_header": read,
        "identify": microseconds(identifying, count),
        "packed": microseconds(packing, count),
    }


def named(data: bytes) -> tuple[Identity, bytes]:
    header = read_header(data, EXPLICIT_LE).header
    return identify(header, UID(EXPLICIT_LE)), pack(header)


def keep(spool: Spool, data: bytes, identity: Identity, header: bytes) -> tuple[Kept, Arrival]:
    incoming = spool.begin(identity, _ORIGIN)
    incoming.write(data)
    kept = incoming.keep()
    arrival = Arrival(
        receipt=kept.receipt, path=spool.relative(kept.path), size=kept.size, sha256=kept.sha256,
        received=kept.received, origin=_ORIGIN, identity=identity, header=header,
    )  # fmt: skip
    return kept, arrival


def rows(template: Template, folder: Path, rounds: int) -> dict[str, float]:
    """Keeping, showing and indexing, in groups; every round has instances of its own."""
    database = connect("sqlite", folder / "data")
    prepare(database.durable, folder / "data")
    spool = Spool(folder / "data" / "spool", "benchmark", files=Files(), clock=utc_now, ids=new_receipt)
    intake = Intake(database, lambda: {UnitKind.SERIES, UnitKind.STUDY})
    taken: list[dict[str, float]] = []
    try:
        for run in range(rounds):
            prepared = [(data, named(data)) for data in instances(template, run, _GROUP)]
            group: list[tuple[Kept, Arrival]] = []

            def keeping(group: list[tuple[Kept, Arrival]] = group, prepared: Prepared = prepared) -> None:
                group += [keep(spool, data, *known) for data, known in prepared]

            keeping_us = microseconds(keeping, _GROUP)
            places = [(kept.slot, kept.path) for kept, _ in group]
            arrivals = [arrival for _, arrival in group]
            taken.append({
                "spool: begin, write, keep": keeping_us,
                "spool.show": microseconds(partial(spool.show, places), _GROUP),
                "rows.record": microseconds(partial(record, intake, arrivals), _GROUP),
            })  # fmt: skip
    finally:
        spool.close()
        database.close()
    return least(taken)


def least(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: min(taken[name] for taken in rounds) for name in rounds[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--real", type=Path, help="measure reading on these images too")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="on the disk to measure on")
    parser.add_argument("--quick", action="store_true", help="only to see that it works")
    options = parser.parse_args()
    rounds, count = (2, 5) if options.quick else (options.rounds, 200)
    template = ct(_ROWS)
    every = [[(mapped(d), 0, EXPLICIT_LE) for d in instances(template, run, count)] for run in range(rounds)]
    found = [("CT", least([headers(encoded) for encoded in every]))]
    if options.real:
        images = real(options.real)
        found.append((options.real.name, least([headers(images) for _ in range(rounds)])))
    with new_ground(options.folder, "dicom-node-per-instance-") as temporary:
        found.append(("CT", rows(template, temporary, rounds)))
    lines = [[f"{what}, {kind}", f"{us:.0f}"] for kind, figures in found for what, us in figures.items()]
    print(f"{machine()}, {disk(options.folder)}; dicom-node {tree()}; rows in groups of {_GROUP}\n")
    print(table(["", "microseconds an instance"], lines))


if __name__ == "__main__":
    main()
