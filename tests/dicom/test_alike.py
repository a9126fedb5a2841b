"""Data sets read with what those before them had in common are what they are alone, and break off where they do."""

from __future__ import annotations

import os

from hypothesis import event, given, settings
from hypothesis import strategies as st

from node.dicom import levels
from node.dicom.alike import Alike, Shared
from node.dicom.encoding import Malformed, Parse
from node.dicom.levels import EXPLICIT, IMPLICIT, Level
from tests.steps.anonymize.generated import Generator, element

_seeds = st.integers(0, 2**64 - 1)
_EXAMPLES = settings(max_examples=400 if os.environ.get("DICOM_NODE_FULL") == "1" else 60, deadline=None)


def _alone(data: bytes, start: int, parse: Parse) -> Level | str:
    try:
        return levels.top(data, start, parse)
    except Malformed as error:
        return f"{type(error).__name__} {error.offset} {error}"


def _after_others(alike: Alike, data: bytes, start: int, parse: Parse) -> Level | str:
    try:
        return alike.top(data, start, parse)
    except Malformed as error:
        return f"{type(error).__name__} {error.offset} {error}"


@st.composite
def _variants(draw: st.DrawFn, data: bytes, parse: Parse) -> bytes:
    """The same with elements left out, written twice, in another place, of other values, or damaged."""
    pieces = [data[each[2] : each[4]] for each in levels.top(data, 0, parse).values()]
    for _ in range(draw(st.integers(0, 4))):
        at, to = draw(st.integers(0, len(pieces) - 1)), draw(st.integers(0, len(pieces) - 1))
        match draw(st.sampled_from(["gone", "twice", "moved", "other", "cut", "noise"])):
            case "gone" if len(pieces) > 1:
                del pieces[at]
            case "twice":
                pieces.insert(to, pieces[at])
            case "moved":
                pieces.insert(to, pieces.pop(at))
            case "other":
                pieces[at] = pieces[at][:-1] + draw(st.binary(min_size=1, max_size=1))
            case "cut":
                pieces[-1] = pieces[-1][:-1]
            case _:
                pieces[at] = draw(st.binary(min_size=1, max_size=12)) + pieces[at]
    return b"".join(pieces)


@_EXAMPLES
@given(st.data(), _seeds, st.booleans(), st.booleans())
def test_a_data_set_is_read_as_it_is_read_alone(
    data: st.DataObject, seed: int, explicit: bool, disordered: bool
) -> None:
    parse, alike = EXPLICIT if explicit else IMPLICIT, Alike()
    first = Generator(seed, explicit=explicit, disordered=disordered).data_set()
    every = [first, *(data.draw(_variants(first, parse)) for _ in range(4))]
    for one in [*every, *every, first, first]:
        start = data.draw(st.sampled_from([0, 6]))
        padded = b"\0" * start + one
        alone = _alone(padded, start, parse)
        event("read" if isinstance(alone, dict) else "refused")
        found = _after_others(alike, padded, start, parse)
        assert found == alone
        assert list(found) == list(alone)


@_EXAMPLES
@given(st.data(), _seeds, st.booleans())
def test_those_that_share_the_same_differ_in_what_varies_alone(data: st.DataObject, seed: int, explicit: bool) -> None:
    parse, alike = EXPLICIT if explicit else IMPLICIT, Alike()
    first = Generator(seed, explicit=explicit).data_set()
    every = [first, first, *(data.draw(_variants(first, parse)) for _ in range(4))]
    known: dict[Shared, tuple[object, ...]] = {}
    for one in [*every, *every]:
        try:
            level, shared = alike.read(one, 0, parse)
        except Malformed:
            continue
        event("in common" if shared else "alone")
        if shared is None:
            continue
        assert shared.tags == tuple(level)
        assert [each[2] for each in level.values()][1:] == [each[4] for each in level.values()][:-1]
        same = tuple(
            (tag, vr, items is None, b"" if tag in shared.varying else one[start:end])
            for tag, vr, start, _, end, items in level.values()
        )
        assert known.setdefault(shared, same) == same


def test_few_things_that_are_shared_are_remembered() -> None:
    alike, found = Alike(), set[Shared | None]()
    for number in range(200):
        rest = b"".join(element(tag, "LO", b"x ", explicit=True) for tag in range(0x00400000, 0x00400000 + number))
        found.add(alike.read(_of("1") + rest, 0, EXPLICIT)[1])
    assert len(alike.shared) <= 64 < len(found)


def _of(number: str, patient: str = "Anna^A") -> bytes:
    values = {0x00080060: "CT", 0x00100010: patient, 0x00180015: "CHEST", 0x00180050: "1.5", 0x00200013: number}
    start = element(0x00080008, "CS", b"ORIGINAL\\PRIMARY\\AXIAL\\" + b"X" * 30, explicit=True)
    rest = (element(tag, "LO", value.encode().ljust(8), explicit=True) for tag, value in values.items())
    return start + b"".join(rest)


def test_what_differs_parts_the_stretches_and_all_else_stays_one() -> None:
    alike = Alike()
    for number in ("1", "2", "3"):
        alike.top(_of(number), 0, EXPLICIT)
    (stretches,) = alike.known.values()
    assert [[each[0] for each in one.elements] for one in stretches] == [
        [0x00080008, 0x00080060, 0x00100010, 0x00180015, 0x00180050]
    ]
    alike.top(_of("4", "Bert^B"), 0, EXPLICIT)
    (stretches,) = alike.known.values()
    assert [len(one.elements) for one in stretches] == [2, 2]


def test_a_data_set_that_shares_little_with_those_before_is_what_the_next_are_held_against() -> None:
    alike = Alike()
    other = element(0x00080008, "CS", b"ORIGINAL\\PRIMARY\\AXIAL\\" + b"X" * 30, explicit=True)
    other += b"".join(element(tag, "LO", b"x ", explicit=True) for tag in range(0x00400000, 0x00400010))
    for one in (_of("1"), other, other):
        assert alike.top(one, 0, EXPLICIT) == levels.top(one, 0, EXPLICIT)
    (stretches,) = alike.known.values()
    assert sum(len(one.elements) for one in stretches) == 17


def test_of_a_data_set_of_very_many_elements_nothing_is_remembered() -> None:
    many = b"".join(element(tag, "LO", b"x ", explicit=True) for tag in range(0x00100000, 0x00101400))
    alike = Alike()
    assert len(alike.top(many, 0, EXPLICIT)) == 0x1400
    assert not alike.known


def test_few_kinds_of_data_sets_are_remembered() -> None:
    alike = Alike()
    for number in range(100):
        alike.top(element(0x00080008, "CS", b"%48d" % number, explicit=True), 0, EXPLICIT)
    assert len(alike.known) <= 16
