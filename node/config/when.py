"""`when:` as it stands in rules.yaml -> conditions. Every mistake is found at load, at its own place."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Literal, cast

from pydicom._uid_dict import UID_dictionary

from node.config import comparisons as compare
from node.config.clauses import Attribute, From
from node.config.comparisons import Comparison
from node.config.conditions import AllOf, Always, AnyOf, Clause, Condition, Every, Not, Otherwise, Together
from node.config.elements import Element, not_kept, only_exists, parse_element
from node.config.section import Fault, Loc, suggestion, wrong

COMBINE = ("any", "all", "not", "every")
ORIGIN = ("calling_ae", "called_ae", "sender")
OPERATORS = ("not", "regex", "gt", "ge", "lt", "le", "exists")

_UID_OF = {entry[4]: str(uid) for uid, entry in UID_dictionary.items() if entry[4]}


def compile_when(written: Any) -> Condition:
    """`always`, `otherwise` or a mapping. Raises ValidationError with every mistake; places count from `when`."""
    if written == "always":
        return Always()
    if written == "otherwise":
        return Otherwise()
    reading = _Reading()
    condition = reading.mapping(written, ())
    if reading.faults or condition is None:
        raise wrong(reading.faults)
    return condition


class _Reading:
    """Collects mistakes while it reads, so that one load names them all."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def wrong(self, loc: Loc, text: str, *, on_key: bool = False) -> None:
        self.faults.append(Fault(loc, text, on_key))

    def mapping(self, written: Any, loc: Loc) -> Condition | None:
        """The keys beside each other: clauses of one instance, and the rest each on its own."""
        if not isinstance(written, dict) or not written:
            what = "must be a mapping such as {Modality: CT}" + ("" if loc else ", or always, or otherwise")
            self.wrong(loc, what)
            return None
        clauses: list[Clause] = []
        parts: list[Condition] = []
        for key, right in written.items():
            if key in COMBINE:
                part = self.combined(key, right, (*loc, key))
                parts += [part] if part is not None else []
            else:
                clause, none_may = self.clause(key, right, (*loc, key))
                clauses += clause
                parts += [Not(part=Together(clauses=(c,))) for c in none_may]
        if clauses:
            parts.insert(0, Together(clauses=tuple(clauses)))
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else AllOf(parts=tuple(parts))

    def combined(self, key: str, right: Any, loc: Loc) -> Condition | None:
        if key in ("any", "all"):
            if isinstance(right, dict) and right:
                parts = [self.mapping({k: v}, loc) for k, v in right.items()]
            elif isinstance(right, list) and right:
                parts = [self.mapping(item, (*loc, i)) for i, item in enumerate(right)]
            else:
                self.wrong(loc, f'"{key}" must be a list of conditions')
                return None
            found = tuple(part for part in parts if part is not None)
            return AnyOf(parts=found) if key == "any" else AllOf(parts=found)
        part = self.mapping(right, loc)
        if part is None:
            return None
        return Not(part=part) if key == "not" else Every(part=part)

    def clause(self, key: str, right: Any, loc: Loc) -> tuple[list[Clause], list[Clause]]:
        """What an instance must satisfy, and what none may."""
        if key in ORIGIN:
            field = cast(Literal["calling_ae", "called_ae", "sender"], key)
            fits, unfit = self.tests(right, loc, _sender if key == "sender" else _text, lambda _: None)
            return [From(field=field, test=t) for t in fits], [From(field=field, test=t) for t in unfit]
        try:
            element = parse_element(key)
        except ValueError as error:
            text = str(error)
            if text.startswith("unknown keyword") and "Did you mean" not in text:
                text += suggestion(key, (*COMBINE, *ORIGIN))
            self.wrong(loc, text, on_key=True)
            return [], []
        if why := not_kept(element):
            self.wrong(loc, why, on_key=True)
            return [], []
        if (why := only_exists(element)) and not _asks_existence(right):
            self.wrong(loc, why)
            return [], []
        fits, unfit = self.tests(right, loc, lambda v: _scalar(element, v), lambda v: _limit(element, v))
        return [Attribute(element=element, test=t) for t in fits], [Attribute(element=element, test=t) for t in unfit]

    def tests(self, right: Any, loc: Loc, scalar: Any, limit: Any) -> tuple[list[Comparison], list[Comparison]]:
        """The right side: a value, a list, or operators. What fits, and what must not."""
        if not isinstance(right, dict):
            test = self.value(right, loc, scalar)
            return ([test] if test else []), []
        fits: list[Comparison] = []
        unfit: list[Comparison] = []
        if not right:
            self.wrong(loc, f"must be a value, a list, or one of {', '.join(OPERATORS)}")
        for operator, operand in right.items():
            here = (*loc, operator)
            if operator == "not":
                inner, twice = self.tests(operand, here, scalar, limit)
                if twice:
                    self.wrong(here, "a not inside a not: leave both out")
                unfit += [inner[0] if len(inner) == 1 else compare.Both(tuple(inner))] if inner else []
            elif operator == "exists":
                if isinstance(operand, bool):
                    (fits if operand else unfit).append(compare.Exists())
                else:
                    self.wrong(here, "must be true or false")
            elif operator == "regex":
                fits += self.tried(here, lambda: compare.Regex.of(_plain(operand)))  # noqa: B023  called at once
            elif operator in ("gt", "ge", "lt", "le"):
                fits += self.tried(here, lambda: compare.Bound(operator, _bound(limit(operand), operand)))  # noqa: B023  as above
            else:
                self.wrong(here, f'unknown key "{operator}".{suggestion(operator, OPERATORS)}', on_key=True)
        # A lower and an upper bound speak of one value: 5 and 50 do not make a value between 10 and 20.
        value_tests = [t for t in fits if not isinstance(t, compare.Exists)]
        if len(value_tests) > 1:
            fits = [compare.Both(tuple(value_tests))]
        return fits, unfit

    def value(self, right: Any, loc: Loc, scalar: Any) -> Comparison | None:
        if not isinstance(right, list):
            found = self.tried(loc, lambda: scalar(right))
            return found[0] if found else None
        if not right:
            self.wrong(loc, "an empty list never fits")
        tests = [t for i, item in enumerate(right) for t in self.tried((*loc, i), lambda item=item: scalar(item))]
        return tests[0] if len(tests) == 1 else compare.OneOf(tuple(tests)) if tests else None

    def tried(self, loc: Loc, make: Any) -> list[Comparison]:
        try:
            return [make()]
        except ValueError as error:
            self.wrong(loc, str(error))
            return []


