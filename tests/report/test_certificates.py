"""Files against the ledger, and the ledger's chains against their heads."""

from __future__ import annotations

import json
import zlib

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.certificate.chain import head
from node.certificate.document import Issue, seal
from node.certificate.keys import Keys
from node.certificate.statement import digest
from node.index import certificates as index
from node.index.certificates import Certificate, heads
from node.index.schema import certificate, certificate_head
from node.report import certificates
from node.report.certificates import Verdict
from tests.certificate.facts import KEYS, OTHER, statement
from tests.index.test_certificates import ROUTE, issue
from tests.kit import Kit, series

CHAIN = KEYS.chain("one")


@pytest.fixture
def issued(kit: Kit) -> list[Certificate]:
    kit.rules(ROUTE)
    kit.index(*series(2))
    (key,) = kit.close()
    return [issue(kit, key, name=bytes([number])) for number in range(1, 5)]


def verdict(kit: Kit, data: bytes) -> Verdict:
    with kit.database.reader.connect() as connection:
        return certificates.of_file(connection, KEYS, data)


def broken(kit: Kit) -> list[str]:
    """What breaks the chains, without their names."""
    with kit.database.reader.connect() as connection:
        chains = [certificates.of_chain(connection, KEYS, name) for name in certificates.names(connection)]
    return [str(flaw).replace(f" of chain {CHAIN}", "") for _, flaws in chains for flaw in flaws]


def number(which: int) -> sa.ColumnElement[bool]:
    return certificate.c.number == which


def test_a_file_as_it_was_issued_verifies(kit: Kit, issued: list[Certificate]) -> None:
    found = verdict(kit, issued[1].document)
    assert (found.wrong, found.place, found.instances) == ("", (CHAIN, 2), 2)
    assert found.issued.endswith("Z")
    assert broken(kit) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_byte_that_is_changed_is_found_and_its_place_told(
    kit: Kit, issued: list[Certificate], data: st.DataObject
) -> None:
    document = issued[0].document
    place = data.draw(st.integers(0, len(document) - 1))
    changed = document[:place] + bytes([document[place] ^ data.draw(st.integers(1, 255))]) + document[place + 1 :]
    found = verdict(kit, changed)
    assert found.place is None
    # Where chain or number are hit themselves, nobody knows which certificate it was.
    if all(changed.count(part) == 1 for part in (f'"chain": "{CHAIN}"'.encode(), b'"number": 1,')):
        assert f"from byte {place + 1} on" in found.wrong


def test_what_was_changed_is_told_by_its_path(kit: Kit, issued: list[Certificate]) -> None:
    found = verdict(kit, issued[0].document.replace(b'"held": 0', b'"held": 7'))
    assert found.wrong.startswith("it is not as it was sealed; it differs from what was issued from byte ")
    assert found.wrong.endswith(": statement.instances.held")
    many = json.loads(issued[0].document)
    many["statement"]["versions"] = {str(n): "" for n in range(9)}
    again = json.dumps(many, sort_keys=True, indent=1).encode() + b"\n"
    assert verdict(kit, again).wrong.endswith("statement.versions.4 and 5 more")


def test_a_file_that_is_nothing_of_ours_is_told_without_a_place(kit: Kit, issued: list[Certificate]) -> None:
    assert verdict(kit, b"no certificate").wrong == "it is not JSON from byte 1 on"
    assert verdict(kit, b'{"chain": "abc", "number": 999999999}').place is None


def test_one_that_the_ledger_has_not_is_found_though_its_seal_holds(kit: Kit, issued: list[Certificate]) -> None:
    kit.write(sa.delete(certificate).where(number(4)))
    assert "the ledger has no certificate 4 of chain" in verdict(kit, issued[3].document).wrong
    other = seal(KEYS, statement(received=9), Issue(at=1.0, chain=CHAIN, number=1, previous="0" * 64))
    assert "the ledger has another one in its place; it differs" in verdict(kit, other).wrong


@pytest.mark.parametrize("gone", [1, 2, 4])
def test_one_that_is_taken_from_the_ledger_is_found_in_the_middle_and_at_the_end(
    kit: Kit, issued: list[Certificate], gone: int
) -> None:
    kit.write(sa.delete(certificate).where(number(gone)))
    assert broken(kit) == [f"certificate {gone}: it is missing"]


