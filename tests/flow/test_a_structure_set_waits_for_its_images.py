"""A structure set comes first, the node is stopped and started, the images come later and from another sender: the
masks are made all the same, de-identified, and once."""

from __future__ import annotations

import json

import nibabel
import numpy as np

from tests import make
from tests.contouring import Path, disc, even_odd, structure_set
from tests.flow.nodes import Site
from tests.peers import send

RULES = """
destinations: {share: {folder: ./out, accepts: deidentified}}
routes:
  - name: masks
    when: {Modality: RTSTRUCT}
    steps: [anonymize, masks, {forward: {to: share, what: [mask, report]}}]
  - {name: images, when: {Modality: CT}, steps: [drop]}
"""
SHAPE = (40, 50)
HEART = disc(20.2, 15.4, 8.3)


def test_a_structure_set_waits_for_its_images(site: Site) -> None:
    images = make.ct_series(4, rows=SHAPE[0], columns=SHAPE[1])
    structures = structure_set(images, {"Heart": [Path(k=2, corners=HEART)]})
    site.rules(RULES)

    def waits() -> bool:
        return "waits: masks: the series that it refers to has not come" in notes()

    def notes() -> list[str]:
        if not site.counts():  # its row follows the answer to its sender
            return []
        units = site.story(structures.SOPInstanceUID)["units"]
        return [line["text"] for unit in units for job in unit["jobs"] for line in job["history"]]

    with site.running() as node:
        assert send(node.port, [structures], calling_ae="TPS") == [0x0000]
        site.wait(waits, why="the job says what it waits for")
    with site.running() as node:
        assert send(node.port, images, calling_ae="CT1") == [0x0000] * 4
        assert site.settled(5, deadline=40) == {"delivered": 1, "dropped": 4}

    (mask,) = (site.folder / "out").rglob("*.nii.gz")
    got = np.asarray(nibabel.load(mask).dataobj).transpose(2, 1, 0)
    assert np.array_equal(got[2], even_odd([HEART], SHAPE))
    (report,) = (site.folder / "out").rglob("*.report.json")
    assert json.loads(report.read_text())["regions"][0]["voxels"] == int(got.sum())
    assert images[0].SeriesInstanceUID not in report.read_text()
    assert notes().count("waits: masks: the series that it refers to has not come") == 1
