"""How long a C-STORE waits for its answer while the node converts: part of `python -m benchmarks.convert --answers`.

A real node (`serve`, its receivers as they ship), one worker, so that one conversion runs at any time. One association
sends a small MR image ten times a second all the while and waits for each answer. Beside it comes a series of 300 CT
images; complete, it goes through four routes one after the other, each to .nii.gz and on into a folder, and nothing but
the small images comes in. An answer counts as *converting* when it was waited for while the step ran, as the node's own
history says when, which is also while the volume before is published; as *idle* when nothing but the small images had
been there for a second. Idle and converting take turns, so that what else the machine does falls on both.
"""

from __future__ import annotations

import sqlite3
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from benchmarks.figures import table
from benchmarks.images import mr
from benchmarks.processes import free_port, wait_until
from benchmarks.receivers import serving
from benchmarks.template import ROOT, Template, Which
from benchmarks.wire import Association, Message, Refused

RULES = """\
node: {{ae_title: NODE, listen: "127.0.0.1:0", status: "127.0.0.1:{status}", data: ./data, workers: 1,
  limits: {{keep_free: 1GiB}}}}
complete: {{series: {{quiet: 1s}}, study: {{quiet: 10m}}}}
destinations:
{destinations}
routes:
{routes}
"""
_DESTINATION = "  volumes-{n}: {{folder: ./out-{n}, accepts: identified}}"
_ROUTE = """\
  - {{name: to-volumes-{n}, unit: series, when: {{Modality: CT}},
     steps: [nifti, {{forward: {{to: volumes-{n}, what: [nifti]}}}}]}}"""
_ROUTES = 4

PERIOD = 0.1
"""Seconds between two of the small images."""
_APART, _IDLE = 1.0, 4.0
"""Seconds after a conversion that count as neither, and then as idle."""

Interval = tuple[float, float]
"""Seconds since 1970, from and to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One C-STORE: when it was sent, seconds since 1970, and how many seconds its answer took."""

    at: float
    seconds: float


@dataclass(slots=True)
class Slow:
    """The association that sends slowly."""

    port: int
    template: Template
    answers: list[Answer] = field(default_factory=list)
    wrong: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        first = Which(0, 0, 0).instance.encode()
        try:
            with Association(self.port, self.template.sop_class) as association:
                message = Message(
                    self.template.sop_class, self.template.dataset, self.template.places, association.largest, first
                )
                number = 0
                while not self.over.wait(PERIOD):
                    number += 1
                    message.fill(number, Which(0, 0, number).values())
                    at, began = time.time(), time.perf_counter()
                    status = association.store(message)
                    self.answers.append(Answer(at, time.perf_counter() - began))
                    if status != 0x0000:
                        raise Refused(f"an instance got the status {status:#06x}")
        except (Refused, OSError) as error:
            self.wrong = str(error) or type(error).__name__


@dataclass(frozen=True, slots=True)
class Series:
    """Images of one series as data sets, all of whose UIDs begin with that of one run (`template.Which`)."""

    sop_class: str
    images: Sequence[tuple[bytes, bytes]]
    """SOP Instance UID and data set of run 0."""

    def send(self, port: int, run: int) -> None:
        """As the series of another run. Ends the program when one is not taken."""
        old, new = _of_run(0), _of_run(run)
        with Association(port, self.sop_class, calling="CT") as association:
            for uid, dataset in self.images:
                data = dataset.replace(old, new)
                named = uid.replace(old, new)
                message = Message(self.sop_class, data, {"instance": ()}, association.largest, named)
                if status := association.store(message):
                    raise SystemExit(f"a CT image got the status {status:#06x}")


def series_of(folder: Path) -> Series:
    """The images of a folder, explicit VR little endian, with UIDs that can be those of any run."""
    images = []
    sop_class = ""
    for number, path in enumerate(sorted(folder.iterdir())):
        ds = dcmread(path)
        which = Which(0, 0, number)
        values = which.values()
        ds.StudyInstanceUID, ds.SeriesInstanceUID = values["study"].decode(), values["series"].decode()
        ds.SOPInstanceUID, sop_class = which.instance, str(ds.SOPClassUID)
        buffer = BytesIO()
        Dataset(ds).save_as(buffer, implicit_vr=False, little_endian=True, enforce_file_format=False)
        images.append((which.instance.encode(), buffer.getvalue()))
    return Series(sop_class, images)


