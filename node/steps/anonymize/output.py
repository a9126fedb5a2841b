"""A rewritten data set to a file, in the transfer syntax that it came in; long stretches from file to file."""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Iterable, Iterator
from errno import EIO
from pathlib import Path

from node.dicom.byte_order import swapped
from node.dicom.encoding import EXPLICIT_LE
from node.steps.anonymize.source import Source
from node.steps.anonymize.written import Stretch, Written


def write(target: Path, meta: bytes, elements: Iterable[Written], source: Source) -> None:
    """Write `meta`, which is preamble and file meta information, and the elements of a data set.

    Stretches of a file are copied by the kernel and are never in this process. Raises OSError, and then may leave a
    part of the file; Malformed where the data set cannot be turned into big endian.
    """
    if source.file is None:
        data = memoryview(source.data)
        pieces = [piece if isinstance(piece, bytes) else data[piece[0] : piece[1]] for piece in _flat(elements)]
        _write(target, [meta, _converted(b"".join(pieces), source)])
    else:
        _write(target, itertools.chain([meta], _flat(elements)), source.file)


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


def _write(target: Path, pieces: Iterable[bytes | bytearray | Stretch], file: int = -1) -> None:
    """`file` is the descriptor of what the stretches are of."""
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        waiting: list[bytes | bytearray] = []
        for piece in pieces:
            if isinstance(piece, tuple):
                _write_all(out, b"".join(waiting))
                waiting.clear()
                _copy(out, file, *piece)
            else:
                waiting.append(piece)
        _write_all(out, b"".join(waiting))
    finally:
        os.close(out)


def _write_all(out: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(out, left) :]


def _copy(out: int, file: int, begin: int, end: int) -> None:
    while begin < end:
        sent = os.sendfile(out, file, begin, end - begin)
        if not sent:
            raise OSError(EIO, "a file ended while it was copied")
        begin += sent
