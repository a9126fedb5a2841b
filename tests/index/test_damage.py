"""Which database files are damaged, and where they go."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from node.index.damage import is_damaged, put_aside


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with contextlib.closing(sqlite3.connect(tmp_path / "node.db")) as connection:
        connection.execute("CREATE TABLE t (a TEXT)")
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 100)
        connection.commit()
    return tmp_path


def test_one_that_is_whole_and_one_that_is_not_there_are_not_damaged(data: Path, tmp_path: Path) -> None:
    assert not is_damaged(data)
    assert not is_damaged(tmp_path / "nowhere")


@pytest.mark.parametrize("begin", [0, 100, 4096, 8192])
def test_bytes_that_were_overwritten_are_found(data: Path, begin: int) -> None:
    with (data / "node.db").open("r+b") as file:
        file.seek(begin)
        file.write(b"\xff" * 4096)
    assert is_damaged(data)


def test_one_that_was_cut_off_is_found(data: Path) -> None:
    file = data / "node.db"
    file.write_bytes(file.read_bytes()[:-8192])
    assert is_damaged(data)


def test_one_that_somebody_writes_to_is_not_taken_for_damaged(data: Path) -> None:
    with contextlib.closing(sqlite3.connect(data / "node.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert not is_damaged(data)


def test_it_is_put_aside_with_all_that_belongs_to_it(data: Path) -> None:
    (data / "node.db-wal").write_bytes(b"w")
    (data / "crosswalk.db").write_bytes(b"c")
    aside = put_aside(data, "20260101T000000")
    assert sorted(path.name for path in aside.iterdir()) == ["node.db", "node.db-wal"]
    assert sorted(path.name for path in data.iterdir()) == ["crosswalk.db", "damaged-20260101T000000"]
