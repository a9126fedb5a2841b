"""What is committed from the spool was read there."""

from __future__ import annotations

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
