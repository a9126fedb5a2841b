"""Steps that do to an instance what its Image Comments say: worker processes import them by name.

hold, drop, vanish, same (handed back as it came): one member.
fail, again, bug, die, loop, full: raised by, or done to the process in, the step.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from pydicom import dcmread

from node.errors import CannotSucceed, TryAgain
from node.imaging import ocr
from node.leaks import TextsOf
from node.model import Batch, Disclosure, Held, Item, Kind, Work
from node.pool import at_most
from node.steps import Anonymize
from node.steps.anonymize import instance
from node.steps.anonymize.written import Written


def wish(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).get("ImageComments", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Obey:
    """Copies each instance, or does what its comment says."""

    name: ClassVar[str] = "obey"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    whole: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()

    until: str = ""
    """A file; while it is there, comments are not obeyed."""
    meet: str = ""
    """A folder; goes on when two processes have met there."""
    counts: bool = False
    """Note how many came out, and not which process it was."""
    hides: bool = False
    """Say that the batch is de-identified."""

    def run(self, batch: Batch, work: Work) -> Batch:
        if self.meet:
            wait_for_another(Path(self.meet))
        items, held, dropped = [], list(batch.held), list(batch.dropped)
        for item in batch.items:
            wanted = "" if self.until and Path(self.until).exists() else wish(item.path)
            act(wanted)
            if wanted == "hold":
                held.append(Held(sources=item.sources, reason="it asked to be held"))
            elif wanted == "drop":
                dropped += item.sources
            elif wanted == "same":
                items.append(item)
            elif wanted != "vanish":
                target = work.out / item.path.name
                shutil.copyfile(item.path, target)
                items.append(Item(path=target, kind=item.kind, sources=item.sources))
        work.note("{} obeyed", len(items)) if self.counts else work.note(f"process {os.getpid()}")
        disclosure = Disclosure.DEIDENTIFIED if self.hides else batch.disclosure
        return Batch(items=tuple(items), held=tuple(held), dropped=tuple(dropped), disclosure=disclosure)


def wait_for_another(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 30
    while len(list(folder.iterdir())) < 2:
        if time.monotonic() > deadline:
            raise CannotSucceed("nobody came")
        time.sleep(0.01)


def act(wanted: str) -> None:
    match wanted:
        case "fail":
            raise CannotSucceed("it asked to fail")
        case "again":
            raise TryAgain("the world is not ready")
        case "bug":
            raise ValueError("Doe^John is no date")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "loop":
            with at_most(0.3):
                sum(range(10**12))  # in C, as a codec would
        case "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/Doe^John")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pile:
    """One file from the whole batch, beside what went in."""

    name: ClassVar[str] = "pile"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM, Kind.NIFTI})
    whole: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"secret"})

    def run(self, batch: Batch, work: Work) -> Batch:
        assert work.given["secret"]
        target = work.out / "pile.nii.gz"
        target.write_bytes(b"".join(item.path.read_bytes()[-10:] for item in batch.items))
        sources = tuple(source for item in batch.items for source in item.sources)
        pile = Item(path=target, kind=Kind.NIFTI, sources=sources)
        return Batch(items=(*batch.items, pile), held=batch.held, dropped=batch.dropped, disclosure=batch.disclosure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Careless:
    """De-identifies but for what each instance's Image Comments say: it is written into its Series Description."""

    name: ClassVar[str] = "careless"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    whole: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"secret"})
    deidentifies: ClassVar[bool] = True

    options: tuple[str, ...] = ()
    second_reader: bool = True
    leaves: tuple[int, ...] = ()
    """Attributes that are said to stay on purpose."""
    sees: str = ""
    """What is recognised in every frame."""
    reads: bool = False
    """Recognise what is there, by what `pip install dicom-node[ocr]` brings."""

    def keeps(self) -> frozenset[int]:
        return frozenset(self.leaves)

    def texts_of(self) -> TextsOf | None:
        return ocr.texts_of if self.reads else partial(see, self.sees) if self.sees else None

    def run(self, batch: Batch, work: Work) -> Batch:
        items, held = [], list(batch.held)
        for item in batch.items:
            wanted = wish(item.path)
            if wanted == "hold":
                held.append(Held(sources=item.sources, reason="it asked to be held"))
                continue
            made = Anonymize(options=self.options).run(replace(batch, items=(item,)), work)
            ds = dcmread(made.items[0].path)
            ds.SeriesDescription = wanted
            ds.save_as(made.items[0].path)
            items += made.items
        return replace(batch, items=tuple(items), held=tuple(held), disclosure=Disclosure.DEIDENTIFIED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faulty(Anonymize):
    """De-identifies with an engine that has a fault, met in instances of one number."""

    number: int
    """Instance Number."""

    def run(self, batch: Batch, work: Work) -> Batch:
        whole: Callable[..., dict[int, Written]] = instance.rewritten

        def rewritten(*data_set: Any, **how: Any) -> dict[int, Written]:
            elements = whole(*data_set, **{**how, "apart": None})
            if elements[0x00200013].strip().endswith(str(self.number).encode()):
                raise KeyError("Doe^John")
            return elements

        with mock.patch.object(instance, "rewritten", rewritten):
            return Anonymize.run(self, batch, work)


def see(text: str, frame: object) -> list[str]:
    return [text]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent(Obey):
    """De-identifies, so it says, and gives no account of it."""

    name: ClassVar[str] = "silent"
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM, Kind.REPORT})
    deidentifies: ClassVar[bool] = True
    hides: bool = True
