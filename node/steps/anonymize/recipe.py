"""A deid recipe laid over the profile: read by deid's own parser, checked, and compiled to one action per attribute.

deid leaves the original value where it does not know an action, a `func:` or a `var:`. Here each such line is a
problem when rules.yaml is loaded, with its file and line. What is understood:

    KEEP REMOVE BLANK        field
    REPLACE ADD              field value; a literal, func:uid, func:pseudonym or func:dummy
    field                    keyword, (gggg,eeee), (gggg,"CREATOR",ee), contains: startswith: endswith: except:
                             select:VR:xx select:GROUP:gggg, ALL

As in deid, of several lines for one attribute the first of KEEP, ADD, REPLACE, REMOVE, BLANK counts, and a line
holds at every depth (ADD: at the top). Unlike in deid, the items of a sequence that is kept are still cleaned.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from node.dicom.attributes import VR_BY_TAG, PrivateTag, describe
from node.dicom.deid_table import rows, safe_private
from node.steps.anonymize.fields import NEVER_KEPT, PROTECTED, FieldError, Fields, parse_field
from node.steps.anonymize.plan import BEYOND_THE_TABLE, NO_RULES, Action, Do, Rules, by_profile
from node.steps.anonymize.values import fits

_STRENGTH = ("KEEP", "ADD", "REPLACE", "REMOVE", "BLANK")
_REFUSED = {
    "JITTER": "JITTER is not supported: one shift for all patients is undone by whoever knows one date",
    "LABEL": "LABEL belongs to %filter, which is not supported",
}
_FUNCTIONS = {"uid": Do.UID, "pseudonym": Do.PATIENT, "dummy": Do.DUMMY}
_SECTION = re.compile(r"%\s*(\w*)")


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


@lru_cache(maxsize=32)
def _load(path: Path, text: str, options: frozenset[str]) -> tuple[Rules, tuple[str, ...]]:
    numbered, problems = _scan(text)
    if problems:
        return NO_RULES, tuple(f"{path}:{number}: {problem}" for number, problem in problems)
    lines, failure = _parsed(path, numbered)
    if failure:
        return NO_RULES, (f"{path}: {failure}",)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    rules, problems = compile_lines(lines, options, sha256[:12])
    return replace(rules, sha256=sha256), tuple(f"{path}:{number}: {problem}" for number, problem in problems)


def _scan(text: str) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Lines with an action, by number; and the lines that deid would pass over or end the process for."""
    actions: list[tuple[int, str]] = []
    problems: list[tuple[int, str]] = []
    section = ""
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        word = line.split(maxsplit=1)[0] if line else ""
        if not line or line.startswith("#"):
            continue
        if word.upper() == "FORMAT":
            if line.split() != [word, "dicom"]:
                problems.append((number, "the format of a recipe is dicom"))
        elif match := _SECTION.match(line):
            section = match[1].lower()
            if section != "header":
                problems.append((number, f"section %{section} is not supported; %header is"))
        elif section != "header":
            problems.append((number, "a line outside %header"))
        elif word in _STRENGTH:
            actions.append((number, line))
        else:
            problems.append((number, _REFUSED.get(word.upper()) or _unknown_action(word)))
    if not re.search(r"(?im)^\s*format\s", text):
        problems.insert(0, (1, "a recipe begins with FORMAT dicom"))
    return actions, problems


def _unknown_action(word: str) -> str:
    near = difflib.get_close_matches(word.upper(), _STRENGTH, n=1)
    return f'unknown action "{word}"' + (f'. Did you mean "{near[0]}"?' if near else "")


def _parsed(path: Path, numbered: list[tuple[int, str]]) -> tuple[list[Line], str]:
    """The actions by deid's parser, each with the number of its line; or why there are none."""
    from deid.config import DeidRecipe  # imports matplotlib, which takes a second
    from deid.logger import bot

    level, bot.level = bot.level, 0  # it prints every line of the recipe otherwise
    try:
        found = DeidRecipe(deid=str(path)).get_actions()
    except (SystemExit, KeyError, IndexError, TypeError, ValueError) as error:  # how deid reports a bad recipe
        return [], f"deid does not read this recipe ({type(error).__name__})"
    finally:
        bot.level = level
    if len(found) != len(numbered):
        return [], f"deid reads {len(found)} of the recipe's {len(numbered)} actions"
    return [
        Line(number, str(action["action"]), str(action["field"]), str(action.get("value", "")).strip())
        for (number, _), action in zip(numbered, found, strict=True)
    ], ""


