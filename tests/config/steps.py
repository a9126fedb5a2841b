"""Small steps for the tests of the configuration: the shapes that real ones have, and no work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

from node.model import Batch, Kind, Work

DICOM = frozenset({Kind.DICOM})


class _Idle:
    whole: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()

    def run(self, batch: Batch, work: Work) -> Batch:
        return batch


@dataclass(frozen=True, kw_only=True)
class Anonymize(_Idle):
    """Remove what identifies."""

    name: ClassVar[str] = "anonymize"
    accepts: ClassVar[frozenset[Kind]] = DICOM
    gives: ClassVar[frozenset[Kind]] = DICOM
    deidentifies: ClassVar[bool] = True

    profile: Literal["basic", "none"] = "basic"
    """The profile of PS3.15."""
    options: tuple[str, ...] = ()
    """Options of the profile."""
    recipe: Path | None = None
    """Rules of the site."""
    wait: timedelta = timedelta(seconds=5)
    """How long
    it may take."""

    def problems(self) -> list[str]:
        return ["no recipe without a profile"] if self.profile == "none" and self.recipe else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Nifti(_Idle):
    """Make volumes."""

    name: ClassVar[str] = "nifti"
    accepts: ClassVar[frozenset[Kind]] = DICOM
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM, Kind.NIFTI, Kind.REPORT})

    level: int = 6
    """Of compression, 0 to 9."""

    def __post_init__(self) -> None:
        if not 0 <= self.level <= 9:
            raise ValueError("level is from 0 to 9")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decompress(_Idle):
    """Explicit VR Little Endian."""

    name: ClassVar[str] = "decompress"
    accepts: ClassVar[frozenset[Kind]] = DICOM
    gives: ClassVar[frozenset[Kind]] = DICOM


@dataclass(frozen=True, slots=True, kw_only=True)
class Smooth(_Idle):
    """Works on volumes only."""

    name: ClassVar[str] = "smooth"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.NIFTI})
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.NIFTI})


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop(_Idle):
    """Take everything out."""

    name: ClassVar[str] = "drop"
    accepts: ClassVar[frozenset[Kind]] = frozenset(Kind)
    gives: ClassVar[frozenset[Kind]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward(_Idle):
    """Send to a destination."""

    name: ClassVar[str] = "forward"
    accepts: ClassVar[frozenset[Kind]] = frozenset(Kind)
    gives: ClassVar[frozenset[Kind]] = frozenset(Kind)
    short: ClassVar[str] = "to"

    to: str
    """Name of a destination."""
    what: frozenset[Kind] | None = None
    """Kinds to send."""


STEPS: dict[str, type[Any]] = {s.name: s for s in (Anonymize, Decompress, Nifti, Smooth, Drop, Forward)}
