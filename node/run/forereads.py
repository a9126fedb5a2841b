"""What the second reader read in the quiet time of units, for the jobs that send the same files.

A reading counts for one set of originals: one instance more may say who the patient is in words that nobody looked for
before. And it counts for the files that were read, as they were then. In memory, like all that is made ahead; what is
looked for is patient data, and goes with the job that asks for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from node.model import Batch, Item, ReceiptId, Step
from node.pool import Pool
from node.run.second_reading import Foreread, SecondReader

_PATIENCE = 1.0
"""Seconds that a job waits for a reading under way; it reads again what has not come by then."""

_Unit = tuple[str, frozenset[ReceiptId]]
"""A step with its options, and all that it was given."""


class Forereads:
    """Readings by unit. For any thread."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._changed = threading.Condition()
        self._found: dict[_Unit, tuple[Foreread, float]] = {}
        """With the time on the monotonic clock."""
        self._under_way: set[_Unit] = set()

    def read(self, pool: Pool, step: Step, originals: Sequence[Item], made: Sequence[Item], folder: Path) -> None:
        """Read what `step` made, in `folder`, of received instances, each with one receipt.

        Raises what SecondReader.read does; the job then reads for itself, and says why.
        """
        unit = repr(step), frozenset(item.sources[0] for item in originals)
        with self._changed:
            self._under_way.add(unit)
        try:
            reader = SecondReader(pool, [step], lambda: Batch(items=tuple(originals)), below=folder)
            found = reader.foreread(Batch(items=tuple(made)))
            with self._changed:
                self._found[unit] = found, time.monotonic()
        finally:
            with self._changed:
                self._under_way.discard(unit)
                self._changed.notify_all()

    def take(self, step: Step, originals: frozenset[ReceiptId]) -> Foreread | None:
        """What was read of what `step` made of exactly these. Given once."""
        unit = repr(step), originals
        with self._changed:
            self._changed.wait_for(lambda: unit not in self._under_way, self._patience)
            found = self._found.pop(unit, None)
        return found[0] if found is not None else None

    def forget(self, before: float) -> None:
        """Those that nobody took until then."""
        with self._changed:
            for unit in [unit for unit, (_, at) in self._found.items() if at < before]:
                del self._found[unit]
