"""The second reader before anything leaves: what a route that de-identifies is about to forward, or gives at its end.

A step that de-identifies says so with `deidentifies`, and with `second_reader` that its output is to be read. It gives
`options` of PS3.15, and `keeps()` and `keeps_at()`, the attributes and the places that site rules leave, so that what
stays on purpose is no leak; and may give `texts_of()`, what recognises characters in pixels, and `looks_at(header)`,
in which images.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import and_
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from node.certificate.statement import NOT_READ, SECOND_READER, Reading
from node.errors import CannotSucceed
from node.leaks import Collected, Finding, Kept, Output, Reader, collect
from node.leaks.pixels import LooksAt, TextsOf, at_all
from node.model import Batch, ReceiptId, Step
from node.pool import Pool
from node.run.known import Mark, mark_of

_ORIGINALS, _OUTPUTS = 60, 30
"""Files given to a worker at once: what is looked for goes along with every part."""
_MOST = 10
"""Findings told of one part; the others are only counted."""
_PASSED = "let pass by a person: "
_IN_CERTIFICATE = "stands in the certificate at"

T = TypeVar("T")
Sought = tuple[Collected, Kept]
"""What is looked for, and what stays on purpose. Patient data: never logged."""
Found = tuple[list[Finding], int]
"""The first findings, and how many there are."""


def readers(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps whose output is to be read; none where no step de-identifies, or its option says no."""
    wanted = [step for step in steps if getattr(step, "deidentifies", False)]
    return tuple(wanted) if any(getattr(step, "second_reader", False) for step in wanted) else ()


@dataclass(frozen=True, slots=True)
class Foreread:
    """Files that were read before, against all originals of their unit, and found clean."""

    sought: Sought
    clean: frozenset[Mark]


def nothing_yet(originals: frozenset[ReceiptId]) -> None:
    """What was read of a unit before its job: nothing."""


