"""Segmentations that we write: read back by highdicom and by us, and looked at by dciodvfy."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import FileDataset

from node.errors import CannotSucceed
from node.imaging.grid import Grid, grids_of, places_in, read_image
from node.imaging.raster import Patch
from node.imaging.segmentation import NO_DATE, Mask, Origin, write_segmentation
from node.imaging.segmentation_frames import packed, pixel_bytes
from node.imaging.segments import read_segmentation
from tests import make
from tests.contouring import OBLIQUE
from tests.data import real

highdicom = pytest.importorskip("highdicom")

ORIGIN = Origin(sop_instance="1.2.3.4", series_number=9, date="20200103", time="111213")


def grid_of(paths: list[Path]) -> Grid:
    ((grid,), reasons) = grids_of(image for path in paths if (image := read_image(path)) is not None)
    assert not reasons
    return grid


def blobs(grid: Grid, seed: int, slices: list[int]) -> dict[int, Patch]:
    """Irregular patches somewhere on some slices."""
    rng = np.random.default_rng(seed)
    rows, columns = grid.shape
    found = {}
    for k in slices:
        row, column = int(rng.integers(0, rows // 2)), int(rng.integers(0, columns // 2))
        found[k] = Patch(row=row, column=column, pixels=rng.random((rows - row - 1, columns - column)) > 0.4)
    return found


@pytest.fixture(params=[1, 3], ids=["one segment", "three"])
def segments(request: pytest.FixtureRequest, grid: Grid) -> list[Mask]:
    return segments_of(grid)[: request.param]


def segments_of(grid: Grid) -> list[Mask]:
    """Three that overlap, on other slices each."""
    last = grid.volume.slices - 1
    return [
        Mask(label="Lung_L", algorithm="MANUAL", organ=True, slices=blobs(grid, 1, sorted({0, last // 2, last}))),
        Mask(label="GTV prim\u00e4r", algorithm="SEMIAUTOMATIC", organ=False, slices=blobs(grid, 2, [last // 2])),
        Mask(label="Body", algorithm="", organ=False, slices=blobs(grid, 3, list(range(last + 1)))),
    ]


def whole(grid: Grid, segment: Mask) -> np.ndarray:
    found = np.zeros((grid.volume.slices, *grid.shape), np.uint8)
    for k, patch in segment.slices.items():
        patch.put(found[k])
    return found


def sets() -> dict[str, list[FileDataset]]:
    rows, columns = 16, 24
    return {
        "axial": make.ct_series(5, rows=rows, columns=columns),
        "oblique": make.ct_series(4, rows=rows, columns=columns, orientation=OBLIQUE),
        "frames that end within a byte": make.ct_series(5, rows=7, columns=9),
        "one slice": make.ct_series(1, rows=rows, columns=columns),
    }


@pytest.fixture(params=sets())
def grid(request: pytest.FixtureRequest, tmp_path: Path) -> Grid:
    return grid_of(make.write_all(sets()[request.param], tmp_path))


def faults(path: Path) -> list[str]:
    """Errors that dciodvfy finds."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dicom3tools is not installed")
    said = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
    return [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]


def test_what_was_written_is_read_back_segment_by_segment(grid: Grid, segments: list[Mask], tmp_path: Path) -> None:
    write_segmentation(tmp_path / "seg.dcm", segments, grid, ORIGIN)
    found = read_segmentation(tmp_path / "seg.dcm")
    assert [segment.label for segment in found.segments] == ["Lung_L", "GTV prim\u00e4r", "Body"][: len(segments)]
    assert found.referenced == (grid.images[0].series,)
    places = places_in(grid, found.frames, found.shape)
    assert places is not None
    for n, segment in enumerate(segments, 1):
        expected, got = whole(grid, segment), np.zeros((grid.volume.slices, *grid.shape), np.uint8)
        for k, frame in found.slices_of(n, places).items():
            got[k] = frame
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("shape", [(7, 9), (4, 6), (5, 10), (16, 24)])
@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 17])
def test_frames_follow_each_other_bit_by_bit_and_end_with_a_word(shape: tuple[int, int], count: int) -> None:
    frames = np.random.default_rng(count).random((count, *shape)) > 0.5
    bits = np.packbits(frames, bitorder="little").tobytes()
    found = b"".join(packed(shape, (Patch(row=0, column=0, pixels=frame) for frame in frames), count))
    assert found == bits + bytes(len(bits) % 2)
    assert len(found) == pixel_bytes(shape, count)


