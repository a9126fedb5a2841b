"""Receiving: this node, Orthanc, stock pynetdicom and DCMTK storescp beside each other, in one interleaved run.

    python -m benchmarks.receive [--images ct] [--associations 1,4] [--only node,orthanc] [--rounds 3] [--json FILE]
    python -m benchmarks.receive --growth        the node alone, with 0, 10^5 and 10^6 instances in its index

Every receiver starts anew for every figure, in an empty folder on the disk, takes a few instances that are not
counted, then all of them at once. Each answer must be a success, and each success a file afterwards; ours must
also be in the index and the ledger balance. Time runs from the first connection to the last answer.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import growth
from benchmarks.figures import Figures, Row, number, open_figures, table
from benchmarks.ground import give_back, memory_at_hand, new_ground, place
from benchmarks.images import KINDS
from benchmarks.processes import cpu_seconds, end_on_sigterm, wait_until
from benchmarks.receivers import RECEIVERS, Receiver, Running
from benchmarks.sending import SENDERS, Sender, shares
from benchmarks.template import Template

INSTANCES = {"ct": 400, "mr": 2000}
QUICK = {"ct": 24, "mr": 48}
WARM, _SETTLE = 32, 3.0
"""Instances that are sent before the ones that count, and seconds after them: whatever is started at need is there."""
_AT_HAND = 400
"""MB before each figure: what the instances of one take, their pages in the cache and everyone's index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One figure."""

    receiver: Receiver
    template: Template
    instances: int
    associations: int
    sender: Sender
    settle: float = _SETTLE


def measure(run: Run, folder: Path) -> Row:
    """Start it, send, check. Ends the program when something acknowledged is not there."""
    with run.receiver.running(folder / "receiver", run.associations) as receiver:
        run.sender(receiver.port, run.template, shares(1, WARM, 1), folder / "warm")
        time.sleep(run.settle)
        memory_at_hand(_AT_HAND)
        busy = cpu_seconds(receiver.process.pid)
        sent = run.sender(
            receiver.port, run.template, shares(2, run.instances, run.associations), folder / "files"
        )  # fmt: skip
        busy = cpu_seconds(receiver.process.pid) - busy
        behind = _indexed(receiver, run.instances + WARM)
        files = receiver.files()
        if files != run.instances + WARM:
            raise SystemExit(f"{run.receiver.name} acknowledged {run.instances + WARM}, and has {files} files")
        facts = receiver.facts()
    row: Row = {
        "image": run.template.name, "receiver": run.receiver.name, "associations": run.associations,
        "instances": run.instances, "seconds": sent.seconds, "rate": run.instances / sent.seconds,
        "sender_cpu_ms": sent.cpu / run.instances * 1e3, "receiver_cpu_ms": busy / run.instances * 1e3,
        "indexed_after": behind, "files": files,
    }  # fmt: skip
    rate = f"{row['rate']:.0f}/s"
    print(
        f"{run.template.name} {run.associations:>2} associations {run.receiver.name:<10} {rate:>7}  {facts}", flush=True
    )
    return row


def _indexed(receiver: Running, wanted: int) -> float | None:
    """Seconds from the last answer until every instance is in the index; None where there is none to ask."""
    if receiver.indexed() is None:
        return None
    began = time.perf_counter()
    wait_until("every instance is indexed", lambda: (receiver.indexed() or 0) >= wanted)
    return time.perf_counter() - began


def show(figures: Figures) -> None:
    """Medians: rates, ratios of ours to the others', and what an instance costs both sides."""
    print(f"\n{figures.about}")
    for image in figures.values("image"):
        rows = [row for row in figures.rows if row["image"] == image]
        columns = sorted({row["associations"] for row in rows})
        names = [name for name in RECEIVERS if any(row["receiver"] == name for row in rows)]
        of = partial(figures.median, image=image)
        lines = [
            [f"{x}, instances/s", *(number(of("rate", receiver=x, associations=n)) for n in columns)] for x in names
        ]
        if names[0] == "node":
            lines += [[f"node : {x}", *(_ratio(of, x, n) for n in columns)] for x in names[1:]]
        lines += [[f"{x}, ms of CPU", *(_cost(of, x, n) for n in columns)] for x in names]
        rounds = [sum(r["associations"] == n and r["receiver"] == names[0] for r in rows) for n in columns]
        lines.append(["rounds", *map(str, rounds)])
        head = [f"{image}, {rows[0]['instances']} instances", *(f"{n} assoc." for n in columns)]
        print(f"\n{table(head, lines)}")
    print("\nms of CPU: per instance, receiver + sender, both on this machine")


_Median = Callable[..., float | None]


def _ratio(of: _Median, other: str, associations: int) -> str:
    ours, theirs = (of("rate", receiver=name, associations=associations) for name in ("node", other))
    return f"{ours / theirs:.2f}" if ours and theirs else ""


def _cost(of: _Median, receiver: str, associations: int) -> str:
    here, there = (
        of(key, receiver=receiver, associations=associations) for key in ("receiver_cpu_ms", "sender_cpu_ms")
    )
    return f"{number(here, 1)} + {number(there, 1)}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    installed = [name for name, receiver in RECEIVERS.items() if receiver.installed]
    parser.add_argument("--only", default=",".join(installed), help="receivers, such as node,orthanc")
    parser.add_argument("--images", default="ct,mr", help="ct, mr")
    parser.add_argument("--associations", default="1,4,16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sender", choices=SENDERS, default="blast", help="see benchmarks/sending.py")
    parser.add_argument("--json", type=Path, help="keep every figure there; rounds of earlier runs count too")
    parser.add_argument("--folder", type=Path, help="a folder on the disk; default: the one for temporary files")
    parser.add_argument("--quick", action="store_true", help="a few instances: only to see that it works")
    parser.add_argument("--growth", action="store_true", help="the node with a large index")
    parser.add_argument("--sizes", default="0,100000,1000000", help="with --growth: instances already indexed")
    parser.add_argument(
        "--kept", type=Path, help="with --growth: keep the filled data folders there, or use them again"
    )
    return parser.parse_args()


def main() -> None:
    given = arguments()
    end_on_sigterm()
    folder = given.folder or Path(tempfile.gettempdir())
    if given.growth:
        sizes = [0, 2000] if given.quick else [int(size) for size in given.sizes.split(",")]
        rounds, instances = (1, QUICK["ct"]) if given.quick else (given.rounds, INSTANCES["ct"])
        growth.compare(sizes, rounds, instances, folder=folder, figures=given.json, kept=given.kept)
        return
    figures = open_figures(given.json, folder, f"sender {given.sender}")
    counts = QUICK if given.quick else INSTANCES
    with new_ground(folder, "dicom-node-receive-") as temporary:
        for _ in range(1 if given.quick else given.rounds):
            for kind in given.images.split(","):
                template = KINDS[kind]()
                for associations in map(int, given.associations.split(",")):
                    for name in given.only.split(","):
                        run = Run(
                            receiver=RECEIVERS[name], template=template, instances=counts[kind],
                            associations=associations, sender=SENDERS[given.sender],
                            settle=0.0 if given.quick else _SETTLE,
                        )  # fmt: skip
                        here = place(temporary)
                        figures.add(measure(run, here))
                        give_back(here)
    show(figures)


if __name__ == "__main__":
    main()
