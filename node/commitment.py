"""Whether an instance may be committed: that this node, or who it brought it to, keeps it for good. Pure.

A sender that asked for storage commitment deletes its own copy on the answer (PS3.4 J.1). So success needs the proof
that the operator chose, and everything else ends, at the latest after `within`, in a failure with a reason: the
sender keeps its copy and may ask again.

    stored       it lies in the spool, or was delivered as below
    delivered    the original is at a destination, at that one's proof level; a copy that was de-identified or
                 has another SOP Instance UID does not count, and none at the requester itself, which deletes its own
    downstream   a destination that has the original has committed it itself
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from node.dicom.commitment import (
    CLASS_INSTANCE_CONFLICT,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
)
from node.model import UID


class Proof(StrEnum):
    STORED = "stored"
    DELIVERED = "delivered"
    DOWNSTREAM = "downstream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one SOP Instance UID at one moment."""

    sop_classes: Collection[UID] = ()
    """Under which it was received; empty: never."""
    spooled: bool = False
    """Its bytes are in the spool, and no one gave it up."""
    delivered: bool = False
    """A destination has acknowledged the original."""
    committed: bool = False
    """A destination that has the original has committed it."""
    askable: bool = False
    """A destination that has the original can still be asked, or has been and may answer."""
    waiting: bool = False
    """The original is in the outbox of a destination."""
    under_way: bool = False
    """Its unit is open, a job works on it, or it is being compared: it may yet get into an outbox."""
    held: bool = False
    """A person decides about it, and may send it on."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not known yet."""

    why: str


@dataclass(frozen=True, slots=True)
class Committed:
    because: str


@dataclass(frozen=True, slots=True)
class Failed:
    reason: int
    """Failure Reason (0008,1197), PS3.3 C.14.1.1."""
    because: str


Verdict = Wait | Committed | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a request may stay undecided."""

    grace: timedelta
    """For an instance that is not there: a request may overtake it on another association, or in the index."""
    within: timedelta
    """For the proof. After it the sender is told that there is none."""


def judge(sop_class: UID, facts: Facts, proof: Proof, age: timedelta, patience: Patience) -> Verdict:
    """What to say of one instance.

    sop_class   as the request names it
    age         of the request
    """
    if not facts.sop_classes:
        if age < patience.grace:
            return Wait("it was not received yet")
        return Failed(NO_SUCH_INSTANCE, "it was not received")
    if sop_class not in facts.sop_classes:
        return Failed(CLASS_INSTANCE_CONFLICT, "it was received with another SOP class")
    proven = _proven(facts, proof)
    if proven is not None:
        return proven
    if proof is Proof.STORED:
        return Failed(NO_SUCH_INSTANCE, "it is not in the spool any more")
    possible = _possible(facts, proof)
    if isinstance(possible, Wait) and age >= patience.within:
        # Where only time was short, the same request may succeed later; where nobody decided, it may not.
        reason = PROCESSING_FAILURE if facts.held and not facts.waiting else RESOURCE_LIMITATION
        return Failed(reason, f"{possible.why}, for longer than node: commitment: within")
    return possible


def _proven(facts: Facts, proof: Proof) -> Committed | None:
    if proof is Proof.DOWNSTREAM:
        return Committed("a destination has committed the original") if facts.committed else None
    if facts.delivered or facts.committed:
        return Committed("the original was delivered")
    if proof is Proof.STORED and facts.spooled:
        return Committed("it is in the spool")
    return None


def _possible(facts: Facts, proof: Proof) -> Wait | Failed:
    if proof is Proof.DOWNSTREAM and facts.delivered and facts.askable:
        return Wait("its destination has not committed it yet")
    if facts.waiting:
        return Wait("it waits for a destination")
    if facts.under_way:
        return Wait("its series or study is being worked on")
    if facts.held:
        return Wait("it is held")
    if proof is Proof.DOWNSTREAM and facts.delivered:
        return Failed(PROCESSING_FAILURE, "it went only where no commitment can be asked for")
    return Failed(PROCESSING_FAILURE, "no route brings it to a destination as it was received")


def next_look(age: float) -> float:
    """Seconds until an undecided request of this age, in seconds, is looked at again: the older, the rarer."""
    return min(60.0, max(1.0, age / 10))


def next_question(tries: int) -> float:
    """Seconds until a destination is asked again that took the request and did not commit everything: archives
    commit at night, or when the disk is written to tape."""
    return min(6 * 3600.0, 600.0 * 2.0 ** min(tries, 10))
