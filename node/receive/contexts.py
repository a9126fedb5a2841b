"""What a presentation context is accepted with, or why not (PS3.8 9.3.3.2). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.config import Node
from node.dicom.negotiation import choose
from node.dicom.uids import full_name, is_storage, name_of
from node.model import UID

VERIFICATION = UID("1.2.840.10008.1.1")


@dataclass(frozen=True, slots=True)
class Declined:
    """`why` goes behind the name of the sender; `reason` is `sop_class` or `transfer_syntax`."""

    reason: str
    why: str


def decide(node: Node, sop_class: str, proposed: Sequence[UID]) -> UID | Declined:
    """The transfer syntax to accept, one of `proposed`."""
    if sop_class == VERIFICATION:
        return choose(proposed) or Declined("transfer_syntax", _none_fits(sop_class, proposed))
    if not is_storage(sop_class):
        return Declined("sop_class", f"proposed {full_name(sop_class)}, which is no storage class")
    if node.sop_classes and sop_class not in node.sop_classes:
        return Declined("sop_class", f"proposed {full_name(sop_class)}; node: sop_classes does not list it")
    allowed = [uid for uid in proposed if not node.transfer_syntaxes or uid in node.transfer_syntaxes]
    chosen = choose(allowed)
    if chosen is not None:
        return chosen
    if choose(proposed) is None:
        return Declined("transfer_syntax", _none_fits(sop_class, proposed))
    its = "it" if len(proposed) == 1 else "any of them"
    return Declined(
        "transfer_syntax",
        f"proposed {', '.join(proposed)} for {name_of(sop_class)}; node: transfer_syntaxes does not list {its}",
    )


def _none_fits(sop_class: str, proposed: Sequence[UID]) -> str:
    syntaxes = ", ".join(proposed) or "nothing"
    return f"proposed {syntaxes} for {name_of(sop_class)}: none of these transfer syntaxes can be kept"
