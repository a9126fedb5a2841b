"""A deid recipe laid over the profile: read by deid's own parser, checked, and compiled to one action per attribute.

deid leaves the original value where it does not know an action, a `func:` or a `var:`. Here each such line is a
problem when rules.yaml is loaded, with its file and line. What is understood:

    KEEP REMOVE BLANK        field
    REPLACE ADD              field value; a literal, func:uid, func:pseudonym, func:dummy, func:shift, func:clean
                             or func:hash
    field                    keyword, (gggg,eeee), (gggg,"CREATOR",ee), contains: startswith: endswith: except:
                             select:VR:xx select:GROUP:gggg, fields:NAME, values:NAME, ALL
    %fields NAME             a group of fields: lines FIELD field
    %values NAME             a group of values, see by_value.py
    %filter NAME             labels of images, see deid_filter.py: they count with the option clean_pixel_data

As in deid, of several lines for one attribute the first of KEEP, ADD, REPLACE, REMOVE, BLANK counts, and a line
holds at every depth (ADD: at the top). Unlike in deid, the items of a sequence that is kept are still cleaned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from node.dicom.attributes import VR_BY_TAG, PrivateTag, describe
from node.steps.anonymize import by_value
from node.steps.anonymize.fields import PROTECTED, FieldError, Fields, parse_field
from node.steps.anonymize.permitted import check_kept, check_literal, check_representation, is_safe, weakens
from node.steps.anonymize.pixel_options import CLEAN_PIXELS
from node.steps.anonymize.plan import NO_RULES, Action, ByValue, Do, Part, Rules
from node.steps.anonymize.recipe_text import STRENGTH, Line, Problems, read

_FUNCTIONS = {
    "uid": Do.UID, "pseudonym": Do.PATIENT, "dummy": Do.DUMMY, "shift": Do.SHIFT, "clean": Do.CLEAN, "hash": Do.HASH,
}  # fmt: skip


class _LineError(Exception):
    """One line is not understood or not allowed; `str()` says why."""


def load(path: Path, options: frozenset[str]) -> tuple[Rules, tuple[str, ...]]:
    """The rules of a recipe, and what is wrong with it; the rules are of use only when nothing is."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return NO_RULES, (f"{path}: the recipe cannot be read ({type(error).__name__})",)
    return _load(path, text, options)


@lru_cache(maxsize=32)
def _load(path: Path, text: str, options: frozenset[str]) -> tuple[Rules, tuple[str, ...]]:
    found = read(path, text)
    problems = list(found.problems)
    if found.filters and CLEAN_PIXELS not in options:
        problems.append((found.filters, f'%filter is of use only with the option "{CLEAN_PIXELS}"'))
    if problems:
        return NO_RULES, tuple(f"{path}:{number}: {problem}" for number, problem in sorted(problems))
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    lines, undefined = _expanded(found.lines, found.fields)
    taken, wrong = _groups(found.values)
    rules, mistakes = compile_lines(lines, taken, options, sha256[:12], path.name)
    problems = sorted([*mistakes, *undefined, *wrong])
    return replace(rules, sha256=sha256), tuple(f"{path}:{number}: {problem}" for number, problem in problems)


def _groups(values: Mapping[str, list[Line]]) -> tuple[dict[str, tuple[Part, ...]], Problems]:
    """What each group of %values takes, and the lines that are wrong."""
    taken: dict[str, tuple[Part, ...]] = {}
    problems: Problems = []
    for name, lines in values.items():
        parts = []
        for line in lines:
            try:
                parts.append(by_value.part_of(line))
            except FieldError as problem:
                problems.append((line.number, str(problem)))
        taken[name] = tuple(parts)
    return taken, problems


def _expanded(lines: list[Line], groups: Mapping[str, list[Line]]) -> tuple[list[Line], list[tuple[int, str]]]:
    """`fields:NAME` as one line for each of the group's, and the lines whose group has none."""
    expanded: list[Line] = []
    undefined: list[tuple[int, str]] = []
    for line in lines:
        name = line.field.removeprefix("fields:")
        if name == line.field:
            expanded.append(line)
        elif name in groups:
            expanded += [replace(line, field=each.field) for each in groups[name]]
        else:
            undefined.append(
                (line.number, f"undefined group {name}: a section %fields {name} with FIELD lines is missing")
            )
    return expanded, undefined


