"""What the instances of a job refer to, as far as it has come: to the same called AE title, in whatever association."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from node.dicom.header import unpack
from node.dicom.references import REFERRING, Reference, references_of
from node.errors import CannotSucceed
from node.index.schema import receipt, unit
from node.model import ReceiptId, UnitKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Referred:
    """One instance that refers to others."""

    receipt: ReceiptId
    came: dict[ReceiptId, str]
    """What it refers to: receipt -> path below the spool."""
    missing: str
    """Why that is not all of it; empty when it is."""


def referred_by(connection: sa.Connection, receipts: Collection[ReceiptId]) -> list[Referred]:
    """For each of these receipts that is a structure set or a segmentation, the series it refers to.

    A series has come when its unit is complete and every instance is there that is named. Raises nothing: what cannot
    be told is missing.
    """
    found = []
    wanted = sorted(receipts)
    for begin in range(0, len(wanted), 500):
        rows = connection.execute(
            sa.select(receipt.c.id, receipt.c.called_ae, receipt.c.header)
            .where(receipt.c.id.in_(wanted[begin : begin + 500]), receipt.c.sop_class.in_(sorted(REFERRING)))
            .order_by(receipt.c.id)
        )
        for key, called_ae, header in rows.all():
            came: dict[ReceiptId, str] = {}
            try:
                references = references_of(unpack(header)) if header else ()
                missing = [_series(connection, called_ae, reference, came) for reference in references]
                why = next(filter(None, missing), "") if references else "it names no series that it was drawn on"
            except CannotSucceed as error:
                why = str(error)
            found.append(Referred(receipt=ReceiptId(key), came=came, missing=why))
    return found


def _series(
    connection: sa.Connection, called_ae: str, reference: Reference, came: dict[ReceiptId, str]
) -> str:  # fmt: skip
    """Add to `came` what there is of one series; returns why that is not all."""
    rows = connection.execute(
        sa.select(receipt.c.id, receipt.c.path, receipt.c.sop_instance, receipt.c.study)
        .where(
            receipt.c.series == reference.series, receipt.c.called_ae == called_ae, receipt.c.state == "current",
        )
        .order_by(receipt.c.id)
    ).all()  # fmt: skip
    if not rows:
        return "the series that it refers to has not come"
    if reference.study and any(row.study != reference.study for row in rows):
        return "the series that it refers to came in another study than it says"
    state = connection.scalar(
        sa.select(unit.c.state).where(
            unit.c.kind == UnitKind.SERIES.value, unit.c.called_ae == called_ae, unit.c.uid == reference.series
        )
    )
    if state != "complete":
        return "the series that it refers to is not complete yet"
    if absent := reference.instances - {row.sop_instance for row in rows}:
        return f"{len(absent)} of {len(reference.instances)} images that it refers to have not come"
    if gone := sum(row.path is None for row in rows):
        return f"{gone} images that it refers to are no longer in the spool (keep: received)"
    came.update((ReceiptId(row.id), row.path) for row in rows)
    return ""
