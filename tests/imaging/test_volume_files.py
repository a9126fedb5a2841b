"""Five formats hold the same volume; independent readers and our own find the same numbers in the same places."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from node.errors import CannotSucceed
from node.imaging.nifti import RGB24, NiftiHeader
from node.imaging.volume_files import Format, has_scale, read, write

AFFINE = np.array([[-0.7, 0.1, 0, 20.5], [0.1, -0.8, 0, 30.25], [0, 0, 2.5, -100.125], [0, 0, 0, 1]])
FORMATS: tuple[Format, ...] = ("nii.gz", "nii", "nrrd", "mha", "npy")


def volume(kind: str, times: int) -> tuple[NiftiHeader, np.ndarray]:
    """A header, and (volume, slice, row, column[, 3])."""
    rng = np.random.default_rng(3)
    if kind == "rgb":
        return (
            NiftiHeader(shape=(5, 4, 3, times), dtype=RGB24, affine=AFFINE),
            rng.integers(0, 256, (times, 3, 4, 5, 3)).astype("u1"),
        )
    values = rng.integers(0, 100, (times, 3, 4, 5)).astype(kind)
    return NiftiHeader(shape=(5, 4, 3, times), dtype=np.dtype(kind), affine=AFFINE), values


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u4", "f4", "f8", "rgb"])
@pytest.mark.parametrize("times", [1, 2])
def test_what_is_written_is_read_back(form: Format, kind: str, times: int, tmp_path: Path) -> None:
    header, values = volume(kind, times)
    path = tmp_path / f"a.{form}"
    write(path, header, values.reshape(-1, *values.shape[2:]), form)
    found = list(read(path, form))
    np.testing.assert_array_equal([one for _, one in found], values.reshape(-1, *values.shape[2:]))
    assert (found[0][0].shape, found[0][0].dtype) == (header.shape, header.dtype)
    if form != "npy":
        np.testing.assert_allclose(found[0][0].affine, AFFINE, rtol=1e-6)


def test_nibabel_sees_the_same_in_nifti_and_numpy_in_npy(tmp_path: Path) -> None:
    header, values = volume("i2", 2)
    for form in ("nii", "npy"):
        write(tmp_path / f"a.{form}", header, values.reshape(-1, 4, 5), form)  # type: ignore[arg-type]  # literals
    np.testing.assert_array_equal(nibabel.load(tmp_path / "a.nii").get_fdata().T, values)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), values)


def test_the_time_from_one_volume_to_the_next_is_in_the_header(tmp_path: Path) -> None:
    _, values = volume("i2", 2)
    header = NiftiHeader(shape=(5, 4, 3, 2), dtype=np.dtype("i2"), affine=AFFINE, seconds=2.5)
    write(tmp_path / "a.nii", header, values.reshape(-1, 4, 5), "nii")
    image = nibabel.load(tmp_path / "a.nii")
    assert image.header.get_zooms()[3] == 2.5
    assert image.header.get_xyzt_units() == ("mm", "sec")


def test_nrrd_and_metaimage_are_what_their_documents_say(tmp_path: Path) -> None:
    header, values = volume("i2", 1)
    write(tmp_path / "a.nrrd", header, values[0], "nrrd")
    text, body = (tmp_path / "a.nrrd").read_bytes().split(b"\n\n", 1)
    assert b"space directions: (0.7,-0.1,0.0) (-0.1,0.8,0.0) (0.0,0.0,2.5)" in text
    assert b"space origin: (-20.5,-30.25,-100.125)" in text
    np.testing.assert_array_equal(np.frombuffer(gzip.decompress(body), "<i2").reshape(3, 4, 5), values[0])
    write(tmp_path / "a.mha", header, values[0], "mha")
    lines = (tmp_path / "a.mha").read_bytes().split(b"ElementDataFile = LOCAL\n", 1)
    assert b"Offset = -20.5 -30.25 -100.125" in lines[0]
    np.testing.assert_array_equal(np.frombuffer(lines[1], "<i2").reshape(3, 4, 5), values[0])


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_is_cut_short_or_too_long_is_refused(form: Format, tmp_path: Path) -> None:
    header, values = volume("i2", 1)
    for change, message in ((values[0][:-1], "ends in slice 3 of 3"), ([*values[0], values[0][0]], "more than its")):
        write(tmp_path / f"a.{form}", header, change, form)
        with pytest.raises(CannotSucceed, match=message):
            list(read(tmp_path / f"a.{form}", form))


def test_only_nifti_has_a_slope() -> None:
    assert [has_scale(form) for form in FORMATS] == [True, True, False, False, False]
