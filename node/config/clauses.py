"""What a single instance is asked: one data element, or who sent it.

The reasons never carry patient data: see `elements.value_may_be_shown` and `elements.rule_may_be_shown`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from node.config.comparisons import Comparison, Exists
from node.config.conditions import Finding, Members, Truth, any_of
from node.config.elements import Element, Entry, Standard, rule_may_be_shown, value_may_be_shown

_CODE = re.compile(r"[A-Z0-9_.]{1,64}")
_MOST_VALUES_SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """A test of one data element; of several values, any."""

    element: Element
    test: Comparison

    @property
    def about(self) -> str:
        return self.element.written

    def column(self, members: Members) -> list[Truth]:
        last = self.element.last
        if self.element.sequences or not isinstance(last, Standard):
            return [any_of(map(self._judge, self.element.entries(header))) for header, _ in members]
        # The common case, 20 routes times 2,000 headers: most instances of a unit share the value, so judge it once.
        tag, known, truths = last.tag, dict[object, Truth](), list[Truth]()
        for header, _ in members:
            found = header.get(tag)
            if found is None:
                truths.append(False)
                continue
            vr, values = found
            key = (vr, None if values is None else tuple(values)) if vr != "SQ" else (vr, bool(values), values is None)
            if key not in known:
                known[key] = self._judge((vr, values))
            truths.append(known[key])
        return truths

    def _judge(self, entry: Entry) -> Truth:
        vr, values = entry
        if isinstance(self.test, Exists):
            return values is None or any(value is None or self.test.accepts(vr, value) for value in values)
        if values is None:
            return None
        if vr == "SQ":
            return False
        return any_of(None if value is None else self.test.accepts(vr, value) for value in values)

    def holds(self, members: Members) -> Finding:
        truths = self.column(members)
        rule = str(self.test) if rule_may_be_shown(self.element) or isinstance(self.test, Exists) else "fits the rule"
        return _counted(self.about, rule, truths, self._shown(members, truths))

    def _shown(self, members: Members, truths: list[Truth]) -> tuple[str, ...]:
        """The values that decided, when they are codes of the standard: of the fitting instances, else of all."""
        if not value_may_be_shown(self.element):
            return ()
        decided = True in truths
        values: dict[str, None] = {}
        for (header, _), truth in zip(members, truths, strict=True):
            if truth is True or not decided:
                for _, found in self.element.entries(header):
                    values.update((str(v), None) for v in found or () if _CODE.fullmatch(str(v)))
        return tuple(values)[:_MOST_VALUES_SHOWN]

    def __str__(self) -> str:
        return f"{self.about} {self.test}"


@dataclass(frozen=True, slots=True, kw_only=True)
class From:
    """A test of who sent an instance, or to whom."""

    field: Literal["calling_ae", "called_ae", "sender"]
    test: Comparison

    @property
    def about(self) -> str:
        return self.field

    def column(self, members: Members) -> list[Truth]:
        known: dict[str, Truth] = {}
        truths: list[Truth] = []
        for _, origin in members:
            value = getattr(origin, self.field)
            if value not in known:
                known[value] = self.test.accepts("AE", value)
            truths.append(known[value])
        return truths

    def holds(self, members: Members) -> Finding:
        return _counted(self.field, str(self.test), self.column(members), ())

    def __str__(self) -> str:
        return f"{self.field} {self.test}"


def _counted(about: str, rule: str, truths: list[Truth], values: tuple[str, ...]) -> Finding:
    of = f"of {len(truths)} instance{'' if len(truths) == 1 else 's'}"
    truth = any_of(truths)
    if truth:
        said = f"is {', '.join(values)}" if values else rule
        return Finding(truth=True, because=(f"{about} {said} in {truths.count(True)} {of}",))
    if truth is None:
        return Finding(
            truth=None,
            because=(f"{about}: cannot tell, in {truths.count(None)} {of} the value is longer than the 64 bytes kept",),
        )
    found = f" (found {', '.join(values)})" if values else ""
    return Finding(truth=False, because=(f"{about}: no instance {rule}{found}",))
