"""The `tests:` of rules.yaml, run without any network: which routes would take such an instance?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from node.config.comparisons import NUMERIC, calendar
from node.config.elements import Private, Standard, parse_element
from node.config.schema import Config, RouteTest
from node.match import match
from node.model import Header, Origin, UnitKind

_ORIGIN = ("calling_ae", "called_ae", "sender")
_KEPT = 64
"""Bytes of a value that the index keeps (node.model.Header); a longer one is as unknown here as there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTestResult:
    """What one of the `tests:` gave."""

    name: str
    passed: bool
    expected: tuple[str, ...]
    got: tuple[str, ...]
    because: tuple[str, ...]
    """Each route that is not as expected, with its reasons; or what is wrong with the test itself."""


def run_tests(config: Config) -> tuple[RouteTestResult, ...]:
    """Every test in the order of the file."""
    return tuple(_run(config, test) for test in config.tests)


def _run(config: Config, test: RouteTest) -> RouteTestResult:
    expected = tuple(sorted(set(test.expect)))
    try:
        members = [_member(config, given) for given in test.given]
    except ValueError as error:
        return RouteTestResult(name=test.name, passed=False, expected=expected, got=(), because=(str(error),))
    kinds = [test.unit] if test.unit else list(UnitKind)
    verdicts = [v for kind in kinds for v in match([r for r in config.routes if r.unit is kind], members, kind=kind)]
    got = tuple(sorted(v.route for v in verdicts if v.matched))
    unexpected = [v for v in verdicts if v.undecided or v.matched != (v.route in expected)]
    said = tuple(f"{v.route}: {'; '.join(v.because)}" for v in unexpected)
    return RouteTestResult(
        name=test.name, passed=got == expected and not unexpected, expected=expected, got=got, because=said
    )


def _member(config: Config, given: Mapping[str, Any]) -> tuple[Header, Origin]:
    header: dict[str, Any] = {}
    for written, value in given.items():
        if written not in _ORIGIN:
            _put(header, written, value)
    origin = Origin(
        calling_ae=str(given.get("calling_ae", "ANY")),
        called_ae=str(given.get("called_ae", config.node.ae_title[0])),
        sender=str(given.get("sender", "127.0.0.1")),
    )
    return header, origin


def _put(header: dict[str, Any], written: str, value: Any) -> None:
    """Write one value into a header as the index would keep it. Raises ValueError for an unknown element."""
    element = parse_element(written)
    for sequence in element.sequences:
        items = header.setdefault(_key(header, sequence), ["SQ", [{}]])[1]
        header = items[0]
    vr = element.vr or ("FD" if isinstance(value, float) else "SL" if isinstance(value, int) else "LO")
    header[_key(header, element.last)] = [vr, _kept(vr, value)]


def _key(header: dict[str, Any], part: Standard | Private) -> str:
    if isinstance(part, Standard):
        return part.tag
    for key in sorted(header):
        if key.startswith(f"{part.group}00") and header[key][1] == [part.creator]:
            return f"{part.group}{key[6:]}{part.low}"
    block = 0x10 + sum(key.startswith(f"{part.group}00") for key in header)
    header[f"{part.group}00{block:02X}"] = ["LO", [part.creator]]
    return f"{part.group}{block:02X}{part.low}"


def _kept(vr: str, value: Any) -> list[Any] | None:
    values = [v for v in (value if isinstance(value, list) else [value]) if v is not None]
    if sum(len(str(v).encode()) + 1 for v in values) - 1 > _KEPT:
        return None
    return list(_as_stored(vr, values))


def _as_stored(vr: str, values: list[Any]) -> Iterator[Any]:
    for value in values:
        if vr in NUMERIC and isinstance(value, int | float):
            yield value
        elif vr == "DA":
            yield calendar(vr, value) or str(value)
        else:
            yield str(value)
