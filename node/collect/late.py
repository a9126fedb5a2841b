"""Late arrivals: what a route owes for instances that came after their unit was complete. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from node.index.jobs import OUTPUT
from node.model import ReceiptId


class Late(StrEnum):
    RERUN = "rerun"
    """The route works on all instances again; destinations get only what changed."""
    DELTA = "delta"
    """The route works on the late instances alone."""
    HOLD = "hold"
    """The late instances wait for a person."""
    IGNORE = "ignore"
    """The late instances are kept in the spool and go through nothing."""


def owed(
    late: Late, members: Sequence[tuple[ReceiptId, int]], generation: int, targets: Sequence[str]
) -> list[tuple[ReceiptId, str, str, str]]:
    """(receipt, target, state, reason) of every obligation of a new job.

    members     (receipt, the generation it came with), of all generations up to this one
    targets     destination names; a route without any owes its own output
    """
    over = {
        Late.HOLD: ("held", "came after the unit was complete, and this route holds late arrivals"),
        Late.IGNORE: ("ignored", "came after the unit was complete, and this route ignores late arrivals"),
    }
    chosen = [r for r, came in members if late is Late.RERUN or came == generation]
    state, reason = over.get(late, ("in_job", ""))
    return [(r, target, state, reason) for r in chosen for target in (targets or [OUTPUT])]
