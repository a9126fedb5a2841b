"""Places of elements agree with the reader of every encoding, and what is damaged is left to others."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.elements import walk
from node.dicom.encoding import EXPLICIT_LE, Malformed, element
from node.imaging.places import Place, Short, Unusual, items, scan
from tests import make

SEQUENCE = 0x00081140
DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"


def top_of(data: bytes) -> dict[int, Place]:
    found: dict[int, Place] = {}
    assert scan(data, 0, len(data), found, 0) == len(data)
    return found


def sequence(content: bytes, *, undefined: bool) -> bytes:
    """(0008,1140) with one item."""
    head = b"\x08\x00\x40\x11SQ\0\0"
    if undefined:
        item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + content + b"\xfe\xff\x0d\xe0\0\0\0\0"
        return head + b"\xff\xff\xff\xff" + item + DELIMITER
    item = b"\xfe\xff\x00\xe0" + len(content).to_bytes(4, "little") + content
    return head + len(item).to_bytes(4, "little") + item


@given(
    tags=st.sets(st.integers(0x00080008, 0x7FDF0000).filter(lambda t: t != SEQUENCE and t >> 16 != 0xFFFE), max_size=8),
    vr=st.sampled_from(["LO", "OB", "DS", "UT"]),
    value=st.binary(max_size=20),
    undefined=st.booleans(),
)
def test_elements_lie_where_the_reader_of_every_encoding_has_them(
    tags: set[int], vr: str, value: bytes, undefined: bool
) -> None:
    inner = b"".join(element(tag, vr, value) for tag in sorted(tags))
    before = b"".join(element(tag, vr, value) for tag in sorted(tags) if tag < 0x00081140)
    after = b"".join(element(tag, vr, value) for tag in sorted(tags) if tag > 0x00081140)
    data = before + sequence(inner, undefined=undefined) + after
    found = top_of(data)
    depth, wanted = 0, []
    for tag, _, begin, start, end in walk(data, EXPLICIT_LE):
        if not depth and tag < 0xFFFE0000:
            wanted.append((tag, begin, start, end))
        depth += {0x00081140: 1, 0xFFFEE0DD: -1}.get(tag, 0)
    assert [(tag, at, start) for tag, (_, at, start, _) in found.items()] == [w[:3] for w in wanted]
    assert all(found[tag][3] == end for tag, _, _, end in wanted if tag != 0x00081140)
    _, at, start, stop = found[0x00081140]
    ((begin, end),) = items(data[at:stop], start - at, 1)
    assert data[at:stop][begin:end] == inner


def test_an_image_is_read_up_to_its_pixels(tmp_path: Path) -> None:
    data = make.write(make.ct_series(1)[0], tmp_path / "a.dcm").read_bytes()
    found: dict[int, Place] = {}
    assert data[scan(data, 132, len(data), found, 0, top=True) :][:4] == b"\xe0\x7f\x10\x00"
    assert 0x00280010 in found
    assert 0x7FE00010 not in found
    with pytest.raises(Short):
        scan(data[:500], 132, 500, {}, 0, top=True)


@given(st.binary(max_size=60))
def test_any_bytes_are_elements_or_unusual(data: bytes) -> None:
    try:
        found = top_of(data)
    except Unusual:
        return
    try:
        walked = {tag for tag, *_ in walk(data, EXPLICIT_LE)}
    except Malformed:
        return  # it has looked into sequences as well
    assert set(found) <= walked


@pytest.mark.parametrize("undefined", [True, False])
def test_sequences_in_sequences_end_somewhere(undefined: bool) -> None:
    data = element(0x00080060, "CS", b"CT")
    for _ in range(40):
        data = sequence(data, undefined=undefined)
    if undefined:
        with pytest.raises(Unusual):
            top_of(data)
    else:
        assert list(top_of(data)) == [0x00081140]  # it is not looked into