def test_a_whole_chain_that_is_taken_is_found_by_its_head_and_its_head_by_the_chain(
    kit: Kit, issued: list[Certificate]
) -> None:
    kit.write(sa.delete(certificate_head))
    assert broken(kit) == [f"chain {CHAIN}: the database has no head of it"]
    last = head(KEYS, CHAIN, 4, issued[3].sha256)
    kit.write(sa.insert(certificate_head).values(chain=CHAIN, number=4, sha256=last.sha256, seal=last.seal))
    assert broken(kit) == []
    kit.write(sa.delete(certificate))
    assert broken(kit) == ["certificate 1: it is missing, and all up to number 4"]


def test_a_chain_that_is_taken_with_its_head_is_found_by_the_register(kit: Kit, issued: list[Certificate]) -> None:
    issue(kit, issued[0].job, "two", name=b"two")
    with kit.database.reader.connect() as connection:
        assert certificates.of_register(connection, KEYS) == ""
    for table in (certificate, certificate_head):
        kit.write(sa.delete(table).where(table.c.chain == CHAIN))
    assert broken(kit) == []
    with kit.database.reader.connect() as connection:
        assert "taken away as a whole" in certificates.of_register(connection, KEYS)
    kit.write(sa.delete(certificate))
    kit.write(sa.delete(certificate_head))
    with kit.database.reader.connect() as connection:
        assert "taken away as a whole" in certificates.of_register(connection, KEYS)


def test_before_the_first_certificate_nothing_is_wrong(kit: Kit) -> None:
    with kit.database.reader.connect() as connection:
        assert certificates.of_register(connection, KEYS) == ""
        assert certificates.names(connection) == []


def test_the_last_one_taken_with_an_older_head_put_back_is_found_by_its_file(
    kit: Kit, issued: list[Certificate]
) -> None:
    older = head(KEYS, CHAIN, 3, issued[2].sha256)
    kit.write(sa.delete(certificate).where(number(4)))
    kit.write(sa.update(certificate_head).values(number=3, sha256=older.sha256, seal=older.seal))
    assert broken(kit) == []
    assert "was removed" in verdict(kit, issued[3].document).wrong


def test_a_head_that_was_shortened_without_the_secret_is_found(kit: Kit, issued: list[Certificate]) -> None:
    kit.write(sa.delete(certificate).where(number(4)))
    kit.write(sa.update(certificate_head).values(number=3, sha256=issued[2].sha256))
    assert broken(kit) == [f"chain {CHAIN}: its head in the database was changed, or is sealed under another secret"]


def test_a_document_or_an_inner_part_that_was_changed_in_the_ledger_is_found(
    kit: Kit, issued: list[Certificate]
) -> None:
    kit.write(sa.update(certificate).where(number(2)).values(inner=zlib.compress(b'{"steps": []}')))
    kit.write(sa.update(certificate).where(number(3)).values(inner=b"no zlib"))
    text = issued[3].document.decode().replace('"held": 0', '"held": 1')
    kit.write(sa.update(certificate).where(number(4)).values(document=text))
    assert broken(kit) == [
        "certificate 2: what the node keeps to itself of it was changed",
        "certificate 3: what the node keeps to itself of it was changed",
        "certificate 4: it is not as it was sealed",
    ]


def test_which_certificates_are_not_among_some_files_is_told(kit: Kit, issued: list[Certificate]) -> None:
    """Of one job's four the last is in force: it certified the same work anew."""
    with kit.database.reader.connect() as connection:
        found = certificates.absent(connection, {(CHAIN, 1)})
        assert (found.missing, found.nowhere) == ([], [(CHAIN, 4)]), "no folder has any of them"
        assert set(heads(connection)) == {CHAIN}
    kit.write(sa.update(certificate).where(number(4)).values(job=None))  # as `process` makes them, with its file
    with kit.database.reader.connect() as connection:
        found = certificates.absent(connection, {(CHAIN, 3)})
        assert (found.missing, found.nowhere) == ([(CHAIN, 4)], [])
        assert certificates.absent(connection, {(CHAIN, 3), (CHAIN, 4)}).missing == []


def test_a_chain_that_ended_with_a_rotation_is_whole_and_so_is_the_register(
    kit: Kit, issued: list[Certificate]
) -> None:
    after = Keys(OTHER.secret, former=(KEYS.secret,))
    begun = after.chain("one")
    with kit.database.durable.begin() as connection:
        inner: dict[str, object] = {}
        said = {"inner": digest(inner)}
        made = index.issue(connection, after, "one", issued[0].job, 0, 1.0, said, inner)
    assert (made.chain, made.number) == (begun, 1)
    with kit.database.reader.connect() as connection:
        assert certificates.of_register(connection, after) == ""
        assert [certificates.of_chain(connection, after, name)[1] for name in (CHAIN, begun)] == [[], []]
        assert certificates.of_register(connection, KEYS) != "", "the new one sealed the register"
