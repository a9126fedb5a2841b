"""The same SOP Instance UID again: the same bytes, the same content encoded otherwise, or another content."""

from __future__ import annotations

import copy

import pytest
from pydicom.uid import ImplicitVRLittleEndian

from node.cli.act import act
from tests import make
from tests.flow.nodes import Site
from tests.peers import Recorder, send

RULES = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: identified}
routes:
  - {name: all, when: always, steps: [{forward: archive}]}
"""


def test_the_same_content_again_is_counted_and_not_processed(site: Site) -> None:
    series = make.ct_series(2, rows=64, columns=64)
    otherwise = copy.deepcopy(series[0])
    otherwise.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    with Recorder() as archive:
        site.rules(RULES, port=archive.port)
        with site.running() as node:
            send(node.port, series)
            assert site.settled(2) == {"delivered": 2}
            assert send(node.port, [*series, otherwise]) == [0x0000] * 3
            assert site.settled(5) == {"delivered": 2, "duplicate": 3}
    assert len(archive.uids) == 2
    reasons = {i["reason"] for i in site.story(series[0].SOPInstanceUID)["instances"]}
    assert reasons == {"", "same bytes", "same content, encoded otherwise"}


@pytest.mark.parametrize(
    ("policy", "states", "descriptions"),
    [
        ("newest", {"delivered": 2, "superseded": 1}, ["as first sent", "as first sent", "corrected"]),
        pytest.param(
            "first", {"delivered": 2, "superseded": 1}, ["as first sent", "as first sent"], marks=pytest.mark.full
        ),
        ("hold", {"delivered": 2, "held": 1}, ["as first sent", "as first sent"]),
    ],
)
def test_another_content_follows_the_policy(
    site: Site, policy: str, states: dict[str, int], descriptions: list[str]
) -> None:
    series = make.ct_series(2, rows=64, columns=64)
    for one in series:
        one.SeriesDescription = "as first sent"
    corrected = copy.deepcopy(series[1])
    corrected.SeriesDescription = "corrected"
    with Recorder() as archive:
        site.rules(RULES, port=archive.port, node=f"duplicates: {policy}")
        with site.running() as node:
            send(node.port, series)
            assert site.settled(2) == {"delivered": 2}
            send(node.port, [corrected])
            assert site.settled(3) == states
            assert sorted(one.dataset().SeriesDescription for one in archive.received) == descriptions
            if policy == "hold":
                assert "(0008,103E) Series Description" in site.held()[0]["reason"]
                assert act("release", corrected.SOPInstanceUID, site.path, as_json=False) == 0
                assert site.settled(3) == {"delivered": 2, "superseded": 1}
                assert archive.received[-1].dataset().SeriesDescription == "corrected"
    # Both files are kept, whichever was chosen.
    assert len(site.spooled()) == 3