def _of_run(run: int) -> bytes:
    return f"{ROOT}.{10**10 + run}.".encode()


def sort(answers: Sequence[Answer], conversions: Sequence[Interval], idle: Sequence[Interval]) -> list[list[float]]:
    """Seconds of the answers that were waited for in one of the intervals: idle, then converting."""

    def within(answer: Answer, intervals: Sequence[Interval]) -> bool:
        return any(answer.at < to and answer.at + answer.seconds > since for since, to in intervals)

    return [[a.seconds for a in answers if within(a, intervals)] for intervals in (idle, conversions)]


def conversions_of(database: Path) -> list[Interval]:
    """When the step ran, as the node wrote it down after each."""
    rows = _asked(database, "select at, seconds from node_history where what = 'step' and text like '%. nifti: %'")
    return [(at - seconds, at) for at, seconds in rows]


def _wait_for(database: Path, conversions: int) -> None:
    wait_until("the series is converted", lambda: _finished(database) >= conversions, seconds=120.0, pause=0.25)


def _finished(database: Path) -> int:
    states = [state for (state,) in _asked(database, "select state from node_job")]
    if "held" in states:
        raise SystemExit("a conversion was held")
    return states.count("done")


def _asked(database: Path, question: str) -> list[Any]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
    try:
        return connection.execute(question).fetchall()
    finally:
        connection.close()


def measure(ct: Path, folder: Path, rounds: int, show: Callable[[str], None] = print) -> None:
    """Start the node in `folder`, send, and show the table. Ends the program when anything is refused or held."""
    series = series_of(ct)
    rules = folder / "rules.yaml"
    several = {
        name: "\n".join(line.format(n=n) for n in range(_ROUTES))
        for name, line in (("destinations", _DESTINATION), ("routes", _ROUTE))
    }
    rules.write_text(RULES.format(status=free_port(), **several))
    database = folder / "data" / "node.db"
    idle: list[Interval] = []
    with serving(rules) as (_, port):
        slow = Slow(port, mr(64))
        thread = threading.Thread(target=slow.run)
        thread.start()
        try:
            time.sleep(_APART)
            for number in range(rounds):
                since = time.time()
                time.sleep(_IDLE)
                idle.append((since, time.time()))
                series.send(port, number + 1)
                _wait_for(database, (number + 1) * _ROUTES)
                time.sleep(_APART)
        finally:
            slow.over.set()
            thread.join()
        if slow.wrong:
            raise SystemExit(f"the small images: {slow.wrong}")
        conversions = sorted(conversions_of(database))
    if len(conversions) != rounds * _ROUTES:
        raise SystemExit(f"{len(conversions)} conversions of {rounds * _ROUTES} are in the history")
    counted = conversions[1:]  # the first waits for its worker to start
    at_rest, converting = sort(slow.answers, counted, idle)
    show(shown(at_rest, converting, counted))


def shown(idle: Sequence[float], converting: Sequence[float], conversions: Sequence[Interval]) -> str:
    """The table: medians and 95 % in milliseconds, and converting as a multiple of idle."""
    if len(idle) < 2 or len(converting) < 2:
        return f"{len(idle)} answers idle and {len(converting)} while converting: too few for a table"
    seconds = statistics.median(to - since for since, to in conversions)
    lines = [
        [name, str(len(found)), f"{_middle(found) * 1e3:.2f}", f"{_most(found) * 1e3:.2f}"]
        for name, found in (("idle", idle), (f"converting, {seconds:.1f} s each", converting))
    ]
    lines.append(
        ["converting : idle", "", *(f"{of(converting) / of(idle):.2f}" for of in (_middle, _most))],
    )
    return table(["answer to a small C-STORE", "answers", "median ms", "95 % ms"], lines)


def _middle(found: Sequence[float]) -> float:
    return statistics.median(found)


def _most(found: Sequence[float]) -> float:
    return statistics.quantiles(found, n=20)[-1]
