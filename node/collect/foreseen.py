"""What was decided of units in their quiet time, so that it need not be decided again when they close.

To decide, the headers of all instances are unpacked, 0.2 ms each. The same instances and the same rules give the same
verdicts, so that is all that is asked here; which unit it is does not matter.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from node.config import Config
from node.match import Verdict
from node.model import ReceiptId, UnitKind

_MOST = 1_000

_Unit = tuple[UnitKind, tuple[ReceiptId, ...]]


class Foreseen:
    """Verdicts by the receipts of a unit. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._config: Config | None = None
        self._verdicts: dict[_Unit, tuple[Verdict, ...]] = {}

    def learn(
        self, config: Config, kind: UnitKind, receipts: Sequence[ReceiptId], verdicts: tuple[Verdict, ...]
    ) -> None:  # fmt: skip
        with self._lock:
            if config is not self._config:  # other rules: nothing holds any more
                self._config = config
                self._verdicts.clear()
            self._verdicts[kind, tuple(receipts)] = verdicts
            while len(self._verdicts) > _MOST:
                del self._verdicts[next(iter(self._verdicts))]

    def of(self, config: Config, kind: UnitKind, receipts: Sequence[ReceiptId]) -> tuple[Verdict, ...] | None:
        """Of a unit of exactly these instances, by these rules; asked once."""
        with self._lock:
            return self._verdicts.pop((kind, tuple(receipts)), None) if config is self._config else None
