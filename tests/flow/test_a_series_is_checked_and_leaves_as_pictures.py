"""A series that fits together leaves as pictures and a report; one with a slice missing waits for a person."""

from __future__ import annotations

import json

import imagecodecs

from tests import make
from tests.flow.nodes import Site
from tests.peers import send

RULES = """
destinations:
  share: {folder: ./out, accepts: deidentified, layout: "{Modality}"}
routes:
  - name: pictures
    when: {Modality: CT}
    steps:
      - anonymize
      - check
      - png: {window: soft_tissue}
      - png: {show: montage, tiles: 4}
      - jpeg: {show: middle, longest: 32}
      - forward: {to: share, what: [image, report]}
"""


def test_a_series_is_checked_and_leaves_as_pictures(sqlite_site: Site) -> None:
    site, good, gap = sqlite_site, make.ct_series(4, rows=64, columns=64), make.ct_series(5, series="gap")
    del gap[2]
    site.rules(RULES)
    with site.running() as node:
        assert send(node.port, [*good, *gap], calling_ae="CT1") == [0x0000] * 8
        assert site.settled(8) == {"delivered": 4, "held": 4}
        reasons = {one["reason"] for one in site.story(gap[0].SeriesInstanceUID)["instances"]}

    everything = sorted(path for path in (site.folder / "out").rglob("*") if path.is_file())
    out = [path for path in everything if not path.name.startswith("certificate-")]
    kinds = sorted(path.name.split("_", 3)[-1].split("_")[0] for path in out if "_0" not in path.name[10:])
    assert kinds == ["check.json", "middle.jpg", "montage.png"]
    pictures = [path for path in out if path.suffix == ".png"]
    assert len(pictures) == 5
    assert all(imagecodecs.png_decode(path.read_bytes()).ndim == 2 for path in pictures)
    (report,) = [json.loads(path.read_text()) for path in out if path.suffix == ".json"]
    assert report["consistent"]
    assert report["stacks"][0]["distance_mm"] == 2.5
    assert all("missing_position: missing slices: 1" in reason for reason in reasons), reasons

    left = b"".join(path.read_bytes() + str(path.relative_to(site.folder)).encode() for path in everything)
    first = good[0]
    for text in ("Invented", "T-0001", "A0001", first.StudyInstanceUID, first.SeriesInstanceUID, first.SOPInstanceUID):
        assert text.encode() not in left
