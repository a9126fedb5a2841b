"""What was done to one instance, as a text that travels with its file; and the accounts of many added up.

Three lines of JSON: by which method, what became of each attribute, and codes of the values that changed. The instances
of a series have the first two in common, so texts are counted before they are read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from node.certificate.actions import Again, Done, Path, Recorder, Told, written
from node.certificate.keys import ValueCode

Actions = dict[str, dict[str, int]]
"""Path as `written` -> word of Done -> how often."""
Values = dict[str, dict[str, int]]
"""Path as `written` -> codes of the value before and after, a blank between them -> how often."""

_Change = tuple[Path, bytes | None, bytes | None]

_Counts = tuple[tuple[tuple[Path, Done], int], ...]


Part = tuple[Again, int, str]
"""(what is told as one, kept so that nothing else gets its id; the number of the counts of its actions; its changes)"""

_NOTHING: Part = (Again(), 0, "")
_LONGEST_KEPT = 256
"""Bytes of a value whose code is remembered: names and most UIDs come again in every instance of a series."""
_MOST_KEPT = 20_000
_MOST_TEXTS = 256


class Accounts:
    """Makes the recordings of many instances, and remembers for the next one what they have in common."""

    def __init__(self, code: ValueCode) -> None:
        self._code = code
        self._known: dict[_Change, str] = {}
        self.parts: dict[int, Part] = {}
        self._how: tuple[Mapping[str, Any], str] | None = None
        self._numbers: dict[_Counts, int] = {(): 0}
        self._singly: dict[tuple[Path, Done], int] = {}
        self._texts: dict[tuple[tuple[int, ...], _Counts], str] = {}

    def begin(self) -> Recording:
        return Recording(self)

    def change(self, change: _Change) -> str:
        """One changed value, as JSON."""
        known = self._known.get(change)
        if known is None:
            path, before, after = change
            known = f'["{written(path)}","{self._code(before)}","{self._code(after)}"]'  # hex and base 64
            if len(before or b"") <= _LONGEST_KEPT and len(after or b"") <= _LONGEST_KEPT:
                if len(self._known) >= _MOST_KEPT:
                    self._known.clear()
                self._known[change] = known
        return known

    def part(self, told: Again) -> Part:
        """What is told as one and comes again."""
        if len(self.parts) >= _MOST_KEPT:
            self.parts.clear()
        if len(told) == 1:
            counts: _Counts = ((told[0][:2], 1),)
        else:
            counts = tuple(Counter(each[:2] for each in told).items())
        number = self._numbers.setdefault(counts, len(self._numbers))
        changes = (self.change((path, b, a)) for path, action, b, a in told if _is_change(action, b, a))
        found = self.parts[id(told)] = (told, number, ",".join(changes))
        return found

    def number(self, path: Path, action: Done) -> int:
        """That of the counts of one attribute alone."""
        number = self._singly.get((path, action))
        if number is None:
            if len(self._singly) >= _MOST_KEPT:
                self._singly.clear()
            number = self._numbers.setdefault((((path, action), 1),), len(self._numbers))
            self._singly[path, action] = number
        return number

    def how(self, method: Mapping[str, Any]) -> str:
        """A method, as JSON."""
        if self._how is None or self._how[0] is not method:
            self._how = method, json.dumps(method, sort_keys=True, separators=(",", ":"))
        return self._how[1]

    def actions(self, parts: tuple[int, ...], counts: _Counts) -> str:
        """All that was done, as JSON. `parts`: the numbers of `part`."""
        text = self._texts.get((parts, counts))
        if text is None:
            numbered, actions = list(self._numbers), Actions()
            for (path, action), count in (*(one for part in parts for one in numbered[part]), *counts):
                of_path = actions.setdefault(written(path), {})
                of_path[action.value] = of_path.get(action.value, 0) + count
            text = json.dumps(actions, sort_keys=True, separators=(",", ":"))
            if len(self._texts) >= _MOST_TEXTS:
                self._texts.clear()
            self._texts[parts, counts] = text
        return text


class Recording(Recorder):
    """Writes down what is done to one instance."""

    __slots__ = ("_accounts", "_changed", "_changes", "_counts", "_numbers")

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._counts: dict[tuple[Path, Done], int] = {}
        self._changed: list[_Change] = []
        self._numbers: list[int] = []
        self._changes: list[str] = []

    def did(self, path: Path, action: Done, before: bytes | None = None, after: bytes | None = None) -> None:
        key = (path, action)
        self._counts[key] = self._counts.get(key, 0) + 1
        if _is_change(action, before, after):
            self._changed.append((path, before, after))

    def did_all(self, told: Sequence[tuple[Told, ...]]) -> None:
        known = self._accounts.parts.get
        parts = [known(id(one)) or self._part(one) for one in told]  # known are those alone that are kept
        self._numbers += [part[1] for part in parts]
        self._changes += [part[2] for part in parts if part[2]]

    def _part(self, told: tuple[Told, ...]) -> Part:
        if isinstance(told, Again):
            return self._accounts.part(told)
        if len(told) == 1:
            path, action, before, after = told[0]
            change = self._accounts.change((path, before, after)) if _is_change(action, before, after) else ""
            return _NOTHING[0], self._accounts.number(path, action), change
        changes: list[str] = []
        for path, action, before, after in told:
            key = (path, action)
            self._counts[key] = self._counts.get(key, 0) + 1
            if _is_change(action, before, after):
                changes.append(self._accounts.change((path, before, after)))
        return _NOTHING[0], 0, ",".join(changes)

    def account(self, method: Mapping[str, Any]) -> str:
        """The instance's account. `method`: how it was done, in plain JSON values and without anything of a patient."""
        how = self._accounts.how(method)
        actions = self._accounts.actions(tuple(self._numbers), tuple(self._counts.items()))
        return f"{how}\n{actions}\n[{','.join([*self._changes, *map(self._accounts.change, self._changed)])}]"


def _is_change(action: Done, before: bytes | None, after: bytes | None) -> bool:
    return action is not Done.KEPT and bool(before or after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """The accounts of all instances that were done by one method."""

    method: Mapping[str, Any]
    instances: int
    actions: Actions
    values: Values


def add_up(accounts: Iterable[str]) -> tuple[Total, ...]:
    """One total for each method, in an order that depends on nothing but the methods."""
    methods: dict[str, list[tuple[str, str]]] = {}
    for account in accounts:
        method, actions, values = account.split("\n")
        methods.setdefault(method, []).append((actions, values))
    return tuple(_total(method, methods[method]) for method in sorted(methods))


def _total(method: str, parts: list[tuple[str, str]]) -> Total:
    return Total(
        method=json.loads(method),
        instances=len(parts),
        actions=_actions_of(Counter(actions for actions, _ in parts)),
        values=_values_of(values for _, values in parts),
    )


def _actions_of(texts: Counter[str]) -> Actions:
    total: Actions = {}
    for text, times in texts.items():
        for path, counts in json.loads(text).items():
            of_path = total.setdefault(path, {})
            for what, count in counts.items():
                of_path[what] = of_path.get(what, 0) + count * times
    return total


def _values_of(texts: Iterable[str]) -> Values:
    total: Values = {}
    for text in texts:
        for path, before, after in json.loads(text):
            of_path, pair = total.setdefault(path, {}), f"{before} {after}"
            of_path[pair] = of_path.get(pair, 0) + 1
    return total
