"""A crosswalk that is lost, or an older copy of it, is missed: no patient silently gets another one's number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from node import backup as backups
from node.crosswalk import Crosswalk, records
from node.crosswalk.copies import LEFT_OUT
from node.crosswalk.doors import FILE
from node.crosswalk.mark import Mark, begin_anew, hold_against, note, pair
from node.engine.engine import Engine
from node.errors import CannotSucceed, ConfigurationError
from node.index import Database, connect
from node.index.versions import prepare, read_meta
from node.secret import Keys

COUNTS = st.integers(0, 9)
NUMBERS = st.dictionaries(st.sampled_from(["", "SITE-", "T-"]), COUNTS)
SECRET = b"a secret of thirty-two bytes or so"


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Database]:
    made = connect(database_url, tmp_path)
    prepare(made.durable, tmp_path)
    yield made
    made.close()


@pytest.fixture
def crosswalk(database: Database, database_url: str, tmp_path: Path) -> Iterator[Crosswalk]:
    made = Crosswalk(url=database_url, data=tmp_path, keys=Keys(SECRET))
    made.prepare()
    yield replace(made, id=hold_against(database, made.doors).id)
    made.close()


def number(crosswalk: Crosswalk, patient_id: str) -> str:
    crosswalk.key("", patient_id, "")
    return crosswalk.name("", patient_id, "", "number:SITE-", None)


def lose(crosswalk: Crosswalk) -> None:
    """As a disk does, or who drops the schema; the next start makes the tables again."""
    if crosswalk.url == "sqlite":
        crosswalk.close()
        for path in crosswalk.data.glob(f"{FILE}*"):
            path.unlink()
    else:
        with crosswalk.doors.durable.begin() as connection:
            connection.execute(sa.text("DROP SCHEMA crosswalk CASCADE"))
        crosswalk.close()
    crosswalk.prepare()


def test_a_lost_crosswalk_is_refused_with_what_to_do(database: Database, crosswalk: Crosswalk) -> None:
    assert number(crosswalk, "p") == "SITE-0001"
    for _ in range(2):
        hold_against(database, crosswalk.doors)
    lose(crosswalk)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"dicom-node restore.*crosswalk begin-anew"):
            hold_against(database, crosswalk.doors)


def test_a_node_that_runs_takes_no_patient_into_another_one(crosswalk: Crosswalk) -> None:
    assert number(crosswalk, "p") == "SITE-0001"
    lose(crosswalk)
    with pytest.raises(CannotSucceed, match="not the one that the node started with"):
        number(crosswalk, "q")


def test_an_older_copy_in_its_place_is_refused(database: Database, crosswalk: Crosswalk) -> None:
    number(crosswalk, "p")
    number(crosswalk, "q")
    hold_against(database, crosswalk.doors)
    schema = "" if crosswalk.url == "sqlite" else "crosswalk."
    with crosswalk.doors.durable.begin() as connection:
        for table, column in (("name", "patient"), ("patient", "id")):
            connection.execute(sa.text(f"DELETE FROM {schema}crosswalk_{table} WHERE {column} = 2"))
    with pytest.raises(ConfigurationError, match="has 1 patients and had 2: it is an older copy"):
        hold_against(database, crosswalk.doors)


def forget_the_last(crosswalk: Crosswalk, patient: int, last: int) -> None:
    """As an older copy would be."""
    schema = "" if crosswalk.url == "sqlite" else "crosswalk."
    with crosswalk.doors.durable.begin() as connection:
        for table, column in (("name", "patient"), ("patient", "id")):
            connection.execute(sa.text(f"DELETE FROM {schema}crosswalk_{table} WHERE {column} > {patient}"))
        connection.execute(sa.text(f"UPDATE {schema}crosswalk_number SET last = {last}"))


def test_what_was_given_while_the_node_ran_is_missed_too(database: Database, crosswalk: Crosswalk) -> None:
    for patient in "pqr":
        number(crosswalk, patient)
        note(database, crosswalk)
    forget_the_last(crosswalk, 2, 2)
    with pytest.raises(CannotSucceed, match="not the one that the node started with"):
        note(database, crosswalk)
    with pytest.raises(ConfigurationError, match="has 2 patients and had 3: it is an older copy"):
        hold_against(database, crosswalk.doors)


def test_a_copy_with_all_patients_and_older_numbers_is_missed(database: Database, crosswalk: Crosswalk) -> None:
    """A patient who was there before may have been given a number since."""
    for patient in "pq":
        number(crosswalk, patient)
    note(database, crosswalk)
    forget_the_last(crosswalk, 2, 1)
    with pytest.raises(ConfigurationError, match="has lower numbers than those that it gave"):
        hold_against(database, crosswalk.doors)
    begin_anew(database, crosswalk, "anna@host")
    assert number(crosswalk, "r") == f"SITE-{LEFT_OUT + 3}"


def test_another_one_in_its_place_gives_nothing_that_leaves(database: Database, crosswalk: Crosswalk) -> None:
    number(crosswalk, "p")
    lose(crosswalk)
    with pytest.raises(CannotSucceed, match="restart"):
        note(database, crosswalk)
    note(database, replace(crosswalk, id=None))  # whose it is nobody asked


@given(st.builds(Mark, st.just("x"), COUNTS, NUMBERS), st.builds(Mark, st.just("x"), COUNTS, NUMBERS))
def test_of_two_that_are_noted_together_nothing_is_lost(one: Mark, other: Mark) -> None:
    both = one | other
    assert not both.is_behind(one)
    assert not both.is_behind(other)
    assert one.is_behind(other) or both.patients == one.patients


def test_a_loss_that_is_accepted_is_recorded_and_gives_no_number_again(
    database: Database, crosswalk: Crosswalk
) -> None:
    number(crosswalk, "p")
    hold_against(database, crosswalk.doors)
    lose(crosswalk)
    begun = begin_anew(database, crosswalk, "anna@host")
    assert records.uses(crosswalk)[-1][1:] == ("anna@host", "begin-anew", 1)
    assert hold_against(database, crosswalk.doors) == begun
    assert number(replace(crosswalk, id=begun.id), "q") == f"SITE-{LEFT_OUT + 2}"


def test_nothing_is_begun_anew_where_nothing_was_lost(database: Database, crosswalk: Crosswalk) -> None:
    number(crosswalk, "p")
    with pytest.raises(ConfigurationError, match="nothing was lost"):
        begin_anew(database, crosswalk, "anna@host")


def test_what_the_main_database_has_of_it_tells_of_no_patient(database: Database, crosswalk: Crosswalk) -> None:
    number(crosswalk, "Secretive7")
    hold_against(database, crosswalk.doors)
    with database.reader.connect() as connection:
        said = read_meta(connection, "crosswalk")
    assert said is not None
    assert "ecretive" not in said


@pytest.fixture
def restored(database: Database, crosswalk: Crosswalk, tmp_path: Path) -> Callable[[], None]:
    """A backup is made now; the call puts it back."""
    number(crosswalk, "p")
    hold_against(database, crosswalk.doors)
    backups.backup(database, crosswalk.doors, tmp_path, tmp_path / "copy")

    def restore() -> None:
        engine = Engine(database.derived, tmp_path, "test")
        try:
            backups.restore(database, crosswalk.doors, engine, tmp_path, tmp_path / "copy")
        finally:
            engine.stop(1.0)

    return restore


def test_a_restore_brings_a_lost_one_back(
    database: Database, crosswalk: Crosswalk, restored: Callable[[], None]
) -> None:
    lose(crosswalk)
    restored()
    back = replace(crosswalk, id=hold_against(database, crosswalk.doors).id)
    assert number(back, "p") == "SITE-0001"
    assert number(back, "q") == f"SITE-{LEFT_OUT + 2}"


def test_what_a_node_has_before_it_knows_any_is_taken(database: Database, crosswalk: Crosswalk) -> None:
    """As behind an update from a program that knew nothing of this."""
    number(crosswalk, "p")
    assert pair(database, crosswalk.doors).id == crosswalk.id
    assert pair(database, crosswalk.doors).patients == 1
