"""What is written is what the pieces say, in the transfer syntax of the source; few pixels are in memory at once."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zlib
from errno import ENOSPC
from mmap import PAGESIZE
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian

from node.steps.anonymize import output
from node.steps.anonymize import source as source_module
from node.steps.anonymize.source import Source, opened
from tests import make
from tests.dicom import big_endian as big

_PIECES = st.lists(
    st.binary(max_size=9000) | st.tuples(st.integers(0, 40_000), st.integers(0, 30_000)), max_size=8
)  # fmt: skip
"""Bytes, and stretches as (begin, length)."""


def _saved(tmp_path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    ds = make.ct_series(1)[0]
    if syntax == ExplicitVRBigEndian:
        return big.file(tmp_path / "in.dcm", ds)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(tmp_path / "in.dcm", enforce_file_format=True)
    return tmp_path / "in.dcm"


def _pieces(source: Source) -> list[bytes | list[bytes | tuple[int, int]]]:
    """Every element, some as bytes and some as stretches."""
    found: list[bytes | list[bytes | tuple[int, int]]] = []
    for number, (_, _, start, value, end, _) in enumerate(source.top.values()):
        data = bytes(source.data[start:end])
        found.append([data[: value - start], (value, end)] if number % 3 == 0 and value < end else data)
    return found


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_pieces_are_written_in_the_transfer_syntax_that_they_came_in(tmp_path: Path, syntax: str) -> None:
    path = _saved(tmp_path, syntax)
    with opened(path) as source:
        output.write(tmp_path / "out", b"META", _pieces(source), source)
        written = (tmp_path / "out").read_bytes()[4:]
        inner = bytes(source.data[next(iter(source.top.values()))[2] :])
    whole = path.read_bytes()
    if syntax == DeflatedExplicitVRLittleEndian:
        assert zlib.decompress(written, -zlib.MAX_WBITS) == inner
        assert len(written) % 2 == 0
    else:
        assert whole.endswith(written)
        assert len(written) == len(inner)


def test_an_earlier_file_of_the_same_name_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"x" * 100_000)
    with opened(_saved(tmp_path)) as source:
        output.write(tmp_path / "out", b"", [b"short"], source)
    assert (tmp_path / "out").read_bytes() == b"short"


@pytest.mark.parametrize("room", [8192, 2 << 20])
def test_a_source_that_became_shorter_is_an_error_of_the_disk(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output._BUFFER, "view", memoryview(bytearray(room)))
    monkeypatch.setattr(source_module, "LARGEST", 0)
    path = _saved(tmp_path)
    with opened(path) as source, pytest.raises(OSError, match="ended while"):
        output.write(tmp_path / "out", b"", [[(0, path.stat().st_size + 1)]], source)


@pytest.mark.parametrize("largest", [0, 1 << 20])
@pytest.mark.parametrize("room", [8192, 2 << 20])
def test_a_short_write_is_gone_on_with(
    room: int, largest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "LARGEST", largest)
    monkeypatch.setattr(output._BUFFER, "view", memoryview(bytearray(room)))
    preadv = os.preadv
    monkeypatch.setattr(os, "writev", lambda out, pieces: os.write(out, pieces[0][:7]))
    monkeypatch.setattr(os, "preadv", lambda file, rooms, begin: preadv(file, [rooms[0][:5]], begin))
    path = _saved(tmp_path)
    with opened(path) as source:
        output.write(tmp_path / "out", path.read_bytes()[:132], _pieces(source), source)
        inner = source.data[next(iter(source.top.values()))[2] :]
    assert path.read_bytes().endswith(inner)
    assert (tmp_path / "out").read_bytes() == path.read_bytes()[:132] + inner


@pytest.mark.parametrize("largest", [0, 1 << 20])
def test_any_number_of_pieces_is_written(largest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "LARGEST", largest)
    with opened(_saved(tmp_path)) as source:
        output.write(tmp_path / "out", b"", [[(n, n + 1), b"-"] for n in range(1400)], source)
        first = source.data[:1400]
    assert (tmp_path / "out").read_bytes() == b"".join(b"%c-" % byte for byte in first)


def test_the_next_file_is_read_to_where_its_pixels_stand_in_a_page_when_they_are_written(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.Rows = ds.Columns = 64
    ds.PixelData = os.urandom(64 * 64 * 2)
    ds.save_as(tmp_path / "in.dcm", enforce_file_format=True)
    for meta in (b"", b"M" * 100, b"M" * 100, b"M" * 4095, b"M" * 4095):
        with opened(tmp_path / "in.dcm") as source:
            value, end = source.top[0x7FE00010][3:5]
            output.write(tmp_path / "out", meta, [[(value, end)]], source)
        assert (tmp_path / "out").read_bytes() == meta + ds.PixelData
    assert value % PAGESIZE == 4095


@given(pieces=_PIECES)
def test_bytes_and_stretches_of_what_is_in_memory_are_written_one_behind_the_other(
    pieces: list[bytes | tuple[int, int]],
) -> None:
    data = os.urandom(70_000)
    written = [piece if isinstance(piece, bytes) else [(piece[0], sum(piece))] for piece in pieces]
    with tempfile.TemporaryDirectory() as folder:
        with opened(_saved(Path(folder))) as source:
            output.write(Path(folder) / "out", b"META", written, source._replace(data=data))
        found = (Path(folder) / "out").read_bytes()
    assert found == b"META" + b"".join(one if isinstance(one, bytes) else data[one[0] : sum(one)] for one in pieces)


@given(
    pieces=_PIECES,
    room=st.sampled_from([8192, 8193, 20_000]),
)  # fmt: skip
def test_bytes_and_stretches_of_any_length_are_written_one_behind_the_other(
    pieces: list[bytes | tuple[int, int]], room: int
) -> None:
    """However they fit into the room that they go through, and with nothing of what it held before."""
    data = os.urandom(70_000)
    written = [piece if isinstance(piece, bytes) else [(piece[0], sum(piece))] for piece in pieces]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(output._BUFFER, "view", memoryview(bytearray(b"SOMEBODY" * room)[:room]))
        (Path(folder) / "data").write_bytes(data)
        with opened(_saved(Path(folder))) as source, (Path(folder) / "data").open("rb") as file:
            output.write(Path(folder) / "out", b"META", written, source._replace(file=file.fileno()))
        found = (Path(folder) / "out").read_bytes()
    assert found == b"META" + b"".join(one if isinstance(one, bytes) else data[one[0] : sum(one)] for one in pieces)


@pytest.mark.parametrize("can", [True, False])
def test_a_file_takes_no_more_room_than_it_has_bytes(
    can: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can:
        monkeypatch.setattr(output, "_fallocate", lambda *_: -1)
    with opened(_saved(tmp_path)) as source:
        output.write(tmp_path / "out", b"META" * 5000, [b"", b"short", [(10, 30)]], source)
        output.write(tmp_path / "empty", b"", [], source)
        output.write(tmp_path / "plain", b"", [], source)
    (tmp_path / "plain").write_bytes(b"META" * 5000 + bytes(25))
    found, plain = (tmp_path / "out").stat(), (tmp_path / "plain").stat()
    assert (found.st_size, found.st_blocks) == (plain.st_size, plain.st_blocks)
    assert (tmp_path / "empty").read_bytes() == b""


def test_a_file_that_could_not_be_written_to_its_end_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writev, written = os.writev, list[int]()

    def first_only(out: int, pieces: list[memoryview]) -> int:
        if written:
            raise OSError(ENOSPC, "no room")
        written.append(writev(out, pieces[:1]))
        return written[0]

    monkeypatch.setattr(os, "writev", first_only)
    with opened(_saved(tmp_path)) as source, pytest.raises(OSError, match="no room"):
        output.write(tmp_path / "out", b"META", [[(0, 30_000)]], source._replace(data=bytes(30_000)))
    assert (tmp_path / "out").read_bytes() == b"META"


def test_memory_does_not_depend_on_the_size_of_the_pixels(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    size = 120 << 20
    ds.NumberOfFrames = str(size // (ds.Rows * ds.Columns * 2))
    del ds.PixelData
    path = tmp_path / "large.dcm"
    ds.save_as(path, enforce_file_format=True)
    pixels = int(ds.NumberOfFrames) * ds.Rows * ds.Columns * 2
    with path.open("ab") as file:
        file.write(b"\xe0\x7f\x10\0OW\0\0" + pixels.to_bytes(4, "little"))
        file.truncate(file.tell() + pixels)
    code = (
        "import resource, sys; from pathlib import Path; from tests.steps.anonymize.driver import output;"
        "output(Path(sys.argv[1]), Path(sys.argv[2]));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    few = _peak(code, _saved(tmp_path), tmp_path)
    (tmp_path / "out" / "in.dcm").unlink()
    many = _peak(code, path, tmp_path)
    with (tmp_path / "out" / "large.dcm").open("rb") as file:
        after = dcmread(file, stop_before_pixels=True)
        assert os.fstat(file.fileno()).st_size - file.tell() == pixels + 12
    assert after.PatientName == after.PatientID
    assert many - few < 30 << 10


def _peak(code: str, path: Path, folder: Path) -> int:
    """The most memory that the process had, in KiB."""
    command = [sys.executable, "-c", code, str(path), str(folder)]
    return int(subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[3]).stdout)
