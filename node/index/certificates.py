"""Certificates of de-identification: each added to the chain of its process, its head beside it, in one transaction.

To be used on connections of `Database.durable`: a certificate goes out only when its place in the chain is on the disk.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from node.certificate import chain as chains
from node.certificate.chain import Head
from node.certificate.document import Issue, fingerprint, seal
from node.certificate.keys import Keys
from node.certificate.statement import digest
from node.index.database import insert
from node.index.schema import certificate, certificate_head, delivery, job, meta, parcel
from node.model import Kind

REGISTER = "certificates"
"""The key, in the node's notes, of the seal of the chains that there are."""

_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One row. `document` is the exported file."""

    chain: str
    number: int
    job: str | None
    sha256: str
    document: bytes
    new: bool = False
    """Made now; else the same work was certified before."""


def issue(
    connection: sa.Connection, keys: Keys, process: str, job_id: str | None, part: int, now: float,
    statement: Mapping[str, Any], inner: Mapping[str, Any], *, about: str = "",
) -> Certificate:  # fmt: skip
    """The next certificate of a process's chain; the one that the work has already, if it says the same.

    process     its name, as in node.moment
    part        the number of the last step whose output it certifies
    now         seconds since 1970-01-01 UTC, database clock
    about       what tells the work from any other, where there is no job
    """
    says = digest(statement)
    known = connection.execute(
        sa.select(certificate)
        .where(
            certificate.c.job.is_(None) if job_id is None else certificate.c.job == job_id,
            certificate.c.about == about,
            certificate.c.part == part,
            certificate.c.statement == says,
        )
        .order_by(certificate.c.issued.desc())
        .limit(1)
    ).first()
    if known is not None:
        return _of(known)
    name = keys.chain(process)
    number, previous = _next(connection, keys, name)
    document = seal(keys, statement, Issue(at=now, chain=name, number=number, previous=previous))
    sha256 = fingerprint(document)
    connection.execute(
        sa.insert(certificate).values(
            chain=name, number=number, job=job_id, about=about, part=part, issued=now, statement=says, sha256=sha256,
            document=document.decode("ascii"), inner=zlib.compress(json.dumps(inner, sort_keys=True).encode()),
        )
    )  # fmt: skip
    end = chains.head(keys, name, number, sha256)
    connection.execute(
        sa.update(certificate_head)
        .where(certificate_head.c.chain == name)
        .values(number=end.number, sha256=end.sha256, seal=end.seal)
    )
    return Certificate(chain=name, number=number, job=job_id, sha256=sha256, document=document, new=True)


def _next(connection: sa.Connection, keys: Keys, name: str) -> tuple[int, str]:
    """The number that comes next, and the hash of the one before; the head stays locked."""
    end = sa.select(certificate_head.c.number, certificate_head.c.sha256).where(certificate_head.c.chain == name)
    last = connection.execute(end.with_for_update()).first()
    if last is None:
        _begin(connection, keys, name)
        last = connection.execute(end.with_for_update()).one()
    return last.number + 1, last.sha256


def _begin(connection: sa.Connection, keys: Keys, name: str) -> None:
    """A chain without a certificate, entered in the register. Chains of several processes begin one by one."""
    key = meta.c.key == REGISTER
    connection.execute(
        insert(connection, meta).values(key=REGISTER, value="").on_conflict_do_nothing(index_elements=["key"])
    )
    connection.execute(sa.select(meta.c.value).where(key).with_for_update())
    start = chains.head(keys, name, 0, chains.FIRST)
    connection.execute(
        insert(connection, certificate_head)
        .values(chain=name, number=0, sha256=start.sha256, seal=start.seal)
        .on_conflict_do_nothing(index_elements=["chain"])
    )
    connection.execute(sa.update(meta).where(key).values(value=chains.register(keys, heads(connection))))


def register(connection: sa.Connection) -> str:
    """What seals which chains there are; empty before the first."""
    return connection.scalar(sa.select(meta.c.value).where(meta.c.key == REGISTER)) or ""


def find(connection: sa.Connection, chain: str, number: int) -> Certificate | None:
    row = connection.execute(
        sa.select(certificate).where(certificate.c.chain == chain, certificate.c.number == number)
    ).first()
    return None if row is None else _of(row)


def inner_of(connection: sa.Connection, chain: str, number: int) -> dict[str, Any]:
    """What the node keeps to itself of a certificate. Raises ValueError where it cannot be read any more."""
    packed = connection.scalar(
        sa.select(certificate.c.inner).where(certificate.c.chain == chain, certificate.c.number == number)
    )
    try:
        inner: dict[str, Any] = json.loads(zlib.decompress(bytes(packed or b"")))
    except zlib.error as error:
        raise ValueError("it cannot be unpacked") from error
    return inner


def heads(connection: sa.Connection) -> dict[str, Head]:
    rows = connection.execute(sa.select(certificate_head))
    return {r.chain: Head(chain=r.chain, number=r.number, sha256=r.sha256, seal=r.seal) for r in rows}


def names(connection: sa.Connection) -> Sequence[str]:
    """Every chain that has a certificate or a head."""
    chosen = sa.union(sa.select(certificate.c.chain), sa.select(certificate_head.c.chain))
    return sorted(connection.scalars(chosen))


def of_chain(connection: sa.Connection, chain: str) -> Iterator[Certificate]:
    """In order of number, read page by page."""
    last = -(1 << 31)
    while True:
        rows = connection.execute(
            sa.select(certificate)
            .where(certificate.c.chain == chain, certificate.c.number > last)
            .order_by(certificate.c.number)
            .limit(_PAGE)
        ).all()
        yield from map(_of, rows)
        if len(rows) < _PAGE:
            return
        last = rows[-1].number


def replaced(connection: sa.Connection) -> set[tuple[str, int]]:
    """Certificates of work that was done again: a later one of the same unit, route and part is in force.

    Those of a job on late arrivals alone stand beside the earlier ones.
    """
    rows = connection.execute(
        sa.select(
            certificate.c.chain, certificate.c.number, certificate.c.part, certificate.c.about,
            job.c.unit, job.c.route, job.c.delta,
        )
        .outerjoin(job, job.c.id == certificate.c.job)
        .order_by(job.c.generation.desc(), certificate.c.issued.desc())
    )  # fmt: skip
    found, later = set(), set()
    for row in rows:
        owner = (row.unit, row.route, row.part, row.about)
        if owner in later:
            found.add((row.chain, row.number))
        if not row.delta:
            later.add(owner)
    return found


def filed(connection: sa.Connection) -> set[tuple[str, int]]:
    """Certificates of which a file was made: a folder took it, or `process` wrote it. To an application entity only
    images go, and what waits or is held has not gone anywhere."""
    published = (
        sa.exists()
        .where(
            delivery.c.job == certificate.c.job, parcel.c.delivery == delivery.c.id,
            parcel.c.kind == Kind.REPORT.value, parcel.c.content == certificate.c.sha256,
            parcel.c.state == "delivered", parcel.c.place != "",
        )
        .correlate(certificate)
    )  # fmt: skip
    chosen, places = (
        sa.or_(certificate.c.job.is_(None), published),
        sa.select(certificate.c.chain, certificate.c.number),
    )
    return {(row.chain, row.number) for row in connection.execute(places.where(chosen))}


def _of(row: Any) -> Certificate:
    return Certificate(
        chain=row.chain, number=row.number, job=row.job, sha256=row.sha256, document=row.document.encode("utf-8")
    )
