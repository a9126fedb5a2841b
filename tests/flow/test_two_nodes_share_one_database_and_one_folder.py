"""Two node processes on one PostgreSQL and one data folder: what one leaves the other finishes."""

from __future__ import annotations

from collections import Counter

import pytest
from pydicom.dataset import FileDataset

from tests import make
from tests.flow.nodes import Site, send_until_cut, wait_until
from tests.peers import Instance, Recorder, send

RULES = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: deidentified, retry: {first: 1s}}
  share: {folder: ./out, accepts: deidentified}
routes:
  - name: research
    when: always
    steps: [anonymize, {forward: archive}, nifti, {forward: {to: share, what: [nifti]}}]
"""


@pytest.mark.parametrize(
    "point",
    [
        "step 0 made its files",
        pytest.param("step 2 begins", marks=pytest.mark.full),
        pytest.param("delivery answered", marks=pytest.mark.full),
    ],
)
def test_kill_one_and_the_other_goes_on_at_the_interrupted_step(postgresql_site: Site, point: str) -> None:
    site, series = postgresql_site, make.ct_series(4, rows=64, columns=64)
    with Recorder() as archive:
        # Quiet for longer than a busy machine needs between two instances: a second job would begin at the beginning.
        site.rules(RULES + "complete: {series: {quiet: 3s}, study: {quiet: 3s}}\n", port=archive.port)
        # The second starts when the first has died with the job in its hands: it has no part in it before.
        with site.process(kill=(point, 1)) as dying:
            send(dying.port, series)
            dying.wait_for_death()
            with site.process() as other:
                assert site.settled(4) == {"delivered": 4}
                after = other.points()
                before = dying.points()
    interrupted = before[-1] if before[-1].startswith("step") else None
    for finished in ("step 0 begins", "step 1 begins", "step 2 begins"):
        if interrupted is not None and finished in before and finished[:6] < interrupted[:6]:
            assert finished not in after
    sent = Counter(archive.uids)
    assert len(sent) == 4
    assert sum(sent.values()) <= 4 + (point == "delivery answered")
    assert len(list((site.folder / "out").rglob("*.nii.gz"))) == 1


@pytest.mark.full
def test_the_living_one_takes_over_while_it_works_itself(postgresql_site: Site) -> None:
    """Both live when one is killed in the middle of a step; nobody starts anything again."""
    site = postgresql_site
    with Recorder() as archive:
        site.rules(RULES, port=archive.port)
        with site.process(kill=("step 2 begins", 1)) as dying, site.process() as living:
            for number in range(6):
                if not dying.lives:
                    break
                # Whichever of the two gets the job; sooner or later it is the one that dies.
                send_until_cut(living.port, [Instance.of(one) for one in series(number)])
            dying.wait_for_death()
            count = len(site.rows("SELECT id FROM node_receipt"))
            assert site.settled(count) == {"delivered": count}
            assert len(list((site.folder / "out").rglob("*.nii.gz"))) == count // 2
            points = Counter(dying.points())
    assert len(set(archive.uids)) == count
    # Of other jobs, when it died: each of its deliveries may have had one instance in flight.
    assert len(archive.uids) <= count + points["delivery begins"]


def series(number: int) -> list[FileDataset]:
    return make.ct_series(2, rows=64, columns=64, study=f"study {number}", series=f"series {number}")


@pytest.mark.full
def test_what_the_dead_one_acknowledged_is_indexed_by_the_living_one(postgresql_site: Site) -> None:
    site, sent = postgresql_site, [Instance.of(one) for one in make.ct_series(3, rows=64, columns=64)]
    with Recorder() as archive:
        site.rules(RULES, port=archive.port)
        with site.process() as living, site.process(kill=("before the rows", 1)) as dying:
            acknowledged = send_until_cut(dying.port, sent)
            dying.wait_for_death()
            rest = [one for one in sent if one not in acknowledged]
            assert send_until_cut(living.port, rest) == rest
            wait_until(lambda: site.ledger().acknowledged >= 3)
            # What was on its way when the process died may have been kept and not answered.
            kept = len(site.spooled())
            states = site.settled(kept)
    assert states == {"delivered": 3} | ({"duplicate": kept - 3} if kept > 3 else {})
    assert {one.data for one in sent} == set(site.spooled().values())


@pytest.mark.full
def test_a_study_that_is_sent_half_to_each_is_one_unit_and_one_job(postgresql_site: Site) -> None:
    site, sent = postgresql_site, make.ct_series(4, rows=64, columns=64)
    with Recorder() as archive:
        site.rules(RULES.replace("when: always", "when: always\n    unit: study"), port=archive.port)
        with site.process() as one, site.process() as two:
            for number, instance in enumerate(sent):
                send((one, two)[number % 2].port, [instance])
            assert site.settled(4) == {"delivered": 4}
    study = next(u for u in site.story(make.uid("study"))["units"] if u["kind"] == "study")
    assert study["generation"] == 1
    assert [c["count"] for c in study["completions"]] == [4]
    assert len(study["jobs"]) == 1
    assert len(archive.uids) == len(set(archive.uids)) == 4
