"""What a structure set refers to, as far as it has come: told apart by what is still to be waited for."""

from __future__ import annotations

import sqlalchemy as sa
from pydicom.dataset import Dataset, FileDataset

from node.index.referenced import Referred, referred_by
from node.index.schema import receipt
from tests import make
from tests.contouring import Path, square, structure_set
from tests.kit import Kit

RULES = "routes: [{name: all, when: always, steps: [drop]}]"
IMAGES = make.ct_series(3)


def a_set(images: list[FileDataset] = IMAGES) -> FileDataset:
    return structure_set(images, {"a": [Path(k=0, corners=square(1, 5))]})


def referred(kit: Kit, *instances: Dataset) -> Referred:
    """What these refer to, of whom one is a structure set."""
    receipts = kit.index(*instances)
    with kit.database.reader.connect() as connection:
        (found,) = referred_by(connection, receipts)
    return found


def test_a_series_that_is_complete_has_come_with_the_files_of_its_instances(kit: Kit) -> None:
    kit.rules(RULES)
    images = kit.index(*IMAGES)
    kit.close()
    found = referred(kit, a_set())
    assert found.missing == ""
    assert sorted(found.came) == sorted(images)
    assert all(kit.spool.where(path).is_file() for path in found.came.values())


def test_one_that_still_comes_is_not_complete(kit: Kit) -> None:
    kit.rules(RULES)
    kit.index(*IMAGES)
    assert referred(kit, a_set()).missing == "the series that it refers to is not complete yet"


def test_one_that_came_to_another_ae_title_has_not_come(kit: Kit) -> None:
    kit.rules(RULES)
    kit.index(*IMAGES, called="RESEARCH")
    kit.close()
    assert referred(kit, a_set()).missing == "the series that it refers to has not come"


def test_every_instance_that_is_named_must_be_there(kit: Kit) -> None:
    kit.rules(RULES)
    kit.index(*IMAGES[:2])
    kit.close()
    found = referred(kit, a_set())
    assert (found.missing, found.came) == ("1 of 3 images that it refers to have not come", {})


def test_a_series_in_another_study_than_is_said_is_not_taken(kit: Kit) -> None:
    kit.rules(RULES)
    kit.index(*IMAGES)
    kit.close()
    ds = a_set()
    frame = ds.ReferencedFrameOfReferenceSequence[0]
    frame.RTReferencedStudySequence[0].ReferencedSOPInstanceUID = make.uid("another study")
    assert referred(kit, ds).missing == "the series that it refers to came in another study than it says"


def test_files_that_retention_removed_are_missed(kit: Kit) -> None:
    kit.rules(RULES)
    first, *_ = kit.index(*IMAGES)
    kit.close()
    kit.write(sa.update(receipt).where(receipt.c.id == first).values(path=None))
    assert referred(kit, a_set()).missing == "1 images that it refers to are no longer in the spool (keep: received)"


def test_one_that_names_no_series_waits_for_nothing_and_says_so(kit: Kit) -> None:
    ds = a_set()
    del ds.ReferencedFrameOfReferenceSequence
    assert referred(kit, ds, *IMAGES).missing == "it names no series that it was drawn on"


def test_images_refer_to_nothing(kit: Kit) -> None:
    receipts = kit.index(*IMAGES)
    with kit.database.reader.connect() as connection:
        assert referred_by(connection, receipts) == []
