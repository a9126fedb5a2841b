"""Where a benchmark works: a folder on the disk, in which what one run removed does not slow down the next.

On ext4 a new file costs 0.02 ms, or 0.8 ms where some thousands of others were removed in the minutes before (see
node/spool/ground.py): by the run before, by a test, by the peer whose turn it was. So every turn gets a folder of its
own, apart from all others on the disk.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from node.spool import set_apart

_CANDIDATES, _TRIED = 8, 100
"""Places, and files that are made in each to tell which is quick."""


@contextmanager
def new_ground(folder: Path | None, prefix: str) -> Iterator[Path]:
    """A temporary folder below `folder`, removed at the end; those made in it lie apart."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=prefix) as temporary:
        set_apart(Path(temporary))
        yield Path(temporary)


def place(folder: Path) -> Path:
    """One in it that is not made yet, by a name that no run had before: where it goes on the disk hangs on its name."""
    return folder / uuid4().hex


def quick_place(folder: Path) -> Path:
    """Of some places in it, made now, the one where a new file costs least: a name may lead to where others removed
    theirs."""
    candidates = [place(folder) for _ in range(_CANDIDATES)]
    for at in candidates:
        at.mkdir()
    return min(candidates, key=_seconds_to_make_files)


def _seconds_to_make_files(at: Path) -> float:
    (tried := at / "tried").mkdir()
    began = time.perf_counter()
    for number in range(_TRIED):
        os.close(os.open(tried / str(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    return time.perf_counter() - began


def memory_at_hand(megabytes: int) -> None:
    """Use so much and free it: whoever comes next does not wait for the host of a virtual machine to find it.

    Here 2 ms for a MB that was not used for two seconds, and a twentieth of that for one that was.
    """
    with mmap.mmap(-1, megabytes << 20) as pages:
        for at in range(0, len(pages), mmap.PAGESIZE):
            pages[at] = 1


def give_back(folder: Path) -> None:
    """Empty every file below: the next run has the memory and the room on the disk, and finds nothing removed."""
    for path in folder.rglob("*"):
        if path.is_file():
            os.truncate(path, 0)
    os.sync()
