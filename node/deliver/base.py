"""What a destination is to the delivery loop: parcels go in, one recorded answer per parcel comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from node.model import Kind, ReceiptId


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One file that waits in the outbox for one destination."""

    number: int
    """Its place within the delivery, from 0; stable when the delivery is resumed."""
    path: Path
    kind: Kind
    name: str = ""
    """The file's name at a destination that keeps names; empty: as in the outbox."""
    sop_class: str = ""
    sop_instance: str = ""
    transfer_syntax: str = ""
    """UIDs of a DICOM file, as its file meta says; empty for other kinds."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Header values by keyword, for the layout of a folder. May be patient data: never log them."""
    sources: tuple[ReceiptId, ...] = ()
    """The receipts whose obligation this parcel fulfils."""


class Outcome(StrEnum):
    DELIVERED = "delivered"
    REFUSED = "refused"
    """The same again gives the same answer: this parcel is held, the others go on."""
    AGAIN = "again"
    """The destination asks for a later try of this parcel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one parcel at its destination."""

    outcome: Outcome
    status: int | None = None
    """The C-STORE status (PS3.4 B.2.3); None where the answer did not come from a DICOM peer."""
    text: str = ""
    """For the operator, without patient data. Empty when all went as expected."""
    place: str = ""
    """Where a folder holds it, relative, with slashes. May be built from patient data: keep, never log."""


Record = Callable[[Parcel, Result], None]
"""Takes one answer, to be committed durably. The next parcel is sent when it has returned."""


class Target(Protocol):
    """A destination that parcels are brought to. One instance serves one delivery at a time."""

    def deliver(self, parcels: Sequence[Parcel], record: Record, stop: Callable[[], bool]) -> None:
        """Bring the parcels in order and record each answer as it comes.

        `stop` is asked before each parcel; when it says True the rest stays unrecorded and `deliver`
        returns. Raises TryAgain when the destination cannot be reached or the connection died: what was
        recorded stays, what was not answered is not recorded and is to be brought again.
        """
        ...

    def check(self) -> str:
        """Find out whether the destination takes anything at all, and say what was found.

        Raises TryAgain, with the reason, when it does not.
        """
        ...
