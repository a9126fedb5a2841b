"""What is committed from the spool was read there."""

from __future__ import annotations

import sqlalchemy as sa

from node.commit.spooled import damaged
from node.index.schema import receipt
from node.model import UID
from tests import make
from tests.kit import Kit

CT = make.ct_series(3)
INSTANCES = [UID(str(one.SOPInstanceUID)) for one in CT]


def test_files_that_are_gone_or_changed_are_named(kit: Kit) -> None:
    kit.index(*CT)
    paths = {row["sop_instance"]: kit.spool.where(row["path"]) for row in kit.rows(receipt)}
    assert damaged(kit.database, kit.spool, INSTANCES) == {}
    paths[INSTANCES[0]].unlink()
    whole = bytearray(paths[INSTANCES[1]].read_bytes())
    whole[-1] ^= 1
    paths[INSTANCES[1]].chmod(0o600)
    paths[INSTANCES[1]].write_bytes(whole)
    found = damaged(kit.database, kit.spool, INSTANCES)
    assert set(found) == set(INSTANCES[:2])
    assert found[INSTANCES[0]].startswith("its file is gone")
    assert found[INSTANCES[1]].startswith("its bytes are not those that were received")


def test_what_is_not_in_the_spool_any_more_or_was_given_up_is_not_looked_for(kit: Kit) -> None:
    receipts = kit.index(*CT)
    for row in kit.rows(receipt):
        kit.spool.where(row["path"]).unlink()
    kit.write(sa.update(receipt).where(receipt.c.id == receipts[0]).values(state="dropped"))
    kit.write(sa.update(receipt).where(receipt.c.id == receipts[1]).values(path=None))
    assert set(damaged(kit.database, kit.spool, INSTANCES)) == {INSTANCES[2]}


def test_what_came_without_a_hash_has_to_be_there_all_the_same(kit: Kit) -> None:
    kit.index(CT[0])
    kit.write(sa.update(receipt).values(sha256=""))
    assert damaged(kit.database, kit.spool, INSTANCES) == {}
    (row,) = kit.rows(receipt)
    kit.spool.where(row["path"]).unlink()
    assert set(damaged(kit.database, kit.spool, INSTANCES)) == {INSTANCES[0]}