class SecondReader:
    """Reads what leaves after `steps`, of one unit. What to look for is collected once, when it is first wanted."""

    def __init__(
        self, pool: Pool, steps: Sequence[Step], originals: Callable[[], Batch], *, below: Path,
        before: Callable[[frozenset[ReceiptId]], Foreread | None] = nothing_yet,
        passed: Sequence[tuple[str, str]] = (), charsets: Mapping[ReceiptId, str] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        """
        originals   what the unit was received as: held members too, for what they say may stand in others
        below       the folder in which steps write; names of files and folders in it are read too
        before      what was read already, where these and no others are the originals
        charsets    of the peers that sent, where rules.yaml has one; what was read before did not know of them
        passed      (what was found, why a person let it pass): this and nothing else is no reason to hold
        """
        self._pool, self._wanted, self._originals, self._below = pool, readers(steps), originals, below
        self._before, self._passed, self._charsets = before, dict(passed), charsets

    @cached_property
    def _sources(self) -> dict[ReceiptId, Path]:
        return {source: item.path for item in self._originals().items for source in item.sources}

    @cached_property
    def _foreread(self) -> Foreread | None:
        return None if self._charsets else self._before(frozenset(self._sources))

    @cached_property
    def _sought(self) -> Sought:
        if self._foreread is not None:
            return self._foreread.sought
        kept = self._pool.call(kept_by, self._wanted)
        paths = list(dict.fromkeys(self._sources.values()))
        sent = {self._sources[receipt]: term for receipt, term in self._charsets.items() if receipt in self._sources}
        with ThreadPoolExecutor(max_workers=self._pool.size) as threads:
            parts = threads.map(lambda part: self._pool.call(collect, part, kept, sent), _parts(paths, _ORIGINALS))
            return reduce(Collected.__or__, parts, Collected()), kept

    def read(self, leaving: Batch, known: Collection[Path] = ()) -> tuple[Reading, list[str]]:
        """Read a batch; what to say of it in its certificate, and in the history.

        known   files that were read before

        Where something is known to be passed, files that were read before are read again: the certificate says of what
        leaves whether it was clean. Raises CannotSucceed, which holds the unit, when a value of the originals
        stands in any output, and when an
        output or its original cannot be read to its end. The reason names places, never values.
        """
        if not self._wanted or not leaving.items:
            return NOT_READ, []
        said = Reading(state="clean", counts={"files": len(leaving.items), "originals": len(self._sources)})
        outputs = [
            _output(number, item.path, item.sources, self._sources, self._below)
            for number, item in enumerate(leaving.items, 1)
            if self._passed or item.path not in known
        ]
        if not outputs:
            return said, []
        clean = self._foreread.clean if self._foreread is not None else ()
        unread = [output for output in outputs if mark_of(output.path.stat()) not in clean]
        collected, kept = self._sought
        with ThreadPoolExecutor(max_workers=self._pool.size) as threads:
            read = threads.map(
                lambda part: self._pool.call(read_part, self._wanted, collected, kept, part), _parts(unread, _OUTPUTS)
            )
            found = list(read)
        total = sum(count for _, count in found)
        if total:
            first = min(finding for findings, _ in found for finding in findings)
            return self._let_pass(said, _reason(first, total, leaving), total)
        if self._passed_in_certificate:
            said = replace(said, state=f"{_PASSED}{self._passed_in_certificate}")
        return said, [f"second reader: {len(outputs)} files read, nothing of the originals found"]

    def foreread(self, made: Batch) -> Foreread:
        """Read what a job may send later. Raises CannotSucceed as `read` does."""
        marks = frozenset(mark_of(item.path.stat()) for item in made.items)
        self.read(made)
        return Foreread(self._sought, marks)

    def read_certificate(self, name: str, text: bytes) -> None:
        """Read what a certificate says, which leaves beside what it certifies. Raises CannotSucceed as `read` does."""
        if self._wanted:
            findings = self._pool.call(read_text, *self._sought, name, text)
            if findings:
                where = f"{findings[0].what.value} {_IN_CERTIFICATE} {findings[0].where}"
                reason = f"{SECOND_READER}{where}; nothing of the unit goes on"
                if reason not in self._passed:
                    raise CannotSucceed(reason)

    def _let_pass(self, said: Reading, reason: str, total: int) -> tuple[Reading, list[str]]:
        """What is said of findings that a person let pass. Raises CannotSucceed where nobody did, or not these."""
        because = self._passed.get(reason)
        if because is None:
            raise CannotSucceed(reason)
        because = "; ".join(filter(None, (because, self._passed_in_certificate)))
        state, counts = f"{_PASSED}{because}", {**said.counts, "places": total}
        note = f"second reader: {total} places were let pass by a person: {because}"
        return Reading(state=state, counts=counts), [note]

    @property
    def _passed_in_certificate(self) -> str:
        """Why; it is said before the certificate is read, which says it."""
        return "; ".join(because for found, because in self._passed.items() if _IN_CERTIFICATE in found)


def kept_by(steps: Sequence[Step]) -> Kept:
    """What is left on purpose by all of these steps. In a worker: reading a recipe imports much."""
    return reduce(
        and_, (Kept.of(getattr(step, "options", ()), _kept(step, "keeps"), _kept(step, "keeps_at")) for step in steps)
    )


def read_part(steps: Sequence[Step], collected: Collected, kept: Kept, outputs: Sequence[Output]) -> Found:
    """In a worker: the findings in some of the outputs."""
    texts_of, looks_at = _sight(steps)
    reader = Reader(collected, kept, texts_of, looks_at)
    found = [finding for output in outputs for finding in reader.read(output)]
    return found[:_MOST], len(found)


def read_text(collected: Collected, kept: Kept, name: str, text: bytes) -> list[Finding]:
    """In a worker: the findings in one text."""
    return Reader(collected, kept).said(text, name)


def _kept(step: Step, what: str) -> frozenset[Any]:
    keeps = getattr(step, what, None)
    return frozenset(keeps()) if keeps is not None else frozenset()


def _sight(steps: Sequence[Step]) -> tuple[TextsOf | None, LooksAt]:
    """Of the first step that offers it."""
    for step in steps:
        texts_of = step.texts_of() if hasattr(step, "texts_of") else None
        if texts_of is not None:
            return texts_of, getattr(step, "looks_at", at_all)
    return None, at_all


def _output(
    number: int, path: Path, receipts: Sequence[ReceiptId], sources: dict[ReceiptId, Path], below: Path
) -> Output:
    names = path.relative_to(below).parts if path.is_relative_to(below) else (path.name,)
    originals = tuple(sources[receipt] for receipt in receipts if receipt in sources)
    return Output(path=path, number=number, names=names, originals=originals)


def _reason(first: Finding, total: int, leaving: Batch) -> str:
    item = leaving.items[first.number - 1]
    made_of = f", made of {item.sources[0]}" if len(item.sources) == 1 else ""
    more = f"; {total - 1} more such places" if total > 1 else ""
    return (
        f"{SECOND_READER}{first.what.value} stands in file {first.number} of {len(leaving.items)} "
        f"({item.kind}{made_of}) at {first.where}{more}; nothing of the unit goes on"
    )


def _parts(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[begin : begin + size] for begin in range(0, len(items), size)]
