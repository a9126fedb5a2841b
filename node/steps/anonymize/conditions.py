"""Attributes that may not stand alone: PS3.3 asks for one where another is, or for none where it is not.

Table E.1-1 says of each attribute by itself what is done to it. Where that would leave an object that breaks a
condition of its IOD, what is done here removes no less. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType

from node.steps.anonymize.actions import Action, Do

BESIDE: Mapping[int, int] = MappingProxyType(
    {
        0x00102298: 0x00102297,  # Responsible Person Role, of Responsible Person (PS3.3 C.7.1.1)
        0x00120081: 0x00120082,  # Ethics Committee Name, of its Approval Number (PS3.3 C.7.1.3)
    }
)
"""Type 1C, and not there but where the other has a value."""

_SPECIES = frozenset({0x00102201, 0x00102202})
"""Patient Species Description and its Code Sequence: the patient is an animal."""
_WHO_IS_RESPONSIBLE = (0x00102297, 0x00102299)
"""Responsible Person and Organization: Type 2C, of an animal (PS3.3 C.7.1.1)."""

_NOTHING_LEFT = (Do.REMOVE, Do.EMPTY)


def consistent(actions: Mapping[int, Action], ruled: AbstractSet[int]) -> dict[int, Action]:
    """The actions, with those of BESIDE in agreement. What a recipe or a rule says (`ruled`) is left as it is.

    One goes with the other; where an option keeps it (Retain Institution Identity), the other gets a dummy.
    """
    agreed = dict(actions)
    for tag, other in BESIDE.items():
        if tag in ruled or agreed.get(other) not in _NOTHING_LEFT:
            continue
        if agreed.get(tag) is Do.KEEP and other not in ruled:
            agreed[other] = Do.DUMMY
        else:
            agreed[tag] = Do.REMOVE
    return agreed


def of_animals(actions: Mapping[int, Action], ruled: AbstractSet[int]) -> dict[int, Action]:
    """The actions for the top of an animal's instances: who is responsible may be unknown, and may not be absent."""
    return {
        **actions,
        **{tag: Do.EMPTY for tag in _WHO_IS_RESPONSIBLE if tag not in ruled and actions.get(tag) is Do.REMOVE},
    }


def is_of_an_animal(tags: AbstractSet[int]) -> bool:
    """By the attributes at the top of an instance."""
    return not tags.isdisjoint(_SPECIES)
