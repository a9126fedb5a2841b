"""`explain`: the whole story of a UID, as plain data."""

from __future__ import annotations

import json

import sqlalchemy as sa

from node.commitment import Committed, Failed
from node.dicom.commitment import Reference
from node.index import jobs
from node.index.schema import parcel
from node.index.story import story
from node.model import UID
from tests import make
from tests.index.test_commitments import decided, recorded
from tests.kit import Kit

RULES = """
destinations: {a: {folder: ./a}}
routes:
  - {name: sends, when: {Modality: CT}, steps: [{forward: a}]}
  - {name: other, when: {Modality: MR}, steps: [drop]}
"""


def told(kit: Kit, uid: str) -> dict[str, object] | None:
    with kit.database.reader.connect() as connection:
        found = story(connection, uid, kit.config.routed)
    return json.loads(json.dumps(found)) if found is not None else None  # what --json prints


def sent(kit: Kit) -> tuple[str, str]:
    """(job, delivery) of a series of two: one held in the job, one on its way."""
    kit.rules(RULES)
    held, goes = kit.index(*make.ct_series(2))
    (key,) = kit.close()
    with kit.database.durable.begin() as connection:
        jobs.start(connection, key)
        jobs.hold_receipts(connection, key, [held], "broken")
        jobs.remember(connection, key, "step", "1. forward: 1 dicom", 5.0, 0.25)
        jobs.remember(connection, held, "act", "looked at by a person", 6.0)
    delivery = kit.put(key, "a", kit.goods("1.2.826.0.1", goes))
    kit.outbox.failed(kit.read(delivery)[0], "no answer")
    with kit.database.durable.begin() as connection:
        jobs.remember(connection, key, "delivery", "a: try 1 failed: no answer", 7.0)
        jobs.finish(connection, key, 8.0)
    return key, delivery


def test_what_never_came_has_no_story(kit: Kit) -> None:
    kit.index(make.instance())
    assert told(kit, "1.2.3") is None


def test_a_series_tells_who_sent_what_closed_it_what_ran_and_what_is_on_its_way(kit: Kit) -> None:
    key, delivery = sent(kit)
    found = told(kit, make.uid("study", "series"))
    assert found is not None
    one, other = sorted(found["instances"], key=lambda i: i["state"])
    assert (one["state"], one["reason"], one["calling_ae"], one["called_ae"]) == ("held", "broken", "CT1", "NODE")
    assert [h["text"] for h in one["history"]] == ["looked at by a person"]
    assert (other["state"], other["reason"], other["history"]) == ("waiting", "", [])
    series = next(u for u in found["units"] if u["kind"] == "series")
    (closed,) = series["completions"]
    assert closed["evidence"] == "quiet: 2 instances, quiet for 60 s"
    assert [(r["route"], r["matched"]) for r in closed["routes"]] == [("sends", True), ("other", False)]
    assert all(r["because"] for r in closed["routes"])
    (job,) = series["jobs"]
    assert (job["job"], job["state"], job["tries"]) == (key, "done", 1)
    assert [(h["what"], h["seconds"]) for h in job["history"]] == [("step", 0.25), ("delivery", None)]
    assert {(o["state"], o["instances"]) for o in job["obligations"]} == {("held", 1), ("waiting", 1)}
    (to_a,) = job["deliveries"]
    assert (to_a["delivery"], to_a["state"], to_a["failures"]) == (delivery, "waiting", 1)
    assert (to_a["reason"], to_a["files"]) == ("no answer", {"waiting": 1})


def test_a_study_and_an_instance_tell_of_themselves(kit: Kit) -> None:
    sent(kit)
    study = told(kit, make.uid("study"))
    instance = told(kit, make.uid("study", "series", 1))
    assert study is not None
    assert instance is not None
    assert len(study["instances"]) == 2
    assert len(instance["instances"]) == 1
    assert {u["kind"] for u in instance["units"]} == {"series", "study"}


def test_a_uid_that_was_made_here_leads_to_where_it_came_from(kit: Kit) -> None:
    sent(kit)
    found = told(kit, "1.2.826.0.1")
    assert found is not None
    assert [i["sop_instance"] for i in found["instances"]] == [make.uid("study", "series", 2)]


def test_a_story_has_no_patient_data(kit: Kit) -> None:
    _, delivery = sent(kit)
    kit.write(sa.update(parcel).where(parcel.c.delivery == delivery).values(fields='{"PatientName": "Müster"}'))
    text = json.dumps(told(kit, make.uid("study")), ensure_ascii=False)
    for secret in ("Müster", "T-0001", "A0001", "19500102"):
        assert secret not in text


def test_what_nothing_accounts_for_says_so(kit: Kit) -> None:
    sent(kit)
    kit.write(sa.text("UPDATE node_job SET state = 'held'"))
    kit.write(sa.text("UPDATE node_obligation SET state = 'in_job'"))
    found = told(kit, make.uid("study"))
    assert found is not None
    assert {i["state"] for i in found["instances"]} == {"unaccounted"}


# ---- storage commitment ------------------------------------------------------------------------------------


def test_who_asked_for_commitment_and_what_became_of_it(kit: Kit) -> None:
    series = make.ct_series(3)
    kit.index(*series)
    key = recorded(kit, [Reference(UID(make.CT_IMAGE), UID(str(ds.SOPInstanceUID))) for ds in series])
    decided(kit, key, _1=Committed("the original was delivered"), _2=Failed(0x0110, "no route brings it"))
    found = told(kit, make.uid("study", "series"))
    assert found is not None
    (one,) = found["commitments"]  # type: ignore[misc,call-overload]  # plain JSON
    assert (one["calling_ae"], one["sender"], one["transaction"], one["state"]) == ("CT1", "10.1.2.3", "1.9", "open")
    assert [(r["result"], r["failure"], r["because"], r["instances"]) for r in one["results"]] == [
        ("committed", None, "the original was delivered", 1), ("failed", 0x0110, "no route brings it", 1),
        ("waiting", None, "", 1),
    ]  # fmt: skip
    of_one = told(kit, str(series[0].SOPInstanceUID))
    assert of_one is not None
    assert [len(c["results"]) for c in of_one["commitments"]] == [1]  # type: ignore[attr-defined]  # plain JSON


def test_an_instance_that_was_asked_for_and_never_came_has_a_story_too(kit: Kit) -> None:
    recorded(kit, [Reference(UID(make.CT_IMAGE), UID("1.2.3"))])
    found = told(kit, "1.2.3")
    assert found is not None
    assert found["instances"] == []
    assert len(found["commitments"]) == 1  # type: ignore[arg-type]  # plain JSON
