"""What is known of an open unit at one moment: what came, what others say there is, and the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from node.model import ReceiptId, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When a unit counts as complete, for its kind and the peers that sent it."""

    quiet: timedelta
    """No instance for so long."""
    at_most: timedelta
    """Closed so long after its first instance, whatever still goes on."""
    floor: timedelta = timedelta(seconds=5)
    """Evidence counts only after so long without an instance."""
    evidence: frozenset[str] = frozenset()
    """Sources that may end the wait early: those that every sender of the unit goes by. One sender's word says
    nothing of what another has still to send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a sender says that it made or sent: a storage commitment request, or a series of a procedure step."""

    source: str
    """commitment | mpps"""
    peer: str
    """AE title of who said it."""
    series: str = ""
    """The series it speaks of; empty for a commitment request, which names instances of any."""
    count: int
    listed: frozenset[str] | None
    """SOP Instance UIDs; None when only their number is known."""
    absent: frozenset[str] = frozenset()
    """Those of the listed that never came to this called AE title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a source answered to C-FIND: what it had of the unit's study at that moment."""

    peer: str
    at: datetime
    """Before it was asked; database clock."""
    study: int | None = None
    """Number of Study Related Instances (0020,1208); None when it does not say."""
    series: Mapping[str, int | None] = field(default_factory=dict)
    """Every series of the study: Number of Series Related Instances (0020,1209), or the answers at IMAGE level."""
    instances: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Of the series that were asked for at IMAGE level: SOP Instance UIDs that had not come by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderCount:
    """What instances say of how many there are; see `headers`."""

    what: str
    announced: int
    here: int
    exact: bool
    """False: no more than that many, and fewer is no sign of anything missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What one source says of one series of a job: `Work.given["announced"]` is a tuple of these."""

    receipts: frozenset[ReceiptId]
    """All that the job has of the series. Not its UID, which `anonymize` changes."""
    count: int
    says: str
    """Who says so, and how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of an open unit at one moment."""

    unit: Unit
    policy: Policy
    now: datetime
    """Database clock, as `unit.first` and `unit.last`."""
    receiving: bool
    """An association or folder is in the middle of an instance for this unit."""
    unindexed: bool
    """A live receiver acknowledged instances that are not in the index; they may belong here."""
    unjudged: int
    """Instances of this unit with a SOP Instance UID that came before with other bytes, not yet compared."""
    arrived: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """SOP Instance UIDs that came, by series. In whatever state: what is held or dropped has come too."""
    statements: tuple[Statement, ...] = ()
    """Of senders that go by this source of evidence."""
    performing: bool = False
    """A procedure step of the unit's study is in progress, of a sender that goes by MPPS."""
    readings: tuple[Reading, ...] = ()
    """Answers of peers that are asked, oldest first; the last two of each are looked at."""
    asked: frozenset[str] = frozenset()
    """AE titles of the senders whose sources are asked, whether they answered or not."""
    headers: tuple[HeaderCount, ...] = ()

    @property
    def here(self) -> frozenset[str]:
        """All that came, of every series."""
        return frozenset[str]().union(*self.arrived.values())


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a unit is complete."""

    source: str
    text: str


_NAMED = 3
"""UIDs in a text: the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What a source says is still to come."""

    count: int
    instances: tuple[str, ...] = ()
    """SOP Instance UIDs where they are known, sorted; at most `count`."""
    says: str
    """Who says so, and how."""

    def __str__(self) -> str:
        if not self.instances:
            return f"{self.count} missing, {self.says}"
        named = ", ".join(self.instances[:_NAMED])
        more = self.count - min(_NAMED, len(self.instances))
        return f"{self.count} missing, {self.says}: {named}" + (f" and {more} more" if more else "")
