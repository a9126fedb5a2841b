"""Statements whose text is made once: the same rows on both databases, for any number of values."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from node.index import connect
from node.index.database import insert
from node.index.prepared import Prepared, PreparedIn

metadata = sa.MetaData()
word = sa.Table("word", metadata, sa.Column("text", sa.Text, primary_key=True), sa.Column("times", sa.Integer))

ADD = Prepared(lambda _: sa.insert(word))
COUNT = Prepared(
    lambda connection: (
        insert(connection, word)
        .values(text=sa.bindparam("text", type_=sa.Text), times=1)
        .on_conflict_do_update(index_elements=[word.c.text], set_={"times": word.c.times + sa.bindparam("more")})
        .returning(word.c.times)
    )
)
FIND = PreparedIn(sa.select(word.c.text), word.c.text)
FIND_MANY = PreparedIn(sa.select(word.c.text).where(word.c.times > 2), word.c.text)
ONE = Prepared(lambda _: sa.select(word.c.times).where(word.c.text == sa.bindparam("text")))
FIXED = Prepared(lambda _: sa.select(word.c.text).where(word.c.times == 3))
AWKWARD = ["", "it's", "50%", "%s", "?", ":x", "\\", "Müller", "\U0001f600", 'a"b']


@pytest.fixture
def connection(database_url, tmp_path):  # type: ignore[no-untyped-def]
    database = connect(database_url, tmp_path)
    with database.durable.begin() as connection:
        metadata.create_all(connection)
        yield connection
    database.close()


def test_rows_are_added_and_found_whatever_their_text(connection: sa.Connection) -> None:
    ADD.run_all(connection, [{"text": text, "times": number} for number, text in enumerate(AWKWARD)])
    for number, text in enumerate(AWKWARD):
        assert ONE.run(connection, {"text": text}).scalar_one() == number
        assert FIND.run(connection, [text, "nowhere"]).scalars().all() == [text]
    assert FIXED.run(connection, {}).scalar_one() == AWKWARD[3]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 500])
def test_any_number_of_values_is_looked_up(connection: sa.Connection, count: int) -> None:
    ADD.run_all(connection, [{"text": f"{n}", "times": n} for n in range(600)])
    wanted = [f"{n}" for n in range(count)]
    assert sorted(FIND.run(connection, wanted).scalars()) == sorted(wanted)
    assert sorted(FIND_MANY.run(connection, [*wanted, *wanted])) == sorted((w,) for w in wanted[3:])


def test_constants_and_a_value_that_is_used_twice_are_in_their_places(connection: sa.Connection) -> None:
    assert [COUNT.run(connection, {"text": "a", "more": more}).scalar_one() for more in (5, 2, 3)] == [1, 3, 6]


def test_what_the_database_refuses_is_refused_as_always(connection: sa.Connection) -> None:
    ADD.run_all(connection, [{"text": "a", "times": None}])
    with pytest.raises(sa.exc.IntegrityError), connection.begin_nested():
        ADD.run_all(connection, [{"text": "a", "times": 1}])
