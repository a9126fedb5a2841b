"""Steps that do to an instance what its Image Comments say: worker processes import them by name.

hold, drop, vanish, same (handed back as it came): one member.
fail, again, bug, die, full: raised by, or done to the process in, the step.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydicom import dcmread

from node.errors import CannotSucceed, TryAgain
from node.model import Batch, Disclosure, Held, Item, Kind, Work


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
class Silent(Obey):
    """De-identifies, so it says, and gives no account of it."""

    name: ClassVar[str] = "silent"
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM, Kind.REPORT})
    deidentifies: ClassVar[bool] = True
    hides: bool = True
