"""No answer of a destination is lost, and nothing is taken away before all of them are here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from node.deliver.base import Outcome, Parcel, Result
from node.deliver.courier import _alike
from node.index.schema import delivery
from tests import make
from tests.deliver.test_courier import TAKEN, files, put, rules, scripted, to
from tests.kit import Kit
from tests.peers import free_port


def test_only_answers_that_say_the_same_are_recorded_as_one() -> None:
    no, other = (Result(outcome=Outcome.REFUSED, text=text) for text in ("no", "other"))
    here, there = (Result(outcome=Outcome.DELIVERED, place=place) for place in ("here", "there"))
    accepted = Result(outcome=Outcome.DELIVERED, text="coerced")  # of what is delivered, no text is kept
    answers: Sequence[Any] = list(enumerate([no, no, other, TAKEN, accepted, here, there, there]))
    assert [[number for number, _ in some] for some in _alike(answers)] == [[0, 1], [2], [3, 4], [5], [6, 7]]


class AllAtOnce:
    """Answers that come so fast that all of them are one group."""

    def __init__(self, write: Callable[[Sequence[Any]], bool], at_once: int, sending: int) -> None:
        self.write, self.came, self.wanted = write, list[Any](), True

    def add(self, answer: Any) -> None:
        self.came.append(answer)

    def __enter__(self) -> AllAtOnce:
        return self

    def __exit__(self, *of: object) -> None:
        self.write(self.came)


def test_every_answer_of_a_group_is_recorded_also_when_no_more_are_wanted(
    working: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not recorded would be sent again."""
    monkeypatch.setattr("node.deliver.courier.Recording", AllAtOnce)
    key, _ = put(working, to(free_port()), make.ct_series(3))

    def answer(one: Parcel) -> Result:
        working.write(sa.update(delivery).values(state="dropped"))
        return Result(outcome=Outcome.REFUSED, text="no") if one.number == 2 else TAKEN

    _, open = scripted(answer)
    working.courier(open).deliver(key, 1)
    assert working.parcels(key) == ["delivered", "held", "delivered"]


def test_a_rerun_takes_nothing_out_of_a_folder_before_all_of_it_is_there(working: Kit) -> None:
    (working.data / "a").mkdir()
    first, _ = put(working, rules("folder: ./a"), make.ct_series(3))
    working.courier().deliver(first, 1)
    before = files(working)
    second, _ = put(working, rules("folder: ./a"), [make.instance(number=9)])
    courier = replace(working.courier(), stop=lambda: True)
    assert courier.deliver(second, 1).verdict == "again"
    assert files(working) == before
