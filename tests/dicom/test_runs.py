"""Runs: made of what is known, cut where it goes on in another way; test_recalling has what is read with them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.recurring import Element, Sequence, learn
from node.dicom.runs import RUNS, Part, Run, Shared, SharedItem, Streak, shared
from node.dicom.text import character_set
from tests.dicom import datasets as made

UTF8 = character_set(["ISO_IR 192"])
MODALITY, CREATOR, ROWS = (
    made.explicit(0x00080060, "CS", b"CT"),
    made.explicit(0x00190010, "LO", b"SIEMENS "),
    made.explicit(0x00280010, "US", b"\0\2"),
)


@pytest.fixture(autouse=True)
def nothing_is_known() -> Iterator[None]:
    RUNS.latest, RUNS._before = {}, {}
    yield
    RUNS.latest, RUNS._before = {}, {}


def element(encoded: bytes) -> Element:
    found = learn(encoded, UTF8)
    assert found is not None
    return found


def made_of(*encoded: bytes) -> None:
    streak = Streak(UTF8)
    for each in encoded:
        streak.add(each, element(each))
    streak.over()


def test_a_run_is_found_by_its_first_element_and_has_what_all_of_them_have() -> None:
    made_of(MODALITY, CREATOR, ROWS)
    run = RUNS.find(MODALITY)
    assert run is not None
    assert run.encoded == MODALITY + CREATOR + ROWS
    assert run.parts == tuple(Part.element(each, element(each)) for each in (MODALITY, CREATOR, ROWS))
    assert run.texts == (b'"00080060":["CS",["CT"]]', b'"00190010":["LO",["SIEMENS"]]', b'"00280010":["US",[512]]')
    assert run.creators == ((0x00190010, "SIEMENS"),)
    assert run.cost == 26 + 32 + 26
    assert run.cost_at_top == 32, "of public ones nothing is counted at the top"


def test_one_element_is_no_run_and_nothing_is_none() -> None:
    made_of(MODALITY)
    made_of()
    assert RUNS.latest == {}


@pytest.mark.parametrize(("same", "data"), [
    (3, MODALITY + CREATOR + ROWS), (2, MODALITY + CREATOR + made.explicit(0x00280010, "US", b"\0\1")),
    (1, MODALITY + ROWS), (2, MODALITY + CREATOR + ROWS[:-1]), (1, MODALITY),
])  # fmt: skip
def test_a_run_is_cut_at_the_first_element_that_is_another(same: int, data: bytes) -> None:
    made_of(MODALITY, CREATOR, ROWS)
    run = RUNS.find(MODALITY)
    assert run is not None
    expected = [MODALITY, CREATOR, ROWS][:same]
    cut = run.as_far_as(b"??" + data, 2)
    assert cut == Run.of(tuple(Part.element(each, element(each)) for each in expected))
    assert cut.cost == sum(part.cost for part in cut.parts)


def test_what_is_longer_than_a_run_may_be_becomes_several() -> None:
    every = [made.explicit(0x00280010 + number, "US", b"\0\2") for number in range(150)]
    made_of(*every)
    assert [len(run.parts) for run in RUNS.latest.values()] == [64, 64, 22]
    assert b"".join(run.encoded for run in RUNS.latest.values()) == b"".join(every)


def test_what_many_headers_share_equals_a_list_and_nobody_changes_it() -> None:
    made_of(MODALITY, CREATOR, ROWS)
    run = RUNS.find(MODALITY)
    assert run is not None
    assert run.header == {"00080060": ["CS", ["CT"]], "00190010": ["LO", ["SIEMENS"]], "00280010": ["US", [512]]}
    vr_and_values = run.header["00080060"]
    for change in (
        lambda: vr_and_values.append("x"), lambda: vr_and_values[1].append("x"), lambda: vr_and_values.clear(),
        lambda: vr_and_values.__setitem__(0, "LO"), lambda: vr_and_values[1].sort(), lambda: vr_and_values.pop(),
        lambda: vr_and_values.__iadd__(["x"]), lambda: vr_and_values.__delitem__(0), lambda: vr_and_values.reverse(),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="copy it"):
            change()
    assert vr_and_values == ["CS", ["CT"]]


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_of_what_is_shared_may_be_changed(way: Callable[[object], list[object]]) -> None:
    copied = way(Shared(["CS", Shared(["CT"])]))
    assert type(copied) is list
    copied.append("x")
    assert copied == ["CS", ["CT"], "x"]


def test_what_many_headers_share_of_a_sequence_nobody_changes_either() -> None:
    value = shared(["SQ", [{"00081155": ["UI", ["1.2.3"]]}]])
    item = value[1][0]
    assert value == ["SQ", [{"00081155": ["UI", ["1.2.3"]]}]]
    for change in (
        lambda: item.clear(), lambda: item.pop("00081155"), lambda: item.popitem(), lambda: item.update(a=1),
        lambda: item.setdefault("a", 1), lambda: item.__setitem__("a", 1), lambda: item.__delitem__("00081155"),
        lambda: item.__ior__({"a": 1}), lambda: value[1].clear(), lambda: item["00081155"][1].clear(),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="copy it"):
            change()
    assert value == ["SQ", [{"00081155": ["UI", ["1.2.3"]]}]]


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_of_an_item_that_is_shared_may_be_changed(way: Callable[[object], dict[str, object]]) -> None:
    copied = way(SharedItem({"00081155": shared(["UI", ["1.2.3"]])}))
    assert type(copied) is dict
    copied["a"] = 1
    assert copied == {"00081155": ["UI", ["1.2.3"]], "a": 1}


def test_a_sequence_is_a_part_of_a_run_but_not_its_first() -> None:
    sequence = Sequence(
        encoded=b"of any kind", text=b'"00081140":["SQ",[{"00081155":["UI",["1.2.3"]]}]]', cost=53, places=5, guessed=2
    )
    streak = Streak(UTF8)
    streak.add(sequence.encoded, sequence)
    streak.add(MODALITY, element(MODALITY))
    streak.add(sequence.encoded, sequence)
    streak.over()
    (run,) = RUNS.latest.values()
    assert run.encoded == MODALITY + b"of any kind"
    assert run.header == {"00080060": ["CS", ["CT"]], "00081140": ["SQ", [{"00081155": ["UI", ["1.2.3"]]}]]}
    assert (run.places, run.guessed, run.charset) == (6, 2, UTF8)
    assert (run.cost, run.cost_at_top) == (26 + 53, 53)
    assert run.as_far_as(MODALITY + b"of another", 0).charset is None


@given(
    places=st.lists(st.one_of(st.none(), st.sampled_from([1, 5, 62, 63, 64, 65, 500])), max_size=80),
)
def test_no_run_is_of_more_elements_than_it_may_be_those_in_its_sequences_too(places: list[int | None]) -> None:
    """None for an element. Else a sender could fill our memory with what its sequences decode to."""
    RUNS.latest, RUNS._before = {}, {}
    streak = Streak(UTF8)
    for number, count in enumerate(places):
        encoded = made.explicit(0x00280010 + number, "US", b"\0\2")
        if count is None:
            streak.add(encoded, element(encoded))
        else:
            streak.add(encoded, Sequence(encoded, b'"0040%04X":["SQ",[]]' % number, 24, count, 0))
    streak.over()
    assert all(len(run.parts) >= 2 and run.places <= 64 for run in RUNS.latest.values())
    assert all(run.parts[0].charset is None for run in RUNS.latest.values()), "an element comes first"
    if None not in places:
        assert not RUNS.latest
