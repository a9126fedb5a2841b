"""A deid recipe laid over the profile: read by deid's own parser, checked, and compiled to one action per attribute.

deid leaves the original value where it does not know an action, a `func:` or a `var:`. Here each such line is a
problem when rules.yaml is loaded, with its file and line. What is understood:

    KEEP REMOVE BLANK        field
    REPLACE ADD              field value; a literal, func:uid, func:pseudonym, func:dummy, func:shift, func:clean
                             or func:hash
    field                    keyword, (gggg,eeee), (gggg,"CREATOR",ee), contains: startswith: endswith: except:
                             select:VR:xx select:GROUP:gggg, fields:NAME, ALL
    %fields NAME             a group of fields: lines FIELD field

As in deid, of several lines for one attribute the first of KEEP, ADD, REPLACE, REMOVE, BLANK counts, and a line
holds at every depth (ADD: at the top). Unlike in deid, the items of a sequence that is kept are still cleaned.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from node.dicom.attributes import VR_BY_TAG, PrivateTag, describe
from node.steps.anonymize.fields import PROTECTED, FieldError, Fields, parse_field
from node.steps.anonymize.permitted import check_kept, check_literal, check_representation, is_safe, weakens
from node.steps.anonymize.plan import NO_RULES, Action, Do, Rules

_STRENGTH = ("KEEP", "ADD", "REPLACE", "REMOVE", "BLANK")
_REFUSED = {
    "JITTER": "JITTER is not supported: one shift for all patients is undone by whoever knows one date; "
    "use REPLACE with func:shift",
    "LABEL": "LABEL belongs to %filter, which is not supported",
}
_FUNCTIONS = {
    "uid": Do.UID, "pseudonym": Do.PATIENT, "dummy": Do.DUMMY, "shift": Do.SHIFT, "clean": Do.CLEAN, "hash": Do.HASH,
}  # fmt: skip
_SECTION = re.compile(r"%\s*(\w*)\s*(\S*)")


@dataclass(frozen=True, slots=True)
class Line:
    """One action of a recipe, as deid parsed it."""

    number: int
    action: str
    field: str
    value: str


class _LineError(Exception):
    """One line is not understood or not allowed; `str()` says why."""


def load(path: Path, options: frozenset[str]) -> tuple[Rules, tuple[str, ...]]:
    """The rules of a recipe, and what is wrong with it; the rules are of use only when nothing is."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return NO_RULES, (f"{path}: the recipe cannot be read ({type(error).__name__})",)
    return _load(path, text, options)


@dataclass(frozen=True, slots=True)
class _Scanned:
    """The numbers of the lines that deid will read, and of those that it would pass over or end the process for."""

    actions: list[int] = field(default_factory=list)
    groups: dict[str, list[int]] = field(default_factory=dict)
    """A group of %fields -> its FIELD lines."""
    problems: list[tuple[int, str]] = field(default_factory=list)


@lru_cache(maxsize=32)
def _load(path: Path, text: str, options: frozenset[str]) -> tuple[Rules, tuple[str, ...]]:
    scanned = _scan(text)
    if scanned.problems:
        return NO_RULES, tuple(f"{path}:{number}: {problem}" for number, problem in scanned.problems)
    lines, groups, failure = _parsed(path, scanned)
    if failure:
        return NO_RULES, (f"{path}: {failure}",)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    lines, undefined = _expanded(lines, groups)
    rules, problems = compile_lines(lines, options, sha256[:12], path.name)
    found = sorted([*problems, *undefined])
    return replace(rules, sha256=sha256), tuple(f"{path}:{number}: {problem}" for number, problem in found)


def _scan(text: str) -> _Scanned:
    scanned, section, group = _Scanned(), "", ""
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        word = line.split(maxsplit=1)[0] if line else ""
        if not line or line.startswith("#"):
            continue
        if word.upper() == "FORMAT":
            if line.split() != [word, "dicom"]:
                scanned.problems.append((number, "the format of a recipe is dicom"))
        elif match := _SECTION.match(line):
            section, group = match[1].lower(), match[2]
            if problem := _section_problem(section, group, scanned.groups):
                scanned.problems.append((number, problem))
            scanned.groups.setdefault(group, [])
        elif section == "header" and word in _STRENGTH:
            scanned.actions.append(number)
        elif section == "fields" and word == "FIELD":
            scanned.groups[group].append(number)
        else:
            scanned.problems.append((number, _line_problem(section, word)))
    if not re.search(r"(?im)^\s*format\s", text):
        scanned.problems.insert(0, (1, "a recipe begins with FORMAT dicom"))
    return scanned


