"""Units in the last second of their quiet time, and what their routes begin with."""

from __future__ import annotations

from collections.abc import Sequence

from node.collect.soon import Soon
from node.model import Item, Step
from tests import make
from tests.kit import Kit

RULES = """
destinations: {a: {folder: ./a, accepts: deidentified}}
routes:
  - {name: ct, when: {Modality: CT}, steps: [anonymize, {forward: a}]}
  - {name: mr, when: {Modality: MR}, steps: [decompress]}
"""


def told(kit: Kit, soon: Soon) -> list[tuple[str, int]]:
    return [(chain[0].name, len(items)) for chain, items in soon.beginnings()]


def finder(kit: Kit) -> Soon:
    return Soon(database=kit.database, spool=kit.spool, config=lambda: kit.config)


def test_a_unit_is_told_with_its_instances_when_its_time_is_nearly_over(kit: Kit) -> None:
    kit.rules(RULES)
    kit.index(*make.ct_series(3))
    soon = finder(kit)
    assert told(kit, soon) == [], "59 s are left"
    kit.age(59.5)
    found: list[tuple[Sequence[Step], list[Item]]] = list(soon.beginnings())
    assert [([step.name for step in chain], len(items)) for chain, items in found] == [(["anonymize", "forward"], 3)]
    assert all(item.path.is_file() and len(item.sources) == 1 for item in found[0][1])


def test_it_is_told_once_and_again_when_it_has_changed(kit: Kit) -> None:
    kit.rules(RULES)
    kit.index(make.instance(number=1))
    soon = finder(kit)
    kit.age(59.5)
    assert told(kit, soon) == [("anonymize", 1)]
    assert told(kit, soon) == []
    kit.index(make.instance(number=2))
    kit.age(59.5)
    assert told(kit, soon) == [("anonymize", 2)]


def test_what_no_route_takes_and_what_is_late_is_not_told(kit: Kit) -> None:
    kit.rules(RULES.replace("CT}", "US}"))
    kit.index(make.instance())
    kit.age(59.5)
    assert told(kit, finder(kit)) == []
    kit.rules(RULES)
    kit.close()
    kit.index(make.instance(number=2))
    kit.age(59.5)
    assert told(kit, finder(kit)) == []
