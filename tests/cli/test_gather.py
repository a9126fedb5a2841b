"""Files become the units that a node would make of them, wherever they lie."""

from __future__ import annotations

import shutil
from pathlib import Path

import pydicom
import pytest

from node.cli.gather import Gathered, batch_of, gather
from node.dicom.uids import MEDIA_STORAGE_DIRECTORY
from node.model import UnitKind
from tests import make


def gathered(folder: Path, kind: UnitKind = UnitKind.SERIES) -> Gathered:
    return gather(sorted(path for path in folder.rglob("*") if path.is_file()), kind)


def names(found: Gathered) -> list[list[str]]:
    return [[one.path.name for one in unit.members] for unit in found.units]


@pytest.mark.parametrize(
    ("kind", "together"),
    [
        (UnitKind.STUDY, [["a1.dcm", "a2.dcm", "b1.dcm"], ["c1.dcm"]]),
        (UnitKind.SERIES, [["a1.dcm", "a2.dcm"], ["b1.dcm"], ["c1.dcm"]]),
        (UnitKind.INSTANCE, [["a1.dcm"], ["a2.dcm"], ["b1.dcm"], ["c1.dcm"]]),
    ],
)
def test_files_are_sorted_into_units_of_the_kind(kind: UnitKind, together: list[list[str]], tmp_path: Path) -> None:
    for place, study, series, number in (
        ("x/a1", "one", "a", 1), ("y/a2", "one", "a", 2), ("y/b1", "one", "b", 1), ("y/c1", "two", "a", 1),
    ):  # fmt: skip
        make.write(make.instance(study=study, series=series, number=number), tmp_path / f"{place}.dcm")
    found = gathered(tmp_path, kind)
    assert names(found) == together
    assert (found.held, found.duplicates) == ((), ())


def test_an_instance_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    first = make.write(make.instance(), tmp_path / "a.dcm")
    second = tmp_path / "b.dcm"
    shutil.copyfile(first, second)
    found = gathered(tmp_path)
    assert names(found) == [["a.dcm"]]
    assert found.duplicates == ((second, first),)


def test_one_sop_instance_uid_with_two_contents_is_held_the_second_time(tmp_path: Path) -> None:
    first, other = make.write(make.instance(), tmp_path / "a.dcm"), make.instance()
    other.ImageComments = "other"
    other.SeriesInstanceUID = make.uid("another series")
    second = make.write(other, tmp_path / "b.dcm")
    found = gathered(tmp_path)
    assert names(found) == [["a.dcm"]]
    assert found.held == ((second, f"it has the SOP Instance UID of {first}, and other content"),)


def test_what_is_no_instance_is_held_and_a_dicomdir_is_passed_over(tmp_path: Path) -> None:
    make.write(make.instance(MEDIA_STORAGE_DIRECTORY, number=3), tmp_path / "DICOMDIR")
    make.write(make.instance(), tmp_path / "IMAGE")
    (tmp_path / "notes.txt").write_text("no image")
    no_series = make.instance(number=2)
    del no_series.SeriesInstanceUID
    make.write(no_series, tmp_path / "no_series.dcm")
    found = gathered(tmp_path)
    assert names(found) == [["IMAGE"]]
    assert [(path.name, reason) for path, reason in found.held] == [
        ("no_series.dcm", "(0020,000E) Series Instance UID is missing"), ("notes.txt", "not DICOM"),
    ]  # fmt: skip


def test_the_batch_has_copies_under_receipts_with_file_meta(tmp_path: Path) -> None:
    ds = make.instance()
    path = tmp_path / "in" / "Doe^John.dcm"
    path.parent.mkdir()
    ds.save_as(path, enforce_file_format=False, implicit_vr=False, little_endian=True)
    (unit,) = gathered(tmp_path / "in").units
    (item,) = batch_of(unit, tmp_path).items
    assert item.path == tmp_path / f"{unit.members[0].receipt}.dcm"
    assert item.sources == (unit.members[0].receipt,)
    assert pydicom.dcmread(item.path).SOPInstanceUID == ds.SOPInstanceUID
