"""Declare what is sent to a destination. Sending itself is `deliver/`'s: a step knows no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from node.model import Batch, Kind, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Put the batch into the outbox of a destination, and pass it on unchanged.

    Its place in the route says what is sent: before `anonymize` the originals, after it what that made. What
    the destination cannot take is not sent: an application entity takes DICOM, a folder everything.
    """

    name: ClassVar[str] = "forward"
    short: ClassVar[str] = "to"
    accepts: ClassVar[frozenset[Kind]] = frozenset(Kind)
    gives: ClassVar[frozenset[Kind]] = frozenset(Kind)
    whole: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()

    to: str
    """A name from `destinations`."""
    what: tuple[Kind, ...] | None = None
    """Only these kinds of files: dicom, nifti, image, mask, report. Default: what the destination takes."""

    def run(self, batch: Batch, work: Work) -> Batch:
        """The batch as it came: `run/` fills the outbox, which is not a step's to see."""
        work.note(f"to {self.to}")
        return batch
