"""What a recorder is told is what is in the output, whatever the plan meant."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag

from node.certificate.account import Total, add_up
from node.certificate.actions import Done, Recorder
from node.certificate.actions import Path as TagPath
from node.dicom import dataset
from node.dicom.attributes import tag_of
from node.steps.anonymize import Anonymize
from node.steps.anonymize.instance import Anonymizer, HoldError
from node.steps.anonymize.patients import Patients
from node.steps.anonymize.plan import NO_RULES, Do, compile_plan
from node.steps.anonymize.telling import became
from tests import make
from tests.data import several_real_folders
from tests.steps.anonymize import planted
from tests.steps.anonymize.driver import SECRET, run

Told = tuple[TagPath, Done, bytes | None, bytes | None]


class Listener(Recorder):
    def __init__(self) -> None:
        self.told: list[Told] = []

    def did(self, path: TagPath, action: Done, before: bytes | None = None, after: bytes | None = None) -> None:
        self.told.append((path, action, before, after))

    def of(self, *keywords: str) -> list[Done]:
        path = tuple(tag_of(keyword) for keyword in keywords)
        return [done for told, done, _, _ in self.told if told == path]


def listened(source: Path | FileDataset, tmp_path: Path, *options: str) -> tuple[Listener, FileDataset]:
    """What was told, and the output."""
    if isinstance(source, FileDataset):
        source = make.write(source, tmp_path / "in.dcm")
    listener = Listener()
    target = tmp_path / "out.dcm"
    plan_for = partial(compile_plan, frozenset(options), NO_RULES)
    Anonymizer(plan_for, Patients(SECRET)).anonymize(source, target, listener)
    return listener, dcmread(target)


def paths(ds: Dataset, above: TagPath = ()) -> Counter[TagPath]:
    found: Counter[TagPath] = Counter()
    for element in ds:
        path = (*above, int(element.tag))
        found[path] += 1
        if element.VR == "SQ":
            for item in element.value:
                found.update(paths(item, path))
    return found


def agrees(listener: Listener, before: Dataset, after: FileDataset) -> None:
    """Every attribute of the input is told of once where it is walked, and what stayed is what the output has."""
    told = Counter(path for path, done, _, _ in listener.told if done is not Done.ADDED)
    gone = {path for path, done, _, _ in listener.told if done in (Done.REMOVED, Done.EMPTIED, Done.REPLACED)}
    there = paths(before)
    # Not walked: the items of what went as a whole, and those beyond the first of what one dummy stands for.
    walked = {p: n for p, n in there.items() if not any(p[:depth] in gone for depth in range(1, len(p)))}
    assert {p: n for p, n in told.items() if p in walked} == walked
    stayed = Counter(path for path, done, _, _ in listener.told if done is not Done.REMOVED)
    left = paths(after)
    added = {path for path, done, _, _ in listener.told if done is Done.ADDED}
    left = Counter({p: n for p, n in left.items() if p[0] not in {path[0] for path in added}})
    stayed = Counter({p: n for p, n in stayed.items() if p[0] not in {path[0] for path in added}})
    assert stayed == left


def test_a_plain_series_is_told_of_attribute_by_attribute(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    listener, after = listened(ds, tmp_path)
    agrees(listener, ds, after)
    assert listener.of("PatientName") == listener.of("PatientID") == [Done.REPLACED]
    assert listener.of("SOPInstanceUID") == listener.of("FrameOfReferenceUID") == [Done.UID]
    assert listener.of("StudyDate") == [Done.EMPTIED]
    assert listener.of("StudyDescription") == [Done.REMOVED]
    assert listener.of("PixelData") == listener.of("Rows") == [Done.KEPT]
    assert listener.of("PatientIdentityRemoved") == [Done.ADDED]


def test_the_values_that_are_told_are_those_of_input_and_output(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    listener, after = listened(ds, tmp_path)
    values = {path: (before, told) for path, _, before, told in listener.told}
    assert values[tag_of("SOPInstanceUID"),] == (
        padded(ds.SOPInstanceUID), padded(after.SOPInstanceUID),
    )  # fmt: skip
    assert values[tag_of("StudyDate"),] == (ds.StudyDate.encode(), b"")
    assert values[tag_of("PatientIdentityRemoved"),] == (None, b"YES ")


def padded(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


def test_every_planted_attribute_is_told_of(tmp_path: Path) -> None:
    ds, _ = planted.everywhere()
    for options in ((), ("retain_safe_private", "retain_uids"), ("retain_patient_characteristics",)):
        source = make.write(ds, tmp_path / "in.dcm")
        listener, after = listened(source, tmp_path, *options)
        agrees(listener, dcmread(source), after)


BUNDLED = [
    "693_J2KI", "CT_small", "MR_small", "MR_small_RLE", "MR_small_bigendian", "MR_small_implicit", "MR_small_padded",
    "examples_overlay", "liver_1frame", "liver_expb_1frame", "rtplan", "waveform_ecg",
]  # fmt: skip


@pytest.mark.parametrize("name", BUNDLED)
def test_images_that_pydicom_brings_are_told_of_as_they_come_out(name: str, tmp_path: Path) -> None:
    path = Path(pydicom.data.__file__).parent / "test_files" / f"{name}.dcm"
    listener, after = listened(path, tmp_path)
    with path.open("rb") as file:
        agrees(listener, dataset.read(file), after)


@pytest.mark.parametrize("folder", several_real_folders())
def test_real_images_are_told_of_as_they_come_out(folder: Path, tmp_path: Path) -> None:
    path = sorted(p for p in folder.rglob("*") if p.is_file())[0]
    try:
        listener, after = listened(path, tmp_path)
    except HoldError as held:
        pytest.skip(f"it is held: {held}")
    agrees(listener, dcmread(path), after)


def raw(value: bytes, vr: str | None = "LO", tag: int = 0x00101000) -> RawDataElement:
    return RawDataElement(Tag(tag), vr, len(value), value, 0, vr is None, True)


SEQUENCE, EMPTY_SEQUENCE = (
    DataElement(0x00081140, "SQ", [Dataset()]), DataElement(0x00081140, "SQ", []),
)  # fmt: skip
SAME = raw(b"A ")


@pytest.mark.parametrize(
    ("before", "after", "meant", "done"),
    [
        (SAME, None, Do.KEEP, Done.REMOVED),
        (SAME, SAME, None, Done.KEPT),
        (SAME, raw(b"A "), Do.KEEP, Done.KEPT),
        (SAME, raw(b"B "), Do.KEEP, Done.REPLACED),
        (raw(b""), raw(b""), Do.EMPTY, Done.EMPTIED),
        (SAME, raw(b"B "), Do.EMPTY, Done.REPLACED),
        (SAME, raw(b"A "), Do.DUMMY, Done.REPLACED),
        (SAME, DataElement(0x00101000, "LO", "A"), "A", Done.REPLACED),
        (raw(b"1.2\0", "UI", 0x00080018), raw(b"1.3\0", "UI", 0x00080018), Do.UID, Done.UID),
        (raw(b"1.2\0", None, 0x00080018), raw(b"1.3\0", None, 0x00080018), None, Done.UID),
        (raw(b"1.2\0", "UI", 0x00080018), raw(b"1.2\0", "UI", 0x00080018), Do.DUMMY, Done.KEPT),
        (raw(b"20260101", "DA"), raw(b"20250101", "DA"), Do.SHIFT, Done.SHIFTED),
        (raw(b"20260101", "DA"), raw(b"", "DA"), Do.EMPTY, Done.EMPTIED),
        (raw(b"CT for A", "LO"), raw(b"CT", "LO"), Do.CLEAN, Done.CLEANED),
        (raw(b"CT", "LO"), raw(b"CT", "LO"), Do.CLEAN, Done.KEPT),
        (SAME, raw(b"B "), Do.HASH, Done.HASHED),
        (raw(b""), raw(b""), Do.HASH, Done.KEPT),
        (SEQUENCE, SEQUENCE, Do.CLEAN, Done.KEPT),
        (SEQUENCE, SEQUENCE, None, Done.KEPT),
        (SEQUENCE, SEQUENCE, Do.DUMMY, Done.REPLACED),
        (SEQUENCE, EMPTY_SEQUENCE, Do.EMPTY, Done.EMPTIED),
        (raw(b"\xfe\xff\0\xe0\0\0\0\0", None, 0x00081140), SEQUENCE, Do.KEEP, Done.KEPT),
        (raw(b"\xfe\xff\0\xe0\0\0\0\0", "UN", 0x00081140), SEQUENCE, Do.KEEP, Done.KEPT),
    ],
)
def test_what_became_of_an_element(
    before: RawDataElement, after: RawDataElement | None, meant: Do | str | None, done: Done
) -> None:
    assert became(before, after, meant)[0] is done


def test_the_step_gives_each_file_the_account_of_its_instance(tmp_path: Path) -> None:
    batch = run(make.ct_series(1)[0], tmp_path)
    (total,) = add_up(item.account for item in batch.items)
    assert isinstance(total, Total)
    assert total.method == {
        "keep_words": "", "options": [], "profile": "basic", "pseudonyms": "key", "recipe": "", "reversible": False,
        "rules": "", "table": "PS3.15 2026d Table E.1-1",
    }  # fmt: skip
    assert total.actions["(0010,0010)"] == {"replaced": 1}
    text = batch.items[0].account
    assert "M\\u00fcster" not in text
    assert "Invented" not in text


def test_words_that_a_site_keeps_are_told_by_their_digest_in_any_order_and_case(tmp_path: Path) -> None:
    def told(*words: str) -> str:
        return str(Anonymize(keep_words=words).method(NO_RULES, None)["keep_words"])

    assert told("Thorax", "TRIAL7") == told("trial7", "thorax")
    assert len({told(), told("Thorax"), told("Thorax", "Trial7")}) == 3
    assert len(told("Thorax")) == 64


def test_what_an_earlier_node_said_of_its_own_work_is_told_to_be_removed(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.PatientIdentityRemoved, ds.DeidentificationMethod = "YES", "by hand"
    (total,) = add_up(item.account for item in run(ds, tmp_path).items)
    assert total.actions["(0012,0062)"] == total.actions["(0012,0063)"] == {"removed": 1, "added": 1}
    assert total.actions["(0012,0064)"] == {"added": 1}
