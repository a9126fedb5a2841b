"""What is taken out of a chain, put into it, or put in another place shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.certificate.chain import FIRST, Head, flaws, head
from node.certificate.document import fingerprint
from tests.certificate.facts import KEYS, OTHER, certificate, certificates

NAME = "c" * 24
WHOLE = certificates(5)
END = head(KEYS, NAME, 5, fingerprint(WHOLE[-1][1]))


def wrong(some: list[tuple[int, bytes]], end: Head | None = END) -> list[tuple[int, str]]:
    return [(flaw.number, flaw.what) for flaw in flaws(KEYS, NAME, some, end)]


def test_a_whole_chain_has_no_flaw() -> None:
    assert wrong(WHOLE) == []
    assert wrong([], head(KEYS, NAME, 0, FIRST)) == [], "one that has just begun"


@given(st.sets(st.integers(1, 5), min_size=1))
def test_whichever_are_taken_out_are_named(taken: set[int]) -> None:
    found = wrong([one for one in WHOLE if one[0] not in taken])
    named: set[int] = set()
    for number, what in found:
        assert what.startswith("it is missing")
        last = int(what.rpartition(" ")[2]) if "up to" in what else number
        named |= set(range(number, last + 1))
    assert named == taken


def test_a_number_of_millions_makes_no_millions_of_flaws() -> None:
    assert wrong([*WHOLE, (10**12, WHOLE[4][1])])[0] == (6, f"it is missing, and all up to number {10**12 - 1}")


@given(st.integers(0, 4), st.data())
def test_one_that_is_changed_is_named_and_those_after_it_are_not(place: int, data: st.DataObject) -> None:
    number, document = WHOLE[place]
    at = data.draw(st.integers(0, len(document) - 1))
    changed = document[:at] + bytes([document[at] ^ data.draw(st.integers(1, 255))]) + document[at + 1 :]
    assert [n for n, _ in wrong([*WHOLE[:place], (number, changed), *WHOLE[place + 1 :]])] == [number]


def test_two_that_changed_places_are_named() -> None:
    swapped = [WHOLE[0], (2, WHOLE[2][1]), (3, WHOLE[1][1]), *WHOLE[3:]]
    assert [number for number, what in wrong(swapped) if "stands in its place" in what] == [2, 3]


def test_a_chain_that_was_written_anew_from_the_middle_is_found_at_its_end() -> None:
    other = certificate(4, fingerprint(WHOLE[2][1]), at=1.0)
    last = certificate(5, fingerprint(other), at=2.0)
    assert wrong([*WHOLE[:3], (4, other), (5, last)]) == [
        (5, "the head of its chain in the database names another one, number 5")
    ]


def test_one_that_names_another_before_it_is_found() -> None:
    assert wrong([*WHOLE[:3], (4, certificate(4, "1" * 64)), WHOLE[4]])[0] == (
        4, "the certificate before it is not the one that it names",
    )  # fmt: skip


@pytest.mark.parametrize(
    "end",
    [
        None,
        Head(chain=NAME, number=4, sha256=fingerprint(WHOLE[3][1]), seal=END.seal),
        Head(chain=NAME, number=5, sha256=END.sha256, seal="ü"),
        head(OTHER, NAME, 5, END.sha256),
    ],
)  # fmt: skip
def test_a_head_that_is_gone_or_was_changed_is_found(end: Head | None) -> None:
    ((number, what),) = wrong(WHOLE, end)
    assert (number, "head" in what) == (0, True)


def test_an_older_head_that_was_put_back_is_found_by_what_came_after_it() -> None:
    older = head(KEYS, NAME, 4, fingerprint(WHOLE[3][1]))
    assert [number for number, _ in wrong(WHOLE, older)] == [5]
    assert wrong(WHOLE[:4], older) == [], "only the exported one that is gone from here tells: see report/certificates"
    assert str(next(flaws(KEYS, NAME, WHOLE[:4], END))) == f"certificate 5 of chain {NAME}: it is missing"
    assert str(next(flaws(KEYS, NAME, WHOLE, None))) == f"chain {NAME}: the database has no head of it"
