"""A restore adds what is not there: a name that is in the world stays its patient's, and none is given twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.crosswalk import Crosswalk, copies, records
from node.errors import ConfigurationError
from node.secret import Keys, keys

SECRET, OTHER = b"a secret of thirty-two bytes or so", b"another secret of thirty-two bytes"


@pytest.fixture
def crosswalk(database_url: str, tmp_path: Path) -> Iterator[Crosswalk]:
    made = Crosswalk(url=database_url, data=tmp_path / "here", keys=Keys(SECRET))
    made.prepare()
    yield made
    made.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Crosswalk]:
    made = Crosswalk(url="sqlite", data=tmp_path / "fresh", keys=keys(SECRET, [OTHER]))
    yield made
    made.close()


def number(crosswalk: Crosswalk, patient_id: str) -> str:
    crosswalk.key("", patient_id, "")
    return crosswalk.name("", patient_id, "", "number:S-", None)


def restored(crosswalk: Crosswalk, path: Path) -> None:
    from node.crosswalk import doors

    doors.prepare(crosswalk.url, crosswalk.data)
    copies.merge(crosswalk.doors, copies.read(path))


def test_all_of_it_comes_back_on_a_new_disk_and_counting_goes_on_far_above(
    crosswalk: Crosswalk, fresh: Crosswalk, tmp_path: Path
) -> None:
    names = {one: number(crosswalk, one) for one in ("p", "q")}
    records.find(crosswalk, "p", "anna@host")
    rows = copies.dump(crosswalk.doors, tmp_path / "copy.gz")
    assert rows == len(copies.read(tmp_path / "copy.gz")) > 6
    assert (tmp_path / "copy.gz").stat().st_mode & 0o777 == 0o600
    number(crosswalk, "after the backup")
    restored(fresh, tmp_path / "copy.gz")
    fresh.prepare()
    assert {one: number(fresh, one) for one in names} == names
    assert number(fresh, "new") == f"S-{2 + copies.LEFT_OUT + 1}"
    assert [row[1:] for row in records.uses(fresh)] == [("anna@host", "find", 1)]


def test_what_was_given_since_the_backup_stays(crosswalk: Crosswalk, tmp_path: Path) -> None:
    number(crosswalk, "p")
    copies.dump(crosswalk.doors, tmp_path / "copy.gz")
    since = number(crosswalk, "q")
    for _ in range(2):
        restored(crosswalk, tmp_path / "copy.gz")
    crosswalk.prepare()
    assert number(crosswalk, "p") == "S-0001"
    assert number(crosswalk, "q") == since == "S-0002"
    assert number(crosswalk, "r") == f"S-{2 + 2 * copies.LEFT_OUT + 1}"


def test_the_key_of_the_backup_is_in_use_again_and_patients_since_keep_theirs(
    crosswalk: Crosswalk, tmp_path: Path
) -> None:
    copies.dump(crosswalk.doors, tmp_path / "copy.gz")
    turned = replace(crosswalk, keys=keys(OTHER, [SECRET]))
    with turned.doors.durable.begin() as connection:
        turned.begin_with(connection)
    assert turned.key("", "q", "") == OTHER
    restored(crosswalk, tmp_path / "copy.gz")
    back = replace(crosswalk, keys=keys(SECRET, [OTHER]))
    back.prepare()
    assert back.key("", "q", "") == OTHER
    assert back.key("", "r", "") == SECRET


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"no gzip", lambda data: data[:20]])
def test_a_damaged_copy_is_refused(crosswalk: Crosswalk, tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    number(crosswalk, "p")
    copies.dump(crosswalk.doors, tmp_path / "copy.gz")
    (tmp_path / "bad.gz").write_bytes(damage((tmp_path / "copy.gz").read_bytes()))
    with pytest.raises(ConfigurationError, match="cannot be read to its end"):
        copies.read(tmp_path / "bad.gz")
