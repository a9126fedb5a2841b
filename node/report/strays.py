"""What lies in the outbox and belongs to no delivery: a file that a hand, another program or a copy left there.

A folder is named by a hash of its delivery, so whose it is can only be told from the rows. What a job has begun to
hand over, or handed over with other content before, is the node's, though no row names it: retention removes it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

import sqlalchemy as sa

from node.index import Database
from node.index.schema import delivery, job, parcel
from node.index.units import plan_of
from node.outbox.values import delivery_id, folder_name

_PAGE = 5_000
_LINKED = re.compile(r"[0-9a-f]{16}-(.+?)(\.part)?")
"""How `outbox.taking` calls what it links: by content and name."""


def in_outbox(root: Path) -> list[str]:
    """Names of all that lies in it: a folder for each delivery that is not over, and whatever else."""
    try:
        return sorted(os.listdir(root))  # noqa: PTH208  names are all that is wanted
    except FileNotFoundError:
        return []


def strays(database: Database, root: Path, names: Collection[str]) -> Iterator[tuple[str, Path]]:
    """(name in the outbox, file) for every file below these that belongs to nothing."""
    owners = _owners(database, names)
    for name in names:
        is_ours = _nothing if name not in owners else _any_link if not owners[name] else _known(database, owners[name])
        for file in _files(root / name):
            if file.parent != root / name or not is_ours(file.name):
                yield name, file


def _nothing(name: str) -> bool:
    return False


def _any_link(name: str) -> bool:
    return _LINKED.fullmatch(name) is not None


def _known(database: Database, key: str) -> Callable[[str], bool]:
    """What may lie in the folder of a delivery."""
    with database.reader.connect() as connection:
        rows = connection.execute(sa.select(parcel.c.name, parcel.c.path).where(parcel.c.delivery == key)).all()
        state = connection.scalar(
            sa.select(job.c.state).join(delivery, delivery.c.job == job.c.id).where(delivery.c.id == key)
        )
    if state in ("queued", "running"):
        return _any_link
    names, paths = {row.name for row in rows}, {row.path.rpartition("/")[2] for row in rows}

    def known(name: str) -> bool:
        linked = _LINKED.fullmatch(name)
        return name in paths or (linked is not None and linked[1] in names)

    return known


def _owners(database: Database, names: Collection[str]) -> dict[str, str]:
    """Folder -> its delivery, or "" for one that a job may have begun and that has no row."""
    left, found = set(names), dict[str, str]()
    for key, _ in _rows(database, delivery.c.id, delivery.c.job) if left else ():
        if (name := folder_name(key)) in left:
            found[name] = key
    left -= found.keys()
    for key, plan in _rows(database, job.c.id, job.c.plan) if left else ():
        for _, options in plan_of(plan).steps:
            if (to := options.get("to")) and (name := folder_name(delivery_id(key, str(to)))) in left:
                found[name] = ""
    return found


def _rows(database: Database, key: sa.Column[str], value: sa.Column[str]) -> Iterator[tuple[str, str]]:
    """Page by page, each in a transaction of its own."""
    after = ""
    while True:
        with database.reader.connect() as connection:
            following = sa.select(key, value).where(key > after).order_by(key).limit(_PAGE)
            some = [(one, other) for one, other in connection.execute(following)]
        yield from some
        if len(some) < _PAGE:
            return
        after = some[-1][0]


def _files(path: Path) -> Iterable[Path]:
    if path.is_symlink() or not path.is_dir():
        return [path] if os.path.lexists(path) else []
    return (Path(folder) / name for folder, _, names in os.walk(path) for name in sorted(names))
