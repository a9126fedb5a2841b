"""kill -9 of the whole process at every named point there is; then the node starts again and goes on."""

from __future__ import annotations

from collections import Counter

import pytest

from node.deliver.recording import at_once
from tests import make
from tests.flow.nodes import Site, send_until_cut
from tests.peers import Instance, Recorder, send

RULES = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: deidentified, retry: {first: 1s}}
  share: {folder: ./out, accepts: deidentified, layout: "{PatientID}"}
routes:
  - name: research-ct
    when: {Modality: CT, called_ae: RESEARCH}
    steps: [anonymize, {forward: archive}, nifti, {forward: {to: share, what: [nifti]}}]
"""
IMAGES = 3

WHILE_RECEIVING = [
    ("instance begun", 2), ("instance written", 2), ("instance synced", 2), ("instance handed on", 2),
    ("before the answer", 2), ("instance visible", 1), ("before the rows", 1), ("after the rows", 1),
]  # fmt: skip
AFTERWARDS = [
    ("unit complete", 1), ("unit closed", 1),
    ("step 0 begins", 1), ("step 0 made its files", 1), ("step 1 begins", 1), ("step 1 made its files", 1),
    ("step 2 begins", 1), ("step 2 made its files", 1), ("step 3 begins", 1), ("step 3 made its files", 1),
    ("job ends", 1), ("delivery begins", 1), ("delivery answered", 2), ("delivery recorded", 2),
    ("delivery answered", IMAGES + 1),  # the volume is in the folder, and not in the books
]  # fmt: skip
SHORT: dict[str, set[tuple[str, int]]] = {
    # Each of these leaves something else half done; the others lie between two of them.
    "sqlite": {
        ("before the answer", 2), ("unit closed", 1), ("step 1 made its files", 1),
        ("delivery answered", IMAGES + 1), ("delivery recorded", 2),
    },
    "postgresql": set(),
}  # fmt: skip
"""What is tried in the short run. Behind the sync, the fault matrix kills; on PostgreSQL, the story of two nodes."""


def cases() -> list[object]:
    return [
        pytest.param(
            database, kill,
            id=f"{database}-{kill[0]} {kill[1]}", marks=[] if kill in SHORT[database] else [pytest.mark.full],
        )
        for database in ("sqlite", "postgresql")
        for kill in WHILE_RECEIVING + AFTERWARDS
    ]  # fmt: skip


@pytest.mark.parametrize(("database", "kill"), cases())
def test_kill_at_every_point_loses_nothing(
    request: pytest.FixtureRequest, database: str, kill: tuple[str, int]
) -> None:
    site: Site = request.getfixturevalue(f"{database}_site")
    series = [Instance.of(one) for one in make.ct_series(IMAGES, rows=64, columns=64)]
    with Recorder() as archive:
        site.rules(RULES, port=archive.port)
        with site.process(kill=kill) as node:
            acknowledged = send_until_cut(node.port, series, called_ae="RESEARCH")
            node.wait_for_death()
            before = node.points()
        # What was safe and not yet answered is there twice in the end: once kept, once sent again.
        kept = IMAGES + len(site.safe()) - len(acknowledged)
        with site.process() as node:
            again = [one for one in series if one not in acknowledged]
            assert send_until_cut(node.port, again, called_ae="RESEARCH") == again
            states = site.settled(kept)
            site.wait(lambda: len(site.spooled()) == IMAGES, why="what was sent twice is not stored once")
            after = node.points()
        spooled = sorted(site.spooled().values())

    assert kill[0] in before
    assert kept - IMAGES in unanswered(kill)
    assert states == {"delivered": IMAGES} | ({"duplicate": kept - IMAGES} if kept > IMAGES else {})
    assert spooled == sorted(one.data for one in series)

    sent = Counter(archive.uids)
    assert len(sent) == IMAGES
    in_flight = 1 if kill[0].startswith(("delivery", "step", "job ends")) else 0
    assert sum(sent.values()) <= IMAGES + in_flight
    assert len(list((site.folder / "out").rglob("*.nii.gz"))) == 1

    told = site.story(make.uid("study", "series"))
    assert {(i["calling_ae"], i["called_ae"], i["sender"]) for i in told["instances"]} == {
        ("SENDER", "RESEARCH", "127.0.0.1")
    }
    assert_finished_steps_ran_once(before, after)


@pytest.mark.full
def test_kill_in_a_long_delivery_repeats_no_more_than_may_be_under_way(sqlite_site: Site) -> None:
    """Answers of many instances are recorded in groups: the next ones are sent while the disk takes them."""
    site, many = sqlite_site, 100
    series = [Instance.of(one) for one in make.ct_series(many, rows=16, columns=16)]
    with Recorder() as archive:
        site.rules(RULES, port=archive.port)
        with site.process(kill=("delivery answered", many // 2)) as node:
            assert send_until_cut(node.port, series, called_ae="RESEARCH") == series
            node.wait_for_death()
        with site.process():
            assert site.settled(many) == {"delivered": many}
    sent = Counter(archive.uids)
    assert len(sent) == many
    assert sum(sent.values()) <= many + at_once(many)
    assert set(sent.values()) <= {1, 2}


def unanswered(kill: tuple[str, int]) -> set[int]:
    """How many instances may be kept and not answered when the process dies."""
    if kill[0] in ("instance synced", "instance handed on", "before the answer"):
        return {1}
    # Instances are shown and rows written beside the association, in whatever moment it is.
    return {0, 1} if kill[0] in ("instance visible", "before the rows", "after the rows") else {0}


def assert_finished_steps_ran_once(before: list[str], after: list[str]) -> None:
    """The interrupted step is begun again, and none before it: its result was stored."""
    begun = [point for point in before if point.endswith("begins") and point.startswith("step")]
    for finished in begun[:-1]:
        assert finished not in after


def test_kill_while_retention_removes_loses_only_what_was_over(sqlite_site: Site) -> None:
    site, series = sqlite_site, make.ct_series(IMAGES, rows=64, columns=64)
    with Recorder() as archive:
        site.rules(RULES, port=archive.port, node="keep: {received: 0s, finished: 0s}")
        with site.process() as node:
            send(node.port, series, called_ae="RESEARCH")
            send(node.port, make.ct_series(1, rows=64, columns=64, series="unrouted"), called_ae="NODE")
            assert site.settled(IMAGES + 1) == {"delivered": IMAGES, "unrouted": 1}
        with site.process(kill=("retention forgot", 1)) as node:
            node.wait_for_death()
        # The rows forgot their files first, so none names a file that is gone.
        assert site.settled(IMAGES + 1) == {"delivered": IMAGES, "unrouted": 1}
        paths = [path for (path,) in site.rows("SELECT path FROM node_receipt WHERE path IS NOT NULL")]
        assert len(paths) == 1
        assert all((site.data / "spool" / path).exists() for path in paths)
        with site.running() as again:
            again.service.retention.once()
            # What no route took stays; the rest is gone, and the tombstones keep the ledger balanced.
            assert len(site.spooled()) == 1
            assert site.settled(IMAGES + 1) == {"delivered": IMAGES, "unrouted": 1}
    assert len(archive.uids) == IMAGES
