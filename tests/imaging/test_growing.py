"""Who reads behind the writer gets the bytes of the file, all of them and no others, and is never left waiting."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import CannotSucceed
from node.imaging.growing import Growing
from node.imaging.nifti import NiftiHeader
from node.imaging.volume_files import Format, read, write
from node.spool.files import Files


class Told(Files):
    """What the disk is told to begin with."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[tuple[int, int]] = []

    def hurry(self, descriptor: int, start: int, length: int) -> None:
        self.parts.append((start, length))


HEADER = NiftiHeader(shape=(64, 64, 40, 1), dtype=np.dtype("i2"), affine=np.eye(4))
SLICES = np.random.default_rng(1).integers(0, 50, (40, 64, 64)).astype("i2")


@given(parts=st.lists(st.binary(max_size=40), max_size=12), step=st.integers(1, 50), whole=st.booleans())
def test_the_reader_gets_what_was_written(
    parts: list[bytes], step: int, whole: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path, growing = tmp_path_factory.getbasetemp() / "grows", Growing()

    def all_of_it() -> bytes:
        found = b""
        with growing.reading(path, whole=whole) as file:
            while piece := file.read(step):
                found += piece
        return found

    path.write_bytes(b"of an earlier try")
    with ThreadPoolExecutor(1) as beside:
        reading = beside.submit(all_of_it)
        with growing.writing(path) as file:
            for part in parts:
                file.write(part)
        assert reading.result(timeout=30) == b"".join(parts) == path.read_bytes()


def test_a_slice_is_read_while_the_next_is_not_made_yet(tmp_path: Path) -> None:
    path, growing, seen = tmp_path / "a.nii", Growing(), Event()

    def slices() -> Iterator[np.ndarray]:
        yield SLICES[0]
        assert seen.wait(timeout=30), "nobody read the first slice before the second was there"
        yield from SLICES[1:]

    def first_and_rest() -> int:
        count = 0
        for (_, found), wanted in zip(read(path, "nii", growing), SLICES, strict=True):
            np.testing.assert_array_equal(found, wanted)
            seen.set()
            count += 1
        return count

    with ThreadPoolExecutor(1) as beside:
        reading = beside.submit(first_and_rest)
        write(path, HEADER, slices(), "nii", growing)
        assert reading.result(timeout=30) == 40


@pytest.mark.parametrize("form", ["nii.gz", "nii", "nrrd", "mha", "npy"])
def test_every_format_is_read_behind_its_writer(form: Format, tmp_path: Path) -> None:
    path, growing = tmp_path / f"a.{form}", Growing()
    with ThreadPoolExecutor(1) as beside:
        reading = beside.submit(lambda: [one for _, one in read(path, form, growing)])
        write(path, HEADER, SLICES, form, growing)
        np.testing.assert_array_equal(reading.result(timeout=30), SLICES)
    if form == "nii.gz":
        assert len(gzip.decompress(path.read_bytes())) == 352 + SLICES.nbytes


@pytest.mark.parametrize("form", ["nii.gz", "nii"])
def test_a_writer_that_fails_leaves_no_reader_waiting(form: Format, tmp_path: Path) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield from SLICES[:3]
        raise CannotSucceed("no more")

    path, growing = tmp_path / f"a.{form}", Growing()
    with ThreadPoolExecutor(1) as beside:
        reading = beside.submit(lambda: list(read(path, form, growing)))
        with pytest.raises(CannotSucceed, match="no more"):
            write(path, HEADER, broken(), form, growing)
        assert reading.exception(timeout=30) is not None


def test_a_file_that_is_never_begun_is_not_waited_for(tmp_path: Path) -> None:
    growing = Growing()
    growing.end()
    with pytest.raises(FileNotFoundError), growing.reading(tmp_path / "a", whole=True):
        pass


def test_the_disk_is_told_to_begin_in_steps_and_each_part_once(tmp_path: Path) -> None:
    told = Told()
    with Growing(told).writing(tmp_path / "a") as file:
        for _ in range(13):
            file.write(bytes(1_000_000))
        file.write(bytes(9_000_000))
    assert told.parts == [(0, 4 << 20), (4 << 20, 4 << 20), (8 << 20, 4 << 20), (12 << 20, 8 << 20)]
    assert (tmp_path / "a").stat().st_size == 22_000_000
