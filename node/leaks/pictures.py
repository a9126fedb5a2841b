"""PNG and JPEG -> all that can be read in them, and where. Pixels are passed over; see `pixels` for text in those.

PNG Specification, third edition (W3C 2025) 5 and 11; JPEG: ITU-T T.81 B.1.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from struct import Struct, error

from node.leaks.dicom import in_bytes
from node.leaks.parse import Data
from node.leaks.what import Place, Read, UnreadableError

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
"""What they begin with."""

_PNG_PIXELS = frozenset({b"IDAT", b"IHDR", b"PLTE", b"fdAT", b"tRNS"})
_MOST_INFLATED = 256 << 20
_CHUNK_HEAD = Struct(">I4s")

_END, _ALONE = 0xD9, frozenset({0x01, *range(0xD0, 0xD9)})
_TABLES = frozenset({*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD}) - {0xC8}
"""Markers whose segments are numbers: of frames and scans, tables of quantization and of codes, whose letters spell
what is in every file."""
_SCAN = 0xDA
_NEXT = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def png(data: Data) -> Read:
    """Every chunk but those of the image itself, compressed text inflated (PNG 11.3), and what follows the last.

    Raises UnreadableError where it breaks off.
    """
    position, kind = 8, b""
    while kind != b"IEND":
        try:
            length, kind = _CHUNK_HEAD.unpack_from(data, position)
        except error:
            raise UnreadableError("its PNG chunks are cut short") from None
        content = data[position + 8 : position + 8 + length]
        if len(content) < length:
            raise UnreadableError("its PNG chunks are cut short")
        where = f"PNG chunk at byte {position}"
        position += 12 + length
        if kind not in _PNG_PIXELS:
            for text, place in _chunk(kind, content):
                yield text, place, where
    for text, place in in_bytes(data[position:].strip(b"\0")):
        yield text, place, f"behind the PNG image, byte {position}"


def _chunk(kind: bytes, content: bytes) -> Iterator[tuple[str, Place]]:
    if kind in (b"zTXt", b"iCCP"):
        keyword, _, rest = content.partition(b"\0")
        yield from in_bytes(keyword)
        content = _inflated(rest[1:])
    elif kind == b"iTXt":
        keyword, _, rest = content.partition(b"\0")
        yield from in_bytes(keyword)
        language, _, text = rest[2:].partition(b"\0")
        translated, _, text = text.partition(b"\0")
        yield from in_bytes(language)
        yield from in_bytes(translated)
        content = _inflated(text) if rest[:1] == b"\1" else text
    for part in content.split(b"\0") if kind == b"tEXt" else (content,):
        yield from in_bytes(part)


def _inflated(content: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(content, _MOST_INFLATED)
    except zlib.error:
        raise UnreadableError("text in its PNG chunks does not inflate") from None


def jpeg(data: Data) -> Read:
    """Comments and application segments, with what of them is of no kind known, and what follows the end of the image.

    Raises UnreadableError where there is no marker, or no end.
    """
    position = 2
    while True:
        while data[position : position + 2] == b"\xff\xff":  # fill bytes
            position += 1
        head = data[position : position + 4]
        if len(head) < 2 or head[0] != 0xFF:
            raise UnreadableError("its JPEG markers are cut short")
        marker = head[1]
        if marker == _END:
            break
        if marker in _ALONE:
            position += 2
            continue
        length = int.from_bytes(head[2:], "big")
        content = data[position + 4 : position + 2 + length]
        if length < 2 or len(content) < length - 2:
            raise UnreadableError("its JPEG markers are cut short")
        if marker not in _TABLES:
            for text, place in in_bytes(content):
                yield text, place, f"JPEG segment at byte {position}"
        position += 2 + length
        if marker == _SCAN:
            following = _NEXT.search(data, position)
            if following is None:
                raise UnreadableError("its JPEG image is cut short")
            position = following.start()
    position += 2
    for text, place in in_bytes(data[position:].strip(b"\0")):
        yield text, place, f"behind the JPEG image, byte {position}"
