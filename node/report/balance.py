"""The ledger as a running check: every instance is looked at again and again, a little at a time.

A full count reads everything, which takes seconds for a million instances. So a turn looks at one stretch of the
rows and one of the spool, and at what did not fit before; a pass over all takes as many turns as there are
stretches, and what a turn costs does not grow with the database. What does not fit is a fault only when it still
does not after a while: a row comes a moment after its file, and goes a moment before it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from node.index import Database
from node.index.ledger import is_missing, without_row
from node.index.standing import Standing, live, of_receipts, page
from node.model import ReceiptId, State, UnitKind
from node.spool import Spool

log = logging.getLogger("node.ledger")

STRETCH = 5_000
"""Receipts, and files, of one turn."""

_PAGE = 500
"""Of these so many at once: what is in memory for a moment between what stays makes holes in it."""

_PATIENCE = 10.0
"""Seconds for which something may not fit."""

_MOST = 10_000
"""Instances that are remembered as not fitting; when there are more, the disk is gone and the number says enough."""

_LIVE = frozenset({State.HELD, State.IN_JOB, State.WAITING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What is known at this moment."""

    faults: dict[str, int] = field(default_factory=dict)
    """unaccounted | missing | unindexed -> instances, as in `index.ledger.Ledger`."""
    states: dict[State, int] = field(default_factory=dict)
    """Instances by state, as of the last look at each."""
    passes: int = 0
    """How often everything was looked at since the process started."""
    age: float = 0.0
    """Seconds since the last pass was complete, or since the start."""

    @property
    def balanced(self) -> bool:
        return not any(self.faults.values())

    def __str__(self) -> str:
        said = {
            "unaccounted": "{} instances are nowhere", "missing": "the files of {} instances are gone from the spool",
            "unindexed": "{} files of the spool have no row",
        }  # fmt: skip
        return "; ".join(said[kind].format(n) for kind, n in self.faults.items() if n) or "balanced"


@dataclass(slots=True)
class RunningCheck:
    """One per process; its turns come from the upkeep. Thread-safe."""

    database: Database
    spool: Spool
    routed: Callable[[], frozenset[UnitKind]]
    stretch: int = STRETCH
    patience: float = _PATIENCE
    clock: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _after: str = ""
    _counted: list[tuple[str, Counter[State]]] = field(default_factory=list)
    """(last receipt, states) of each stretch of this pass, and behind them those of the last one."""
    _turns: int = 0
    """Stretches of rows looked at in this pass."""
    _files: Iterator[Path] | None = None
    _rows_over: bool = False
    _suspects: dict[ReceiptId, tuple[float, Path | None]] = field(default_factory=dict)
    """What did not fit: since when, and the file that has no row."""
    _faults: dict[ReceiptId, str] = field(default_factory=dict)
    _passes: int = 0
    _complete: float = float("nan")

    def turn(self) -> Balance:
        """Look at the next stretch. Raises sqlalchemy.exc.OperationalError when the database is away."""
        with self._lock:
            if self._complete != self._complete:
                self._complete = self.clock()
            before = bool(self._faults)
            self._next_rows()
            self._next_files()
            self._look_again()
            found = self._balance()
            self._say(before, found)
            return found

    def known(self) -> Balance:
        """What the last turn found; a small database is looked at anew, and so is what is under way."""
        if self._passes == 0 or len(self._counted) <= 1:
            self.turn()
        with self._lock:
            found = self._balance()
        with self.database.reader.connect() as connection:
            moving = live(connection, self.routed(), self.stretch)
        if moving is not None:
            now = Counter(one.state for one in moving)
            found.states.update({state: now[state] for state in _LIVE})
        return found

    def last(self) -> Balance:
        """What the last turn found."""
        with self._lock:
            return self._balance()

    # ---- rows -----------------------------------------------------------------------------------------

    def _next_rows(self) -> None:
        states: Counter[State] = Counter()
        count, after = 0, self._after
        with self.database.reader.connect() as connection:
            while count < self.stretch:
                asked = min(_PAGE, self.stretch - count)
                some = page(connection, self.routed(), after, asked)
                states.update(one.state for one in some if one.state is not None)
                self._suspect_of(some)
                count += len(some)
                if some:
                    after = some[-1].receipt
                if len(some) < asked:
                    break
        if count:
            older = [one for one in self._counted[self._turns :] if one[0] > after]
            self._counted[self._turns :] = [(after, states), *older]
            self._after, self._turns = after, self._turns + 1
        if count < self.stretch:
            del self._counted[self._turns :]
            self._after, self._turns, self._rows_over = "", 0, True

    def _suspect_of(self, some: list[Standing]) -> None:
        for one in some:
            if one.state is None or is_missing(one, self._there):
                self._suspect(one.receipt)

    # ---- files ----------------------------------------------------------------------------------------

    def _next_files(self) -> None:
        """Files that have no row. A pass is over when it went through rows and files."""
        if self._files is None:
            self._files = self.spool.kept()
        left = self.stretch
        with self.database.reader.connect() as connection:
            while left and (some := {ReceiptId(path.stem): path for path in islice(self._files, min(_PAGE, left))}):
                left -= len(some)
                for one in without_row(connection, list(some)):
                    self._suspect(one, some[one])
        if left == self.stretch:
            self._files = None
            if self._rows_over:
                self._rows_over, self._complete = False, self.clock()
                self._passes += 1

    def _there(self, path: str) -> bool:
        return self.spool.where(path).exists()

    # ---- what does not fit ----------------------------------------------------------------------------

    def _suspect(self, one: ReceiptId, file: Path | None = None) -> None:
        if len(self._suspects) < _MOST:
            self._suspects.setdefault(one, (self.clock(), file))

    def _look_again(self) -> None:
        if not self._suspects:
            return
        with self.database.reader.connect() as connection:
            rows = of_receipts(connection, self.routed(), self._suspects)
        now = self.clock()
        for one, (since, file) in list(self._suspects.items()):
            kind = self._fault(rows.get(one), file)
            if kind is None:
                del self._suspects[one]
                self._faults.pop(one, None)
            elif now - since >= self.patience:
                self._faults[one] = kind

    def _fault(self, row: Standing | None, file: Path | None) -> str | None:
        if row is None:
            return "unindexed" if file is not None and file.exists() else None
        if row.state is None:
            return "unaccounted"
        return "missing" if is_missing(row, self._there) else None

    def _balance(self) -> Balance:
        kinds = Counter(self._faults.values())
        states = sum((counted for _, counted in self._counted), Counter[State]())
        return Balance(
            faults={kind: kinds[kind] for kind in ("unaccounted", "missing", "unindexed")},
            states={state: states[state] for state in State}, passes=self._passes,
            age=max(0.0, self.clock() - self._complete),
        )  # fmt: skip

    def _say(self, before: bool, found: Balance) -> None:
        if before and found.balanced:
            log.warning("the ledger balances again")
        elif not before and not found.balanced:
            first = ", ".join(sorted(self._faults)[:5])
            log.error("the ledger does not balance: %s (%s); see `dicom-node ledger --verify`", found, first)
