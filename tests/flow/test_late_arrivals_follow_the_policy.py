"""Instances that come after their series was complete: rerun, delta, hold, ignore."""

from __future__ import annotations

import nibabel
import pytest

from node.cli.act import act
from tests import make
from tests.flow.nodes import Site
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
        ("ignore", {"delivered": 3, "ignored": 2}, [3]),
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


def slices(site: Site) -> list[int]:
    """Slices of each volume in the folder."""
    return sorted(nibabel.load(path).shape[2] for path in (site.folder / "out").rglob("*.nii.gz"))
