"""What a certificate says of a unit, and what the node keeps to itself of it. Equal work gives equal statements.

Exported: methods, counts, hashes and UIDs under a key. No value, no name from rules.yaml, no host, no time. The inner
part says for each change which value it was and which it became, as codes under a key that stays in the node; the
statement has its hash, so that neither can be changed without the other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from node.certificate.account import Actions, Total
from node.certificate.actions import PIXELS, written
from node.certificate.keys import Keys

_PIXELS = frozenset(written((tag,)) for tag in PIXELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the second reader said of the outputs."""

    state: str
    """`not run`, `clean`, or why a person let it pass."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How much it read and what it looked for, in its own words; no values."""


NOT_READ = Reading(state="not run")
SECOND_READER = "second reader: "
"""Begins what it says of what it found, as the reason of what is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One file that the unit gave."""

    kind: str
    sha256: str
    """Of the whole file."""
    size: int
    """Bytes."""
    instance: str = ""
    """Its SOP Instance UID; empty where it is no DICOM."""
    received: tuple[str, ...]
    """The SOP Instance UIDs, as received, of what it was made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """One step of the route."""

    name: str
    totals: tuple[Total, ...] = ()
    """Of a step that de-identifies: what it did."""
    changes: Mapping[str, str] = field(default_factory=dict)
    """Of another: attribute as `written` -> `assigned`, `copied` or `removed`, by its options; not whether it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The unit, and what became of its instances."""

    kind: str
    uid: str
    """As received."""
    generation: int
    route: str
    """Its name in rules.yaml; stays in the node."""
    rules: str
    """SHA-256 of the route as it was in force."""
    received: int
    held: int
    dropped: int


def state(
    keys: Keys, subject: Subject, steps: Sequence[Performed], outputs: Sequence[Output], reading: Reading,
    versions: Mapping[str, str],
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """(statement, inner part), plain JSON values."""
    inner = {
        "key": keys.id,
        "route": subject.route,
        "steps": [{"step": s.name, "values": [total.values for total in s.totals]} for s in steps],
        "unit": keys.uid(subject.uid),
    }
    statement = {
        "inner": digest(inner),
        "instances": {
            "certified": len({uid for output in outputs for uid in output.received}),
            "dropped": subject.dropped,
            "held": subject.held,
            "received": subject.received,
        },
        "outputs": sorted((_output(keys, one) for one in outputs), key=_canonical),
        "rules": subject.rules,
        "second_reader": {"state": reading.state, **({"counts": dict(reading.counts)} if reading.counts else {})},
        "steps": [_step(one) for one in steps],
        "unit": {"generation": subject.generation, "kind": subject.kind, "uid": keys.uid(subject.uid)},
        "versions": dict(versions),
    }
    return statement, inner


def digest(part: Mapping[str, Any]) -> str:
    """SHA-256 of plain JSON values, whatever the order of their keys."""
    return hashlib.sha256(_canonical(part)).hexdigest()


def _canonical(part: Mapping[str, Any]) -> bytes:
    return json.dumps(part, sort_keys=True, separators=(",", ":")).encode()


def _output(keys: Keys, one: Output) -> dict[str, Any]:
    found: dict[str, Any] = {
        "bytes": one.size,
        "kind": one.kind,
        "received": sorted(map(keys.uid, one.received)),
        "sha256": one.sha256,
    }
    return {**found, "instance": keys.uid(one.instance)} if one.instance else found


def _step(one: Performed) -> dict[str, Any]:
    if not one.totals:
        return {"step": one.name, "changes": dict(one.changes)} if one.changes else {"step": one.name}
    return {"step": one.name, "methods": [_method(total) for total in one.totals]}


def _method(total: Total) -> dict[str, Any]:
    attributes: Actions = {path: counts for path, counts in total.actions.items() if path not in _PIXELS}
    pixels: dict[str, int] = {}
    for path in _PIXELS & total.actions.keys():
        for what, count in total.actions[path].items():
            pixels[what] = pixels.get(what, 0) + count
    return {**total.method, "attributes": attributes, "instances": total.instances, "pixels": pixels}
