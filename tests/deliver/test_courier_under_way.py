"""What is sent of a delivery, and in what order, when not all that was read at its begin is to be sent, or can be."""

from __future__ import annotations

import pytest

from node.deliver.base import Parcel, Result
from node.deliver.courier import _others_first
from node.engine.runs import DONE
from node.index.schema import parcel, sent
from tests import make
from tests.deliver.test_courier import TAKEN, owed, put, rules, scripted, to, uids
from tests.kit import Kit
from tests.peers import Recorder, free_port


def test_many_that_are_put_off_each_time_keep_those_behind_them_for_a_few_tries_only(working: Kit) -> None:
    instances = make.ct_series(30)
    bad = set(uids(instances[:25]))
    with Recorder(refuse=0xA700, refuse_when=lambda one: one.sop_instance in bad) as archive:
        key, _ = put(working, to(archive.port), instances)
        for attempt in range(1, 10):
            assert working.courier().deliver(key, attempt).verdict == "again"
        assert len(archive.uids) >= 4


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_each_of_those_that_wait_is_the_first_of_some_try(kit: Kit, count: int) -> None:
    kit.rules(rules("folder: ./a"))
    receipts = kit.index(*make.ct_series(count))
    (job_id,) = kit.close()
    _, waiting = kit.read(kit.put(job_id, "a", *(kit.goods(f"{n}", r) for n, r in enumerate(receipts))))
    orders = [_others_first(waiting, failures) for failures in range(4 * count + 2)]
    assert {order[0].number for order in orders} == {w.number for w in waiting}
    assert all(sorted(w.number for w in order) == [w.number for w in waiting] for order in orders)


def test_what_its_job_made_anew_while_the_old_was_sent_is_sent_too(working: Kit) -> None:
    """A retry with an edited recipe, while a slow archive takes what the first try made."""
    key, _ = put(working, to(free_port()), make.ct_series(3))
    before = working.read(key)[1]

    def anew() -> None:
        goods = (
            working.goods(w.name, *w.sources, content=f"anew {w.name}", sop_instance=w.sop_instance) for w in before
        )
        working.put(key.removesuffix(">a"), "a", *goods)

    brought: list[str] = []

    def answer(one: Parcel) -> Result:
        if not brought:
            anew()
        brought.append(one.path.name)
        return TAKEN

    _, open = scripted(answer)
    assert working.courier(open).deliver(key, 1).verdict == "again"
    assert len(brought) == 1, "what has been replaced is not sent any more"
    assert working.courier(open).deliver(key, 2) == DONE
    assert len(brought) == 4
    assert {r["content"] for r in working.rows(sent)} == {r["content"] for r in working.rows(parcel)}
    assert working.balance() == {"delivered": 3}


def test_an_instance_that_a_person_drops_while_others_are_sent_stays_here(working: Kit) -> None:
    key, receipts = put(working, to(free_port()), make.ct_series(4))
    given_up = sorted(receipts)[2]

    def answer(one: Parcel) -> Result:
        if one.number == 1:
            working.acts().drop(given_up)
        return TAKEN

    target, open = scripted(answer)
    assert working.courier(open).deliver(key, 1).verdict == "again"
    assert working.courier(open).deliver(key, 2) == DONE
    assert target.brought == [1, 2, 4]
    assert owed(working, key) == ["delivered", "delivered", "dropped", "delivered"]
    assert working.parcels(key) == ["delivered", "delivered", "dropped", "delivered"]
    assert working.balance() == {"delivered": 3, "dropped": 1}
