"""What de-identification does to one instance, attribute by attribute, with the rule behind each line.

For the author of a rule, who has the instance before him: unlike everything else here this has values of a patient.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from node.certificate.actions import PIXELS, Done, Recorder
from node.certificate.actions import Path as TagPath
from node.dicom.attributes import describe, is_creator, is_private, vr_of
from node.errors import CannotSucceed
from node.steps.anonymize import text
from node.steps.anonymize.by_value import found_in
from node.steps.anonymize.header import CHARACTER_SET
from node.steps.anonymize.instance import Anonymizer
from node.steps.anonymize.plan import Plan
from node.steps.anonymize.reasons import Ruling
from node.steps.anonymize.source import opened
from node.steps.anonymize.step import Anonymize

_NUMBERS: Mapping[str, str] = MappingProxyType(
    {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d", "AT": "HH"}
)
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UN"})
_UNTOUCHED = "(untouched)"
"""Pixels that go from file to file; nobody has read them."""
_LONGEST = 1024
"""Bytes of a value that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One attribute, or one of several items that have it."""

    path: TagPath
    done: Done
    before: str | None
    """None where there was none, and of a sequence."""
    after: str | None
    rule: str

    @property
    def attribute(self) -> str:
        """`(0040,0275) > (0040,0007) Scheduled Procedure Step Description`."""
        above = [f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in self.path[:-1]]
        return " > ".join([*above, describe(self.path[-1])])


def preview(step: Anonymize, source: Path, target: Path, given: Mapping[str, Any]) -> list[Line]:
    """De-identify `source` to `target` and say what was done, in the order of the tags.

    given  what the step needs, as `Work.given`

    Raises CannotSucceed for options that cannot be used, HoldError where the instance would be held, and OSError.
    """
    problems = step.problems()
    if problems:
        raise CannotSucceed("; ".join(problems))
    rules, plan_of, plans = step.laid_over(), step.plan_for(), dict[str, Plan]()

    def plan_for(sop_class: str) -> Plan:
        return plans.setdefault(sop_class, plan_of(sop_class))

    watch = _Watch()
    anonymizer = Anonymizer(plan_for, step.patients(given), step.seal(), step.cleaning(), step.reviewed_classes())
    done = anonymizer.anonymize(source, target, watch)
    ((sop_class, plan),) = plans.items()
    with opened(source) as found:
        plan = plan.suited(found.top.keys())
    ruling = Ruling(
        plan=plan, rules=rules, sop_class=sop_class, pixels=done.because if done is not None else (),
        by_value=_by_value(source, plan),
    )  # fmt: skip
    return watch.lines(ruling.reason)


def _by_value(source: Path, plan: Plan) -> Mapping[TagPath, str]:
    if not plan.by_value:
        return {}
    with opened(source) as found:
        return found_in(found.header, plan, text.encodings(found.raw(CHARACTER_SET))).said


@dataclass(slots=True)
class _Watch(Recorder):
    """A Recorder that keeps the values. Of one data set or item it is told in the order of the tags."""

    told: list[tuple[TagPath, Done, bytes | None, bytes | None]] = field(default_factory=list)

    def did(self, path: TagPath, action: Done, before: bytes | None = None, after: bytes | None = None) -> None:
        self.told.append((path, action, before, after))

    def lines(self, reason: Callable[[TagPath, Done, str], str]) -> list[Line]:
        creators: dict[TagPath, str] = {}
        charsets: dict[TagPath, Sequence[str]] = {(): text.encodings(b"")}
        found = []
        for path, done, before, after in self.told:
            untouched = done is Done.KEPT and path[-1] in PIXELS and before is None
            parent, tag = path[:-1], path[-1]
            if tag == CHARACTER_SET:
                charsets[parent] = text.encodings(before or b"")
            by = next(charsets[path[:n]] for n in range(len(parent), -1, -1) if path[:n] in charsets)
            if is_creator(tag):
                creators[path] = _shown(tag, before, by) or ""
            creator = ""
            if is_private(tag) and not is_creator(tag):
                creator = creators.get((*parent, tag & 0xFFFF0000 | (tag & 0xFF00) >> 8), "")
            found.append(
                Line(
                    path=path, done=done, before=_UNTOUCHED if untouched else _shown(tag, before, by),
                    after=_UNTOUCHED if untouched else _shown(tag, after, by),
                    rule=reason(path, done, creator),
                )
            )  # fmt: skip
        # What was added is told of last, a sequence after its items.
        return sorted(_nested(found), key=lambda line: line.path[0])


def _nested(lines: Sequence[Line]) -> list[Line]:
    """Each sequence before its items, the items in their order."""
    ordered: list[Line] = []
    for line in lines:
        at = len(ordered)
        while at and ordered[at - 1].path[: len(line.path)] == line.path and len(ordered[at - 1].path) > len(line.path):
            at -= 1
        ordered.insert(at, line)
    return ordered


def _shown(tag: int, value: bytes | None, by: Sequence[str]) -> str | None:
    """A value as text on one line; nothing in it can steer a terminal."""
    if value is None:
        return None
    vr, cut = vr_of(tag), value[:_LONGEST]
    if vr in _NUMBERS:
        return _numbers(cut, _NUMBERS[vr])
    if vr in _BINARY and not (is_private(tag) and cut.isascii() and cut.decode().strip(" \0").isprintable()):
        return f"({len(value)} bytes)"
    try:
        said = text.decode(cut, by)
    except text.UnreadableTextError:
        said = cut.decode("ascii", "backslashreplace")
    said = said.strip(" \0")
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in said)
    return printable + ("…" if len(value) > _LONGEST else "")


def _numbers(value: bytes, code: str) -> str:
    """Little endian: big endian data sets are turned before they are walked."""
    size = struct.calcsize(f"<{code}")
    form = "{:04X}{:04X}" if code == "HH" else "{:g}" if code in "fd" else "{}"
    groups = [struct.unpack_from(f"<{code}", value, at) for at in range(0, len(value) - size + 1, size)]
    return "\\".join(form.format(*numbers) for numbers in groups)
