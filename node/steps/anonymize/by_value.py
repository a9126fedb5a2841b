"""Lines of a recipe that mean attributes by what they say: `REMOVE values:NAME`, with a section `%values NAME`.

    %values NAME             a group of values, taken from each data set before anything is done to it
    FIELD field              every value of the field, whole
    SPLIT field by=x;minlength=n   its parts between x (a blank where it is not said) of n characters at least

As in deid, an attribute is meant at every depth whose value has one of them in it, in any case. Here letters that a
regular expression reads otherwise are letters, numbers, dates and UIDs are meant when they are one of the values, and
what a line with KEEP or REPLACE, or a rule of the site, names by itself is not meant. Several items of one sequence are
meant together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from node.dicom.attributes import VR_BY_TAG, is_creator, is_private
from node.dicom.text import folded
from node.steps.anonymize import text, values
from node.steps.anonymize.actions import Action, Do
from node.steps.anonymize.changes import HASHED
from node.steps.anonymize.fields import PROTECTED, SAID_OF_PIXELS, FieldError, Fields, parse_field
from node.steps.anonymize.header import CHARACTER_SET, Header
from node.steps.anonymize.plan import ByValue, Part, Plan, PrivatePlace
from node.steps.anonymize.recipe_text import Line

_SAID = values.FREE_TEXT | values.CODES
"""Representations in which a value may stand beside others."""
_WHOLE = values.NUMERALS | {"UI"}
_PARAMETER = re.compile(r"\s*(by|minlength)\s*=\s*(.*?)\s*")

Place = tuple[int, ...]


def part_of(line: Line) -> Part:
    """What a line of %values takes. Raises FieldError."""
    fields = parse_field(line.field)
    if line.action == "FIELD":
        if line.value:
            raise FieldError("FIELD takes a field alone")
        return Part(tags=fields.tags, private=_place(fields))
    given = dict(_parameters(line.value))
    least = given.get("minlength", "1")
    if not least.isdecimal():
        raise FieldError(f'minlength is a whole number, not "{least}"')
    by = given.get("by", "").strip("'\"") or " "
    return Part(tags=fields.tags, private=_place(fields), by=by, least=max(int(least), 1))


def _place(fields: Fields) -> PrivatePlace | None:
    tag = fields.private
    return None if tag is None else (tag.group, tag.creator, tag.element)


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    for said in filter(None, text.split(";")):
        match = _PARAMETER.fullmatch(said)
        if match is None:
            raise FieldError(f'SPLIT has by=x and minlength=n, not "{said.strip()}"')
        yield match[1], match[2]


def action_of(line: Line, literal: Action) -> Action:
    """What a line with `values:` does. `literal`: of REPLACE. Raises FieldError."""
    if line.action in ("KEEP", "ADD"):
        raise FieldError(f"{line.action} values: would leave what says them; name the attributes")
    if line.action != "REPLACE":
        if line.value:
            raise FieldError(f"{line.action} under a condition is not supported")
        return Do.REMOVE if line.action == "REMOVE" else Do.EMPTY
    if literal in (Do.SHIFT, Do.CLEAN):
        raise FieldError(f"{line.value} would leave some of the value; with values: there are func:dummy, func:hash, "
                         "func:pseudonym, func:uid and literals")  # fmt: skip
    if isinstance(literal, str) and not literal.isascii():
        raise FieldError("a literal must be ASCII, because data sets differ in their character set")
    return literal


Places = tuple[tuple[Place, Action], ...]
PrivatePlaces = tuple[tuple[PrivatePlace, Action], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What the lines of a recipe mean in one data set."""

    places: Places = ()
    private: PrivatePlaces = ()
    said: Mapping[Place, str] = field(default_factory=dict)
    """Which line is behind each place."""


def found_in(header: Header, plan: Plan, encodings: Sequence[str]) -> Found:
    """`header`: of a data set as it was read, nothing of it changed yet."""
    if not plan.by_value:
        return Found()
    leaves = [leaf for leaf in _leaves(header, (), encodings) if leaf.said]
    found: dict[Place, Action] = {}
    private: dict[PrivatePlace, Action] = {}
    said: dict[Place, str] = {}
    done: set[tuple[Place, PrivatePlace | None]] = set()
    for line in plan.by_value:  # the strongest first
        means = _finder({value for part in line.parts for value in _taken(part, leaves)})
        for leaf in leaves:
            place = (leaf.path, leaf.private)
            if means is None or place in done or not means(leaf) or _is_spoken_for(leaf, line, plan):
                continue
            done.add(place)
            said.setdefault(leaf.path, line.said)
            if leaf.private is not None:
                private.setdefault(leaf.private, line.action)
            else:
                found[leaf.path] = _fitting(line.action, leaf.path[-1], leaf.vr)
    return Found(tuple(sorted(found.items(), key=_by_place)), tuple(sorted(private.items(), key=_by_place)), said)


