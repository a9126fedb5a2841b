"""A recipe as lines with their numbers: scanned here for what deid would pass over, and read by deid's own parser."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

STRENGTH = ("KEEP", "ADD", "REPLACE", "REMOVE", "BLANK")
"""The actions of %header, the strongest first."""
_REFUSED = {
    "JITTER": "JITTER is not supported: one shift for all patients is undone by whoever knows one date; "
    "use REPLACE with func:shift",
    "LABEL": "LABEL belongs to %filter",
}
_SECTION = re.compile(r"%\s*(\w*)\s*(\S*)")
_OF_GROUPS = {"fields": ("FIELD",), "values": ("FIELD", "SPLIT")}
_SECTIONS = ("header", "filter", *_OF_GROUPS)

Problems = list[tuple[int, str]]
"""(line from 1, what is wrong)"""


@dataclass(frozen=True, slots=True)
class Line:
    """One action, as deid parsed it."""

    number: int
    action: str
    field: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeText:
    """What a recipe says, not yet understood."""

    lines: list[Line] = field(default_factory=list)
    """Of %header."""
    fields: Mapping[str, list[Line]] = field(default_factory=dict)
    """A group of %fields -> its FIELD lines."""
    values: Mapping[str, list[Line]] = field(default_factory=dict)
    """A group of %values -> its FIELD and SPLIT lines."""
    problems: Problems = field(default_factory=list)
    filters: int = 0
    """The line of the first %filter, whose labels deid_filter.py reads; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class _Scanned:
    """The numbers of the lines that deid will read, and of those that it would pass over or end the process for."""

    actions: list[int] = field(default_factory=list)
    groups: dict[str, dict[str, list[int]]] = field(default_factory=lambda: {kind: {} for kind in _OF_GROUPS})
    filters: list[int] = field(default_factory=list)
    problems: Problems = field(default_factory=list)


def read(path: Path, text: str) -> RecipeText:
    """The lines of a recipe; of use only without problems."""
    scanned = _scan(text)
    first_filter = min(scanned.filters, default=0)
    if scanned.problems:
        return RecipeText(problems=scanned.problems, filters=first_filter)
    try:
        found, groups = _parsed(path, scanned)
    except _NotReadError as error:
        return RecipeText(problems=[(1, str(error))], filters=first_filter)
    numbered = {
        kind: {name: _lines(numbers, groups[kind][name]) for name, numbers in scanned.groups[kind].items() if numbers}
        for kind in _OF_GROUPS
    }
    return RecipeText(
        lines=_lines(scanned.actions, found), fields=numbered["fields"], values=numbered["values"],
        filters=first_filter,
    )  # fmt: skip


class _NotReadError(Exception):
    """deid's parser reads something else than stands there."""


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
            if problem := _section_problem(section, group, scanned):
                scanned.problems.append((number, problem))
            elif section == "filter":
                scanned.filters.append(number)
            elif section in _OF_GROUPS:
                scanned.groups[section][group] = []
        elif section == "header" and word in STRENGTH:
            scanned.actions.append(number)
        elif word in _OF_GROUPS.get(section, ()):
            scanned.groups[section].get(group, []).append(number)
        elif section != "filter":
            scanned.problems.append((number, _line_problem(section, word)))
    if not re.search(r"(?im)^\s*format\s", text):
        scanned.problems.insert(0, (1, "a recipe begins with FORMAT dicom"))
    return scanned


def _section_problem(section: str, group: str, scanned: _Scanned) -> str:
    if section not in _SECTIONS:
        return f"section %{section} is not supported; there are {', '.join(f'%{one}' for one in _SECTIONS)}"
    if section in ("filter", *_OF_GROUPS) and not group:
        return f"%{section} needs a name: %{section} NAME"
    if any(group in groups for groups in scanned.groups.values()) and section in _OF_GROUPS:
        return f"group {group} is defined twice"
    return ""


def _line_problem(section: str, word: str) -> str:
    if section in _OF_GROUPS:
        return f'"{word}" in %{section}, which has lines {" and ".join(_OF_GROUPS[section])} only'
    if section != "header":
        return "a line outside %header"
    return _REFUSED.get(word.upper()) or _unknown_action(word)


def _unknown_action(word: str) -> str:
    near = difflib.get_close_matches(word.upper(), STRENGTH, n=1)
    return f'unknown action "{word}"' + (f'. Did you mean "{near[0]}"?' if near else "")


_Parsed = list[dict[str, object]]


def _parsed(path: Path, scanned: _Scanned) -> tuple[_Parsed, dict[str, dict[str, _Parsed]]]:
    """The actions and the groups by deid's parser. Raises _NotReadError."""
    from deid.config import DeidRecipe  # imports matplotlib, which takes a second
    from deid.logger import bot

    level, bot.level = bot.level, 0  # it prints every line of the recipe otherwise
    try:
        recipe = DeidRecipe(deid=str(path))
        found: _Parsed = recipe.get_actions()
        of = {"fields": recipe.get_fields_lists, "values": recipe.get_values_lists}
        groups = {
            kind: {name: of[kind](name) if numbers else [] for name, numbers in scanned.groups[kind].items()}
            for kind in _OF_GROUPS
        }
    except (SystemExit, KeyError, IndexError, TypeError, ValueError) as error:  # how deid reports a bad recipe
        raise _NotReadError(f"deid does not read this recipe ({type(error).__name__})") from None
    finally:
        bot.level = level
    if len(found) != len(scanned.actions):
        raise _NotReadError(f"deid reads {len(found)} of the recipe's {len(scanned.actions)} actions")
    for kind, parsed in groups.items():
        if any(len(lines) != len(scanned.groups[kind][name]) for name, lines in parsed.items()):
            raise _NotReadError(f"deid does not read every line of the recipe's %{kind}")
    return found, groups


def _lines(numbers: list[int], found: _Parsed) -> list[Line]:
    return [
        Line(number, str(each["action"]), str(each["field"]), str(each.get("value", "")).strip())
        for number, each in zip(numbers, found, strict=True)
    ]
