"""One association, three routes, three kinds of units: each works on what it asked for."""

from __future__ import annotations

from collections import Counter

from pydicom.dataset import FileDataset

from tests import make
from tests.flow.nodes import Site
from tests.peers import Recorder, send

RULES = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: identified}
  share: {folder: ./out, accepts: deidentified}
routes:
  - {name: at-once, unit: instance, when: {Modality: CT}, steps: [{forward: archive}]}
  - {name: per-series, unit: series, when: {Modality: CT}, steps: [anonymize, {forward: share}]}
  - {name: per-study, unit: study, when: {Modality: MR}, steps: [anonymize, {forward: share}]}
"""


def mr_image() -> FileDataset:
    ds = make.instance(make.MR_IMAGE, series="another modality")
    ds.ImageType = ["ORIGINAL", "PRIMARY"]  # else it may be a screen, and waits
    make.set_pixels(ds, make.picture(64, 64))
    return ds


def test_instance_and_study_units(site: Site) -> None:
    sent = [
        *make.ct_series(2, rows=64, columns=64, series="one"),
        *make.ct_series(2, rows=64, columns=64, series="two"),
        mr_image(),
    ]
    with Recorder() as archive:
        site.rules(RULES, port=archive.port)
        with site.running() as node:
            assert send(node.port, sent) == [0x0000] * 5
            assert site.settled(5) == {"delivered": 5}
    assert sorted(archive.uids) == sorted(one.SOPInstanceUID for one in sent[:4])
    jobs = site.rows("SELECT j.route, u.kind FROM node_job j JOIN node_unit u ON u.id = j.unit")
    # The study with an MR image in it goes as a whole, CT and all: any instance satisfies the condition.
    assert Counter((route, kind) for route, kind in jobs) == {
        ("at-once", "instance"): 4, ("per-series", "series"): 2, ("per-study", "study"): 1,
    }  # fmt: skip
    owed = site.rows("SELECT j.route, count(*) FROM node_obligation o JOIN node_job j ON j.id = o.job GROUP BY j.route")
    assert dict(map(tuple, owed)) == {"at-once": 4, "per-series": 4, "per-study": 5}