def _by_place(found: tuple[Place | PrivatePlace, Action]) -> Place | PrivatePlace:
    return found[0]


def laid_over(plan: Plan, found: Found) -> Plan:
    """The plan for the data set in which that was found."""
    places, private = dict(found.places), dict(found.private)
    changed = {**plan.private_actions, **private}
    return replace(
        plan,
        top={**plan.top, **{path[0]: action for path, action in places.items() if len(path) == 1}},
        paths={**plan.paths, **{path: action for path, action in places.items() if len(path) > 1}},
        private={place: vr for place, vr in plan.private.items() if place not in private},
        private_actions={place: action for place, action in changed.items() if action is not Do.REMOVE},
    )


@dataclass(frozen=True, slots=True)
class _Leaf:
    path: Place
    vr: str
    said: tuple[str, ...]
    """Each of its values, folded."""
    private: PrivatePlace | None


def _leaves(header: Header, above: Place, encodings: Sequence[str]) -> Iterator[_Leaf]:
    if CHARACTER_SET in header.tags:
        encodings = text.encodings(header.raw(CHARACTER_SET), encodings[1:])
    for tag in header.tags:
        vr = header.vr(tag) or VR_BY_TAG.get(tag, "UN")
        if vr == "SQ":
            for item in header.items(tag):
                yield from _leaves(item, (*above, tag), encodings)
        elif vr in _SAID or vr in _WHOLE or (is_private(tag) and vr == "UN"):
            yield _Leaf((*above, tag), vr, _said(header.raw(tag), vr, encodings), _private(header, tag))


def _said(value: bytes, vr: str, encodings: Sequence[str]) -> tuple[str, ...]:
    try:
        decoded = text.decode(value, encodings)
    except text.UnreadableTextError:
        decoded = value.decode("latin-1")  # the walk says so of what would stay
    parts = [decoded] if vr in ("LT", "ST", "UT", "UN") else decoded.split("\\")
    return tuple(folded(part.strip(" \0")) for part in parts if part.strip(" \0"))


def _private(header: Header, tag: int) -> PrivatePlace | None:
    if not is_private(tag) or is_creator(tag):
        return None
    creator = header.raw(tag & 0xFFFF0000 | (tag & 0xFF00) >> 8)
    return tag >> 16, creator.decode("ascii", "replace").strip(" \0"), tag & 0xFF


def _taken(part: Part, leaves: Iterable[_Leaf]) -> Iterator[str]:
    for leaf in leaves:
        if leaf.path[-1] in part.tags if part.private is None else leaf.private == part.private:
            if part.by is None:
                yield from leaf.said
            else:
                whole = "\\".join(leaf.said)
                yield from (piece for piece in whole.split(part.by.upper()) if len(piece) >= part.least)


@dataclass(frozen=True, slots=True)
class _Finder:
    values: frozenset[str]
    pattern: re.Pattern[str]

    def __call__(self, leaf: _Leaf) -> bool:
        if leaf.vr in _WHOLE:
            return not self.values.isdisjoint(leaf.said)
        return any(map(self.pattern.search, leaf.said))


def _finder(found: set[str]) -> _Finder | None:
    wanted = frozenset(value.strip() for value in found if value.strip())
    if not wanted:
        return None
    return _Finder(wanted, re.compile("|".join(map(re.escape, sorted(wanted)))))


def _is_spoken_for(leaf: _Leaf, line: ByValue, plan: Plan) -> bool:
    tag = leaf.path[-1]
    if leaf.private is not None:
        return leaf.private not in plan.private and leaf.private not in plan.private_actions  # it goes anyway
    return tag in PROTECTED or tag in SAID_OF_PIXELS or tag in line.spoken_for or leaf.path in plan.paths


def _fitting(action: Action, tag: int, vr: str) -> Action:
    """What can be done to a representation; where it cannot be, a dummy of it."""
    known = VR_BY_TAG.get(tag, vr)
    if isinstance(action, str):
        return action if known != "UI" and values.fits(known, action) is None else Do.DUMMY
    if known == "UI" and action in (Do.HASH, Do.UID, Do.PATIENT):
        return Do.UID
    if action is Do.UID or (action is Do.HASH and known not in HASHED):
        return Do.DUMMY
    if action is Do.PATIENT and known not in values.FREE_TEXT:
        return Do.DUMMY
    return action
