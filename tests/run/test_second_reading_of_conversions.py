"""Whatever a route converts to is read by the second reader: what is clean goes on, and a name in any kind is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset

from node.imaging.picture_files import jpeg
from node.leaks import Collected, Kept, Output, Reader, What, collect
from tests import make
from tests.contouring import Path as Contour
from tests.contouring import disc, structure_set
from tests.kit import Kit
from tests.leaks.patients import original
from tests.run.test_second_reading import notes

TO = "destinations: {a: {folder: ./a, accepts: deidentified}}\n"
NOTHING = Kept.of((), frozenset())


def named() -> list[FileDataset]:
    """A series of four slices of a patient whose name, ids and dates are in it."""
    series = make.ct_series(4, rows=24, columns=20)
    of = original()
    for ds in series:
        for keyword in ("PatientName", "PatientID", "OtherPatientNames", "AccessionNumber", "OperatorsName"):
            if keyword in of:
                setattr(ds, keyword, of[keyword].value)
    return series


def run(kit: Kit, steps: str, *instances: FileDataset) -> str:
    kit.rules(f"{TO}routes: [{{name: r, unit: study, when: always, steps: [{steps}, {{forward: a}}]}}]")
    kit.index(*instances)
    (key,) = kit.close()
    kit.run(key)
    return key


@pytest.mark.parametrize(
    "steps",
    [
        "nifti",
        "{nifti: {format: nii}}",
        "{nifti: {format: nrrd}}",
        "{nifti: {format: mha}}",
        "{nifti: {format: npy}}",
        "png",
        "{png: {show: montage, bits: 16}}",
        "jpeg",
        "check",
        "{transcode: jpeg-2000}",
        "{transcode: {to: jpeg-ls-near, ratio: 2}}",
    ],
)
def test_what_is_made_of_a_de_identified_series_is_read_and_goes_on(working: Kit, steps: str) -> None:
    key = run(working, f"anonymize, {steps}", *named())
    assert working.reasons(key) == set()
    assert working.jobs() == {key: "done"}
    (note,) = notes(working, key)
    assert note.endswith("files read, nothing of the originals found")


def test_masks_and_a_segmentation_are_read_and_go_on(working: Kit) -> None:
    pytest.importorskip("highdicom")
    images = named()
    regions = structure_set(images, {"Heart": [Contour(k=1, corners=disc(10.2, 11.4, 5.0))]})
    regions.PatientName, regions.PatientID = images[0].PatientName, images[0].PatientID
    key = run(working, "anonymize, {masks: {write: [masks, labels, seg]}}", *images, regions)
    assert working.reasons(key) == set()
    assert working.jobs() == {key: "done"}
    # Four images, the structure set, a mask, a label map, a segmentation and a report.
    assert notes(working, key) == ["forward: second reader: 9 files read, nothing of the originals found"]


def sidecar(text: str) -> bytes:
    return f'{{"Modality": "CT", "SeriesDescription": "{text}"}}'.encode()


def picture(text: str) -> bytes:
    data = jpeg(make.picture(16, 16, low=0, high=200).astype("u1"), 90)
    return data[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text.encode() + data[2:]


def nrrd(text: str) -> bytes:
    return f"NRRD0004\ntype: uint8\nsizes: 2\nencoding: raw\ncontent: {text}\n\n\1\2".encode()


def mha(text: str) -> bytes:
    lines = ("ObjectType = Image", f"Comment = {text}", "DimSize = 2", "ElementType = MET_UCHAR")
    return "\n".join([*lines, "ElementDataFile = LOCAL", "\1\2"]).encode()


@pytest.mark.parametrize("kind", [sidecar, picture, nrrd, mha])
def test_a_name_in_each_new_kind_of_file_is_found(kind: Callable[[str], bytes], tmp_path: Path) -> None:
    assert found(kind("seen with Kowalczyk"), tmp_path) == {What.PATIENT}
    assert found(kind("seen with contrast"), tmp_path) == set()


def test_a_file_of_a_kind_that_is_not_known_is_not_passed(tmp_path: Path) -> None:
    assert found(b"PK\3\4" + bytes(range(1, 200)), tmp_path) == {What.UNREADABLE}


def found(data: bytes, folder: Path) -> set[What]:
    source = make.write(original(), folder / "original.dcm")
    collected: Collected = collect([source], NOTHING)
    path = folder / "output"
    path.write_bytes(data)
    reader = Reader(collected, NOTHING)
    return {finding.what for finding in reader.read(Output(path=path, number=1, names=("output",)))}
