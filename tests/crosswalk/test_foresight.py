"""A look ahead says what will be, and leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.crosswalk import Crosswalk, Foresight
from node.crosswalk.schema import metadata
from node.errors import CannotSucceed
from node.secret import Keys, fingerprint
from tests.crosswalk.test_crosswalk import OTHER, SECRET, number

WHO = ("", "p", "")


@pytest.fixture
def crosswalk(database_url: str, tmp_path: Path) -> Iterator[Crosswalk]:
    made = Crosswalk(url=database_url, data=tmp_path, keys=Keys(SECRET))
    made.prepare()
    yield made
    made.close()


def rows(crosswalk: Crosswalk) -> list[list[tuple[object, ...]]]:
    with crosswalk.doors.reader.connect() as connection:
        return [[tuple(row) for row in connection.execute(sa.select(table))] for table in metadata.sorted_tables]


def test_a_patient_who_is_known_is_who_he_is(crosswalk: Crosswalk) -> None:
    given = number(crosswalk, "p")
    key = crosswalk.key(*WHO)
    ahead = Foresight(crosswalk)
    assert (ahead.key(*WHO), ahead.name(*WHO, "number:SITE-", None)) == (key, given)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patients=st.lists(st.sampled_from(["p", "q", "r", "s "]), max_size=6))
def test_what_is_foreseen_is_what_comes_and_nothing_is_written(crosswalk: Crosswalk, patients: list[str]) -> None:
    before, ahead = rows(crosswalk), Foresight(crosswalk)
    foreseen = []
    for one in patients:
        assert ahead.key("", one, "") == SECRET
        foreseen.append(ahead.name("", one, "", "number:SITE-", None))
    assert rows(crosswalk) == before
    assert [number(crosswalk, one) for one in patients] == foreseen


def test_what_would_be_refused_is_refused(crosswalk: Crosswalk) -> None:
    crosswalk.key(*WHO)
    crosswalk.name(*WHO, "table:a", "TRIAL-1")
    ahead = Foresight(crosswalk)
    with pytest.raises(CannotSucceed, match="another pseudonym for its patient"):
        ahead.name(*WHO, "table:a", "TRIAL-2")
    with pytest.raises(CannotSucceed, match="another patient's already"):
        ahead.name("", "q", "", "table:a", "TRIAL-1")
    assert ahead.name("", "q", "", "table:a", "TRIAL-3") == "TRIAL-3"
    with pytest.raises(CannotSucceed, match="another patient's already"):
        ahead.name("", "q", "", "table:b", "trial-1")
    crosswalk.close()
    later = Crosswalk(url=crosswalk.url, data=crosswalk.data, keys=Keys(OTHER))
    with pytest.raises(CannotSucceed, match=f"the secret {fingerprint(SECRET)[:8]}"):
        Foresight(later).key(*WHO)
    later.close()
