"""What `status` shows: what is open, runs, waits and is held, in counts."""

from __future__ import annotations

from typing import Any

import pytest

from node.index import jobs
from node.index.overview import overview
from tests import make
from tests.kit import Kit

RULES = """
destinations: {a: {folder: ./a}}
routes: [{name: sends, when: always, steps: [{forward: a}]}]
"""


def shown(kit: Kit) -> dict[str, Any]:
    with kit.database.reader.connect() as connection:
        return overview(connection, kit.config.routed)


def test_an_empty_node(kit: Kit) -> None:
    assert shown(kit) == {"open": 0, "queued": 0, "running": 0, "deliveries": [], "commitments": [], "held": []}


def test_open_units_queued_and_running_jobs_are_counted(kit: Kit) -> None:
    kit.rules(RULES)
    kit.index(make.instance(series="s1"), make.instance(series="s2"))
    assert shown(kit)["open"] == 2
    first, _ = kit.close()
    with kit.database.durable.begin() as connection:
        jobs.start(connection, first)
    found = shown(kit)
    assert (found["open"], found["queued"], found["running"]) == (0, 1, 1)


@pytest.mark.parametrize(
    ("kinds", "counted"),
    [([], 3), (["series"], 3), (["study"], 2), (["instance"], 4), (["study", "series"], 5), (["instance", "study"], 6)],
)
def test_only_units_that_a_route_works_on_count_as_open(kinds: list[str], counted: int, kit: Kit) -> None:
    """Two studies, three series, four instances. Every instance is in a series and a study, whatever the routes say."""
    routes = ", ".join(f"{{name: of-{kind}, unit: {kind}, when: always, steps: [drop]}}" for kind in kinds)
    kit.rules(f"routes: [{routes}]")
    kit.index(
        make.instance(), make.instance(number=2), make.instance(series="other"), make.instance(study="another"),
    )  # fmt: skip
    assert shown(kit)["open"] == counted
    kit.close()
    assert shown(kit)["open"] == 0


def test_what_waits_for_a_destination_says_why_and_until_when(kit: Kit) -> None:
    kit.rules(RULES)
    receipts = kit.index(*make.ct_series(3))
    (key,) = kit.close()
    delivery = kit.put(key, "a", *(kit.goods(str(n), r) for n, r in enumerate(receipts)))
    one, parcels = kit.read(delivery)
    kit.outbox.delivered(one, parcels[:1])
    kit.outbox.failed(one, "no answer")
    kit.outbox.wait(one, 99.0)
    assert shown(kit)["deliveries"] == [{"destination": "a", "reason": "no answer", "files": 2, "next_at": 99.0}]


def test_what_is_held_is_grouped_by_place_and_reason(kit: Kit) -> None:
    kit.rules(RULES)
    receipts = kit.index(*make.ct_series(3))
    (key,) = kit.close()
    with kit.database.durable.begin() as connection:
        jobs.hold_receipts(connection, key, receipts[:2], "broken")
        jobs.hold_receipts(connection, key, receipts[2:], "no pixels")
    kit.record(kit.arrival(make.instance(number=9), held="it has no provenance"))
    held = shown(kit)["held"]
    series = f"route sends, series {make.uid('study', 'series')}"
    assert sorted((h["where"], h["reason"], h["instances"]) for h in held) == [
        ("received as NODE", "it has no provenance", 1), (series, "broken", 2), (series, "no pixels", 1),
    ]  # fmt: skip


def test_what_is_held_at_its_receipt_is_named(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    """It is in no unit, so without its ids nobody could release or drop it."""
    held = [kit.arrival(make.instance(number=n), held="it has no provenance") for n in (1, 2)]
    kit.record(*held)
    (found,) = shown(kit)["held"]
    assert (found["where"], found["instances"]) == ("received as NODE", 2)
    assert found["receipts"] == [
        {"receipt": a.receipt, "sop_instance": a.identity.sop_instance, "series": a.identity.series} for a in held
    ]
    lines = [r.getMessage() for r in caplog.records if " is held: " in r.getMessage()]
    assert sorted(lines) == [
        f"receipt {a.receipt} (instance {a.identity.sop_instance} of series {a.identity.series}, to NODE) is held: "
        "it has no provenance"
        for a in held
    ]
