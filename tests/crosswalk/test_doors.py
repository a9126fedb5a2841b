"""The schema of PostgreSQL, for a node's user with few rights. What else doors do is tested with the crosswalk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.crosswalk import doors
from node.errors import ConfigurationError
from tests.databases import postgresql_database

USER = "crosswalk_user"


@pytest.fixture
def url(postgresql_server_url: str) -> Iterator[str]:
    """Of a database in which the user may not make a schema."""
    server = sa.make_url(postgresql_server_url).set(drivername="postgresql+psycopg")
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with postgresql_database(postgresql_server_url) as made:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE ROLE {USER} LOGIN")
        yield made
    with admin.connect() as connection:
        connection.exec_driver_sql(f"DROP ROLE {USER}")


def as_user(url: str) -> str:
    return sa.make_url(url).set(username=USER, password=None).render_as_string(hide_password=False)


def test_a_user_who_may_not_make_the_schema_is_told_what_to_ask_for(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="CREATE SCHEMA crosswalk AUTHORIZATION"):
        doors.prepare(as_user(url), tmp_path)
    doors.close(as_user(url), tmp_path)


def test_a_schema_that_an_administrator_made_will_do(url: str, tmp_path: Path) -> None:
    admin = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
    with admin.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {doors.SCHEMA} AUTHORIZATION {USER}")
    for _ in range(2):
        doors.prepare(as_user(url), tmp_path)
    with doors.doors(as_user(url), tmp_path).reader.connect() as connection:
        assert "crosswalk_patient" in sa.inspect(connection).get_table_names(schema=doors.SCHEMA)
    doors.close(as_user(url), tmp_path)
