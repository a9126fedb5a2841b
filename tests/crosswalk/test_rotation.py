"""After a rotation patients to come have another key, and those who were mapped have theirs; whatever interrupts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from node import secret as secrets
from node.crosswalk import Crosswalk, records, rotation
from node.errors import ConfigurationError
from node.index import Database, connect
from node.index.versions import prepare, read_meta, write_meta
from node.secret import Keys, keys


@contextmanager
def opened(url: str, data: Path) -> Iterator[tuple[Database, Crosswalk]]:
    database = connect(url, data)
    prepare(database.durable, data)
    crosswalk = Crosswalk(url=url, data=data, keys=read(data))
    crosswalk.prepare()
    with database.durable.begin() as connection:
        write_meta(connection, "secret", crosswalk.keys.id)
    yield database, crosswalk
    crosswalk.close()
    database.close()


def read(data: Path) -> Keys:
    return keys(secrets.load_or_make(data / "secret"), secrets.load_former(data / secrets.FOLDER))


def known(database: Database) -> str | None:
    with database.reader.connect() as connection:
        return read_meta(connection, "secret")


def test_mapped_patients_keep_their_key_and_those_to_come_have_another(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as (database, crosswalk):
        before = crosswalk.key("", "p", "")
        after, count = rotation.rotate(database, crosswalk, tmp_path / "secret", "anna@host")
        assert count == 1
        assert after == read(tmp_path)
        assert known(database) == after.id
        turned = replace(crosswalk, keys=read(tmp_path))
        turned.prepare()
        assert turned.key("", "p", "") == before
        assert turned.key("", "q", "") == after.current != before
        assert records.uses(turned)[-1][1:] == ("anna@host", "rotate", 1)


def test_it_can_be_done_again_and_again(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path) as (database, crosswalk):
        given = {}
        for one in ("p", "q", "r"):
            crosswalk = replace(crosswalk, keys=read(tmp_path))
            given[one] = crosswalk.key("", one, "")
            rotation.rotate(database, crosswalk, tmp_path / "secret", "anna@host")
        crosswalk = replace(crosswalk, keys=read(tmp_path))
        crosswalk.prepare()
        assert {one: crosswalk.key("", one, "") for one in given} == given
        assert len(set(given.values())) == 3
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / secrets.FOLDER).iterdir()}
    assert modes == {0o600}
    assert (tmp_path / secrets.FOLDER).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("databases", [0, 1])
def test_a_rotation_that_was_interrupted_is_finished_by_the_next(
    databases: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the files, or after the first of the two databases."""
    with opened("sqlite", tmp_path) as (database, crosswalk):
        before = crosswalk.key("", "p", "")
        if databases:
            monkeypatch.setattr(rotation, "write_meta", _power_cut)
        else:
            monkeypatch.setattr(Crosswalk, "begin_with", _power_cut)
        with pytest.raises(KeyboardInterrupt):
            rotation.rotate(database, crosswalk, tmp_path / "secret", "anna@host")
        monkeypatch.undo()
        half = replace(crosswalk, keys=read(tmp_path))
        assert half.keys.id != crosswalk.keys.id
        if not databases:
            with pytest.raises(ConfigurationError, match="crosswalk rotate"):
                half.prepare()
        after, _ = rotation.rotate(database, half, tmp_path / "secret", "anna@host")
        assert after == half.keys
        assert known(database) == after.id
        half.prepare()
        assert half.key("", "p", "") == before
        assert half.key("", "q", "") == after.current


def _power_cut(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_secret_that_its_owner_changed_needs_the_former_one(tmp_path: Path) -> None:
    new, old = b"n" * 40, b"o" * 40
    same = frozenset({Keys(old).id})
    assert rotation.turned(keys(new, [old]), None, same) == keys(new, [old])
    with pytest.raises(ConfigurationError, match="former_secrets"):
        rotation.turned(Keys(new), None, same)
    with pytest.raises(ConfigurationError, match="Put a new one in its place"):
        rotation.turned(Keys(old), None, same)
    with pytest.raises(ConfigurationError, match="former_secrets"):
        rotation.turned(Keys(new), tmp_path / "secret", same)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_turned_while_a_former_secret_is_missing(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path) as (database, crosswalk):
        crosswalk.key("", "p", "")
        rotation.rotate(database, crosswalk, tmp_path / "secret", "anna@host")
        (former,) = (tmp_path / secrets.FOLDER).iterdir()
        former.unlink()
        lost = replace(crosswalk, keys=read(tmp_path))
        with pytest.raises(ConfigurationError, match=former.name):
            rotation.rotate(database, lost, tmp_path / "secret", "anna@host")
        assert read(tmp_path) == lost.keys