def _asks_existence(right: Any) -> bool:
    """Whether a right side asks of an element that it is there, or not, and nothing else."""
    if not isinstance(right, dict):
        return False
    return bool(right) and all(
        operator == "exists" or (operator == "not" and _asks_existence(operand)) for operator, operand in right.items()
    )


def _plain(value: Any) -> str:
    """A value as text. Raises ValueError for what YAML has already changed."""
    if value is None or value == "":
        raise ValueError("is empty: to ask for a missing value write {exists: false}")
    if isinstance(value, bool | float):
        raise ValueError("must be text: write it in quotes")
    if not isinstance(value, str | int):
        raise ValueError("must be a single value")
    return str(value)


def _text(value: Any) -> Comparison:
    text = _plain(value)
    return compare.Glob.of(text) if "*" in text or "?" in text else compare.Equals(text)


def _sender(value: Any) -> Comparison:
    text = _plain(value)
    if text.startswith("folder:") or "*" in text or "?" in text:
        return _text(text)
    try:
        return compare.Within(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError(
            f'"{text}" is not an address: write an IP address, a network such as 10.1.2.0/24, or folder:PATH'
        ) from None


def _scalar(element: Element, value: Any) -> Comparison:
    """A single value for this element, checked against its VR."""
    vr, name = element.vr, element.written
    if isinstance(value, int | float) and not isinstance(value, bool) and (vr in compare.NUMERIC or not vr):
        return compare.Equals(value)
    text = _plain(value)
    if "*" in text or "?" in text:
        return compare.Glob.of(text)
    if vr in compare.NUMERIC and compare.number(text) is None:
        raise ValueError(f'{name} is a number (VR {vr}), and "{text}" is none')
    if vr in compare.CALENDAR and compare.calendar(vr, text) is None:
        raise ValueError(_no_moment(name, vr, text))
    if vr == "AS" and compare.age(text) is None:
        raise ValueError(f'{name} is an age such as 18Y, 6M or 10D, and "{text}" is none')
    if vr == "UI" and not re.fullmatch(r"[0-9.]{1,64}", text, re.ASCII):
        if text not in _UID_OF:
            raise ValueError(
                f'{name} is a UID, and "{text}" is neither one nor its keyword.{suggestion(text, _UID_OF)}'
            )
        return compare.Equals(_UID_OF[text])
    return compare.Equals(text)


def _limit(element: Element, value: Any) -> str | int | float | None:
    """The operand of gt, ge, lt, le. Raises ValueError when this element has no order or the operand no place in it."""
    vr, name = element.vr, element.written
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be a single number, date, time or age")
    if vr and vr not in compare.NUMERIC and vr not in compare.CALENDAR and vr != "AS":
        raise ValueError(f"{name} is text (VR {vr}) and has no order: use a value, a glob or regex")
    if compare.ordered(vr or "DS", value) is None:
        if vr in compare.CALENDAR:
            raise ValueError(_no_moment(name, vr, str(value)))
        raise ValueError(f'{name} is {"an age such as 18Y" if vr == "AS" else "a number"}, and "{value}" is none')
    return value


def _bound(limit: str | int | float | None, written: Any) -> str | int | float:
    if limit is None:
        raise ValueError(f'"{written}": an AE title or address has no order')
    return limit


def _no_moment(name: str, vr: str, text: str) -> str:
    such = {"DA": "2024-01-31", "TM": "12:30:00", "DT": "2024-01-31T12:30:00"}[vr]
    return f'{name} has VR {vr}, such as {such}, and "{text}" is none'
