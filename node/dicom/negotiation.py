"""Which transfer syntax a presentation context is accepted with (PS3.8 9.3.3.2). Pure.

The acceptor chooses one of those the sender proposes; the sender then has to send its objects so. A wrong
choice makes the sender compress with loss, or expand what it could have sent as it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from node.dicom.uids import NOT_DATA_SETS, TransferSyntax, transfer_syntax
from node.model import UID


def choose(proposed: Sequence[UID]) -> UID | None:
    """The transfer syntax to accept, one of `proposed`; None when there is nothing that can be kept.

    The sender's first lossless one, explicit before implicit: in implicit VR private elements lose their
    representation, so it is taken only where no lossless explicit one stands beside it. After those, in the
    sender's order, what stands alone: lossy and video; then syntaxes outside the standard, which are kept as
    received and read as explicit little endian; last those whose pixels stay at the sender (JPIP).
    """
    choices = [transfer_syntax(uid) for uid in proposed if uid not in NOT_DATA_SETS]
    return min(choices, key=_rank).uid if choices else None


def _rank(syntax: TransferSyntax) -> int:
    """Smaller is better. `min` keeps the first of equals, which is the sender's own order."""
    if syntax.referenced:
        return 4
    if not syntax.known:
        return 3
    if not syntax.lossless:
        return 2
    return 0 if syntax.explicit else 1
