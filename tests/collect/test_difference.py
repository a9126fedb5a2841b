"""What two instances differ in: names for all, values only for what names nobody."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from node.collect.difference import MOST, may_be_shown, told
from node.dicom import deid_table
from node.dicom.attributes import VR_BY_TAG
from node.dicom.content import header_difference
from node.dicom.header import read_header
from tests import make
from tests.kit import changed, encoded


def lines(first: Dataset, second: Dataset) -> list[str]:
    (a, syntax), (b, other) = encoded(first), encoded(second)
    paths = header_difference(a, syntax, b, other)
    return told(paths, read_header(a, syntax).header, read_header(b, other).header)


def test_a_value_that_names_nobody_is_shown() -> None:
    assert lines(make.ct_series(1)[0], changed(make.ct_series(1)[0], KVP=80)) == [
        "(0018,0060) KVP: 120 in the first, 80 in this one"
    ]


def test_a_value_that_may_name_somebody_is_not() -> None:
    other = changed(
        make.instance(), PatientName="Else^Somebody", PatientID="SECRET", StudyDate="19990101",
        SeriesDescription="of Somebody", AccessionNumber="SECRET", PatientWeight=81.5,
    )  # fmt: skip
    text = "\n".join(lines(make.instance(), other))
    assert text.count("differs") == 6
    assert "(0010,0010) Patient's Name differs" in text
    assert not any(value in text for value in ("Somebody", "SECRET", "1999", "81.5", "Invented"))


def test_private_attributes_are_named_by_their_tag_only() -> None:
    other = changed(make.instance())
    other.private_block(0x0019, "INVENTED", create=True).add_new(1, "LO", "of Somebody")
    text = "\n".join(lines(make.instance(), other))
    assert "(0019,1001)" in text
    assert "Somebody" not in text


def test_what_is_there_only_once_is_absent() -> None:
    assert lines(make.instance(), changed(make.instance(), ScanOptions="FAST")) == [
        "(0018,0022) Scan Options: absent in the first, FAST in this one"
    ]


def test_long_values_are_shortened() -> None:
    (line,) = lines(changed(make.instance(), ImageType=["A" * 16] * 3), make.instance())
    assert line.endswith("absent in this one")
    assert "…" in line


def test_a_value_in_a_sequence_is_shown_unless_the_sequence_is_named_by_the_table() -> None:
    (shown,) = lines(*(with_item(AnatomicRegionSequence=meaning) for meaning in ("Chest", "Head")))
    assert shown.endswith("> (0008,0104) Code Meaning: Chest in the first, Head in this one")
    (hidden,) = lines(*(with_item(RequestAttributesSequence=meaning) for meaning in ("Chest", "Head")))
    assert hidden.endswith("> (0008,0104) Code Meaning differs")


def with_item(**meanings: str) -> Dataset:
    """An instance with a sequence of one item that has a Code Meaning."""
    item = Dataset()
    (keyword,) = meanings
    item.CodeMeaning = meanings[keyword]
    return changed(make.instance(), **{keyword: Sequence([item])})


def test_a_thousand_differences_are_not_listed() -> None:
    paths = [f"0018{n:04X}" for n in range(0x60, 0x60 + MOST + 5)]
    found = told(paths, {}, {})
    assert len(found) == MOST + 1
    assert found[-1] == "and 5 more attributes"


@given(st.lists(st.sampled_from(sorted(VR_BY_TAG)), min_size=1, max_size=3), st.sampled_from(sorted(deid_table.rows())))
def test_nothing_at_or_below_an_attribute_of_the_table_is_ever_shown(path: list[int], named: int) -> None:
    for at in range(len(path) + 1):
        assert not may_be_shown([*path[:at], named, *path[at:]])
