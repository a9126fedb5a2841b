"""What was done to one instance, as a text that travels with its file; and the accounts of many added up.

Three lines of JSON: by which method, what became of each attribute, and codes of the values that changed. The instances
of a series have the first two in common, so texts are counted before they are read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from node.certificate.actions import Done, Path, written
from node.certificate.keys import ValueCode

Actions = dict[str, dict[str, int]]
"""Path as `written` -> word of Done -> how often."""
Values = dict[str, dict[str, int]]
"""Path as `written` -> codes of the value before and after, a blank between them -> how often."""

_Change = tuple[Path, bytes | None, bytes | None]

_LONGEST_KEPT = 256
"""Bytes of a value whose code is remembered: names and most UIDs come again in every instance of a series."""
_MOST_KEPT = 20_000


class Accounts:
    """Makes the recordings of many instances, and remembers for the next one what they have in common."""

    def __init__(self, code: ValueCode) -> None:
        self._code = code
        self._known: dict[_Change, str] = {}

    def begin(self) -> Recording:
        return Recording(self._change)

    def _change(self, change: _Change) -> str:
        """One changed value, as JSON."""
        known = self._known.get(change)
        if known is None:
            path, before, after = change
            known = json.dumps([written(path), self._code(before), self._code(after)], separators=(",", ":"))
            if len(before or b"") <= _LONGEST_KEPT and len(after or b"") <= _LONGEST_KEPT:
                if len(self._known) >= _MOST_KEPT:
                    self._known.clear()
                self._known[change] = known
        return known


class Recording:
    """Writes down what is done to one instance. A Recorder."""

    __slots__ = ("_change", "_changed", "_counts")

    def __init__(self, change: Callable[[_Change], str]) -> None:
        self._change = change
        self._counts: dict[tuple[Path, Done], int] = {}
        self._changed: list[_Change] = []

    def did(self, path: Path, action: Done, before: bytes | None = None, after: bytes | None = None) -> None:
        key = (path, action)
        self._counts[key] = self._counts.get(key, 0) + 1
        if action is not Done.KEPT and (before or after):
            self._changed.append((path, before, after))

    def account(self, method: Mapping[str, Any]) -> str:
        """The instance's account. `method`: how it was done, in plain JSON values and without anything of a patient."""
        how = json.dumps(method, sort_keys=True, separators=(",", ":"))
        return f"{how}\n{_actions(tuple(self._counts.items()))}\n[{','.join(map(self._change, self._changed))}]"


@lru_cache(maxsize=256)
def _actions(counts: tuple[tuple[tuple[Path, Done], int], ...]) -> str:
    """As JSON; cached, for most instances of a series have it in common."""
    actions: Actions = {}
    for (path, action), count in counts:
        actions.setdefault(written(path), {})[action.value] = count
    return json.dumps(actions, sort_keys=True, separators=(",", ":"))


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
