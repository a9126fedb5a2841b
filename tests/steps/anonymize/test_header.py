"""Both who find elements, on the bytes and with pydicom, give the same values."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from node.dicom.attributes import VR_BY_TAG
from node.dicom.dataset import read
from node.steps.anonymize.header import Header
from node.steps.anonymize.plain import Plain
from node.steps.anonymize.scope import UndecidableError
from node.steps.anonymize.source import opened
from tests import make
from tests.dicom.datasets import BIG_ENDIAN, DEFLATED
from tests.steps.anonymize.choices import examples
from tests.steps.anonymize.generated import Generator, file

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def assert_same(one: Header, other: Header) -> None:
    assert one.tags == other.tags
    assert list(one.sequences()) == list(other.sequences())
    for tag in one.tags:
        if tag in VR_BY_TAG:  # of private ones and the like pydicom knows some
            assert one.vr(tag) == other.vr(tag), hex(tag)
        if one.vr(tag) != "SQ" and tag != 0x00280103:  # which pydicom decodes while it reads an item
            # pydicom decodes the character set, and leaves out its padding
            assert one.raw(tag).strip(b" \0") == other.raw(tag).strip(b" \0"), hex(tag)
        inner, same = one.items(tag), other.items(tag)
        assert len(inner) == len(same)
        for item, as_well in zip(inner, same, strict=True):
            assert_same(item, as_well)


@examples(60)
@given(st.integers(0, 2**64 - 1), st.booleans(), st.booleans(), st.sampled_from(["", BIG_ENDIAN, DEFLATED]))
def test_the_bytes_say_what_pydicom_says(seed: int, explicit: bool, unknown: bool, syntax: str) -> None:
    explicit = explicit or bool(syntax)
    data = Generator(seed, explicit=explicit, unknown=unknown, content=True).data_set()
    with tempfile.TemporaryDirectory() as folder:
        path = file(Path(folder) / "in", data, explicit=explicit, syntax=syntax)
        with opened(path) as source, path.open("rb") as plain:
            assert_same(source.header, Plain(read(plain)))


def test_what_is_not_there_has_no_value_and_no_items(tmp_path: Path) -> None:
    path = make.write(make.ct_series(1)[0], tmp_path / "a.dcm")
    with opened(path) as source:
        for header in (source.header, Plain(dcmread(path))):
            assert header.raw(0x00091001) == b""
            assert not header.items(0x00091001)
            assert not header.items(0x00080060)


def test_the_file_meta_information_belongs_to_the_top(tmp_path: Path) -> None:
    path = make.write(make.ct_series(1)[0], tmp_path / "a.dcm")
    with opened(path) as source:
        for header in (source.header, Plain(dcmread(path))):
            meta = header.meta()
            assert meta is not None
            assert meta.raw(0x00020010).startswith(b"1.2.840.10008.1.2")
            assert meta.meta() is None


def test_a_creator_that_pydicom_decoded_is_still_one(tmp_path: Path) -> None:
    """It decodes it with the first private element that somebody asks it for."""
    ds = make.ct_series(1)[0]
    ds.private_block(0x0019, "SOMEBODY", create=True).add_new(1, "LO", "a value")
    read_again = dcmread(make.write(ds, tmp_path / "a.dcm"))
    assert read_again[0x00191001].value == "a value"
    assert Plain(read_again).raw(0x00190010) == b"SOMEBODY"


def test_a_sequence_that_is_cut_short_is_not_read(tmp_path: Path) -> None:
    path = make.write(make.ct_series(1)[0], tmp_path / "a.dcm")
    ds = dcmread(path)
    element = ds.get_item(0x00080060)
    ds[0x00080060] = element._replace(length=element.length + 2)
    with pytest.raises(UndecidableError, match="cut short"):
        Plain(ds).items(0x00080060)
