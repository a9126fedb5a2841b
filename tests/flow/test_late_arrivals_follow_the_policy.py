"""Instances that come after their series was complete: rerun, delta, hold, ignore."""

from __future__ import annotations

import copy

import nibabel
import pytest

from node.cli.act import act
from tests import make
from tests.flow.nodes import Site, wait_until
from tests.peers import Recorder, send

RULES = """
complete: {series: {quiet: 500ms}, study: {quiet: 500ms}, late: $late}
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: deidentified}
  share: {folder: ./out, accepts: deidentified, layout: volumes}
routes:
  - name: research
    when: always
    steps: [anonymize, {forward: archive}, nifti, {forward: {to: share, what: [nifti]}}]
"""


@pytest.mark.parametrize(
    ("late", "states", "volumes"),
    [
        # The volume is made again of all slices and takes the place of the one before.
        ("rerun", {"delivered": 5}, [5]),
        # The late ones make a volume of their own, beside the first.
        ("delta", {"delivered": 5}, [2, 3]),
        ("hold", {"delivered": 3, "held": 2}, [3]),
        pytest.param("ignore", {"delivered": 3, "ignored": 2}, [3], marks=pytest.mark.full),
    ],
)
def test_late_arrivals_follow_the_policy(site: Site, late: str, states: dict[str, int], volumes: list[int]) -> None:
    series = make.ct_series(5, rows=64, columns=64)
    with Recorder() as archive:
        site.rules(RULES, port=archive.port, late=late)
        with site.running() as node:
            send(node.port, series[:3])
            assert site.settled(3) == {"delivered": 3}
            send(node.port, series[3:])
            assert site.settled(5) == states
            assert slices(site) == volumes
            if late == "hold":
                # A person lets them go on after all.
                assert act("release", make.uid("study", "series"), site.path, as_json=False) == 0
                assert site.settled(5) == {"delivered": 5}
    unit = next(u for u in site.story(make.uid("study", "series"))["units"] if u["kind"] == "series")
    assert unit["generation"] == 2

    # Whatever was worked on again, nothing is sent twice with the same content.
    assert len(archive.uids) == len(set(archive.uids)) == (3 if late == "ignore" else 5)


BOTH = """
complete: {series: {quiet: 500ms}, study: {quiet: 500ms}, late: $late}
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: identified}
  share: {folder: ./out, accepts: identified, layout: all}
routes:
  - {name: all, when: always, steps: [{forward: archive}, {forward: share}]}
"""


@pytest.mark.parametrize(
    ("late", "states", "brought"),
    [
        ("rerun", {"delivered": 3, "superseded": 1}, 3),
        pytest.param("delta", {"delivered": 3, "superseded": 1}, 3, marks=pytest.mark.full),
        pytest.param("hold", {"delivered": 1, "held": 2, "superseded": 1}, 2, marks=pytest.mark.full),
        pytest.param("ignore", {"delivered": 1, "ignored": 2, "superseded": 1}, 2, marks=pytest.mark.full),
    ],
)
def test_a_newer_one_and_a_new_one_after_completion_are_late_arrivals(
    site: Site, late: str, states: dict[str, int], brought: int
) -> None:
    """What had been brought is not brought again, neither to the archive nor into the folder."""
    series = make.ct_series(3, rows=64, columns=64)
    corrected = copy.deepcopy(series[0])
    corrected.SeriesDescription = "corrected"
    folder = site.folder / "out" / "all"
    with Recorder() as archive:
        site.rules(BOTH, port=archive.port, late=late)
        with site.running() as node:
            send(node.port, series[:2])
            assert site.settled(2) == {"delivered": 2}
            before = folder / f"{series[1].SOPInstanceUID}.dcm"
            untouched = before.stat().st_ino, before.stat().st_mtime_ns
            send(node.port, [corrected, series[2]])
            assert site.settled(4) == states
    assert (before.stat().st_ino, before.stat().st_mtime_ns) == untouched
    assert len(list(folder.iterdir())) == brought
    newest = (folder / f"{corrected.SOPInstanceUID}.dcm").read_bytes()
    assert (b"corrected" in newest) is (late in ("rerun", "delta"))
    sent = [(one.sop_instance, one.data) for one in archive.received]
    assert len(sent) == len(set(sent)) == (4 if late in ("rerun", "delta") else 2)


TO_THE_ARCHIVE = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: identified}
routes:
  - {name: all, when: always, steps: [{forward: archive}]}
"""


@pytest.mark.full
def test_a_rerun_waits_for_what_the_first_run_has_in_flight(site: Site) -> None:
    """The archive takes a second for each; the series changes while its first instances are on the way there."""
    series = make.ct_series(3, rows=64, columns=64)
    corrected = copy.deepcopy(series[0])
    corrected.SeriesDescription = "corrected"
    with Recorder(delay=1.0) as archive:
        site.rules(TO_THE_ARCHIVE, port=archive.port)
        with site.running() as node:
            send(node.port, series[:2])
            wait_until(lambda: archive.associations)
            send(node.port, [corrected, series[2]])
            assert site.settled(4) == {"delivered": 3, "superseded": 1}
    sent = [(one.sop_instance, one.data) for one in archive.received]
    assert len(sent) == len(set(sent)), "the same content twice"
    last = dict(sent)
    assert len(last) == 3
    assert b"corrected" in last[corrected.SOPInstanceUID]


def slices(site: Site) -> list[int]:
    """Slices of each volume in the folder."""
    return sorted(nibabel.load(path).shape[2] for path in (site.folder / "out").rglob("*.nii.gz"))