def test_more_than_one_element_holds_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    grid = replace(grid_of(make.write_all(make.ct_series(9), tmp_path / "ct")), shape=(65535, 65535))
    pixel = Patch(row=0, column=0, pixels=np.ones((1, 1), bool))
    mask = Mask(label="Body", algorithm="", organ=False, slices=dict.fromkeys(range(9), pixel))
    with pytest.raises(CannotSucceed, match="do not fit one element"):
        write_segmentation(tmp_path / "seg.dcm", [mask], grid, ORIGIN)
    assert not (tmp_path / "seg.dcm").exists()


def test_highdicom_reads_the_same(grid: Grid, segments: list[Mask], tmp_path: Path) -> None:
    write_segmentation(tmp_path / "seg.dcm", segments, grid, ORIGIN)
    read = highdicom.seg.segread(tmp_path / "seg.dcm")
    pixels = read.get_pixels_by_source_instance(list(grid.instances), assert_missing_frames_are_empty=True)
    assert pixels.shape[-1] == len(segments)
    for n, segment in enumerate(segments):
        assert np.array_equal(pixels[..., n], whole(grid, segment))


def test_dciodvfy_finds_no_error(grid: Grid, segments: list[Mask], tmp_path: Path) -> None:
    write_segmentation(tmp_path / "seg.dcm", segments, grid, ORIGIN)
    assert faults(tmp_path / "seg.dcm") == []


def test_a_real_ct_keeps_its_positions_to_the_letter(tmp_path: Path) -> None:
    grid = grid_of(sorted(real("ct_straight_28").rglob("*.dcm")) or sorted(real("ct_straight_28").iterdir()))
    write_segmentation(tmp_path / "seg.dcm", segments_of(grid), grid, ORIGIN)
    assert faults(tmp_path / "seg.dcm") == []
    ds, first = dcmread(tmp_path / "seg.dcm"), dcmread(grid.images[0].path, stop_before_pixels=True)
    position = ds.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient
    assert [str(x) for x in position] == [str(x) for x in first.ImagePositionPatient]
    assert (ds.PatientID, ds.StudyInstanceUID) == (first.PatientID, first.StudyInstanceUID)


