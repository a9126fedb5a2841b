"""Certificates in the database: numbered without a gap for each process, and equal work certified once."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from node.certificate.chain import flaws, register
from node.certificate.document import check
from node.certificate.keys import Keys
from node.index import certificates
from node.index.certificates import Certificate
from node.index.schema import certificate, job
from tests.certificate.facts import KEYS, account, both
from tests.kit import Kit, series

ROUTE = "routes: [{name: r, when: always, steps: [anonymize]}]"


@pytest.fixture
def key(kit: Kit) -> str:
    kit.rules(ROUTE)
    kit.index(*series(2))
    (made,) = kit.close()
    return made


def issue(kit: Kit, key: str, process: str = "one", *, name: bytes = b"A", part: int = 0) -> Certificate:
    statement, inner = both(account(name))
    with kit.database.durable.begin() as connection:
        now = kit.database.now(connection)
        return certificates.issue(connection, KEYS, process, key, part, now, statement, inner)


def whole(kit: Kit, keys: Keys = KEYS) -> dict[str, int]:
    """Number of certificates by chain; fails where one is not whole."""
    found = {}
    with kit.database.reader.connect() as connection:
        heads = certificates.heads(connection)
        for name in certificates.names(connection):
            rows = [(one.number, one.document) for one in certificates.of_chain(connection, name)]
            assert list(flaws(keys, name, rows, heads[name])) == []
            found[name] = len(rows)
    return found


def test_each_process_has_a_chain_of_its_own_and_is_not_named(kit: Kit, key: str) -> None:
    made = [issue(kit, key, process, name=bytes([n])) for n, process in enumerate(["one", "two", "one", "one"], 1)]
    assert [one.number for one in made] == [1, 1, 2, 3]
    assert whole(kit) == {KEYS.chain("one"): 3, KEYS.chain("two"): 1}
    assert check(KEYS, made[2].document)["issue"]["previous"] == made[0].sha256


def test_equal_work_is_certified_once_also_by_another_process(kit: Kit, key: str) -> None:
    first = issue(kit, key)
    assert (first.new, issue(kit, key, "two").new) == (True, False)
    assert issue(kit, key, "two").document == first.document
    assert issue(kit, key, part=1).number == 2, "of another step"
    assert issue(kit, key, name=b"B").number == 3, "of other values"


def test_what_was_certified_can_be_read_again(kit: Kit, key: str) -> None:
    made = issue(kit, key)
    with kit.database.reader.connect() as connection:
        found = certificates.find(connection, made.chain, made.number)
        assert found is not None
        assert (found.document, found.sha256, found.job) == (made.document, made.sha256, key)
        assert certificates.inner_of(connection, made.chain, 1) == both(account(b"A"))[1]
        assert certificates.find(connection, made.chain, 2) is None
        with pytest.raises(ValueError, match="unpacked"):
            certificates.inner_of(connection, made.chain, 2)


def test_threads_that_issue_together_make_one_whole_chain(kit: Kit, key: str) -> None:
    barrier = threading.Barrier(4)

    def work(n: int) -> None:
        barrier.wait()
        for k in range(5):
            issue(kit, key, name=bytes([n, k]))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert whole(kit) == {KEYS.chain("one"): 20}


def test_processes_that_begin_together_are_all_in_the_register(kit: Kit, key: str) -> None:
    barrier = threading.Barrier(4)

    def work(n: int) -> None:
        barrier.wait()
        issue(kit, key, f"process {n % 3}", name=bytes([n + 1]))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(whole(kit).values()) == [1, 1, 2]
    with kit.database.reader.connect() as connection:
        assert certificates.register(connection) == register(KEYS, [KEYS.chain(f"process {n}") for n in range(3)])


def test_a_chain_is_read_page_by_page(kit: Kit, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "_PAGE", 2)
    for n in range(5):
        issue(kit, key, name=bytes([n + 1]))
    assert whole(kit) == {KEYS.chain("one"): 5}


def test_a_certificate_that_is_rolled_back_leaves_no_gap(kit: Kit, key: str) -> None:
    statement, inner = both(account(b"A"))
    with kit.database.durable.connect() as connection:
        certificates.issue(connection, KEYS, "one", key, 0, 1.0, statement, inner)
        connection.rollback()
    assert whole(kit) == {}
    assert issue(kit, key).number == 1


def test_certificates_of_work_that_was_done_again_are_replaced_and_those_beside_are_not(kit: Kit, key: str) -> None:
    first, other_part = issue(kit, key), issue(kit, key, part=1)
    kit.index(*series(3)[2:])
    (second,) = kit.close()
    again = issue(kit, second, name=b"B")
    with kit.database.reader.connect() as connection:
        assert certificates.replaced(connection) == {(first.chain, first.number)}
    kit.write(sa.update(job).where(job.c.id == second).values(delta=True))
    with kit.database.reader.connect() as connection:
        assert certificates.replaced(connection) == set(), "work on late arrivals alone stands beside the other"
    assert {first.number, other_part.number, again.number} == {row["number"] for row in kit.rows(certificate)}
