"""The words of the node as values. Standard library only; knows no file, socket, database or clock.

instance, series, study, association, AE title, transfer syntax and SOP class mean what PS3.3 and PS3.8
say. Ours: a *receipt* is one acknowledged C-STORE; a *unit* is what a route works on; a *batch* is what
flows between two steps; *held* waits for a person, with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, NewType, Protocol

UID = NewType("UID", str)
"""PS3.5 9.1: at most 64 characters, digits and dots."""

ReceiptId = NewType("ReceiptId", str)
"""32 lower-case hexadecimal digits; sorts by time of receipt. Names the spool file."""


# ---- what arrived ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who sent an instance, and to whom. One association (PS3.8 7.1.1), or one watched folder."""

    calling_ae: str
    called_ae: str
    sender: str
    """IP address of the peer as text, or `folder:<path>`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an instance says it is: read from its data set, never from the command alone."""

    sop_class: UID
    sop_instance: UID
    study: UID
    series: UID
    transfer_syntax: UID


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One kept instance, as its row in the index will say it."""

    receipt: ReceiptId
    path: str
    """Below the spool."""
    size: int
    sha256: str
    received: datetime
    origin: Origin
    identity: Identity
    header: bytes
    """node.dicom.header.pack"""
    held: str = ""
    """A reason to hold it at once: it has no provenance, or is not in the backup that was restored."""


class UnitKind(StrEnum):
    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


# ---- headers ---------------------------------------------------------------------------------------

Header = Mapping[str, Any]
"""The header of one instance, kept in the index so that matching re-reads no file. Plain JSON values.

{"00080060": ["CS", ["CT"]], "00081140": ["SQ", [{"00081155": ["UI", ["1.2.3"]]}, ...]], ...}

Key: 8 hexadecimal digits, upper case. Value: [VR, values]. Values are text (decoded by the data set's
character set, NFC, trailing padding removed), int, float, or nested headers for SQ. Values of more than
64 bytes and bulk data (OB, OW, ... and UN that is no sequence) are kept as null: present, value unknown.
Private elements are keyed by their tag; their creator is the element (gggg,00xx) beside them.
"""


# ---- what flows between steps ----------------------------------------------------------------------


class Kind(StrEnum):
    DICOM = "dicom"
    NIFTI = "nifti"
    IMAGE = "image"
    MASK = "mask"
    REPORT = "report"


class Disclosure(StrEnum):
    """Whether what is in a batch may identify a patient; `destinations.X.accepts` is held against it."""

    IDENTIFIED = "identified"
    DEIDENTIFIED = "deidentified"


class Whose(NamedTuple):
    """Of which study and patient an instance became, so that one study is held against itself."""

    study: str
    """Study Instance UID of the output."""
    patient: str
    """Pseudonym."""
    identified: bool
    """Whether the original had a Patient ID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One file in a batch. Read-only to every step but the one that wrote it."""

    path: Path
    kind: Kind
    sources: tuple[ReceiptId, ...]
    """The receipts this file was made from; its delivery fulfils their obligations."""
    account: str = ""
    """What a step that de-identifies did to it, as node.certificate.account writes it; the next step need not keep it.
    May let a patient's values be compared, not read: stays in the node."""
    whose: Whose | None = None
    """The same of who it became."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a step could not process with certainty, and why. Never silently dropped."""

    sources: tuple[ReceiptId, ...]
    reason: str
    """For the operator, without patient data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    items: tuple[Item, ...]
    held: tuple[Held, ...] = ()
    dropped: tuple[ReceiptId, ...] = ()
    """Receipts that a rule took out of the batch on purpose."""
    disclosure: Disclosure = Disclosure.IDENTIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class Referenced:
    """What the instances of a batch refer to: `Work.given["referenced"]` of a step that needs it."""

    items: tuple[Item, ...] = ()
    """DICOM instances that are not in the batch, as the steps before would have made them. Their receipts are no
    business of the job."""
    missing: Mapping[ReceiptId, str] = field(default_factory=dict)
    """Receipts in the batch that refer to what is not there -> why not. It has been waited for."""


class Work(Protocol):
    """All that a step may touch besides its batch. `run/` supplies it."""

    @property
    def out(self) -> Path:
        """An existing folder of this step's own. Everything it writes goes here."""
        ...

    @property
    def given(self) -> Mapping[str, Any]:
        """What the step declared in `needs`, by name."""
        ...

    def note(self, text: str, *counts: int) -> None:
        """Add a line to the job's history. No patient data.

        `note("{} of {} changed", 3, 12)`: a step is given its batch in parts, and equal texts of all parts become one
        line with their counts added up. A text without counts is taken as it is, braces and all.
        """
        ...


class Placed(str):
    """A problem of a step's options that says where in them it is, such as ("rules", 2, "keep"): for its line."""

    __slots__ = ("loc",)

    loc: tuple[str | int, ...]

    def __new__(cls, text: str, loc: tuple[str | int, ...]) -> Placed:
        made = super().__new__(cls, text)
        made.loc = loc
        return made


class Step(Protocol):
    """One transformation of a batch. A frozen dataclass whose fields are its options in rules.yaml.

    `run` is repeated after a crash, so it must give the same file names for the same input, and writing
    again must do no harm. It raises CannotSucceed when the whole batch is at fault, TryAgain when the
    world may change; one bad member goes to `Batch.held`.
    """

    name: ClassVar[str]
    """The key in rules.yaml."""
    accepts: ClassVar[frozenset[Kind]]
    """Kinds it transforms. Items of other kinds are passed on unchanged by `run/`."""
    gives: ClassVar[frozenset[Kind]]
    """Kinds that its output may have, beside what was passed on."""
    needs: ClassVar[frozenset[str]]
    """Names of what it wants in `Work.given`; see run/supply.py for what there is."""

    @property
    def whole(self) -> bool:
        """True: needs the whole unit at once, and a member held before it holds the unit unless the route
        says `partial: proceed`. False: may be given any part of the batch, several parts side by side.
        A ClassVar, where it does not depend on the options."""
        ...

    def run(self, batch: Batch, work: Work) -> Batch: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a job does, frozen when the job was made; later edits of rules.yaml do not change it."""

    route: str
    unit: UnitKind
    steps: tuple[tuple[str, Mapping[str, Any]], ...]
    """(step name, its options as plain JSON values), in order."""
    partial: str = "hold"
    fingerprint: str = ""
    """SHA-256 of the route as it was, for `explain`."""
    passed: tuple[tuple[str, str], ...] = ()
    """(what the second reader said, why a person let that pass): what it says beyond these holds the job."""


# ---- obligations -----------------------------------------------------------------------------------


class State(StrEnum):
    """Where an acknowledged instance is, worst first. The keys of `dicom-node ledger`."""

    HELD = "held"
    IN_JOB = "in_job"
    WAITING = "waiting"
    DELIVERED = "delivered"
    PRODUCED = "produced"
    DROPPED = "dropped"
    UNROUTED = "unrouted"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A unit at one generation, as completion and matching see it."""

    id: int
    kind: UnitKind
    called_ae: str
    uid: UID
    generation: int
    count: int
    first: datetime
    """When the first instance of this generation was indexed, UTC, database clock."""
    last: datetime
    """When the latest instance of this generation was indexed, UTC, database clock."""
    senders: tuple[Origin, ...] = field(default=())
