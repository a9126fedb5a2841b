"""Who a delivery belongs to."""

from __future__ import annotations

from dataclasses import replace

from node.model import Disclosure
from node.outbox.values import Delivery, delivery_id


def test_a_delivery_is_one_job_and_one_destination() -> None:
    assert delivery_id("4.1.research", "archive") == "4.1.research>archive"
    assert delivery_id("4.1.a", "b") != delivery_id("4.1.b", "a")


def test_generations_of_a_unit_own_the_same_files() -> None:
    one = Delivery(
        id="4.1.research>share", job="4.1.research", destination="share", disclosure=Disclosure.DEIDENTIFIED, unit=4,
        route="research", generation=1, delta=False, state="waiting", reason="", tries=1, failures=0,
    )  # fmt: skip
    assert one.owner == replace(one, generation=2, job="4.2.research").owner == "4.research"
    assert one.owner != replace(one, route="other").owner
