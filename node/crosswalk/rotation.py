"""Another key for the patients to come. Those who are mapped keep theirs: it is put by under its fingerprint.

Two databases know the fingerprint of the key in use, and a file has the key. Each step of a rotation can be done again,
so one that was interrupted is finished by rotating once more.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from node import secret as secrets
from node.crosswalk import doors
from node.crosswalk.crosswalk import Crosswalk, in_use, missing_keys
from node.crosswalk.records import record
from node.crosswalk.schema import patient
from node.errors import ConfigurationError
from node.index import Database
from node.index.versions import read_meta, write_meta
from node.secret import Keys


def rotate(database: Database, crosswalk: Crosswalk, own: Path | None, who: str) -> tuple[Keys, int]:
    """Map the patients to come with another key. Returns the keys, and how many patients keep a former one.

    own   the file of the secret that the node made itself; None where rules.yaml names another place

    No node may be running: it would go on with the key that it knows. Raises ConfigurationError when there is no key
    to turn to, or a former one is missing.
    """
    doors.prepare(crosswalk.url, crosswalk.data)
    with database.reader.connect() as index, crosswalk.doors.reader.connect() as connection:
        known = {read_meta(index, "secret"), in_use(connection)} - {None}
        missing_keys(connection, crosswalk.keys, crosswalk.data)
    keys = turned(crosswalk.keys, own, {str(one) for one in known})
    after = replace(crosswalk, keys=keys)
    with after.doors.durable.begin() as connection:
        after.begin_with(connection)
        others = sa.select(sa.func.count()).select_from(patient).where(patient.c.key != keys.id)
        count = connection.scalar(others) or 0
        record(connection, who, "rotate", count)
    with database.durable.begin() as connection:
        write_meta(connection, "secret", keys.id)
    return keys, count


def turned(keys: Keys, own: Path | None, known: Set[str]) -> Keys:
    """The keys after the rotation; where the node made its own it makes the next one, and puts the former by.

    known   the fingerprints that the databases have for the key in use: one, or two after an interruption

    Raises ConfigurationError when there is nothing to turn to.
    """
    former = known - {keys.id}
    if former - keys.former.keys():
        raise ConfigurationError(
            "the secret is new, and the former one is not there, which patients are mapped with: name it in "
            "node: former_secrets"
        )
    if former:
        return keys  # given anew by its owner, or by a rotation that did not end
    if own is None:
        raise ConfigurationError(
            "node: secret is still the one in use. Put a new one in its place, name this one in node: former_secrets, "
            "and rotate then"
        )
    secrets.put_by(own.parent / secrets.FOLDER, keys.current)
    made = secrets.new()
    secrets.write(own, made, replace=True)
    return secrets.keys(made, [*keys.former.values(), keys.current])
