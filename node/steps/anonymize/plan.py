"""What to do with every attribute: PS3.15 Table E.1-1, the options, a recipe and site rules, compiled into one lookup.

Compiling is pure and knows no data set; engine.py applies it to the bytes of one, walk.py by pydicom.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from node.dicom import deid_content, deid_table
from node.dicom.attributes import PrivateTag
from node.steps.anonymize import conditions, profile
from node.steps.anonymize.actions import PATIENT_ID as PATIENT_ID
from node.steps.anonymize.actions import PATIENT_NAME as PATIENT_NAME
from node.steps.anonymize.actions import Action as Action
from node.steps.anonymize.actions import Do as Do
from node.steps.anonymize.options import AVAILABLE as AVAILABLE
from node.steps.anonymize.options import UNAVAILABLE as UNAVAILABLE
from node.steps.anonymize.permitted import keeps_a_date

PrivatePlace = tuple[int, str, int]
"""(group, creator, low byte) of a private element."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one line of a recipe's %values takes from a data set; see by_value.py."""

    tags: frozenset[int]
    private: PrivatePlace | None = None
    by: str | None = None
    """What the value is split at; None for the whole value."""
    least: int = 1
    """Characters of a part that counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByValue:
    """A line of a recipe that means attributes by what they say."""

    parts: tuple[Part, ...]
    word: str
    """REPLACE, REMOVE or BLANK."""
    action: Action
    said: str
    """Which line it is, for who asks."""
    spoken_for: frozenset[int] = frozenset()
    """Attributes that are not meant: a line or a rule names them, and is stronger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a recipe (recipe.py) or site rules (rules.py) lay over the profile."""

    actions: Mapping[int, Action] = field(default_factory=dict)
    """At every depth."""
    paths: Mapping[tuple[int, ...], Action] = field(default_factory=dict)
    """In one place: the sequences from the top, then the attribute."""
    add: Mapping[int, str] = field(default_factory=dict)
    """Top-level attributes to write whether they were there or not."""
    private: Mapping[PrivateTag, Action] = field(default_factory=dict)
    """What keeps a private element, and what is done to it; REMOVE for one that retain_safe_private would keep."""
    digest: str = ""
    """The first 12 digits of the recipe's SHA-256, for the output's De-identification Method."""
    rules_digest: str = ""
    """The same of the site rules."""
    sha256: str = ""
    """Of the whole recipe, for the certificate."""
    said: Mapping[int | tuple[int, ...] | PrivateTag, str] = field(default_factory=dict)
    """Which line of the recipe, or which site rule, decides for an attribute or for one in one place."""
    by_value: tuple[ByValue, ...] = ()
    """The strongest first."""
    weakens: bool = False
    """Whether something is kept that the profile and options would have changed."""


NO_RULES = Rules()


def laid_over(below: Rules, above: Rules) -> Rules:
    """Both, `above` where they differ: what it says of an attribute holds also where `below` adds that attribute."""
    return Rules(
        actions={**below.actions, **above.actions},
        paths={**below.paths, **above.paths},
        add={tag: value for tag, value in below.add.items() if tag not in above.actions} | dict(above.add),
        private={**below.private, **above.private},
        digest=below.digest or above.digest,
        rules_digest=below.rules_digest or above.rules_digest,
        sha256=below.sha256 or above.sha256,
        said={**below.said, **above.said},
        by_value=(*above.by_value, *below.by_value),
        weakens=below.weakens or above.weakens,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One SOP class's lookup: tag -> action. An attribute in no mapping is kept when PS3.6 knows it.

    At the top `top` alone says it. In an item of a sequence the most exact place counts: `paths`, then `items`, then
    `nested`.
    """

    top: Mapping[int, Action] = field(repr=False)
    nested: Mapping[int, Action] = field(repr=False)
    add: Mapping[int, str]
    private: Mapping[tuple[int, str, int], str] = field(repr=False)
    """(group, creator, low byte) of private elements to keep -> the VR that they must have, "" for any."""
    options: frozenset[str]
    digest: str
    weakened: bool
    keeps_dates: bool = False
    """Whether a date stays as it is by a rule alone."""
    items: Mapping[tuple[int, int], Action] = field(default_factory=dict, repr=False)
    """(sequence, attribute in its items) -> action, where PS3.3 makes it another than in `nested`."""
    paths: Mapping[tuple[int, ...], Action] = field(default_factory=dict, repr=False)
    """(sequence, ..., attribute) from the top -> action: a site's rule for one place."""
    private_actions: Mapping[tuple[int, str, int], Action] = field(default_factory=dict, repr=False)
    """Private elements that a site's rule lets stay, changed -> how; none of them is in `private`, so that who does not
    know of this removes them."""
    otherwise: Mapping[int, Do] = field(default_factory=dict, repr=False)
    """What is done where SHIFT, CLEAN or CONTENT come to nothing; for attributes that are not here, a DUMMY in the
    place of a text that was cleaned, which is right for every Type, and EMPTY for all else."""
    content: Mapping[deid_content.Concept, Do] = field(default_factory=dict, repr=False)
    """Content items by concept name and value type; ("", "", value type) for all others."""
    keep_words: frozenset[str] = frozenset()
    """A site's own words that CLEAN leaves."""
    rules_digest: str = ""
    by_value: tuple[ByValue, ...] = ()
    """What is meant by its value: `by_value.found_in` gives the plan for one data set."""
    cleans: bool = False
    """Whether any action is CLEAN or CONTENT."""
    shifts: bool = False
    """Whether any action is SHIFT."""
    of_animals: Plan | None = None
    """The same for an animal's instances, of whom PS3.3 asks more; None in that one itself."""

    def suited(self, tags: AbstractSet[int]) -> Plan:
        """The plan for an instance with these attributes at its top."""
        return self.of_animals if self.of_animals is not None and conditions.is_of_an_animal(tags) else self

    @property
    def keeps_private(self) -> bool:
        """Whether there are private elements that stay."""
        return bool(self.private or self.private_actions)

    @property
    def maps_uids(self) -> bool:
        return "retain_uids" not in self.options

    @property
    def dates(self) -> str | None:
        """The value of (0028,0303) Longitudinal Temporal Information Modified (PS3.15 E.3.6), of Type 3.

        None where none is true: a rule keeps some dates as they are, and the others are removed or moved.
        """
        if "retain_long_full_dates" in self.options:
            return "UNMODIFIED"
        if self.keeps_dates:
            return None
        return "MODIFIED" if self.shifts else "REMOVED"


