"""One study stays one study: its UIDs keep their key, and no instance of it becomes another patient unseen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.crosswalk import Crosswalk, Foresight
from node.errors import CannotSucceed
from node.secret import Keys, keys

SECRET, OTHER = b"a secret of thirty-two bytes or so", b"another secret of thirty-two bytes"


@pytest.fixture
def crosswalk(database_url: str, tmp_path: Path) -> Iterator[Crosswalk]:
    made = Crosswalk(url=database_url, data=tmp_path, keys=Keys(SECRET))
    made.prepare()
    yield made
    made.close()


def test_a_study_keeps_the_key_that_it_came_with(crosswalk: Crosswalk) -> None:
    turned = replace(crosswalk, keys=keys(OTHER, [SECRET]))
    for identified in (False, True):
        assert crosswalk.of_study("1.2", SECRET, identified=identified) == SECRET
        assert turned.of_study("1.2", OTHER, identified=True) == SECRET
        with turned.doors.durable.begin() as connection:
            turned.begin_with(connection)
    assert turned.of_study("1.3", OTHER, identified=True) == OTHER


def test_an_instance_without_an_id_is_refused_where_others_of_its_study_have_one(crosswalk: Crosswalk) -> None:
    for _ in range(2):
        crosswalk.of_study("1.2", SECRET, identified=False)
    crosswalk.of_study("1.2", SECRET, identified=True)
    for asked in (crosswalk, Foresight(crosswalk)):
        with pytest.raises(CannotSucceed, match="others of its study have one"):
            asked.of_study("1.2", SECRET, identified=False)
        assert asked.of_study("1.3", SECRET, identified=False) == SECRET
