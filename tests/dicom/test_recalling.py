"""What is recalled is what is read: the same header, text, counts and errors, whatever the bytes and what came before.

The other side is collecting.Collector, which reads every element where it stands.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from node.dicom import packing
from node.dicom.collecting import Collector
from node.dicom.elements import PIXEL_DATA, Place, walk
from node.dicom.encoding import EXPLICIT_LE, Malformed
from node.dicom.header import MAX_HEADER, pack, read_header
from node.dicom.recalling import Recaller
from node.dicom.recurring import ELEMENTS, SEQUENCES
from node.dicom.runs import RUNS
from node.dicom.sniff import Sniffed, sniff
from node.dicom.text import character_set
from node.dicom.values import LIMIT
from tests.data import real_folders, several_real_folders
from tests.dicom import datasets as made

UNDEFINED = 0xFFFFFFFF
Outcome = tuple[object, ...]


@pytest.fixture(autouse=True)
def nothing_is_known() -> Iterator[None]:
    forget()
    yield
    forget()


def forget() -> None:
    for memory in (ELEMENTS, SEQUENCES, RUNS):
        memory.latest, memory._before = {}, {}


def outcome(collector: Collector, data: bytes, start: int = 0, *, most: int = 10_000_000) -> Outcome:
    """All that reading gives, or how it fails."""
    take = collector.recall if isinstance(collector, Recaller) else None
    last: Place | None = None
    try:
        for last in walk(data, EXPLICIT_LE, start=start, stop_at=PIXEL_DATA, take=take, max_elements=most):
            collector.take(last)
    except Malformed as error:
        return type(error), error.offset, str(error)
    pixels = last[2] if last is not None and last[0] in PIXEL_DATA else None
    return list(collector.header.items()), collector.guessed, collector.dropped, collector.room, pixels


def read(data: bytes, fallback: str | None = None, room: int = MAX_HEADER, **how: int) -> Outcome:
    return outcome(Collector(data, EXPLICIT_LE, character_set((), fallback), fallback, LIMIT, room), data, **how)


def recalled(data: bytes, fallback: str | None = None, room: int = MAX_HEADER, **how: int) -> Outcome:
    recaller = Recaller(data, fallback, room)
    found = outcome(recaller, data, **how)
    if len(found) > 3 and (text := recaller.text()) is not None:
        assert packing.pack_text(text) == pack(recaller.header)
        assert packing.read(text) == recaller.header
    return found


def agree(data: bytes, fallback: str | None = None, room: int = MAX_HEADER, **how: int) -> None:
    """The first time, where much is learnt, the second, where it is known, and the third, where it is a run."""
    expected = read(data, fallback, room, **how)
    for _ in range(3):
        assert recalled(data, fallback, room, **how) == expected


def sequence(tag: int, *items: bytes, defined: bool = True) -> bytes:
    if defined:
        return made.explicit(tag, "SQ", b"".join(made.ITEM + struct.pack("<I", len(i)) + i for i in items))
    body = b"".join(made.ITEM + b"\xff\xff\xff\xff" + i + made.ITEM_END for i in items)
    return made.explicit(tag, "SQ", body + made.SEQUENCE_END, UNDEFINED)


# ---- whatever data sets ------------------------------------------------------------------------------

_TAGS = st.sampled_from([
    0x00080000, 0x00080005, 0x00080016, 0x00080060, 0x00081030, 0x00081140, 0x00090000, 0x00090010, 0x00091001,
    0x00091002, 0x00100010, 0x00100020, 0x00190010, 0x0019100C, 0x0020000D, 0x00200037, 0x00280103, 0x00280106,
    0x00400275, 0x52009229, 0x7FE00008, 0x7FE00010, 0x99990001, 0xFFFEE00D,
])  # fmt: skip
_VRS = st.sampled_from(
    [
        "AE",
        "AS",
        "AT",
        "CS",
        "DA",
        "DS",
        "DT",
        "FD",
        "FL",
        "IS",
        "LO",
        "LT",
        "PN",
        "SH",
        "SL",
        "SS",
        "ST",
        "TM",
        "UI",
        "UL",
        "US",
        "OB",
        "OW",
        "UN",
        "UT",
        "UC",
        "UR",
        "SV",
        "XX",
    ]
)
_VALUES = st.one_of(
    st.sampled_from([
        b"", b"CT", b"1.5", b"1.5\\2\\x", b"7", b"1\\2\\3", b"SIEMENS MR HEADER ", b"NOBODY", b"ISO_IR 100",
        b"ISO_IR 192", b"\\ISO 2022 IR 87", b"M\xfcller", "Müller".encode(), b"\x1b$B;3ED\x1b(B", b"a\\b\0", b" x ",
        b'"quoted"\n', b"x" * 64, b"x" * 65, b"1.25\\" * 20 + b"1", b"y" * 128, b"y" * 300, b"\0\0\x80\x7f", b"\1\0",
        b"\0" * 8,
        b"\xfe\xff\0\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0",
    ]),
    st.binary(max_size=12),
)  # fmt: skip


@st.composite
def _leaves(draw: st.DrawFn) -> bytes:
    value = draw(_VALUES)
    wrong = draw(st.integers(0, 40)) == 0
    return made.explicit(draw(_TAGS), draw(_VRS), value, len(value) + 2 if wrong else None)


@st.composite
def _sequences(draw: st.DrawFn, inner: st.SearchStrategy[bytes]) -> bytes:
    items, defined = draw(st.lists(inner, max_size=3)), draw(st.booleans())
    encoded = sequence(draw(_TAGS), *items, defined=defined)
    if items and draw(st.integers(0, 9)) == 0:  # the first item ends in the middle of an element, or of the sequence
        length = max(0, len(items[0]) - draw(st.integers(-20, 20)))
        encoded = encoded[:16] + struct.pack("<I", length) + encoded[20:]
    return encoded


def _levels(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(_leaves() | _leaves() | _sequences(inner), max_size=6).map(b"".join)


_DATA = _levels(_levels(_levels(st.lists(_leaves(), max_size=4).map(b"".join))))
_FALLBACKS = st.sampled_from([None, None, "ISO_IR 100"])
_ROOMS = st.sampled_from([0, 30, 100, 400, MAX_HEADER])


@given(data=_DATA, fallback=_FALLBACKS, room=_ROOMS)
@settings(max_examples=133, deadline=None)
def test_whatever_elements_come_in_whatever_order(data: bytes, fallback: str | None, room: int) -> None:
    agree(data, fallback, room)


@given(first=_DATA, second=_DATA, choices=st.data())
@settings(max_examples=66, deadline=None)
def test_what_is_damaged_is_not_taken_for_what_is_known(first: bytes, second: bytes, choices: st.DataObject) -> None:
    agree(first + second)
    agree(made.mutated(choices, first + second))


@given(ds=made.datasets, choices=st.data(), room=_ROOMS)
@settings(max_examples=50, deadline=None)
def test_data_sets_of_pydicom_and_what_damage_makes_of_them(ds: Dataset, choices: st.DataObject, room: int) -> None:
    data = made.encoded(ds)
    agree(data, room=room)
    agree(made.mutated(choices, data), room=room)


_PARTS = _leaves() | _leaves() | _sequences(_levels(_sequences(st.just(b"")) | _leaves()))


@given(parts=st.lists(_PARTS, min_size=1, max_size=12), choices=st.data())
@settings(max_examples=133, deadline=None)
def test_the_instances_of_a_series_each_differ_somewhere(parts: list[bytes], choices: st.DataObject) -> None:
    """Runs are made, cut where instances differ, and cut again; what is read is always what stands there."""
    for _ in range(4):
        each = list(parts)
        for place in choices.draw(st.sets(st.integers(0, len(parts) - 1), max_size=3)):
            each[place] = choices.draw(_PARTS)
        agree(b"".join(each), choices.draw(_FALLBACKS), choices.draw(_ROOMS))


@given(parts=st.lists(_PARTS, min_size=1, max_size=6), choices=st.data(), most=st.integers(0, 40))
@settings(max_examples=66, deadline=None)
def test_a_run_is_the_same_in_an_item_as_at_the_top(parts: list[bytes], choices: st.DataObject, most: int) -> None:
    """Where costs and limits are others."""
    run, room = b"".join(parts), choices.draw(_ROOMS)
    inside = sequence(0x00081140, run, run, defined=choices.draw(st.booleans()))
    for data in choices.draw(st.permutations([run, inside, run + inside, inside + run])):
        agree(data, room=room)
        agree(data, room=room, most=most)


@given(data=_DATA, most=st.integers(0, 60))
@settings(max_examples=66, deadline=None)
def test_the_limit_of_elements_is_met_at_the_same_byte(data: bytes, most: int) -> None:
    agree(data)
    agree(data, most=most)


@given(data=_DATA)
@settings(max_examples=25, deadline=None)
def test_a_cut_at_every_byte(data: bytes) -> None:
    agree(data)
    for cut in range(len(data)):
        agree(data[:cut])


# ---- by hand -----------------------------------------------------------------------------------------


def test_what_is_given_away_is_not_what_is_kept() -> None:
    data = made.explicit(0x00080060, "CS", b"CT") + sequence(0x00081140, made.explicit(0x00081155, "UI", b"1.2.3\0"))
    first: Any = read_header(data, made.EXPLICIT).header
    first["00080060"][1].append("MR")
    first["00081140"][1][0]["00081155"][1].clear()
    second = read_header(data, made.EXPLICIT).header
    assert second == {"00080060": ["CS", ["CT"]], "00081140": ["SQ", [{"00081155": ["UI", ["1.2.3"]]}]]}


@pytest.mark.parametrize("defined", [True, False])
def test_a_sequence_is_read_once(defined: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = sequence(0x0040A730, made.explicit(0x00080104, "LO", b"inner"), defined=defined)
    data = sequence(0x00081140, inner, made.explicit(0x00080104, "LO", b"second"), defined=defined)
    expected = recalled(data + made.explicit(0x00100020, "LO", b"A1"))
    monkeypatch.setattr(Recaller, "take", None)
    assert recalled(data + made.explicit(0x00100020, "LO", b"A1")) == expected
    with pytest.raises(TypeError):
        recalled(data.replace(b"second", b"others"))


def test_the_same_bytes_in_another_character_set_are_other_text() -> None:
    name = made.explicit(0x00100010, "PN", b"M\xc3\xbcller ")
    both = name + sequence(0x00081140, name)
    for term in (b"ISO_IR 192", b"ISO_IR 100", b"ISO_IR 192"):
        agree(made.explicit(0x00080005, "CS", term) + both)
    agree(both)
    agree(both, "ISO_IR 100")


def test_an_unknown_element_is_what_the_creator_before_it_says() -> None:
    element = made.explicit(0x0019100C, "UN", b"1000")
    siemens = made.explicit(0x00190010, "LO", b"SIEMENS MR HEADER ")
    nobody = made.explicit(0x00190010, "UN", b"NOBODY")
    for data in (siemens + element, element, nobody + element, sequence(0x00081140, element) + siemens + element):
        agree(data)
    assert read(siemens + element)[0] != read(element)[0]


def test_a_sequence_in_the_place_of_a_creator_undoes_it() -> None:
    siemens = made.explicit(0x00190010, "LO", b"SIEMENS MR HEADER ")
    instead = sequence(0x00190010, made.explicit(0x00080104, "LO", b"x "))
    agree(siemens + instead + made.explicit(0x0019100C, "UN", b"1000"))


def test_a_run_with_a_sequence_is_of_its_character_set() -> None:
    run = made.explicit(0x00080060, "CS", b"CT") + sequence(
        0x00081140, made.explicit(0x00100010, "PN", b"M\xc3\xbcller ")
    )
    run += made.explicit(0x00100020, "LO", b"A1")
    for term in (b"ISO_IR 192", b"ISO_IR 100", b"ISO_IR 192"):
        agree(made.explicit(0x00080005, "CS", term) + run)
    agree(run)
    agree(run, "ISO_IR 100")


def test_a_run_goes_over_the_sequences_in_it_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    items = sequence(0x00081140, made.explicit(0x00081155, "UI", b"1.2.3\0"), defined=False)
    data = made.explicit(0x00080060, "CS", b"CT") + items + made.explicit(0x00100020, "LO", b"A1")
    agree(data)
    expected = read(data)
    monkeypatch.setattr(Recaller, "_known_sequence", None)
    assert recalled(data) == expected
    (run,) = RUNS.latest.values()
    assert run.encoded == data
    assert run.places == sum(1 for _ in walk(data, EXPLICIT_LE))


def test_text_with_escape_sequences_is_of_its_character_set() -> None:
    name = made.explicit(0x00100010, "PN", b"\x1b$B;3ED\x1b(B")
    for term in (b"\\ISO 2022 IR 87", b"ISO_IR 100", b"ISO_IR 192"):
        agree(made.explicit(0x00080005, "CS", term) + name)
        agree(name)


@pytest.mark.parametrize("defined", [True, False])
def test_what_is_recalled_counts_as_so_many_elements_as_are_in_it(defined: bool) -> None:
    item = made.explicit(0x00080060, "CS", b"CT") + made.explicit(0x00080104, "LO", b"x ")
    inner = sequence(0x0040A730, item, item, defined=defined)
    data = sequence(0x00081140, item + inner, defined=defined) + item + sequence(0x00400275, item, defined=defined)
    agree(data)
    places = sum(1 for _ in walk(data, EXPLICIT_LE))
    for most in range(places + 2):
        agree(data, most=most)


def test_an_attribute_that_comes_twice_has_no_text() -> None:
    twice = made.explicit(0x00080060, "CS", b"CT") + made.explicit(0x00080060, "CS", b"MR")
    for data in (twice, sequence(0x00081140, twice), sequence(0x00081140) * 2):
        agree(data)
        read_once = read_header(data, made.EXPLICIT)
        assert read_once.text is None
        assert read_once.packed() == pack(read_once.header)


@pytest.mark.parametrize("room", range(0, 700, 7))
def test_a_header_that_is_over_its_limit_loses_the_same(room: int) -> None:
    private = made.explicit(0x00091001, "LO", b"x" * 40)
    item = made.explicit(0x00080104, "LO", b"y" * 30) + sequence(0x0040A730, made.explicit(0x00080104, "LO", b"z" * 20))
    data = made.explicit(0x00080060, "CS", b"CT") + private + sequence(0x00081140, item, item, defined=False)
    data += (
        made.explicit(0x00091002, "LO", b"x" * 40)
        + sequence(0x00400275, item)
        + made.explicit(0x00204000, "LT", b"c" * 100)
    )
    agree(data)
    agree(data, room=room)


def test_a_sequence_that_is_known_is_too_deep_where_it_is_too_deep() -> None:
    for depth in (1, 2, 40):
        agree(made.nested(depth))
    for depth in (255, 256, 257):
        for defined in (True, False):
            agree(made.nested(depth, defined=defined))


def test_a_run_with_a_sequence_is_too_deep_where_it_is_too_deep() -> None:
    """Where it is known, it lies higher; there it is taken as it is."""
    deep = sequence(0x00081140, sequence(0x00081140, made.explicit(0x00080104, "LO", b"x ")))
    run = made.explicit(0x00080060, "CS", b"CT") + deep + made.explicit(0x00100020, "LO", b"A1")
    agree(run)
    for depth in range(250, 257):
        data = run
        for _ in range(depth):
            data = sequence(0x00081140, data, defined=False)
        agree(data)


def test_what_is_known_ends_where_its_item_ends() -> None:
    """Whole, its bytes are known; here they go on behind the end of the item that they begin in."""
    element = made.explicit(0x00080104, "LO", b"code meaning")
    inner = sequence(0x0040A730, element, defined=False)
    for known in (element, sequence(0x0040A730, element), inner, sequence(0x0040A730, inner, defined=False)):
        agree(known)
        for short in range(1, len(known)):
            item = made.ITEM + struct.pack("<I", len(known) - short) + known
            agree(made.explicit(0x00081140, "SQ", item) + element)
            agree(made.explicit(0x00081140, "SQ", item, len(item) - short) + element)
        agree(known)


def test_a_delimiter_that_lies_across_the_end_of_its_item_is_not_remembered() -> None:
    inner = sequence(0x0040A730, made.explicit(0x00080104, "LO", b"x "), defined=False)
    for short in range(1, 9):
        cut = made.ITEM + struct.pack("<I", len(inner) - short) + inner
        agree(made.explicit(0x00081140, "SQ", cut) + made.explicit(0x00100020, "LO", b"A1"))
        agree(made.explicit(0x00081140, "SQ", cut, len(cut) - short) + made.explicit(0x00100020, "LO", b"A1"))
    agree(inner)


def test_a_mapped_file_is_read_as_its_bytes_are() -> None:
    data = made.nested(3) + made.explicit(0x00100020, "LO", b"A1")
    mapped = mmap.mmap(-1, len(data))
    mapped.write(data)
    for _ in range(2):
        assert read_header(mapped, made.EXPLICIT).header == read_header(data, made.EXPLICIT).header
        assert read_header(mapped, made.EXPLICIT).text == read_header(data, made.EXPLICIT).text


# ---- real images -------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", several_real_folders())
def test_real_images_are_recalled_as_they_are_read(folder: Path) -> None:
    """In one go: what one image leaves behind is there for the next."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        found = sniff(path)
        assert isinstance(found, Sniffed)
        data = path.read_bytes()
        for _ in range(2):
            ours = read_header(data, found.transfer_syntax, start=found.dataset_offset)
            theirs = read_header(memoryview(data), found.transfer_syntax, start=found.dataset_offset)
            assert ours == theirs
            assert list(ours.header) == list(theirs.header)
            assert ours.packed() == pack(theirs.header)


@pytest.mark.parametrize("folder", real_folders()[::8], ids=lambda p: p.name)
def test_real_images_are_cut_at_every_byte(folder: Path) -> None:
    path = min((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    found = sniff(path)
    assert isinstance(found, Sniffed)
    data = path.read_bytes()[found.dataset_offset :][:3000]
    agree(data)
    for cut in range(len(data)):
        agree(data[:cut])
