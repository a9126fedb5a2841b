"""`needs: referenced`: a job waits for what its instances refer to, across associations, then goes on or is held."""

from __future__ import annotations

import json
from pathlib import Path as File

import nibabel
import numpy as np
import pytest
import sqlalchemy as sa
from pydicom import dcmread
from pydicom.dataset import FileDataset

from node.index.schema import history, job
from tests import make
from tests.contouring import Path, disc, even_odd, structure_set
from tests.kit import Kit

SHAPE = (40, 50)
HEART = disc(20.2, 15.4, 8.3)
IMAGES = make.ct_series(4, rows=SHAPE[0], columns=SHAPE[1])

RULES = """
routes: [{{name: masks, when: {{Modality: RTSTRUCT}}, steps: [{steps}]}}]
"""


def a_set(images: list[FileDataset] = IMAGES) -> FileDataset:
    return structure_set(images, {"Heart": [Path(k=2, corners=HEART)]})


def queued(kit: Kit, steps: str = "masks") -> str:
    """The job of a structure set whose images have not come."""
    kit.rules(RULES.format(steps=steps))
    kit.index(a_set())
    (key,) = kit.close()
    return key


def bring_images(kit: Kit) -> None:
    kit.index(*IMAGES, calling="CT2")
    kit.close()


def notes(kit: Kit, key: str) -> list[str]:
    return [row["text"] for row in kit.rows(history, history.c.subject == key, history.c.what == "note")]


def older(kit: Kit, key: str, seconds: float) -> None:
    kit.write(sa.update(job).where(job.c.id == key).values(created=job.c.created - seconds))


def made(kit: Kit, ending: str) -> list[File]:
    return sorted(path for path in (kit.data / "work").rglob(f"*{ending}") if "masks" in path.parent.name)


def test_images_that_come_in_another_association_are_waited_for(working: Kit) -> None:
    key = queued(working)
    outcome = working.run(key)
    assert (outcome.verdict, outcome.after) == ("again", 2.0)
    working.run(key)
    assert notes(working, key) == ["waits: masks: the series that it refers to has not come"], "said once"
    working.index(*IMAGES, calling="CT2")
    assert working.run(key).verdict == "again", "not complete yet"
    working.close()
    assert working.run(key).verdict == "done"
    (mask,) = made(working, "_Heart.nii.gz")
    got = np.asarray(nibabel.load(mask).dataobj).transpose(2, 1, 0)
    assert np.array_equal(got[2], even_odd([HEART], SHAPE))
    assert working.jobs()[key] == "done"
    assert working.balance() == {"produced": 1, "unrouted": 4}


def test_the_longer_it_waits_the_less_often_it_looks(working: Kit) -> None:
    key = queued(working)
    older(working, key, 100)
    assert working.run(key).after == pytest.approx(10, abs=1)
    older(working, key, 3600)
    assert working.run(key).after == 60.0


def test_what_does_not_come_is_held_and_goes_on_when_it_came_and_a_person_says_so(working: Kit) -> None:
    key = queued(working, "{masks: {wait: 1h}}")
    older(working, key, 3601)
    assert working.run(key).verdict == "done"
    assert working.reasons(key) == {"masks: the series that it refers to has not come"}
    assert working.balance() == {"held": 1}
    bring_images(working)
    working.acts().retry(key)
    assert working.run(key).verdict == "done"
    assert len(made(working, "_Heart.nii.gz")) == 1
    assert working.balance() == {"produced": 1, "unrouted": 4}


def test_after_anonymize_the_images_are_anonymized_too(working: Kit) -> None:
    """Else a segmentation would take the patient from them, and a report would name what was renamed."""
    pytest.importorskip("highdicom")
    key = queued(working, "anonymize, {masks: {write: [masks, seg]}}")
    bring_images(working)
    assert working.run(key).verdict == "done"
    assert working.reasons(key) == set()
    (seg,) = made(working, ".dcm")
    ds = dcmread(seg)
    assert ds.PatientIdentityRemoved == "YES"
    text = seg.read_bytes()
    for secret in ("Invented", "T-0001", IMAGES[0].SOPInstanceUID, IMAGES[0].SeriesInstanceUID):
        assert secret.encode() not in text
    (report,) = made(working, ".json")
    referenced = json.loads(report.read_text())["referenced_series_instance_uid"]
    assert referenced == ds.ReferencedSeriesSequence[0].SeriesInstanceUID
    assert referenced != IMAGES[0].SeriesInstanceUID


def test_names_of_regions_last_through_anonymize_where_its_recipe_keeps_them(working: Kit) -> None:
    (working.data / "keep.dicom").write_text("FORMAT dicom\n%header\nKEEP ROIName\n")
    key = queued(working, "{anonymize: {recipe: keep.dicom}}, {masks: {rois: {heart: heart}}}")
    bring_images(working)
    assert working.run(key).verdict == "done"
    assert [path.name.partition("_")[2][-len("heart.nii.gz") :] for path in made(working, ".nii.gz")] == [
        "heart.nii.gz"
    ]


def test_without_that_they_are_empty_and_nothing_fits(working: Kit) -> None:
    key = queued(working, "anonymize, {masks: {rois: {heart: heart}}}")
    bring_images(working)
    working.run(key)
    assert working.reasons(key) == {"masks: no region has a name that `rois` asks for"}


def test_images_that_an_earlier_step_holds_hold_the_set(working: Kit) -> None:
    key = queued(working, "anonymize, masks")
    burned = make.ct_series(4, rows=SHAPE[0], columns=SHAPE[1])
    burned[1].BurnedInAnnotation = "YES"
    working.index(*burned)
    working.close()
    working.run(key)
    (reason,) = working.reasons(key)
    assert reason.startswith("masks: 1 of 4 images that it refers to were held. The first one: anonymize: ")


def test_images_in_the_unit_are_not_looked_up(working: Kit) -> None:
    working.rules(RULES.format(steps="masks").replace("name: masks,", "name: masks, unit: study,"))
    working.index(*IMAGES, a_set())
    (key,) = working.close()
    assert working.run(key).verdict == "done"
    assert len(made(working, "_Heart.nii.gz")) == 1
    assert working.balance() == {"produced": 5}
