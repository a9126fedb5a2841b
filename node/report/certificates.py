"""Certificates against the ledger: is a file as it was issued, and is every chain whole?

A file alone shows by its seal that nothing in it was changed. That nothing was taken away only the database can show,
which has every certificate and the head of every chain.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from node.certificate.chain import Flaw, flaws, is_registered
from node.certificate.document import Broken, changed_parts, check, first_difference, parse
from node.certificate.keys import Keys
from node.certificate.statement import digest
from node.index import certificates

Place = tuple[str, int]
"""Chain, and number in it."""

_NAMED = 5
"""Changed parts that are told one by one."""
_CHAIN, _NUMBER = re.compile(rb'"chain": "(\w{1,64})"'), re.compile(rb'"number": (\d{1,9})\b')


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What there is to say of one file."""

    wrong: str = ""
    """What breaks it, and where; empty when it verifies."""
    place: Place | None = None
    """None where it does not verify."""
    instances: int = 0
    issued: str = ""
    """ISO 8601, UTC."""


def of_file(connection: sa.Connection, keys: Keys, data: bytes) -> Verdict:
    """Whether a file is a certificate of this node, byte for byte as it was issued."""
    try:
        content = check(keys, data)
    except Broken as broken:
        return Verdict(wrong=f"{broken}{_where(connection, data)}")
    issue = content["issue"]
    known = certificates.find(connection, issue["chain"], issue["number"])
    if known is None:
        return Verdict(
            wrong=f"its seal holds, and the ledger has no certificate {issue['number']} of chain {issue['chain']}: it "
            "was removed, or a backup from before it was restored"
        )
    if known.document != data:
        return Verdict(wrong=f"its seal holds, and the ledger has another one in its place{_where(connection, data)}")
    return Verdict(
        place=(known.chain, known.number),
        instances=content["statement"]["instances"]["certified"],
        issued=issue["at"],
    )


def _where(connection: sa.Connection, data: bytes) -> str:
    """Where a file differs from the certificate that it says it is; nothing where that is not known."""
    chain, number = _CHAIN.search(data), _NUMBER.search(data)
    known = certificates.find(connection, chain[1].decode(), int(number[1])) if chain and number else None
    at = first_difference(data, known.document) if known is not None else None
    if known is None or at is None:
        return ""
    line = data.count(b"\n", 0, at) + 1
    text = f"; it differs from what was issued from byte {at + 1} on, line {line}"
    parts = _changed(data, known.document)
    more = f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
    return f"{text}: {', '.join(parts[:_NAMED])}{more}" if parts else text


def _changed(data: bytes, issued: bytes) -> list[str]:
    try:
        return changed_parts(parse(data), parse(issued))
    except Broken:
        return []


def names(connection: sa.Connection) -> list[str]:
    """All chains."""
    return list(certificates.names(connection))


def of_register(connection: sa.Connection, keys: Keys) -> str:
    """Whether there are the chains that there should be: what is wrong, or nothing."""
    known = certificates.heads(connection)
    sealed = certificates.register(connection)
    if is_registered(keys, known, sealed) if known else not sealed:
        return ""
    return "the chains are not those that were begun: one was taken away as a whole, or put in"


def of_chain(connection: sa.Connection, keys: Keys, chain: str) -> tuple[int, list[Flaw]]:
    """How many certificates the ledger has of a chain, and what breaks it and where."""
    numbers: list[int] = []
    wrong: list[Flaw] = []

    def each() -> Iterator[tuple[int, bytes]]:
        for one in certificates.of_chain(connection, chain):
            numbers.append(one.number)
            yield one.number, one.document
            if not _keeps_its_word(connection, one):
                wrong.append(Flaw(chain, one.number, "what the node keeps to itself of it was changed"))

    found = list(flaws(keys, chain, each(), certificates.heads(connection).get(chain)))
    return len(numbers), sorted([*found, *wrong], key=lambda flaw: flaw.number)


def _keeps_its_word(connection: sa.Connection, one: certificates.Certificate) -> bool:
    """Whether the inner part is the one that the statement has the hash of; True where that cannot be read at all,
    for then the document is what is wrong."""
    try:
        said: Any = parse(one.document)["statement"].get("inner")
    except Broken:
        return True
    try:
        return bool(said == digest(certificates.inner_of(connection, one.chain, one.number)))
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """Certificates in force that are not among the files."""

    missing: list[Place]
    """A file of it was made, so it should be there."""
    nowhere: list[Place]
    """No file of it was made: what it certifies went to an application entity, or has not gone to a folder yet."""


def absent(connection: sa.Connection, there: Collection[Place]) -> Absent:
    """Of certificates in force, not those of work that was done again: which are not `there`."""
    replaced, filed = certificates.replaced(connection), certificates.filed(connection)
    every = [(one.chain, one.number) for chain in names(connection) for one in certificates.of_chain(connection, chain)]
    left = [place for place in every if place not in there and place not in replaced]
    return Absent(
        missing=[place for place in left if place in filed], nowhere=[place for place in left if place not in filed]
    )
