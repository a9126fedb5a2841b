"""The database and the secret that a configuration names, opened for the node and for the commands beside it."""

from __future__ import annotations

import sqlalchemy as sa

from node import secret as secrets
from node.config import Config
from node.errors import ConfigurationError
from node.index import Database, connect
from node.index.versions import prepare, read_meta, write_meta


def open_database(config: Config, *, migrate: bool = True) -> Database:
    """Open the database that the configuration names, and bring it up to date. Raises ConfigurationError.

    Without `migrate` an older one is refused: a command of a newer program must not change the tables under a
    node that is still running the older one.
    """
    node = config.node
    url = node.database.url
    if node.database.password is not None:
        url = sa.make_url(url).set(password=node.database.password.reveal()).render_as_string(hide_password=False)
    database = connect(url, node.data)
    prepare(database.durable, node.data, migrate=migrate)
    return database


def open_secret(config: Config, database: Database) -> bytes:
    """The key of the pseudonyms, the same as at every start before. Raises ConfigurationError."""
    node = config.node
    if node.secret is not None:
        secret = secrets.check(node.secret.reveal().encode(), "node: secret")
    else:
        secret = secrets.load_or_make(node.data / "secret")
    mark = secrets.fingerprint(secret)
    with database.durable.begin() as connection:
        known = read_meta(connection, "secret")
        if known is None:
            write_meta(connection, "secret", mark)
        elif known != mark:
            raise ConfigurationError(
                "the secret is not the one this database was made with: the same patients would get other "
                f"pseudonyms. Put the former one back ({node.data / 'secret'}, or node: secret)"
            )
    return secret


def restored_at(database: Database) -> float | None:
    """When this data was put back from a backup for the last time, if it was; seconds since 1970."""
    with database.reader.connect() as connection:
        value = read_meta(connection, "restored")
    return None if value is None else float(value)
