"""A place names one element, also where its neighbours have gone and its private block has moved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as Items

from benchmarks.corpus import places
from benchmarks.corpus.study import code, item, one
from tests import make


def instance() -> FileDataset:
    ds = make.instance()
    ds.ReferencedImageSequence = Items([item(ReferencedSOPInstanceUID=f"1.2.{n}") for n in range(3)])
    return ds


def value(ds: FileDataset, place: str) -> object:
    element = places.find(ds, place)
    return None if element is None else element.value


def test_an_attribute_is_found_at_the_top_in_an_item_and_in_the_file_meta_information() -> None:
    ds = instance()
    assert value(ds, "(0010,0020)") == "T-0001"
    assert value(ds, "(0008,1140)[2](0008,1155)") == "1.2.2"
    assert value(ds, "meta (0002,0002)") == ds.SOPClassUID


@pytest.mark.parametrize("place", ["(0010,0040)", "(0008,1140)[3](0008,1155)", "(0008,2112)[0](0008,1155)"])
def test_what_is_not_there_is_none(place: str) -> None:
    ds = instance()
    del ds.PatientSex
    assert places.find(ds, place) is None


@pytest.mark.parametrize("place", ["", "preamble", "(0010,0020", "0010,0020", "(0010,0020) x"])
def test_what_is_no_place_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match="names no attribute"):
        places.find(instance(), place)


def test_a_content_item_is_found_by_its_concept_when_those_before_it_have_gone() -> None:
    ds = instance()
    items = [item(TextValue=str(n), ConceptNameCodeSequence=code(f"12107{n}", "DCM", "invented")) for n in range(3)]
    ds.ContentSequence = Items(items)
    place = places.of_item("(0040,A730)", 2, items[2]) + "(0040,A160)"
    assert place == "(0040,A730)[=121072](0040,A160)"
    del ds.ContentSequence[0]
    assert value(ds, place) == "2"


@given(st.integers(0x10, 0xFE), st.integers(0, 0xFF))
def test_a_private_element_is_found_in_whatever_block_it_is(block: int, low: int) -> None:
    ds = make.instance()
    ds.add_new((0x0019, block), "LO", "SOMEBODY")
    ds.add_new((0x0019, block << 8 | low), "LO", "x")
    assert value(ds, places.private(0x0019, "SOMEBODY", low)) == "x"
    assert places.find(ds, places.private(0x0019, "ANYBODY", low)) is None


def test_a_private_sequence_that_implicit_vr_gives_back_as_bytes_is_read() -> None:
    """Items of undefined or of defined length: FE FF 00 E0 begins both (PS3.5 7.5)."""
    ds = make.instance()
    ds.add_new(0x00190010, "LO", "SOMEBODY")
    ds.add_new(0x00191001, "UN", bytes.fromhex("feff00e00a00000010002000020000005431"))
    assert value(ds, '(0019,"SOMEBODY",01)[0](0010,0020)') == "T1"


def test_an_item_without_a_concept_is_named_by_its_number() -> None:
    assert places.of_item("(0008,1140)", 1, Dataset()) == "(0008,1140)[1]"
    assert places.concept_of(one()[0]) == ""
