"""Whether what would be committed because it is in the spool is there: its bytes, and not its row alone.

The sender deletes its copy on the answer, so this is the last moment at which it can be asked for another.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from node.index import Database
from node.index.schema import receipt
from node.model import UID
from node.spool import Spool
from node.spool.proof import flaw

_GROUP = 500


def damaged(database: Database, spool: Spool, instances: Collection[UID]) -> dict[UID, str]:
    """Those of which a file is not what was received -> what is wrong with it. Reads all of every file."""
    found: dict[UID, str] = {}
    wanted = sorted(instances)
    for begin in range(0, len(wanted), _GROUP):
        group = wanted[begin : begin + _GROUP]
        with database.reader.connect() as connection:
            rows = connection.execute(
                sa.select(receipt.c.id, receipt.c.sop_instance, receipt.c.path, receipt.c.sha256)
                .where(receipt.c.sop_instance.in_(group), receipt.c.path.is_not(None), receipt.c.state != "dropped")
            ).all()  # fmt: skip
        for row in rows:
            if why := _flaw(spool, row):
                found[UID(row.sop_instance)] = f"{why} (receipt {row.id})"
    return found


def _flaw(spool: Spool, row: Any) -> str:
    path = spool.where(row.path)
    try:
        # What has no hash was held when it came, with the reason: it is kept as it came.
        return flaw(path, row.id, row.sha256) if row.sha256 else ("" if path.is_file() else "its file is gone")
    except FileNotFoundError:
        return "its file is gone"
