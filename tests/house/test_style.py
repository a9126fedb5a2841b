"""What a reader may count on: short functions, short files, telling names, nothing left to do in a comment."""

from __future__ import annotations

import ast
import re
from functools import cache

from tests.house.sources import ROOT, files

FUNCTION, FILE = 60, 450
LONG = {"tests/peers.py": "both ends of the wire, which share their parts"}

NODE = {str(path.relative_to(ROOT)): path.read_text() for path in files("node")}
ALL = {str(path.relative_to(ROOT)): path.read_text() for path in files("node", "tests", "benchmarks")}

_BANNED = re.compile(r"(^|_)(manager|helpers?|utils?|common|misc)($|_)", re.IGNORECASE)
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LEFT = re.compile(r"#.*\b(TODO|FIXME|XXX|HACK)\b")
_BROAD = re.compile(r"\s*except(\s+Exception\b.*)?:")
_IGNORE = re.compile(r"# (type: ignore|noqa)")
_REASONED = re.compile(r"# (?:type: ignore\[[\w, -]+\]|noqa: \w+)\s*(.*)")

Defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@cache
def definitions(text: str) -> list[Defined]:
    """In any depth. Expressions, which are most of a tree and hold none, are not looked through."""
    found: list[Defined] = []
    left: list[ast.AST] = [ast.parse(text)]
    while left:
        each = left.pop()
        if isinstance(each, Defined):
            found.append(each)
        left += [one for one in ast.iter_child_nodes(each) if not isinstance(one, ast.expr)]
    return found


def test_files_have_one_idea() -> None:
    assert [name for name, text in ALL.items() if len(text.splitlines()) > FILE and name not in LONG] == []


def test_functions_are_short() -> None:
    assert [
        f"{name}: {each.name} has {lines} lines"
        for name, text in ALL.items()
        for each in definitions(text)
        if not isinstance(each, ast.ClassDef) and (lines := (each.end_lineno or 0) - each.lineno + 1) > FUNCTION
    ] == []


def test_names_say_what_a_thing_is() -> None:
    names = {part.removesuffix(".py") for name in ALL for part in name.split("/")}
    names |= {_WORDS.sub("_", each.name) for text in ALL.values() for each in definitions(text)}
    assert [name for name in names if _BANNED.search(name)] == []


def test_nothing_is_left_to_do_in_a_comment() -> None:
    own = "tests/house/test_style.py"
    assert [name for name, text in ALL.items() if _LEFT.search(text) and name != own] == []


def test_a_broad_except_says_why_on_its_line_or_the_next() -> None:
    bare = []
    for name, text in NODE.items():
        lines = text.splitlines()
        for number, line in enumerate(lines):
            if _BROAD.match(line) and "#" not in line and not lines[number + 1].lstrip().startswith("#"):
                bare.append(f"{name}:{number + 1}")
    assert bare == []


def test_an_ignore_names_its_rule_and_carries_its_reason() -> None:
    """On its line, or on the line before."""
    bare = []
    for name, text in NODE.items():
        before = ""
        for number, line in enumerate(text.splitlines()):
            reason = _REASONED.search(line)
            if _IGNORE.search(line) and not (reason and (reason[1] or "# " in before)):
                bare.append(f"{name}:{number + 1}")
            before = line
    assert bare == []
