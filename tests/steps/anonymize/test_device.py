"""Conditions see a header as texts, whatever it was encoded in, and leave the data set as it came."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ImplicitVRLittleEndian

from node.steps.anonymize.device import (
    Both,
    Condition,
    Either,
    Not,
    Says,
    holds,
    paths_of,
    tag_named,
    texts_of,
    whole_number,
)
from node.steps.anonymize.plain import Plain
from tests import make

_MODALITY, _ROWS, _IMAGE_TYPE, _WINDOW = 0x00080060, 0x00280010, 0x00080008, 0x00281051
_REGIONS, _MIN_X = 0x00186011, 0x00186018


def _read(tmp_path: Path, *, implicit: bool = False) -> FileDataset:
    ds = make.ct_series(1)[0]
    ds.Manufacturer = "Müller GmbH"
    ds.WindowWidth = ["400.0", "1500"]
    ds.OperatorsName = ""
    ds.SequenceOfUltrasoundRegions = [Dataset(), Dataset()]
    for n, item in enumerate(ds.SequenceOfUltrasoundRegions):
        item.RegionLocationMinX0 = 70000 + n
    ds.add_new(0x60000022, "LO", "an overlay")
    ds.file_meta.ImplementationVersionName = "MINDRAY_1"
    if implicit:
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return dcmread(make.write(ds, tmp_path / "a.dcm"))


@pytest.mark.parametrize("implicit", [False, True])
def test_values_come_out_as_they_would_be_written(tmp_path: Path, implicit: bool) -> None:
    texts = texts_of(Plain(_read(tmp_path, implicit=implicit)))
    assert texts((_MODALITY,)) == ("CT",)
    assert texts((_ROWS,)) == ("12",)
    assert texts((_IMAGE_TYPE,)) == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert texts((_WINDOW,)) == ("400.0", "1500")
    assert texts((0x00080070,)) == ("Müller GmbH",)
    assert texts((0x60000022,)) == ("an overlay",)
    assert texts((0x00081070,)) == ()
    assert texts((0x00081090,)) is None
    assert texts((0x00020013,)) == ("MINDRAY_1",)
    assert texts((_REGIONS,)) == ("(a sequence)",)
    assert texts((0x7FE00010,)) == ("(binary)",)


def test_a_path_means_the_first_item(tmp_path: Path) -> None:
    texts = texts_of(Plain(_read(tmp_path)))
    assert texts((_REGIONS, _MIN_X)) == ("70000",)
    assert texts((0x00081140, _MIN_X)) is None
    assert texts((_MODALITY, _MIN_X)) is None


def test_reading_decodes_nothing_in_place(tmp_path: Path) -> None:
    """What de-identifies after this looks at the bytes."""
    ds = _read(tmp_path)
    texts = texts_of(Plain(ds))
    for tag in (_MODALITY, _ROWS, _IMAGE_TYPE, _WINDOW, 0x00080070):
        texts((tag,))
        assert isinstance(ds.get_item(tag), RawDataElement)


@pytest.mark.parametrize("charset", ["ISO_IR 192", "a charset of nobody"])
def test_text_that_its_character_set_does_not_explain_is_read_all_the_same(tmp_path: Path, charset: str) -> None:
    ds = _read(tmp_path)
    for tag, value in ((0x00080005, charset.encode()), (0x00080070, b"M\xfcller")):
        ds[tag] = RawDataElement(ds[tag].tag, ds[tag].VR, len(value), value, 0, False, True)
    assert texts_of(Plain(ds))((0x00080070,)) == ("Müller",)


@pytest.mark.parametrize(("value", "number"), [(b"\x05\x00", 5), (b"", None), (b"\x05\x00\x06\x00", None)])
def test_a_whole_number_is_one_or_none(value: bytes, number: int | None) -> None:
    ds = Dataset()
    ds[_ROWS] = RawDataElement(make.ct_series(1)[0]["Rows"].tag, "US", len(value), value, 0, False, True)
    assert whole_number(Plain(ds), _ROWS) == number
    assert whole_number(Plain(ds), 0x00280011) is None


@pytest.mark.parametrize(
    ("method", "argument", "found", "expected"),
    [
        ("deid contains", "secon", ("DERIVED", "SECONDARY"), True),
        ("deid contains", "^deri|x", ("SECONDARY", "DERIVED"), True),
        ("deid contains", "ct", None, False),
        ("deid notcontains", "ct", None, True),
        ("deid equals", " ge ", ("GE",), True),
        ("deid equals", "GE", ("GE MEDICAL",), False),
        ("deid notequals", "GE", None, True),
        ("deid missing", "", None, True),
        ("deid missing", "", (), False),
        ("deid present", "", (), True),
        ("deid empty", "", (), True),
        ("deid empty", "", ("",), True),
        ("deid empty", "", None, False),
        ("equals", "CT", ("CT",), True),
        ("equals", "ct", ("CT",), False),
        ("equals", "", None, True),
        ("equalsIgnoreCase", "ct", ("CT",), True),
        ("matches", "A.*C", ("A", "C"), True),
        ("matches", "A", ("AB",), False),
        ("contains", "L\\S", ("ORIGINAL", "SECONDARY"), True),
        ("contains", "sec", ("SECONDARY",), False),
        ("containsIgnoreCase", "sec", ("SECONDARY",), True),
        ("startsWith", "SEC", ("SECONDARY",), True),
        ("startsWithIgnoreCase", "sec", ("SECONDARY",), True),
        ("endsWith", "ARY", ("SECONDARY",), True),
        ("endsWithIgnoreCase", "ary", ("SECONDARY",), True),
        ("isLessThan", "10", ("9.5",), True),
        ("isLessThan", "10", ("x",), False),
        ("isLessThan", "10", None, False),
        ("isGreaterThan", "10", ("9", "20"), False),
        ("isGreaterThan", "10", ("20",), True),
    ],
)  # fmt: skip
def test_every_method(method: str, argument: str, found: tuple[str, ...] | None, expected: bool) -> None:
    assert holds(Says((_MODALITY,), method, argument), lambda path: found) is expected


_LEAVES: st.SearchStrategy[Condition] = st.booleans() | st.sampled_from("ab").map(
    lambda x: Says((ord(x),), "equals", x)
)
_CONDITIONS = st.recursive(
    _LEAVES, lambda c: st.builds(Not, c) | st.builds(Both, c, c) | st.builds(Either, c, c), max_leaves=12
)


@given(condition=_CONDITIONS, there=st.frozensets(st.sampled_from("ab")))
def test_conditions_combine_as_python_does(condition: Condition, there: frozenset[str]) -> None:
    def by_hand(c: Condition) -> bool:
        match c:
            case Not(inner):
                return not by_hand(inner)
            case Both(left, right):
                return by_hand(left) and by_hand(right)
            case Either(left, right):
                return by_hand(left) or by_hand(right)
            case Says(path):
                return chr(path[0]) in there
            case _:
                return bool(c)

    asked = set()

    def texts(path: tuple[int, ...]) -> tuple[str, ...] | None:
        asked.add(path)
        return (chr(path[0]),) if chr(path[0]) in there else None

    assert holds(condition, texts) is by_hand(condition)
    assert asked <= paths_of(condition)


def test_attributes_are_named_by_keyword_or_number() -> None:
    assert tag_named("Modality") == tag_named("0x00080060") == _MODALITY
    assert tag_named("SeqOfUltrasoundRegions") == tag_named("SequenceOfUltrasoundRegions") == _REGIONS
    assert tag_named("OverlayDescription") == 0x60000022
    for word in ("Manfacturer", "00080060", "0x0008", ""):
        with pytest.raises(ValueError, match="unknown attribute"):
            tag_named(word)
    with pytest.raises(ValueError, match='Did you mean "Manufacturer"'):
        tag_named("Manfacturer")
