"""`engine: dcm2niix`: its program converts, and our gate judges what it wrote.

It is given links with names of ours and writes into an empty folder; nothing that it prints is kept, for it may name a
patient. What has no source frame in every slice (its resampled `_Tilt` and `_Eq` files) is not let out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from node.errors import CannotSucceed
from node.imaging.locate import Foreign, check_whole, load, search
from node.steps.nifti import naming
from node.steps.nifti.members import Member

SECONDS = 3600.0
"""A conversion that takes longer is ended, and its series held."""

_BESIDE = (".json", ".bval", ".bvec")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A file of dcm2niix in which every slice is a source frame in its place."""

    path: Path
    beside: tuple[Path, ...]
    """Its sidecar, .bval and .bvec."""
    instances: tuple[int, ...]
    frames: int
    shape: tuple[int, ...]
    affine: list[list[float]]


def program() -> str | None:
    """Where it is: beside the interpreter, as pip puts it, or on the path."""
    return shutil.which("dcm2niix", path=str(Path(sys.executable).parent)) or shutil.which("dcm2niix")


def convert(members: Sequence[Member], numbers: Sequence[int], folder: Path, names: str) -> list[Path]:
    """Convert the members of these numbers into `folder`; the volumes that were written, by name.

    names  dcm2niix's own pattern

    Raises CannotSucceed when the program is not there, fails or takes too long.
    """
    found = program()
    if found is None:
        raise CannotSucceed("dcm2niix is not installed: pip install dcm2niix")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".dcm2niix-") as temporary:
        for n in numbers:
            (Path(temporary) / f"{n:06d}.dcm").symlink_to(members[n].item.path.resolve())
        # -p n: Philips as the header rescales it; -ba y: no patient in the sidecar; -w 2: a new name for one taken.
        options = ["-z", "y", "-1", "-b", "y", "-ba", "y", "-p", "n", "-w", "2", "-f", names]
        command = [found, *options, "-o", str(folder), temporary]
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise CannotSucceed(f"dcm2niix took more than {SECONDS:g} s") from None
    written = sorted(folder.glob("*.nii.gz"))
    if not written:
        raise CannotSucceed(f"dcm2niix wrote nothing (it ended with {done.returncode})")
    return written


def judge(
    paths: Sequence[Path], members: Sequence[Member], numbers: Sequence[int], reasons: dict[int, str]
) -> list[Judged]:
    """Look for every frame of the members in the files; what stands in the way goes to `reasons`, by member.

    Files are removed that hold no frame, or one of a member that is held, or are not as long as their header says.
    """
    files: list[Foreign] = []
    for path in paths:
        try:
            files.append(load(path))
        except CannotSucceed:  # its frames are then in none of the files, and held for that
            _remove(path)
    for n in numbers:
        _look_for(members[n], n, files, reasons)
    for file in files:
        try:
            if file.found:
                check_whole(file)
        except CannotSucceed as error:
            for frame in file.found.values():
                reasons.setdefault(frame.instance, str(error))
    return [_kept(file) for file in files if _is_kept(file, reasons)]


def placed(judged: Judged, folder: Path, taken: set[str]) -> Judged:
    """The volume and what is beside it moved into `folder`, under one safe name that is not in `taken` and then is: the
    program knows of one series only, and two may have the same values in the pattern."""
    stem = _stem(judged.path)
    name = naming.free(naming.safe(stem), taken)
    moved = [path.rename(folder / f"{name}{path.name[len(stem) :]}") for path in (judged.path, *judged.beside)]
    return replace(judged, path=moved[0], beside=tuple(moved[1:]))


def _look_for(member: Member, n: int, files: Sequence[Foreign], reasons: dict[int, str]) -> None:
    assert member.pixels is not None  # those without pixels were held before
    try:
        for frame in sorted(member.frames, key=lambda f: f.number):
            (decoded,) = member.pixels.frames([frame.number])
            if search(frame, frame.part(decoded), files) is None:
                raise CannotSucceed(f"gate: frame {frame.number + 1} is in none of the files that dcm2niix wrote")
    except CannotSucceed as error:
        reasons.setdefault(n, str(error))


def _is_kept(file: Foreign, reasons: dict[int, str]) -> bool:
    if file.found and not any(frame.instance in reasons for frame in file.found.values()):
        return True
    _remove(file.path)
    for frame in file.found.values():
        reasons.setdefault(frame.instance, "shares a volume with an instance that is held")
    return False


def _remove(path: Path) -> None:
    for one in (path, *_beside(path)):
        one.unlink()


def _kept(file: Foreign) -> Judged:
    return Judged(
        path=file.path,
        beside=_beside(file.path),
        instances=tuple(sorted({frame.instance for frame in file.found.values()})),
        frames=len(file.found),
        shape=file.header.shape,
        affine=file.header.affine.tolist(),
    )


def _beside(path: Path) -> tuple[Path, ...]:
    return tuple(p for p in (path.with_name(_stem(path) + end) for end in _BESIDE) if os.path.lexists(p))


def _stem(path: Path) -> str:
    return path.name.removesuffix(".nii.gz")
