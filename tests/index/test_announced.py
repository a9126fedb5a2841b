"""What others say of the series of a job: by receipt, each series for itself, and never of a part."""

from __future__ import annotations

import json

import sqlalchemy as sa

from node.index import readings
from node.index.announced import announced
from node.index.readings import Subject
from node.index.schema import expected, job
from node.model import ReceiptId
from tests import make
from tests.kit import Kit

STUDY, SERIES, OTHER = make.uid("study"), make.uid("study", "series"), make.uid("study", "other")
BY_SERIES = "routes: [{name: all, when: always, steps: [drop]}]"
BY_STUDY = "routes: [{name: all, unit: study, when: always, steps: [drop]}]"
BY_INSTANCE = "routes: [{name: all, unit: instance, when: always, steps: [drop]}]"


def answered(kit: Kit, number: int, called: str = "NODE", **series: int) -> None:
    of = Subject(peer="PACS", called_ae=called, study=STUDY)
    names = {"series": SERIES, "other": OTHER}
    with kit.database.durable.begin() as connection:
        assert readings.claim(connection, of, number, float(number), "kit")
        counts = {names[name]: count for name, count in series.items()}
        readings.answer(connection, of, number, float(number), study=None, series=counts, instances={})


def performed(kit: Kit, reference: str, count: int, *made: str, called: str = "NODE") -> None:
    kit.write(
        sa.insert(expected).values(
            source="mpps", peer="CT1", called_ae=called, study=STUDY, series=SERIES, count=count,
            instances=json.dumps(made) if made else None, at=2.0, reference=reference,
        )
    )  # fmt: skip


def closed(kit: Kit, rules: str, *, other: bool = False) -> tuple[str, list[ReceiptId]]:
    kit.rules(rules)
    receipts = kit.index(*make.ct_series(3), *(make.ct_series(2, series="other") if other else ()))
    return kit.close()[0], receipts


def said(kit: Kit, key: str) -> list[tuple[str, int, int]]:
    """(who, how many, how many of the job)"""
    with kit.database.reader.connect() as connection:
        return sorted((one.says, one.count, len(one.receipts)) for one in announced(connection, key))


def test_the_latest_count_of_a_source_is_told_for_each_series(kit: Kit) -> None:
    key, receipts = closed(kit, BY_STUDY, other=True)
    answered(kit, 1, series=3, other=1)
    answered(kit, 2, series=5, other=2)
    answered(kit, 1, called="ELSEWHERE", series=99)
    counted = "PACS counted (C-FIND)"
    assert said(kit, key) == [(counted, 2, 2), (counted, 5, 3)]
    with kit.database.reader.connect() as connection:
        groups = {one.count: one.receipts for one in announced(connection, key)}
    assert groups[5] == set(receipts[:3])


def test_what_procedure_steps_made_is_added_up_each_instance_once(kit: Kit) -> None:
    key, _ = closed(kit, BY_SERIES)
    performed(kit, "1", 2, "1.1", "1.2")
    performed(kit, "2", 2, "1.2", "1.3")
    performed(kit, "3", 4)
    performed(kit, "4", 50, called="ELSEWHERE")
    assert said(kit, key) == [("the procedure step of CT1 made", 7, 3)]


def test_nothing_is_said_of_a_job_on_a_part_of_a_series(kit: Kit) -> None:
    key, _ = closed(kit, BY_INSTANCE)
    answered(kit, 1, series=3)
    assert said(kit, key) == []


def test_nor_of_one_on_late_arrivals_alone_nor_of_one_that_is_not_there(kit: Kit) -> None:
    key, _ = closed(kit, BY_SERIES)
    answered(kit, 1, series=3)
    assert len(said(kit, key)) == 1
    kit.write(sa.update(job).where(job.c.id == key).values(delta=True))
    assert said(kit, key) == []
    assert said(kit, "no such job") == []