def compile_plan(
    options: frozenset[str], rules: Rules, sop_class: str, *, keep_words: frozenset[str] = frozenset()
) -> Plan:
    """The plan for instances of a SOP class. `options` must be AVAILABLE ones that do not exclude each other."""
    ruled = rules.actions.keys() | rules.add.keys()
    top = conditions.consistent({**profile.at_top(options, sop_class), **rules.actions}, ruled)
    nested = conditions.consistent({**profile.in_items(options), **rules.actions}, ruled)
    named = profile.in_named_items(options, sop_class)
    items = {place: action for place, action in named.items() if place[1] not in rules.actions}
    used = {*top.values(), *nested.values(), *rules.paths.values(), *rules.private.values()}
    plan = Plan(
        top=MappingProxyType(top),
        nested=MappingProxyType(nested),
        items=MappingProxyType(items),
        paths=rules.paths,
        add=rules.add,
        private=_kept(options, rules.private),
        private_actions=_changed(rules.private),
        otherwise=profile.otherwise(sop_class),
        content=profile.of_content(options),
        options=options,
        keep_words=keep_words,
        digest=rules.digest,
        rules_digest=rules.rules_digest,
        weakened=rules.weakens,
        keeps_dates=keeps_a_date(_kept_by(rules), options),
        by_value=tuple(replace(line, spoken_for=_spoken_for(rules, line.word)) for line in rules.by_value),
        cleans=bool(used & {Do.CLEAN, Do.CONTENT}),
        shifts=Do.SHIFT in used,
    )
    return replace(plan, of_animals=replace(plan, top=MappingProxyType(conditions.of_animals(top, ruled))))


def _kept_by(rules: Rules) -> list[int]:
    places = [*rules.actions.items(), *((p[-1], a) for p, a in rules.paths.items())]
    return [tag for tag, action in places if action is Do.KEEP]


_WEAKER = {"REPLACE": (Do.REMOVE, Do.EMPTY), "REMOVE": (Do.EMPTY,), "BLANK": ()}
"""As in deid: a line that replaces is stronger than one that removes, and that than one that blanks."""


def _spoken_for(rules: Rules, word: str) -> frozenset[int]:
    weaker: tuple[Action, ...] = _WEAKER[word]
    return frozenset(rules.add) | frozenset(tag for tag, action in rules.actions.items() if action not in weaker)


def _kept(options: frozenset[str], private: Mapping[PrivateTag, Action]) -> Mapping[tuple[int, str, int], str]:
    kept = dict(deid_table.safe_private()) if "retain_safe_private" in options else {}
    for tag, action in private.items():
        if action is Do.KEEP:
            kept[_key(tag)] = ""
        else:
            kept.pop(_key(tag), None)
    return MappingProxyType(kept)


def _changed(private: Mapping[PrivateTag, Action]) -> Mapping[tuple[int, str, int], Action]:
    return MappingProxyType(
        {_key(tag): action for tag, action in private.items() if action not in (Do.KEEP, Do.REMOVE)}
    )


def _key(tag: PrivateTag) -> tuple[int, str, int]:
    return (tag.group, tag.creator, tag.element)
