"""The %filter sections of a deid recipe as pixel rules (pydicom.github.io/deid/user-docs/recipe-filters).

    LABEL name                                   one rule; of the lines below it
      contains Manufacturer GE                   conditions: contains notcontains equals notequals missing present empty
      + equals Rows 512 || equals Rows 480       joined by + (and) and || (or), from left to right; + where none is said
      coordinates 0,0,512,110                    xmin,ymin,xmax,ymax; or `all`, or from:SequenceOfUltrasoundRegions
      ctpcoordinates 0,0,512,110                 left,top,width,height
      keepcoordinates ..., ctpkeepcoordinates    the area is given back

deid passes over a line that it does not know, and joins lines that begin with || by and; here the first is a problem
and the second is what the documentation says. A label without coordinates holds what it means: it says that the image
is suspicious and not where. But for a whitelist, which releases nothing here: `keepcoordinates all` does that.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from node.imaging.mask import Rectangle
from node.steps.anonymize.device import Both, Condition, Either, Says, tag_named
from node.steps.anonymize.pixel_rules import Area, PixelRule, RuleCut

_FILTERS = ("contains", "notcontains", "equals", "notequals", "missing", "present", "empty")
_WITHOUT_VALUE = ("missing", "present", "empty")
_COORDINATES = {"coordinates": (False, False), "keepcoordinates": (True, False),
                "ctpcoordinates": (False, True), "ctpkeepcoordinates": (True, True)}  # fmt: skip
"""-> (gives back, the last two numbers are width and height)"""

_COMMENT = re.compile(r"(?:^|\s)#.*")
_JOINED = re.compile(rf"\s*(\+|\|\|)\s*(?=(?:{'|'.join(_FILTERS)})\s)", re.IGNORECASE)
_FORMAT = re.compile(r"(?im)^\s*format\s")
_SECTION = re.compile(r"%\s*(\w*)\s*(.*)")
_SECTIONS = ("filter", "header", "fields", "values", "labels")
"""Those of deid; what is in one that it has not would be passed over, and what it should black left."""
_FROM = "from:SequenceOfUltrasoundRegions"

Problems = list[tuple[int, str]]
"""(line from 1, what is wrong)"""


@dataclass(slots=True)
class _Label:
    name: str
    line: int
    section: str
    condition: Condition | None = None
    cuts: list[RuleCut] = field(default_factory=list)
    broken: bool = False


class _LineError(Exception):
    """One line is not understood; `str()` says why."""


def is_one(text: str) -> bool:
    return _FORMAT.search(text) is not None


def parse(text: str, name: str) -> tuple[tuple[PixelRule, ...], Problems]:
    """The rules of a file called `name`, in order, and its problems by line; a label with a problem is left out."""
    problems: Problems = []
    rules = []
    for label in _labels(text, problems):
        if label.broken or (label.section == "whitelist" and not label.cuts):
            continue
        if label.condition is None and not label.cuts:
            problems.append((label.line, f'label "{label.name}" says nothing'))
            continue
        condition = True if label.condition is None else label.condition
        where = f"{name}:{label.line}"
        rules.append(PixelRule(name=label.name, where=where, condition=condition, cuts=tuple(label.cuts)))
    return tuple(rules), sorted(problems)


def _labels(text: str, problems: Problems) -> Iterator[_Label]:
    section: tuple[str, str] = ("", "")
    label: _Label | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line = _COMMENT.sub("", raw).strip()
        if match := _SECTION.match(line):
            section = match[1].lower(), match[2].strip().lower()
            if section[0] == "filter" and not section[1]:
                problems.append((number, "a %filter section needs a name"))
            if section[0] not in _SECTIONS:
                near = difflib.get_close_matches(section[0], _SECTIONS, n=1)
                hint = f'. Did you mean "%{near[0]}"?' if near else ""
                problems.append((number, f'unknown section "%{section[0]}"{hint}'))
        elif line and section[0] == "" and not _FORMAT.match(line):
            problems.append((number, "a line before any section"))
        if not line or line.startswith("%") or section[0] != "filter":
            if label is not None and line.startswith("%"):
                yield label
                label = None
            continue
        word, _, rest = line.partition(" ")
        if word.upper() == "LABEL":
            if label is not None:
                yield label
            label = _Label(rest.strip(), number, section[1])
        elif label is None:
            problems.append((number, "a line of %filter before its LABEL"))
        else:
            try:
                _add(label, line)
            except _LineError as problem:
                problems.append((number, str(problem)))
                label.broken = True
    if label is not None:
        yield label


def _add(label: _Label, line: str) -> None:
    word, _, rest = line.partition(" ")
    how = _COORDINATES.get(word.lower())
    if how is not None:
        label.cuts.append(RuleCut(_area(rest.strip(), sized=how[1]), keep=how[0]))
        return
    operator = next((mark for mark in ("+", "||") if line.startswith(mark)), "+")
    condition = _line(line.removeprefix(operator).strip())
    if label.condition is None:
        label.condition = condition
    else:
        label.condition = (Both if operator == "+" else Either)(label.condition, condition)


def _line(line: str) -> Condition:
    """The tests of a line, joined from left to right without precedence."""
    parts = _JOINED.split(line)
    found: Condition = _test(parts[0])
    for operator, part in zip(parts[1::2], parts[2::2], strict=True):
        found = (Both if operator == "+" else Either)(found, _test(part))
    return found


def _test(text: str) -> Says:
    method, _, rest = text.partition(" ")
    method, rest = method.lower(), rest.strip()
    if method not in _FILTERS:
        near = difflib.get_close_matches(method, [*_FILTERS, *_COORDINATES], n=1)
        raise _LineError(f'unknown filter "{method}"' + (f'. Did you mean "{near[0]}"?' if near else ""))
    keyword, _, value = rest.partition(" ")
    value = value.strip()
    if not keyword or bool(value) == (method in _WITHOUT_VALUE):
        wants = "an attribute" if method in _WITHOUT_VALUE else "an attribute and a value"
        raise _LineError(f"{method} takes {wants}")
    try:
        tag = tag_named(keyword)
    except ValueError as error:
        raise _LineError(str(error)) from None
    if method in ("contains", "notcontains"):
        try:
            re.compile(value)
        except re.error as error:
            raise _LineError(f'"{value}" is no regular expression: {error}') from None
    return Says((tag,), f"deid {method}", value)


def _area(text: str, *, sized: bool) -> Rectangle | Area:
    if text.lower() == "all":
        return Area.ALL
    if text.startswith("from:"):
        if text != _FROM or sized:
            raise _LineError(f"coordinates are taken from no attribute but {_FROM.removeprefix('from:')}")
        return Area.REGIONS
    numbers = [part.strip() for part in text.split(",")]
    if len(numbers) != 4 or not all(re.fullmatch(r"[0-9]{1,6}", part) for part in numbers):
        raise _LineError("coordinates are four whole numbers, `all`, or " + _FROM)
    first, top, third, fourth = map(int, numbers)
    if sized:
        return Rectangle(first, top, first + third, top + fourth)
    if third < first or fourth < top:
        raise _LineError("coordinates are xmin,ymin,xmax,ymax: the last two must not be less than the first two")
    return Rectangle(first, top, third, fourth)
