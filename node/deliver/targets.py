"""From a destination in rules.yaml to the target that brings parcels there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from node.config import Destination, Remote
from node.deliver.base import Target
from node.deliver.dicom import DicomTarget
from node.deliver.folder import FolderTarget
from node.deliver.layout import Layout
from node.deliver.sender import Timeouts
from node.index import Database
from node.index.database import insert
from node.index.schema import published


def open_target(
    name: str, destination: Destination, calling_ae: str, database: Database | None, owner: str = "",
    taken: Collection[str] = (), delta: bool = False,
) -> Target:  # fmt: skip
    """`calling_ae` is the node's own title, where `as:` does not give another. Without a database a folder's
    files belong to nobody; good enough to check it.

    delta   what the owner has published before stays, but for an instance that comes again with other content
    """
    if destination.dicom is not None:
        return open_dicom(destination, destination.dicom, calling_ae)
    assert destination.folder is not None  # a destination is one or the other, config checks it
    # Copied, not linked: who edits a published file in place would change the spool's bytes with it.
    books = Books(database, name)
    return FolderTarget(
        destination.folder, Layout(destination.layout), books, owner,
        taken=taken, stays=books.published(owner) if delta else (), link=False,
    )  # fmt: skip


def open_dicom(destination: Destination, remote: Remote, calling_ae: str) -> DicomTarget:
    """`remote` is the destination's application entity."""
    answer = destination.timeout.total_seconds()
    return DicomTarget(
        remote.ae_title, remote.address.host, remote.address.port, destination.as_ or calling_ae,
        Timeouts(connect=min(10.0, answer), associate=min(30.0, answer), answer=answer, network=answer),
        tls=destination.tls, identity=destination.identity, associations=destination.associations,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Books:
    """Whose each path in a destination folder is. Every write commits with full sync."""

    database: Database | None
    destination: str

    def owner(self, path: str) -> str | None:
        if self.database is None:
            return None
        with self.database.reader.connect() as connection:
            return connection.scalar(
                sa.select(published.c.owner).where(
                    published.c.destination == self.destination, published.c.path == path
                )
            )

    def claim(self, path: str, owner: str) -> None:
        if self.database is None or self.owner(path) == owner:
            return
        with self.database.durable.begin() as connection:
            connection.execute(
                insert(connection, published)
                .values(destination=self.destination, path=path, owner=owner)
                .on_conflict_do_update(index_elements=["destination", "path"], set_={"owner": owner})
            )

    def published(self, owner: str) -> Sequence[str]:
        if self.database is None:
            return []
        with self.database.reader.connect() as connection:
            return list(
                connection.scalars(
                    sa.select(published.c.path).where(
                        published.c.destination == self.destination, published.c.owner == owner
                    )
                )
            )

    def forget(self, path: str) -> None:
        if self.database is None:
            return
        with self.database.durable.begin() as connection:
            connection.execute(
                sa.delete(published).where(published.c.destination == self.destination, published.c.path == path)
            )
