"""Which presentation contexts a delivery proposes, and which accepted one each file goes under. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from node.deliver.base import Parcel
from node.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    name_of,
)

MOST_CONTEXTS = 128
"""Context ids are the odd numbers from 1 to 255 (PS3.8 9.3.2.2)."""

UNCOMPRESSED = frozenset(
    {
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    }
)
"""Transfer syntaxes that turn into each other without touching a pixel value."""

_FALLBACKS = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)


@dataclass(frozen=True, slots=True)
class Context:
    """One abstract syntax with exactly one transfer syntax, so that the acceptor's choice is ours."""

    sop_class: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The parcels of one association, and the contexts to propose for them, in order."""

    parcels: tuple[Parcel, ...]
    contexts: tuple[Context, ...]


def wanted(parcel: Parcel) -> tuple[Context, ...]:
    """The contexts `parcel` can go under, best first: as it is, then explicit, then implicit little endian.

    A compressed file goes as it is or not at all: decoding is a step that a route names, never a side
    effect of sending.
    """
    syntaxes = [parcel.transfer_syntax]
    if parcel.transfer_syntax in UNCOMPRESSED:
        syntaxes += [uid for uid in _FALLBACKS if uid != parcel.transfer_syntax]
    return tuple(Context(parcel.sop_class, uid) for uid in syntaxes)


def proposals(parcels: Sequence[Parcel]) -> Iterator[Proposal]:
    """Split `parcels`, in their order, into as few associations as 128 contexts each allow."""
    waiting: list[Parcel] = []
    contexts: dict[Context, None] = {}
    for parcel in parcels:
        more = [context for context in wanted(parcel) if context not in contexts]
        if len(contexts) + len(more) > MOST_CONTEXTS:
            yield Proposal(parcels=tuple(waiting), contexts=tuple(contexts))
            waiting, contexts = [], {}
            more = list(wanted(parcel))
        waiting.append(parcel)
        contexts.update(dict.fromkeys(more))
    if waiting:
        yield Proposal(parcels=tuple(waiting), contexts=tuple(contexts))


def choose(parcel: Parcel, accepted: Collection[Context]) -> Context | None:
    """The best accepted context for `parcel`; None when the peer accepted none that it can go under."""
    return next((context for context in wanted(parcel) if context in accepted), None)


def refusal(parcel: Parcel, destination: str, accepted: Collection[Context]) -> str:
    """Why `parcel` cannot go to `destination`, and what to change."""
    sop_class, syntax = name_of(parcel.sop_class), name_of(parcel.transfer_syntax)
    taken = sorted(name_of(context.transfer_syntax) for context in accepted if context.sop_class == parcel.sop_class)
    if parcel.transfer_syntax in UNCOMPRESSED:
        return f"{destination} does not accept {sop_class} in any uncompressed transfer syntax; ask its administrator"
    found = f"{destination} does not accept {sop_class} in {syntax}"
    if taken:
        found += f" (it does in {', '.join(taken)})"
    return f"{found}; add `decompress` before `forward`"
