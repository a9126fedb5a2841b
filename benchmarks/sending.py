"""Send a number of instances over a number of associations at once, and time it.

Two senders. `blast` (the default) is `wire`: PDUs encoded beforehand, so that the sender, which runs on the same
machine, takes as little of it as it can. `storescu` is DCMTK's, over files: what a person would try first, and a
check that nothing here depends on our own sender. Its time starts when its first association is accepted.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.receivers import NODELAY
from benchmarks.template import Template, Which
from benchmarks.wire import EXPLICIT_LE, Association, Message
from node.dicom.part10 import file_meta
from node.model import UID, Identity, Origin, ReceiptId
from node.moment import utc_now


@dataclass(frozen=True, slots=True)
class Sent:
    seconds: float
    """From the first connection to the last C-STORE-RSP."""
    cpu: float
    """Seconds of processor time that the sender took."""


Sender = Callable[[int, Template, Sequence[Sequence[Which]], Path], Sent]
"""(port, template, instances by association, folder for files) -> times. Ends the program when one is not taken."""


def shares(run: int, instances: int, associations: int, *, one_series: bool = False) -> list[list[Which]]:
    """Instances by association, a series each (or all of one), as a scanner and its workstations send them."""
    return [
        [Which(run, 0 if one_series else a, number) for number in range(a, instances, associations)]
        for a in range(associations)
    ]


@dataclass(slots=True)
class _Gate:
    """Everyone connects and sends at the same moment; what goes wrong is said once."""

    barrier: threading.Barrier
    wrong: list[str] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)


def blast(port: int, template: Template, instances: Sequence[Sequence[Which]], folder: Path) -> Sent:
    gate = _Gate(threading.Barrier(len(instances) + 1))
    threads = [threading.Thread(target=_send, args=(port, template, share, gate), daemon=True) for share in instances]
    for thread in threads:
        thread.start()
    gate.barrier.wait()
    began, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.join()
    if gate.wrong:
        raise SystemExit("; ".join(gate.wrong))
    return Sent(max(gate.ended) - began, time.process_time() - cpu)


def _send(port: int, template: Template, share: Sequence[Which], gate: _Gate) -> None:
    try:
        first = share[0].instance.encode()
        gate.barrier.wait()
        with Association(port, template.sop_class) as association:
            message = Message(template.sop_class, template.dataset, template.places, association.largest, first)
            for number, which in enumerate(share, 1):
                message.fill(number, which.values())
                status = association.store(message)
                if status != 0x0000:
                    raise ValueError(f"instance {which.number} of the association got the status {status:#06x}")
            gate.ended.append(time.perf_counter())
    except Exception as error:  # a thread's error belongs to the one who waits for it
        gate.wrong.append(f"{type(error).__name__}: {error}")


def storescu(port: int, template: Template, instances: Sequence[Sequence[Which]], folder: Path) -> Sent:
    folders = [folder / f"{a}" for a in range(len(instances))]
    for here, share in zip(folders, instances, strict=True):
        here.mkdir(parents=True)
        for which in share:
            (here / f"{which.number:06d}.dcm").write_bytes(_part10(template, which))
    command = ["storescu", "-v", "-aet", "BENCH", "-aec", "NODE", "+sd", "127.0.0.1", str(port)]
    before = sum(os.times()[2:4])
    processes = [
        subprocess.Popen(
            [*command, str(here)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env={**os.environ, **NODELAY}
        )
        for here in folders
    ]
    found: list[tuple[float, float, int]] = []
    threads = [threading.Thread(target=lambda p=p: found.append(_watch(p)), daemon=True) for p in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken, wanted = sum(n for _, _, n in found), sum(map(len, instances))
    if taken != wanted or any(process.returncode for process in processes):
        raise SystemExit(f"storescu: {taken} of {wanted} were taken")
    seconds = max(last for _, last, _ in found) - min(first for first, _, _ in found)
    return Sent(seconds, sum(os.times()[2:4]) - before)


def _part10(template: Template, which: Which) -> bytes:
    uid = UID(which.instance)
    identity = Identity(
        sop_class=UID(template.sop_class), sop_instance=uid, study=uid, series=uid, transfer_syntax=UID(EXPLICIT_LE)
    )  # fmt: skip
    origin = Origin(calling_ae="BENCH", called_ae="NODE", sender="127.0.0.1")
    meta, _ = file_meta(identity, origin, ReceiptId("0" * 32), utc_now())
    return meta + template.instance(which)


def _watch(process: subprocess.Popen[bytes]) -> tuple[float, float, int]:
    """(its association is accepted, its last success, successes)"""
    first = last = 0.0
    taken = 0
    assert process.stderr is not None
    for line in process.stderr:
        if b"Association Accepted" in line:
            first = time.perf_counter()
        if b"Received Store Response (Success)" in line:
            last, taken = time.perf_counter(), taken + 1
    process.wait()
    return first, last, taken


SENDERS: dict[str, Sender] = {"blast": blast, "storescu": storescu}
