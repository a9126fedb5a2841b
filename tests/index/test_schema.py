"""The tables keep what no code should be able to break."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from node.index.copies import PREFIX
from node.index.schema import metadata, receipt, unit
from tests import make
from tests.kit import Kit, changed


def test_every_table_has_the_prefix_and_a_key() -> None:
    for name, table in metadata.tables.items():
        assert name.startswith(PREFIX)
        assert len(table.primary_key) > 0


def test_an_instance_has_one_current_row_per_called_ae(kit: Kit) -> None:
    kit.index(make.instance())
    (other,) = kit.index(changed(make.instance(), KVP=80))
    with pytest.raises(sa.exc.IntegrityError):
        kit.write(sa.update(receipt).where(receipt.c.id == other).values(state="current"))


def test_a_unit_is_there_once(kit: Kit) -> None:
    kit.index(make.instance())
    (row, *_) = kit.rows(unit)
    with pytest.raises(sa.exc.IntegrityError):
        kit.write(sa.insert(unit).values(**{k: v for k, v in row.items() if k != "id"}))
