"""Verdicts of the quiet time hold for the same instances and the same rules, and for nothing else."""

from __future__ import annotations

import pytest

from node.collect.foreseen import Foreseen
from node.collect.soon import Soon
from node.config import Config
from node.index import units
from node.match import Verdict
from node.model import ReceiptId, UnitKind
from tests import make
from tests.kit import Kit

A, B = ReceiptId("a" * 32), ReceiptId("b" * 32)
YES = (Verdict(route="ct", matched=True, because=("it is",)),)
RULES = "routes: [{name: ct, when: {Modality: CT}, steps: [drop]}]"


def rules(kit: Kit) -> Config:
    kit.rules(RULES)
    return kit.config


def test_the_same_instances_get_the_same_verdict_once(kit: Kit) -> None:
    config, foreseen = rules(kit), Foreseen()
    foreseen.learn(config, UnitKind.SERIES, [A, B], YES)
    assert foreseen.of(config, UnitKind.SERIES, [A, B]) == YES
    assert foreseen.of(config, UnitKind.SERIES, [A, B]) is None


def test_others_do_not(kit: Kit) -> None:
    config, foreseen = rules(kit), Foreseen()
    foreseen.learn(config, UnitKind.SERIES, [A, B], YES)
    assert foreseen.of(config, UnitKind.SERIES, [A]) is None
    assert foreseen.of(config, UnitKind.STUDY, [A, B]) is None


def test_other_rules_know_nothing_of_it_even_when_they_say_the_same(kit: Kit) -> None:
    before, foreseen = rules(kit), Foreseen()
    foreseen.learn(before, UnitKind.SERIES, [A], YES)
    after = rules(kit)
    assert after is not before
    assert foreseen.of(after, UnitKind.SERIES, [A]) is None
    foreseen.learn(after, UnitKind.SERIES, [B], YES)
    assert foreseen.of(before, UnitKind.SERIES, [A]) is None


def test_it_does_not_grow_without_end(kit: Kit) -> None:
    config, foreseen = rules(kit), Foreseen()
    for n in range(1_001):
        foreseen.learn(config, UnitKind.SERIES, [ReceiptId(f"{n:032x}")], YES)
    assert foreseen.of(config, UnitKind.SERIES, [ReceiptId(f"{0:032x}")]) is None
    assert foreseen.of(config, UnitKind.SERIES, [ReceiptId(f"{1_000:032x}")]) == YES


@pytest.mark.parametrize("more", [0, 1])
def test_a_unit_is_closed_by_what_was_foreseen_unless_it_has_changed(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    kit.rules(RULES)
    kit.index(*make.ct_series(3))
    collector = kit.collector()
    config = collector.config()
    soon = Soon(database=kit.database, spool=kit.spool, config=lambda: config, foreseen=collector.foreseen)
    kit.age(59.5)
    assert [len(items) for _, items in soon.beginnings()] == [3]
    if more:
        kit.index(make.instance(number=9))
    read, members = list[int](), units.members
    monkeypatch.setattr(units, "members", lambda *a: read.append(1) or members(*a))  # type: ignore[func-returns-value]  # append gives None
    kit.age(61)
    collector.once()
    assert len(kit.jobs()) == 1
    assert len(read) == more
