"""What is said of many instances is the sum of what was said of each, and no value is in it."""

from __future__ import annotations

import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from node.certificate.account import Accounts, add_up
from node.certificate.actions import Again, Done, Path, Told, written
from tests.certificate.facts import DATE, KEYS, METHOD, NAME, OTHER, account

paths = st.lists(st.integers(0x00080000, 0xFFFFFFFF), min_size=1, max_size=3).map(tuple)
values = st.none() | st.binary(max_size=12)
deeds = st.tuples(paths, st.sampled_from(Done), values, values)


def test_a_path_is_written_by_its_tags_alone() -> None:
    assert written((0x00400275, 0x00291010)) == "(0040,0275)(0029,1010)"


def test_an_account_says_what_became_of_each_attribute() -> None:
    (total,) = add_up([account(), account()])
    assert (total.method, total.instances) == (METHOD, 2)
    assert total.actions == {
        "(0010,0010)": {"replaced": 2}, "(0040,0275)(0040,0002)": {"removed": 2}, "(7FE0,0010)": {"kept": 2},
    }  # fmt: skip


def test_no_value_is_in_an_account_and_equal_changes_have_equal_codes() -> None:
    text = account()
    assert "Smithson" not in text
    assert "20260102" not in text
    (total,) = add_up([text, account(), account(b"Smithson^Anna")])
    assert sorted(total.values[written(NAME)].values()) == [1, 2]
    ((pair, count),) = total.values[written(DATE)].items()
    assert (count, pair.endswith(" ")) == (3, True), "removed: nothing after"
    assert "(7FE0,0010)" not in total.values, "what was kept has the same code twice, so none is written"


def test_codes_mean_nothing_under_another_key() -> None:
    assert KEYS.value()(b"19700101") != OTHER.value()(b"19700101")
    assert KEYS.value()(b"19700101") == KEYS.value()(memoryview(b"19700101"))
    assert KEYS.value()(b"") == KEYS.value()(None) == ""


def test_instances_that_were_done_by_different_methods_are_counted_apart() -> None:
    other = {**METHOD, "recipe": "cd" * 32}
    totals = add_up([account(), account(method=other), account()])
    assert sorted((total.method["recipe"], total.instances) for total in totals) == [("", 2), ("cd" * 32, 1)]
    assert totals == add_up([account(method=other), account(), account()]), "the order of instances does not matter"


@given(st.lists(st.lists(deeds, max_size=8), max_size=6))
def test_whatever_is_told_is_counted_once(instances: list[list[tuple[Path, Done, bytes | None, bytes | None]]]) -> None:
    accounts = Accounts(KEYS.value())
    texts, told, changed = [], Counter[tuple[str, str]](), Counter[str]()
    for instance in instances:
        recording = accounts.begin()
        for path, done, before, after in instance:
            recording.did(path, done, before, after)
            told[written(path), done.value] += 1
            changed[written(path)] += done is not Done.KEPT and bool(before or after)
        texts.append(recording.account(METHOD))
        assert all(json.loads(line) is not None for line in texts[-1].split("\n"))
    totals = add_up(texts)
    assert sum(total.instances for total in totals) == len(instances)
    for total in totals:
        found = {(path, done): n for path, counts in total.actions.items() for done, n in counts.items()}
        assert found == dict(told)
        assert {path: sum(pairs.values()) for path, pairs in total.values.items()} == dict(+changed)


@given(st.lists(st.lists(deeds, min_size=1, max_size=3), max_size=6), st.integers(1, 3))
def test_what_comes_again_is_counted_as_if_it_were_told_anew(parts: list[list[Told]], times: int) -> None:
    accounts, again = Accounts(KEYS.value()), [Again(part) for part in parts]
    for _ in range(times):
        together, one_by_one = accounts.begin(), Accounts(KEYS.value()).begin()
        together.did_all([*again, *(tuple(part) for part in parts)])
        for told in (*again, *again):
            for each in told:
                one_by_one.did(*each)
        assert add_up([together.account(METHOD)]) == add_up([one_by_one.account(METHOD)])


def test_another_part_with_the_same_actions_has_its_own_values() -> None:
    accounts = Accounts(KEYS.value())
    found = []
    for name in (b"Smith", b"Jones", b"Smith"):
        recording = accounts.begin()
        recording.did_all([Again([(NAME, Done.REPLACED, name, b"X")])])
        found.append(recording.account(METHOD))
    assert found[0] == found[2] != found[1]


def test_long_values_are_coded_and_not_remembered() -> None:
    accounts = Accounts(KEYS.value())
    for number in range(3):
        recording = accounts.begin()
        recording.did((0x60003000,), Done.REMOVED, bytes([number]) * 10_000)
        recording.account(METHOD)
    assert accounts._known == {}
