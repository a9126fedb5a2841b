"""The database goes away in whatever moment of a job or a delivery: it is tried again, and nobody has to do a thing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from node.engine.runs import DONE, Outcome
from node.errors import CannotSucceed
from node.index import jobs
from node.outbox import Outbox
from tests import make
from tests.kit import Kit
from tests.peers import Recorder

RULES = "destinations: {a: {dicom: ARCHIVE@127.0.0.1:%d}}\nroutes: [{name: r, when: always, steps: [{forward: a}]}]"


def gone(*arguments: object, **how: object) -> None:
    raise sa.exc.OperationalError("SELECT", {}, OSError("terminating connection"))


@pytest.mark.parametrize("asked", ["read", "delivered", "failed", "hold"])
def test_a_delivery_also_at_its_first_look_and_when_it_tells_what_went_wrong(
    working: Kit, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    with Recorder(refuse=0xA700 if asked == "failed" else None) as archive:
        working.rules(RULES % archive.port)
        working.index(make.instance())
        (job,) = working.close()
        assert working.run(job) == DONE
        courier = working.courier()
        if asked == "hold":
            courier = replace(courier, destinations=dict)  # it was taken out of the rules
        with monkeypatch.context() as patch:
            patch.setattr(Outbox, asked, gone)
            assert courier.deliver(f"{job}>a", 1) == Outcome("again", 5.0)
        assert working.deliveries() == {f"{job}>a": "waiting"}
        archive.refuse = None
        assert working.courier().deliver(f"{job}>a", 2) == DONE
    assert working.deliveries() == {f"{job}>a": "delivered"}


@pytest.mark.parametrize("asked", ["read", "start", "hold"])
def test_a_job_also_at_its_first_look_and_when_it_tells_why_it_is_held(
    working: Kit, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    def broken(*arguments: object, **how: object) -> None:
        raise CannotSucceed("its plan cannot be read")

    working.rules(RULES % 104)
    working.index(make.instance())
    (job,) = working.close()
    with monkeypatch.context() as patch:
        if asked == "hold":
            patch.setattr(jobs, "start", broken)
        patch.setattr(jobs, asked, gone)
        assert working.runner().step(job, 0) == Outcome("again", 5.0)
    assert working.jobs() == {job: "queued"}
    assert working.run(job) == DONE