def compile_lines(lines: list[Line], options: frozenset[str], digest: str) -> tuple[Rules, list[tuple[int, str]]]:
    """Pure: one action per attribute, the strongest line first, and the problems by line."""
    actions: dict[int, Action] = {}
    add: dict[int, str] = {}
    private: dict[PrivateTag, bool] = {}
    decides: dict[int | PrivateTag, int] = {}
    problems: list[tuple[int, str]] = []
    weakens = False
    for line in sorted(lines, key=lambda line: _STRENGTH.index(line.action)):
        try:
            fields = parse_field(line.field)
            if fields.private:
                private.setdefault(fields.private, _private(line))
                decides.setdefault(fields.private, line.number)
                weakens |= line.action == "KEEP" and not _is_safe(fields.private, options)
                continue
            for tag, action in _actions(line, fields, options):
                if line.action == "ADD":
                    add.setdefault(tag, str(action))
                weakens |= action is Do.KEEP and tag not in actions and _changes(tag, options)
                actions.setdefault(tag, action)
                decides.setdefault(tag, line.number)
        except (_LineError, FieldError) as problem:
            problems.append((line.number, str(problem)))
    rules = Rules(actions=actions, add=add, private=private, digest=digest, lines=decides, weakens=weakens)
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
            _may_keep(tag, options)
        yield tag, _action(line, tag)


def _check_protected(line: Line, tag: int, *, exact: bool) -> None:
    """An expression means what may be changed; a name is a mistake, unless it asks for what is done anyway."""
    if exact and not (VR_BY_TAG[tag] == "UI" and line.value == "func:uid"):
        raise _LineError(f"{describe(tag)} is not for a recipe to change: {PROTECTED[tag]}")


def _action(line: Line, tag: int) -> Action:
    if line.action in ("KEEP", "REMOVE", "BLANK"):
        if line.value:
            raise _LineError(f"{line.action} under a condition is not supported")
        return {"KEEP": Do.KEEP, "REMOVE": Do.REMOVE, "BLANK": Do.EMPTY}[line.action]
    vr = VR_BY_TAG.get(tag)
    if vr is None:
        raise _LineError(f"{line.field} is not in the data dictionary")
    return _replacement(line, tag, vr)


def _replacement(line: Line, tag: int, vr: str) -> Action:
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
        if action is not Do.DUMMY and ((action is Do.UID) != (vr == "UI") or vr == "SQ"):
            raise _LineError(f"{value} does not fit {describe(tag)}, which is {vr}")
        return action
    if vr == "UI":
        raise _LineError(f"{describe(tag)} is a UID; use func:uid")
    wrong = fits(vr, value)
    if wrong:
        raise _LineError(f"{describe(tag)}: {wrong}")
    return value


def _may_keep(tag: int, options: frozenset[str]) -> None:
    if tag in NEVER_KEPT:
        raise _LineError(f"{describe(tag)} identifies the patient and may not be kept")
    row = rows().get(tag)
    if row and row.basic == "U" and by_profile(row, options, "1") is not Do.KEEP:
        raise _LineError(f"{describe(tag)} is a UID; to keep UIDs use the option retain_uids")
    if tag >> 24 in (0x50, 0x60):
        raise _LineError("curves and overlays may not be kept")


def _private(line: Line) -> bool:
    if line.action not in ("KEEP", "REMOVE") or line.value:
        raise _LineError("a private element can be kept (KEEP) or removed (REMOVE)")
    return line.action == "KEEP"


def _is_safe(tag: PrivateTag, options: frozenset[str]) -> bool:
    return "retain_safe_private" in options and (tag.group, tag.creator, tag.element) in safe_private()


def _changes(tag: int, options: frozenset[str]) -> bool:
    """Whether the profile would have changed the attribute in some data set."""
    row = rows().get(tag)
    return tag in BEYOND_THE_TABLE or (row is not None and by_profile(row, options, "3") is not Do.KEEP)
