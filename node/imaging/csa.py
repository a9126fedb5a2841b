"""The CSA headers of Siemens: a table of named values in a private element (0029,xx10), before the XA systems.

There is no public specification; the layout is that which nibabel.nicom and dcm2niix read alike: `SV10`, the number of
tags, then per tag 64 bytes of name, how many values it has, and its items, each padded to four bytes. The older form
without `SV10` starts with the number of tags, and its items give their length differently.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from node.errors import CannotSucceed

_MOST_TAGS, _MOST_ITEMS = 1000, 1000
_TAG = struct.Struct("<64si4s3i")


def parse(data: bytes, wanted: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
    """The values of the tags in `wanted`, as text, without empty items.

    Raises CannotSucceed where the table is damaged: a length that leads out of the element, or too many tags.
    """
    try:
        return _tags(data, wanted)
    except struct.error:
        raise CannotSucceed("the CSA header ends before its tags do") from None


def _tags(data: bytes, wanted: frozenset[str]) -> dict[str, tuple[str, ...]]:
    new = data[:4] == b"SV10"
    at = 8 if new else 0
    count, _ = struct.unpack_from("<2I", data, at)
    at += 8
    if not 0 < count <= _MOST_TAGS:
        raise CannotSucceed(f"the CSA header announces {count} tags")
    found: dict[str, tuple[str, ...]] = {}
    base = 0
    for _ in range(count):
        raw, multiplicity, _, _, items, _ = _TAG.unpack_from(data, at)
        at += _TAG.size
        if not 0 <= items <= _MOST_ITEMS:
            raise CannotSucceed(f"a tag of the CSA header announces {items} items")
        values = []
        for n in range(items):
            lengths = struct.unpack_from("<4i", data, at)
            at += 16
            if not new and n == 0 and not base:
                base = lengths[0]  # the older form adds the first length of the table to all others
            length = lengths[1] if new else lengths[0] - base
            if length < 0 or at + length > len(data):
                if new:
                    raise CannotSucceed("an item of the CSA header is longer than the header")
                length = 0
            values.append(_text(data[at : at + length]))
            at += -(-length // 4) * 4
        name = _text(raw)
        if name in wanted:
            kept = [value for value in values if value]
            found[name] = tuple(kept[:multiplicity] if multiplicity > 0 else kept)
    return found


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("ascii", "replace").strip()
