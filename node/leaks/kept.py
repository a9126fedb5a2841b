"""What a route leaves in its outputs on purpose, and is therefore no leak.

The options of PS3.15 E.3 by the names that rules.yaml has for them; read here once more, and not taken over from what
de-identifies, so that an option that keeps too much there is found.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from node.leaks.what import What

_LEAVES = {
    "retain_uids": frozenset({What.UID}),
    "retain_device_identity": frozenset({What.DEVICE}),
    "retain_institution_identity": frozenset({What.INSTITUTION}),
    "retain_long_full_dates": frozenset({What.DATE}),
}

DEVICE_UIDS = frozenset({0x00181002, 0x0018100B})
"""Device UID, Manufacturer's Device Class UID."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Kinds of values that are not searched for, and attributes whose values are not."""

    whats: frozenset[What] = frozenset()
    tags: frozenset[int] = frozenset()
    places: frozenset[tuple[int, ...]] = frozenset()
    """The same in one place: the sequences from the top, then the attribute."""
    shifted: bool = False
    """Dates are shifted: one of the originals may be, by chance, the shifted one of another."""

    def __and__(self, other: Kept) -> Kept:
        """What two steps one after the other leave."""
        return Kept(
            self.whats & other.whats, self.tags & other.tags, self._both(other) | other._both(self),
            self.shifted or other.shifted,
        )  # fmt: skip

    def _both(self, other: Kept) -> frozenset[tuple[int, ...]]:
        return frozenset(place for place in self.places if place in other.places or place[-1] in other.tags)

    @classmethod
    def of(
        cls, options: Collection[str], tags: Collection[int] = (), places: Collection[tuple[int, ...]] = ()
    ) -> Kept:  # fmt: skip
        """From the options of PS3.15 E.3 and from what site rules keep by name or by place. Options that keep nothing
        which is searched for have no effect."""
        whats = frozenset[What]().union(*(_LEAVES[name] for name in options if name in _LEAVES))
        device = DEVICE_UIDS if "retain_device_identity" in options else frozenset[int]()
        return cls(whats, frozenset(tags) | device, frozenset(places), "retain_long_modified_dates" in options)
