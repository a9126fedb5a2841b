"""A statement as the bytes of a sealed file, and what is wrong with such a file.

One encoding for one content: what is read is encoded again and must give the same bytes, so that no byte can be
changed, added or left out behind the seal's back. `issue` is the only part that differs between two runs of the same
work: when, and where in which chain.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from node.certificate.keys import Keys

FORM = "dicom-node de-identification certificate 1"
"""What such a file says of itself; the number changes with the form."""

_TAG = re.compile(rb"\(([0-9A-F]{4}),([0-9A-F]{4})\)")
_CODE = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")
_SEALED = frozenset({"certificate", "issue", "seal", "statement"})
_ISSUE = {"at": str, "chain": str, "key": str, "number": int, "previous": str}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """When a certificate was made, and its place."""

    at: float
    """Seconds since 1970-01-01 UTC."""
    chain: str
    number: int
    """From 1."""
    previous: str
    """SHA-256 of the file before it in the chain; `chain.FIRST` for number 1."""


class Broken(ValueError):
    """A file that is no certificate, or is not as it was issued; `str()` says what and where."""


def seal(keys: Keys, statement: Mapping[str, Any], issue: Issue) -> bytes:
    """The file."""
    body = {
        "certificate": FORM,
        "issue": {
            "at": datetime.fromtimestamp(issue.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "chain": issue.chain,
            "key": keys.id,
            "number": issue.number,
            "previous": issue.previous,
        },
        "statement": statement,
    }
    return encoded({**body, "seal": keys.seal(encoded(body))})


def encoded(content: Mapping[str, Any]) -> bytes:
    """The one encoding: ASCII, keys in order, one line for each value, and an end of line."""
    return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n"


def in_words(statement: Mapping[str, Any]) -> bytes:
    """A statement as a second reader reads it: without hashes, which say nothing and may look like a number, and with
    tags in two parts: (0010,0010) in one is the patient 100010."""
    return _TAG.sub(rb"(\1|\2)", encoded(_without_codes(statement)))


def _without_codes(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {key: _without_codes(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_without_codes(value) for value in part]
    return "" if isinstance(part, str) and _CODE.fullmatch(part) and not part.isdigit() else part


def fingerprint(data: bytes) -> str:
    """SHA-256 of the file, by which the next one of the chain names it; `sha256sum` gives the same."""
    return hashlib.sha256(data).hexdigest()


def parse(data: bytes) -> dict[str, Any]:
    """The content of a file in the form of a certificate; its seal is not looked at. Raises Broken."""
    try:
        content = json.loads(data.decode("ascii"))
    except UnicodeDecodeError as error:
        raise Broken(f"byte {error.start + 1} is none of a certificate") from None
    except json.JSONDecodeError as error:
        raise Broken(f"it is not JSON from byte {error.pos + 1} on") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, thousands of brackets
        raise Broken("it is not JSON of any use") from None
    if not isinstance(content, dict) or content.get("certificate") != FORM:
        raise Broken(f'it does not say that it is a "{FORM}"')
    if content.keys() != _SEALED or not isinstance(content["statement"], dict) or not isinstance(content["seal"], str):
        raise Broken("it does not have the parts of a certificate")
    issue = content["issue"]
    if not isinstance(issue, dict) or {key: type(value) for key, value in issue.items()} != _ISSUE:
        raise Broken("its part `issue` is not that of a certificate")
    at = first_difference(data, _again(content))
    if at is not None:
        raise Broken(f"byte {at + 1} is not written as in a certificate")
    return content


def check(keys: Keys, data: bytes) -> dict[str, Any]:
    """The content of a file that is as it was issued. Raises Broken."""
    content = parse(data)
    under = next((one for one in keys.every() if one.id == content["issue"]["key"]), None)
    if under is None:
        raise Broken("it was sealed under another secret, or its part `issue` was changed")
    body = {key: value for key, value in content.items() if key != "seal"}
    if not under.sealed(encoded(body), content["seal"]):
        raise Broken("it is not as it was sealed")
    return content


def first_difference(one: bytes, other: bytes) -> int | None:
    """The place of the first byte in which two files differ, from 0; None when they are the same."""
    if one == other:
        return None
    shorter = min(len(one), len(other))
    return next((place for place in range(shorter) if one[place] != other[place]), shorter)


def changed_parts(one: Any, other: Any, place: str = "") -> list[str]:
    """Where two contents differ, as dotted paths; lists of different length as a whole."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = []
        for key in sorted(one.keys() | other.keys()):
            below = f"{place}.{key}" if place else str(key)
            found += changed_parts(one[key], other[key], below) if key in one and key in other else [below]
        return found
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [part for n, (a, b) in pairs for part in changed_parts(a, b, f"{place}[{n}]")]
    return [] if type(one) is type(other) and one == other else [place]


def _again(content: Mapping[str, Any]) -> bytes:
    try:
        return encoded(content)
    except ValueError:  # NaN and Infinity, which JSON does not have
        raise Broken("it has a number that is none") from None