def test_a_repeat_writes_the_same_bytes(grid: Grid, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_segmentation(tmp_path / name, segments_of(grid), grid, ORIGIN)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_content_date_is_that_of_the_structure_set_or_plainly_none(tmp_path: Path) -> None:
    grid = grid_of(make.write_all(make.ct_series(3), tmp_path))
    for date, expected in (("20200103", "20200103"), ("", NO_DATE), ("2020-01", NO_DATE)):
        origin = Origin(sop_instance="1.2", series_number=0, date=date, time="")
        write_segmentation(tmp_path / "seg.dcm", segments_of(grid), grid, origin)
        assert dcmread(tmp_path / "seg.dcm").ContentDate == expected


def test_frames_of_one_instance_are_named_by_their_number(tmp_path: Path) -> None:
    grid = grid_of([make.write(make.enhanced_mr(slices=4, volumes=2, rows=16, columns=24), tmp_path / "enhanced.dcm")])
    segments = segments_of(grid)
    write_segmentation(tmp_path / "seg.dcm", segments, grid, ORIGIN)
    assert faults(tmp_path / "seg.dcm") == []
    ds = dcmread(tmp_path / "seg.dcm")
    assert len(ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1
    named = [f.DerivationImageSequence[0].SourceImageSequence[0] for f in ds.PerFrameFunctionalGroupsSequence]
    assert {image.ReferencedSOPInstanceUID for image in named} == set(grid.instances)
    assert [image.ReferencedFrameNumber for image in named] == [1, 2, 4, 2, 1, 2, 3, 4]
    found = read_segmentation(tmp_path / "seg.dcm")
    places = places_in(grid, found.frames, found.shape)
    assert places == [0, 1, 3, 1, 0, 1, 2, 3]
    got = np.stack([found.slices_of(3, places)[k] for k in range(4)])
    assert np.array_equal(got, whole(grid, segments[2]))


@pytest.mark.parametrize("keyword", ["PatientSex", "AccessionNumber", "StudyID", "PatientBirthDate", "SliceThickness"])
def test_images_that_lack_what_may_be_empty_are_taken(tmp_path: Path, keyword: str) -> None:
    images = make.ct_series(3)
    for ds in images:
        delattr(ds, keyword)
    grid = grid_of(make.write_all(images, tmp_path))
    write_segmentation(tmp_path / "seg.dcm", segments_of(grid), grid, ORIGIN)
    assert faults(tmp_path / "seg.dcm") == []


def test_what_is_not_legal_in_the_images_is_not_written_again(tmp_path: Path) -> None:
    paths = make.write_all(make.ct_series(3), tmp_path)
    for path in paths:
        ds = dcmread(path)
        ds.add(DataElement("PatientAge", "AS", "0Y", validation_mode=0))
        ds.add(DataElement("PatientBirthDate", "DA", "1950", validation_mode=0))
        ds.PatientSize = "1.8"
        ds.save_as(path)
    grid = grid_of(paths)
    write_segmentation(tmp_path / "seg.dcm", segments_of(grid), grid, ORIGIN)
    assert faults(tmp_path / "seg.dcm") == []
    written = dcmread(tmp_path / "seg.dcm")
    assert ("PatientAge" in written, written.PatientBirthDate, written.PatientSize) == (False, "", 1.8)


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO 2022 IR 100", ["", "ISO 2022 IR 87"]])
def test_text_of_another_character_set_stays_the_same_text(tmp_path: Path, charset: str | list[str]) -> None:
    images = make.ct_series(2)
    name = "Yamada^Tarou=山田^太郎" if isinstance(charset, list) else "Müster^Invented"
    for ds in images:
        ds.SpecificCharacterSet, ds.PatientName = charset, name
    grid = grid_of(make.write_all(images, tmp_path))
    write_segmentation(tmp_path / "seg.dcm", segments_of(grid), grid, ORIGIN)
    written = dcmread(tmp_path / "seg.dcm")
    assert (str(written.PatientName), written.SpecificCharacterSet) == (name, "ISO_IR 192")
    assert written.SegmentSequence[1].SegmentLabel == "GTV primär"


def test_images_without_a_frame_of_reference_are_refused(tmp_path: Path) -> None:
    images = make.ct_series(3)
    for ds in images:
        del ds.FrameOfReferenceUID
    grid = grid_of(make.write_all(images, tmp_path))
    with pytest.raises(CannotSucceed, match="no 'Frame of Reference UID'"):
        write_segmentation(tmp_path / "seg.dcm", segments_of(grid), grid, ORIGIN)


def test_a_segment_without_a_pixel_is_refused(tmp_path: Path) -> None:
    grid = grid_of(make.write_all(make.ct_series(3), tmp_path))
    empty = Mask(label="x", algorithm="", organ=False, slices={})
    for segments in ([], [empty], [*segments_of(grid), empty]):
        with pytest.raises(CannotSucceed, match="without a pixel"):
            write_segmentation(tmp_path / "seg.dcm", segments, grid, ORIGIN)
