"""YAML text -> plain data, and where each key and value stands.

YAML 1.1, as PyYAML reads it, turns `no` into false, `0010` into 8 and `12:30:00` into 45000. Here only
what cannot mean anything else is typed: `true`/`false`, `null`, decimal integers without leading zero, and
decimal numbers with a point. All else is text. Keys are always text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from node.config.section import Loc
from node.errors import Problem

_TEXT = "tag:yaml.org,2002:str"
_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_BOOL = "tag:yaml.org,2002:bool"
_NULL = "tag:yaml.org,2002:null"

MOST_CHARACTERS = 1_000_000
MOST_NODES = 50_000
"""An alias repeats what it names: ten lines of them can stand for a billion values."""


class _Loader(yaml.SafeLoader):
    """SafeLoader without the implicit types of YAML 1.1."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  PyYAML declares and mutates it per class


for _tag, _pattern, _first in (
    (_BOOL, r"(?:true|True|TRUE|false|False|FALSE)", "tTfF"),
    (_NULL, r"(?:~|null|Null|NULL|)", ["~", "n", "N", ""]),
    (_INT, r"-?(?:0|[1-9][0-9]{0,17})", "-0123456789"),
    (_FLOAT, r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]{1,3})?", "-0123456789"),
):
    _Loader.add_implicit_resolver(_tag, re.compile(rf"\A{_pattern}\Z", re.ASCII), list(_first))


@dataclass(frozen=True, slots=True)
class Mark:
    """Line and column, counted from 1; the column in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file says. `data` holds what could be read, also beside problems."""

    file: str
    data: Any
    values: dict[Loc, Mark]
    keys: dict[Loc, Mark]
    problems: tuple[Problem, ...]

    def problem(self, loc: Loc, text: str, *, on_key: bool = False) -> Problem:
        """A problem at `loc`. Parts of `loc` that the document does not have are left out."""
        known: Loc = ()
        for part in loc:
            if (*known, part) in self.values:
                known = (*known, part)
        mark = self.keys.get(known) if on_key else None
        mark = mark or self.values.get(known) or Mark(0, 0)
        return Problem(self.file, mark.line, mark.column, path_text(known), text)


def path_text(loc: Loc) -> str:
    """`("routes", 0, "steps")` -> `routes[0].steps`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read(text: str, file: str = "rules.yaml") -> Document:
    """Read one YAML document. Never raises for what the text holds: mistakes are in `problems`."""
    if len(text) > MOST_CHARACTERS:
        return _unreadable(file, 0, 0, f"the file is longer than {MOST_CHARACTERS:,} characters")
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        return _unreadable(file, mark.line + 1 if mark else 0, mark.column + 1 if mark else 0, f"not YAML: {said}")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        return _unreadable(file, line, column, f"not YAML: character U+{ord(text[error.position]):04X} is not allowed")
    except RecursionError:
        return _unreadable(file, 0, 0, "values are nested too deep")
    if root is None:
        return _unreadable(file, 0, 0, "the file is empty")
    builder = _Builder(file)
    try:
        data = builder.value(root, (), ())
    except (_TooMuch, RecursionError):
        return _unreadable(file, 0, 0, f"aliases repeat values more than {MOST_NODES:,} times")
    return Document(file=file, data=data, values=builder.values, keys=builder.keys, problems=tuple(builder.problems))


def _unreadable(file: str, line: int, column: int, text: str) -> Document:
    return Document(file=file, data=None, values={}, keys={}, problems=(Problem(file, line, column, "", text),))


class _TooMuch(Exception):  # never leaves this module
    """The document expands beyond MOST_NODES."""


class _Builder:
    """Walks the composed nodes once; a mistake becomes a problem and the walk goes on."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.values: dict[Loc, Mark] = {}
        self.keys: dict[Loc, Mark] = {}
        self.problems: list[Problem] = []

    def value(self, node: yaml.Node, loc: Loc, above: tuple[int, ...]) -> Any:
        self.values.setdefault(loc, _mark(node))
        if len(self.values) > MOST_NODES:
            raise _TooMuch
        if id(node) in above:
            self._wrong(node, loc, "an alias names what it stands in")
            return None
        above = (*above, id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc, above)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*loc, i), above) for i, item in enumerate(node.value)]
        return self._scalar(node, loc)

    def _mapping(self, node: yaml.MappingNode, loc: Loc, above: tuple[int, ...]) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._wrong(key, loc, "a key must be a single word or text")
                continue
            name, here = str(key.value), (*loc, str(key.value))
            if name in built:
                first = self.keys[here]
                self._wrong(key, here, f'"{name}" is given twice; first on line {first.line}')
                continue
            self.keys[here] = _mark(key)
            built[name] = self.value(item, here, above)
        return built

    def _scalar(self, node: yaml.Node, loc: Loc) -> Any:
        text = str(node.value)
        match node.tag:
            case "tag:yaml.org,2002:str":
                return text
            case "tag:yaml.org,2002:bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "tag:yaml.org,2002:null":
                return None
            case "tag:yaml.org,2002:int" if re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
                return int(text)
            case "tag:yaml.org,2002:float" if re.fullmatch(
                r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?", text, re.ASCII
            ):
                return float(text)
        self._wrong(node, loc, f'the tag "{node.tag}" is not supported here: write the value without it')
        return None

    def _wrong(self, node: yaml.Node, loc: Loc, text: str) -> None:
        mark = _mark(node)
        self.problems.append(Problem(self.file, mark.line, mark.column, path_text(loc), text))


def _mark(node: yaml.Node) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)
