"""With which key the UIDs of a study are replaced: that of the patient whom it came of first, for ever.

A study is of one patient (PS3.3 A.1.2.1). One of its instances may lack the Patient ID, have another issuer, or come
again with an id that was corrected; after a rotation such a patient has another key, and one study would become two.
"""

from __future__ import annotations

import sqlalchemy as sa

from node.crosswalk.schema import study as table
from node.errors import CannotSucceed
from node.index.database import database_clock, insert

LACKS_ID = "it has no Patient ID, and others of its study have one: correct it where it comes from, or by a step set"
"""Why an instance is held: it would become another patient than its study."""


def known(connection: sa.Connection, study: str, *, identified: bool) -> str | None:
    """The fingerprint of the study's key; None where the study is new, or has to be told of with `told`.

    identified   whether the instance has a Patient ID

    Raises CannotSucceed when it has none, and others of the study have one.
    """
    row = connection.execute(sa.select(table.c.key, table.c.identified).where(table.c.study == study)).one_or_none()
    if row is None or (identified and not row.identified):
        return None
    if row.identified and not identified:
        raise CannotSucceed(LACKS_ID)
    return str(row.key)


def told(connection: sa.Connection, study: str, key_id: str, *, identified: bool) -> str:
    """The same for a study that is new: of two processes that meet one together, the first one's key holds."""
    row = insert(connection, table).values(
        study=study, key=key_id, identified=identified, since=database_clock(connection).timestamp()
    )
    connection.execute(row.on_conflict_do_nothing())
    if identified:
        connection.execute(sa.update(table).where(table.c.study == study).values(identified=True))
    found = known(connection, study, identified=identified)
    assert found is not None
    return found
