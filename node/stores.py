"""What a configuration names, opened for the node and for the commands beside it: database, secret, crosswalk."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from node import secret as secrets
from node.config import Config, Secret
from node.crosswalk import Crosswalk, doors, mark
from node.crosswalk.doors import Doors
from node.errors import ConfigurationError
from node.index import Database, connect
from node.index.database import FILE
from node.index.versions import check, nobody_ran, prepare, read_meta, write_meta


def open_database(config: Config, *, migrate: bool = True) -> Database:
    """Open the database that the configuration names, and bring it up to date. Raises ConfigurationError.

    Without `migrate` an older one is refused: a command of a newer program must not change the tables under a
    node that is still running the older one.
    """
    database = connect(_url(config), config.node.data)
    prepare(database.durable, config.node.data, migrate=migrate)
    return database


def open_existing(config: Config) -> Database:
    """Open the database of a node that has run, for a command beside it: nothing is made, nothing is brought forward.

    Made here it would belong to whoever looked, a node of another user could not start on it, and where `data` is
    wrong it would say that all is well. Raises ConfigurationError.
    """
    data = config.node.data
    if not (data / FILE if config.node.database.url == "sqlite" and data.is_dir() else data).exists():
        raise ConfigurationError(nobody_ran(data))
    database = connect(_url(config), data)
    try:
        with database.reader.connect() as connection:
            check(connection, data)
    except ConfigurationError:
        database.close()
        raise
    return database


def _url(config: Config) -> str:
    """With the password, where there is one."""
    at = config.node.database
    if at.password is None:
        return at.url
    return sa.make_url(at.url).set(password=at.password.reveal()).render_as_string(hide_password=False)


def read_keys(config: Config) -> secrets.Keys:
    """The key of the pseudonyms, made where there is none yet, and those before it. Raises ConfigurationError.

    Nothing says yet that it is the one of every start before.
    """
    node = config.node
    if node.secret is not None:
        current = _given(node.secret, "node: secret")
    else:
        node.data.mkdir(parents=True, exist_ok=True)
        current = secrets.load_or_make(node.data / "secret")
    former = [_given(place, "node: former_secrets") for place in node.former_secrets]
    return secrets.keys(current, [*secrets.load_former(node.data / secrets.FOLDER), *former])


def _given(place: Secret, where: str) -> bytes:
    if place.file is not None:
        secrets.check_given(place.file)
    return secrets.check(place.reveal().encode(), where)


def open_keys(config: Config, database: Database) -> secrets.Keys:
    """The key of the pseudonyms, the same as at every start before, and those before it. Raises ConfigurationError."""
    found = read_keys(config)
    with database.durable.begin() as connection:
        known = read_meta(connection, "secret")
        if known is None:
            write_meta(connection, "secret", found.id)
        elif known != found.id:
            raise ConfigurationError(secrets.another(config.node.data / "secret"))
    return found


def open_crosswalk(config: Config, keys: secrets.Keys, database: Database) -> Crosswalk:
    """The crosswalk of this node, brought up to date, with keys that it knows.

    Raises ConfigurationError: also when it is not the one that the database knows, because that was lost.
    """
    made = crosswalk_with(config, keys)
    made.prepare()
    try:
        return replace(made, id=mark.hold_against(database, made.doors).id)
    finally:
        made.close()  # workers ask, and open it for themselves


def crosswalk_with(config: Config, keys: secrets.Keys) -> Crosswalk:
    """The crosswalk of this node with other keys than it knows: for a rotation."""
    return Crosswalk(url=_url(config), data=config.node.data, keys=keys)


def crosswalk_doors(config: Config) -> Doors:
    """The crosswalk's tables, whatever the keys: for copies of it. Raises ConfigurationError."""
    doors.prepare(_url(config), config.node.data)
    return doors.doors(_url(config), config.node.data)


def restored_at(database: Database) -> float | None:
    """When this data was put back from a backup for the last time, if it was; seconds since 1970."""
    with database.reader.connect() as connection:
        value = read_meta(connection, "restored")
    return None if value is None else float(value)
