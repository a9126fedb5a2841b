"""One sender of the soak: a process that may be killed at any moment, and has written down what was acknowledged.

    python -m benchmarks.soak_sender PORT NUMBER FOLDER PACE

NUMBER keeps its UIDs and its AE title apart from the others'. FOLDER has the templates; the record goes there too,
a line per success: SOP Instance UID, SHA-256 of the data set. SIGTERM ends it after the instance in flight.
"""

from __future__ import annotations

import hashlib
import random
import signal
import sys
import time
from pathlib import Path
from typing import BinaryIO

from benchmarks.template import Template, Which, load
from benchmarks.wire import Association, Message, Refused

_AT_ONCE = 30
"""Most instances of one association, which is a series of its own."""
_stop = False


def _ask_to_stop(number: int, frame: object) -> None:
    global _stop
    _stop = True


def one_association(port: int, number: int, series: int, template: Template, pace: float, record: BinaryIO) -> None:
    """Some instances. Each is written down between its answer and the next one."""
    first = Which(number, series, 0).instance.encode()
    with Association(port, template.sop_class, calling=f"SOAK{number % 64}") as association:
        message = Message(template.sop_class, template.dataset, template.places, association.largest, first)
        for each in range(random.randint(1, _AT_ONCE)):
            if _stop:
                return
            due = time.monotonic() + 1 / pace
            which = Which(number, series, each)
            digest = hashlib.sha256(template.instance(which)).hexdigest()
            message.fill(each + 1, which.values())
            status = association.store(message)
            word = digest if status == 0x0000 else f"refused {status:#06x}"
            record.write(f"{which.instance} {word}\n".encode())
            time.sleep(max(0.0, due - time.monotonic()))


def main() -> None:
    port, number, folder, pace = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4])
    signal.signal(signal.SIGTERM, _ask_to_stop)
    templates = [load(path) for path in sorted(folder.glob("*.template"))]
    # Mostly the small ones: the load is bounded by the pace, and the disk by the sizes.
    weights = [10.0 / (1 + len(template.dataset) / 1e4) for template in templates]
    # Unbuffered: a line is with the kernel as soon as it is written, and a killed process takes none along.
    with (folder / f"{number}.record").open("ab", buffering=0) as record:
        series = 0
        while not _stop:
            try:
                one_association(port, number, series, random.choices(templates, weights)[0], pace, record)
            except (Refused, OSError) as error:
                record.write(f"- broken {type(error).__name__} {error}\n".encode())
                time.sleep(0.2)
            series += 1


if __name__ == "__main__":
    main()