def compile_lines(
    lines: list[Line], groups: Mapping[str, tuple[Part, ...]], options: frozenset[str], digest: str, name: str
) -> tuple[Rules, Problems]:
    """Pure: one action per attribute, the strongest line first, and the problems by line.

    groups  of %values
    name    of the recipe
    """
    actions: dict[int, Action] = {}
    add: dict[int, str] = {}
    private: dict[PrivateTag, Action] = {}
    decides: dict[int | tuple[int, ...] | PrivateTag, str] = {}
    meant: list[ByValue] = []
    problems: Problems = []
    more = False
    for line in sorted(lines, key=lambda line: STRENGTH.index(line.action)):
        try:
            if line.field.startswith("values:"):
                meant.append(_by_value(line, groups, f"recipe: {name}:{line.number}"))
                continue
            fields = parse_field(line.field)
            if fields.private:
                private.setdefault(fields.private, _private(line))
                decides.setdefault(fields.private, f"recipe: {name}:{line.number}")
                more |= line.action == "KEEP" and not is_safe(fields.private, options)
                continue
            for tag, action in _actions(line, fields, options):
                if line.action == "ADD":
                    add.setdefault(tag, str(action))
                more |= tag not in actions and weakens(tag, action, options)
                actions.setdefault(tag, action)
                decides.setdefault(tag, f"recipe: {name}:{line.number}")
        except (_LineError, FieldError) as problem:
            problems.append((line.number, str(problem)))
    rules = Rules(
        actions=actions, add=add, private=private, digest=digest, said=decides, by_value=tuple(meant), weakens=more
    )
    return rules, sorted(problems)


def _by_value(line: Line, groups: Mapping[str, tuple[Part, ...]], said: str) -> ByValue:
    name = line.field.removeprefix("values:")
    parts = groups.get(name)
    if not parts:
        raise _LineError(f"undefined group {name}: a section %values {name} with FIELD or SPLIT lines is missing")
    literal = _asked(line) if line.action in ("REPLACE", "ADD") else ""
    return ByValue(parts=parts, word=line.action, action=by_value.action_of(line, literal), said=said)


def _actions(line: Line, fields: Fields, options: frozenset[str]) -> Iterator[tuple[int, Action]]:
    if line.action == "ADD" and not fields.exact:
        raise _LineError("ADD takes one attribute")
    tags = sorted(fields.tags)
    for tag in tags:
        if tag in PROTECTED:
            _check_protected(line, tag, exact=fields.exact)
            continue
        if line.action == "KEEP":
            check_kept(tag, options)
        yield tag, _action(line, tag, options)


def _check_protected(line: Line, tag: int, *, exact: bool) -> None:
    """An expression means what may be changed; a name is a mistake, unless it asks for what is done anyway."""
    if exact and not (VR_BY_TAG[tag] == "UI" and line.value == "func:uid"):
        raise _LineError(f"{describe(tag)} is not for a recipe to change: {PROTECTED[tag]}")


def _action(line: Line, tag: int, options: frozenset[str]) -> Action:
    if line.action in ("KEEP", "REMOVE", "BLANK"):
        if line.value:
            raise _LineError(f"{line.action} under a condition is not supported")
        return {"KEEP": Do.KEEP, "REMOVE": Do.REMOVE, "BLANK": Do.EMPTY}[line.action]
    vr = VR_BY_TAG.get(tag)
    if vr is None:
        raise _LineError(f"{line.field} is not in the data dictionary")
    return _replacement(line, tag, vr, options)


def _replacement(line: Line, tag: int, vr: str, options: frozenset[str]) -> Action:
    action = _asked(line)
    if isinstance(action, str):
        check_literal(tag, action, instead_of_uid="func:uid")
        return action
    if action in (Do.SHIFT, Do.CLEAN, Do.HASH):
        check_representation(tag, action, options)
        if action is Do.CLEAN:
            check_kept(tag, options)
    elif action is not Do.DUMMY and ((action is Do.UID) != (vr == "UI") or vr == "SQ"):
        raise _LineError(f"{line.value} does not fit {describe(tag)}, which is {vr}")
    return Do.UID if action is Do.HASH and vr == "UI" else action


def _asked(line: Line) -> Action:
    """The literal or the function of a line, whatever attribute it is for."""
    value = line.value
    if value.startswith("deid_func:"):
        raise _LineError("deid_func: functions know no secret, so what they write can be traced back")
    if value.startswith("var:"):
        raise _LineError(f"undefined variable {value}; no variables are defined here")
    if not value.startswith("func:"):
        return value
    if line.action == "ADD":
        raise _LineError("ADD takes a literal value")
    action = _FUNCTIONS.get(value.removeprefix("func:").strip())
    if action is None:
        raise _LineError(f"undefined function {value}; there are {', '.join(f'func:{name}' for name in _FUNCTIONS)}")
    return action


def _private(line: Line) -> Action:
    if line.action not in ("KEEP", "REMOVE") or line.value:
        raise _LineError("a private element can be kept (KEEP) or removed (REMOVE)")
    return Do.KEEP if line.action == "KEEP" else Do.REMOVE
