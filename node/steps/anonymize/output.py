"""A rewritten data set to a file, in the transfer syntax that it came in; those of large files by way of memory."""

from __future__ import annotations

import ctypes
import os
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from errno import EIO
from mmap import MADV_HUGEPAGE, MAP_ANONYMOUS, MAP_PRIVATE, PAGESIZE, mmap
from pathlib import Path

from node.dicom.byte_order import swapped
from node.dicom.encoding import EXPLICIT_LE
from node.steps.anonymize.room import ROOM
from node.steps.anonymize.source import Source
from node.steps.anonymize.written import Stretch, Written

_MOST_AT_ONCE = 256
"""Pieces; Linux takes 1024."""

_KEEP_SIZE = 1
"""FALLOC_FL_KEEP_SIZE: a file that was not written to its end is short all the same (fallocate(2))."""
_fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)
"""Linux alone has it; os.posix_fallocate writes to every block where a file system cannot do it."""
if _fallocate is not None:
    _fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


class _Buffer(threading.local):
    """Where stretches of a large file are between two: one for all files, whose pages are there already and in the
    processor's caches."""

    def __init__(self) -> None:
        self._pages = mmap(-1, 2 << 20, flags=MAP_PRIVATE | MAP_ANONYMOUS)
        with suppress(OSError):  # of a kernel without large pages
            self._pages.madvise(MADV_HUGEPAGE)
        self.view = memoryview(self._pages)


_BUFFER = _Buffer()


def write(target: Path, meta: bytes, elements: Iterable[Written], source: Source) -> None:
    """Write `meta`, which is preamble and file meta information, and the elements of a data set.

    Of a large file no more than `_BUFFER` holds is in memory at once. Raises OSError, and then may leave a part of
    the file; Malformed where the data set cannot be turned into big endian.
    """
    if source.syntax.deflated or source.syntax.big_endian:
        data = memoryview(source.data)
        pieces = [piece if isinstance(piece, bytes) else data[piece[0] : piece[1]] for piece in _flat(elements)]
        _write(target, [meta, _converted(b"".join(pieces), source)], source)
    else:
        _write(target, [meta, *_flat(elements)], source)


def _flat(elements: Iterable[Written]) -> Iterator[bytes | Stretch]:
    """The bytes between two stretches as one."""
    waiting: list[bytes] = []
    for written in elements:
        if isinstance(written, bytes):
            waiting.append(written)
            continue
        for piece in written:
            if isinstance(piece, bytes):
                waiting.append(piece)
            else:
                yield b"".join(waiting)
                waiting.clear()
                yield piece
    yield b"".join(waiting)


def _converted(data: bytes, source: Source) -> bytes | bytearray:
    """A data set in little endian as its transfer syntax has it (PS3.5 A.3, A.5)."""
    if not source.syntax.deflated:
        return swapped(data, EXPLICIT_LE) if source.syntax.big_endian else data
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = deflate.compress(data) + deflate.flush()
    return deflated + b"\0" * (len(deflated) % 2)


def _write(target: Path, pieces: Sequence[bytes | bytearray | Stretch], source: Source) -> None:
    """`source` is what the stretches are of."""
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        _make_room(out, sum(piece[1] - piece[0] if isinstance(piece, tuple) else len(piece) for piece in pieces))
        if source.file is None:
            _from_memory(out, pieces, source.data)
        else:
            _from_file(out, pieces, source)
    finally:
        os.close(out)


def _make_room(out: int, length: int) -> None:
    """Let the file system find the blocks of a file at once, where it can: a fifth of the cost of writing one of half a
    megabyte is to reserve them one by one. Where there are too few, whoever writes is told."""
    if _fallocate is not None and length:
        _fallocate(out, _KEEP_SIZE, 0, length)


def _from_memory(out: int, pieces: Iterable[bytes | bytearray | Stretch], data: bytes | mmap) -> None:
    with memoryview(data) as view:
        position, waiting = 0, list[memoryview]()
        for piece in pieces:
            if isinstance(piece, tuple):
                begin, end = piece
                if end - begin >= PAGESIZE:
                    ROOM.stood(begin, position)
                waiting.append(view[begin:end])
                position += end - begin
            else:
                waiting.append(memoryview(piece))
                position += len(piece)
            if len(waiting) >= _MOST_AT_ONCE:
                _write_all(out, waiting)
        _write_all(out, waiting)


def _from_file(out: int, pieces: Iterable[bytes | bytearray | Stretch], source: Source) -> None:
    room, used, position, waiting = _BUFFER.view, 0, 0, list[memoryview]()
    for piece in pieces:
        if not isinstance(piece, tuple):
            waiting.append(memoryview(piece))
            position += len(piece)
        else:
            begin, end = piece
            while begin < end:
                if used == len(room) or len(waiting) >= _MOST_AT_ONCE:
                    _write_all(out, waiting)
                    used = 0
                used = used or position % PAGESIZE  # bytes are copied faster to where they stand in a page already
                waiting.append(read := _read(source, begin, room[used : used + end - begin]))
                used, begin, position = used + len(read), begin + len(read), position + len(read)
        if len(waiting) >= _MOST_AT_ONCE:
            _write_all(out, waiting)
            used = 0
    _write_all(out, waiting)


def _write_all(out: int, waiting: list[memoryview]) -> None:
    """Write all that waits, of which then nothing is left."""
    while waiting:
        written = os.writev(out, waiting)
        while waiting and written >= len(waiting[0]):
            written -= len(waiting[0])
            waiting.pop(0)
        if written:
            waiting[0] = waiting[0][written:]


def _read(source: Source, begin: int, room: memoryview) -> memoryview:
    """What stands from `begin` in a file, as much of it as is read at once: at half a megabyte half the cost of mapped
    pages, each of which is mapped and unmapped."""
    assert source.file is not None  # else there are no stretches
    read = os.preadv(source.file, [room], begin)
    if not read:
        raise OSError(EIO, "a file ended while it was copied")
    return room[:read]
