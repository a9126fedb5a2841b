"""Tables go to a file and come back the same, also into the other kind of database."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.index import Database, jobs
from node.index.copies import dump, load
from node.index.schema import metadata
from node.model import ReceiptId
from tests import make
from tests.kit import Kit, Store, opened

RULES = """
destinations: {a: {folder: ./a}}
routes: [{name: sends, when: always, late: delta, steps: [{forward: a}]}]
"""

Tables = dict[str, list[dict[str, object]]]


def filled(kit: Kit) -> None:
    """Rows in nearly every table, with bytes, booleans, nulls and numbers among them."""
    kit.rules(RULES)
    receipts = kit.index(*make.ct_series(2))
    (key,) = kit.close()
    delivery = kit.put(key, "a", *(kit.goods(f"ü{n}", r, renamed=True) for n, r in enumerate(receipts)))
    one, parcels = kit.read(delivery)
    kit.outbox.delivered(one, parcels[:1])
    with kit.database.durable.begin() as connection:
        jobs.remember(connection, key, "note", "Größe", 1.5, 0.25)
    kit.index(make.instance(number=9))
    kit.close()


def tables(database: Database) -> Tables:
    with database.reader.connect() as connection:
        return {
            name: [dict(row) for row in connection.execute(sa.select(t).order_by(*t.primary_key)).mappings()]
            for name, t in metadata.tables.items()
        }


def emptied(database: Database) -> None:
    """As new: on PostgreSQL ids begin with 1 again too."""
    with database.durable.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY CASCADE")
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.delete(table))


def test_what_was_dumped_is_loaded_the_same(kit: Kit) -> None:
    filled(kit)
    before = tables(kit.database)
    file = kit.data / "copy.jsonl.gz"
    with kit.database.reader.connect() as connection:
        count = dump(connection, file)
    assert count == sum(len(rows) for rows in before.values()) > 20
    emptied(kit.database)
    with kit.database.durable.begin() as connection:
        assert load(connection, file) == count
    assert tables(kit.database) == before
    assert not file.with_name(file.name + ".part").exists()


def test_ids_go_on_after_those_that_were_loaded(kit: Kit) -> None:
    filled(kit)
    file = kit.data / "copy.jsonl.gz"
    with kit.database.reader.connect() as connection:
        dump(connection, file)
    emptied(kit.database)
    with kit.database.durable.begin() as connection:
        load(connection, file)
    assert kit.index(make.instance(series="new"))
    with kit.database.durable.begin() as connection:
        jobs.remember(connection, "j", "note", "after", 2.0)


@pytest.mark.parametrize("way", ["to postgresql", "to sqlite"])
def test_a_copy_goes_from_one_kind_of_database_to_the_other(
    way: str, tmp_path: Path, sqlite_store: Store, postgresql_store: Store
) -> None:
    source, target = sqlite_store, postgresql_store
    if way == "to sqlite":
        source, target = target, source
    with opened(source, tmp_path / "source") as kit:
        filled(kit)
        before = tables(kit.database)
        with kit.database.reader.connect() as connection:
            dump(connection, tmp_path / "copy.jsonl.gz")
    emptied(target.database)
    with target.database.durable.begin() as connection:
        load(connection, tmp_path / "copy.jsonl.gz")
    assert tables(target.database) == before


def test_large_tables_are_loaded_in_groups(kit: Kit) -> None:
    with kit.database.durable.begin() as connection:
        for n in range(1203):
            jobs.remember(connection, ReceiptId(f"{n:032x}"), "note", "many", float(n))
        dump(connection, kit.data / "copy.jsonl.gz")
    emptied(kit.database)
    with kit.database.durable.begin() as connection:
        assert load(connection, kit.data / "copy.jsonl.gz") == 1204


def test_only_the_nodes_tables_are_copied(kit: Kit) -> None:
    kit.write(sa.text("CREATE TABLE someone_elses (id INTEGER)"))
    kit.write(sa.text("INSERT INTO someone_elses VALUES (1)"))
    with kit.database.reader.connect() as connection:
        dump(connection, kit.data / "copy.jsonl.gz")
    with gzip.open(kit.data / "copy.jsonl.gz", "rt") as file:
        assert "someone_elses" not in file.read()