def _section_problem(section: str, group: str, groups: Mapping[str, object]) -> str:
    if section not in ("header", "fields"):
        return f"section %{section} is not supported; %header and %fields are"
    if section == "fields" and not group:
        return "%fields needs a name: %fields NAME"
    return f"group {group} is defined twice" if section == "fields" and group in groups else ""


def _line_problem(section: str, word: str) -> str:
    if section == "fields":
        return f'"{word}" in %fields, which has lines FIELD field only'
    if section != "header":
        return "a line outside %header"
    return _REFUSED.get(word.upper()) or _unknown_action(word)


def _unknown_action(word: str) -> str:
    near = difflib.get_close_matches(word.upper(), _STRENGTH, n=1)
    return f'unknown action "{word}"' + (f'. Did you mean "{near[0]}"?' if near else "")


def _parsed(path: Path, scanned: _Scanned) -> tuple[list[Line], dict[str, list[Line]], str]:
    """The actions and the groups by deid's parser, each line with its number; or why there are none."""
    from deid.config import DeidRecipe  # imports matplotlib, which takes a second
    from deid.logger import bot

    level, bot.level = bot.level, 0  # it prints every line of the recipe otherwise
    try:
        recipe = DeidRecipe(deid=str(path))
        found = recipe.get_actions()
        fields = {name: recipe.get_fields_lists(name) for name, lines in scanned.groups.items() if lines}
    except (SystemExit, KeyError, IndexError, TypeError, ValueError) as error:  # how deid reports a bad recipe
        return [], {}, f"deid does not read this recipe ({type(error).__name__})"
    finally:
        bot.level = level
    if len(found) != len(scanned.actions):
        return [], {}, f"deid reads {len(found)} of the recipe's {len(scanned.actions)} actions"
    if any(len(lines) != len(scanned.groups[name]) for name, lines in fields.items()):
        return [], {}, "deid does not read every FIELD of the recipe's groups"
    groups = {name: _lines(scanned.groups[name], lines) for name, lines in fields.items()}
    return _lines(scanned.actions, found), groups, ""


def _lines(numbers: list[int], found: list[dict[str, object]]) -> list[Line]:
    return [
        Line(number, str(each["action"]), str(each["field"]), str(each.get("value", "")).strip())
        for number, each in zip(numbers, found, strict=True)
    ]


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
    lines: list[Line], options: frozenset[str], digest: str, name: str
) -> tuple[Rules, list[tuple[int, str]]]:
    """Pure: one action per attribute, the strongest line first, and the problems by line. `name`: of the recipe."""
    actions: dict[int, Action] = {}
    add: dict[int, str] = {}
    private: dict[PrivateTag, Action] = {}
    decides: dict[int | tuple[int, ...] | PrivateTag, str] = {}
    problems: list[tuple[int, str]] = []
    more = False
    for line in sorted(lines, key=lambda line: _STRENGTH.index(line.action)):
        try:
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
    rules = Rules(actions=actions, add=add, private=private, digest=digest, said=decides, weakens=more)
    return rules, sorted(problems)


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
    value = line.value
    if value.startswith("deid_func:"):
        raise _LineError("deid_func: functions know no secret, so what they write can be traced back")
    if value.startswith("var:"):
        raise _LineError(f"undefined variable {value}; no variables are defined here")
    if value.startswith("func:"):
        if line.action == "ADD":
            raise _LineError("ADD takes a literal value")
        action = _FUNCTIONS.get(value.removeprefix("func:").strip())
        if action is None:
            raise _LineError(
                f"undefined function {value}; there are {', '.join(f'func:{name}' for name in _FUNCTIONS)}"
            )
        if action in (Do.SHIFT, Do.CLEAN, Do.HASH):
            check_representation(tag, action, options)
            if action is Do.CLEAN:
                check_kept(tag, options)
        elif action is not Do.DUMMY and ((action is Do.UID) != (vr == "UI") or vr == "SQ"):
            raise _LineError(f"{value} does not fit {describe(tag)}, which is {vr}")
        return Do.UID if action is Do.HASH and vr == "UI" else action
    check_literal(tag, value, instead_of_uid="func:uid")
    return value


def _private(line: Line) -> Action:
    if line.action not in ("KEEP", "REMOVE") or line.value:
        raise _LineError("a private element can be kept (KEEP) or removed (REMOVE)")
    return Do.KEEP if line.action == "KEEP" else Do.REMOVE
