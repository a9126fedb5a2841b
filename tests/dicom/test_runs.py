"""Runs: made of what is known, cut where it goes on in another way; test_recalling has what is read with them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator

import pytest

from node.dicom.recurring import Element, learn
from node.dicom.runs import RUNS, Run, Shared, Streak
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
    streak = Streak()
    for each in encoded:
        streak.add(each, element(each))
    streak.over()


def test_a_run_is_found_by_its_first_element_and_has_what_all_of_them_have() -> None:
    made_of(MODALITY, CREATOR, ROWS)
    run = RUNS.find(MODALITY)
    assert run is not None
    assert run.encoded == MODALITY + CREATOR + ROWS
    assert run.elements == tuple(map(element, (MODALITY, CREATOR, ROWS)))
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
    assert cut == Run.of(b"".join(expected), run.ends[:same], tuple(map(element, expected)))
    assert cut.cost == sum(one[4] for one in cut.elements)


def test_what_is_longer_than_a_run_may_be_becomes_several() -> None:
    every = [made.explicit(0x00280010 + number, "US", b"\0\2") for number in range(150)]
    made_of(*every)
    assert [len(run.elements) for run in RUNS.latest.values()] == [64, 64, 22]
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
