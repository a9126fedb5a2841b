"""A header whose values are decoded when asked for says what pydicom says, or leaves the file to it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from node.dicom.attributes import is_creator
from node.dicom.damage import UNREADABLE
from node.dicom.dataset import write
from node.errors import CannotSucceed
from node.imaging import encoded
from node.imaging.attributes import Frame, frames_of
from node.imaging.encoded import Encoded
from node.imaging.pixels import Pixels, of_header, read_header
from node.imaging.places import Unusual
from node.imaging.reading import Attributes, private, value
from tests import make
from tests.data import several_real_folders


def same(ours: Encoded, theirs: Dataset, where: str = "") -> int:
    """Compare every value, at every depth; how many were the same."""
    count = 0
    for tag in theirs.keys():  # noqa: SIM118 - to iterate would decode the values
        keyword = keyword_for_tag(tag)
        if keyword:
            count += same_value(partial(value, ours, keyword), partial(value, theirs, keyword), where + keyword)
            same_value(partial(ours.get, keyword), partial(theirs.get, keyword), where + keyword)
        elif is_creator(tag):
            creator, block = str(theirs[tag].value).strip(), (tag >> 16, tag & 0xFF)
            for element in {t & 0xFF for t in theirs.keys() if (t >> 16, t >> 8 & 0xFF) == block}:  # noqa: SIM118
                asked = (tag >> 16, creator, element)
                count += same_value(partial(private, ours, *asked), partial(private, theirs, *asked), f"{where}{asked}")
    return count


def same_value(ours: Callable[[], Any], theirs: Callable[[], Any], where: str) -> int:
    wanted, found = outcome(theirs), outcome(ours)
    if found is Unusual:
        return 0  # the whole file is then pydicom's
    if isinstance(wanted, Sequence):
        assert isinstance(found, list), where
        assert len(found) == len(wanted), where
        return sum(same(a, b, f"{where}.") for a, b in zip(found, wanted, strict=True))
    assert (type(found), repr(found)) == (type(wanted), repr(wanted)), where
    return 1


def outcome(ask: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ask()
        except Unusual:
            return Unusual
        except UNREADABLE as error:
            return type(error)


def read(path: Path) -> Encoded:
    with path.open("rb") as file:
        return encoded.read(file)[0]


def frames_in(ds: Attributes, pixels: Pixels | None) -> tuple[Pixels | None, list[Frame]]:
    return pixels, [] if pixels is None else frames_of(ds, pixels.layout, 0)


def both_ways(path: Path) -> list[Any]:
    """What is planned from, or why nothing is: by the fast way, and by pydicom."""
    found: list[Any] = []
    ways: list[Callable[[], Any]] = [lambda: of_header(path, frames_in), lambda: frames_in(*read_header(path))]
    for way in ways:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found.append(way())
        except CannotSucceed as error:
            found.append(str(error))
    return found


@pytest.mark.parametrize("folder", several_real_folders())
def test_every_value_of_real_images_is_what_pydicom_reads(folder: Path) -> None:
    for path in sorted(folder.iterdir())[::7]:
        fast, slow = both_ways(path)
        assert fast == slow, path.name
        try:
            ours = read(path)
        except Unusual:
            continue  # implicit, big endian, deflated, or no image
        assert same(ours, read_header(path)[0], f"{path.name}: ") > 30


def test_what_is_made_here_is_read_the_fast_way(tmp_path: Path) -> None:
    for ds in (make.ct_series(1)[0], make.enhanced_mr(3, 2)):
        path = make.write(ds, tmp_path / "a.dcm")
        assert same(read(path), read_header(path)[0]) > 30
        assert both_ways(path)[0] == both_ways(path)[1]


def nested(undefined: bool) -> FileDataset:
    """Text, sequences in sequences, and a private block, with lengths or delimiters."""
    ds = make.ct_series(1)[0]
    inner, outer = Dataset(), Dataset()
    inner.CodeMeaning, inner.CodeValue = "Füße", "plain"
    outer.PurposeOfReferenceCodeSequence = [inner]
    outer.ReferencedSOPInstanceUID = "1.2.3"
    ds.ReferencedImageSequence = [outer, outer]
    ds.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "UN", b"1000")
    ds.private_block(0x0021, "SOMEBODY", create=True).add_new(0x01, "LO", "größer")
    for item in (outer, inner):
        item.is_undefined_length_sequence_item = undefined
    for sequence in (ds["ReferencedImageSequence"], outer["PurposeOfReferenceCodeSequence"]):
        sequence.is_undefined_length = undefined
    return ds


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("charset", ["ISO_IR 192", "ISO_IR 100"])
def test_text_and_private_elements_depend_on_what_stands_around_them(
    undefined: bool, charset: str, tmp_path: Path
) -> None:
    ds = nested(undefined)
    ds.SpecificCharacterSet = charset
    path = make.write(ds, tmp_path / "a.dcm")
    ours, (theirs, _) = read(path), read_header(path)
    assert same(ours, theirs) > 40
    meanings = [
        x.get("PurposeOfReferenceCodeSequence")[0].get("CodeMeaning") for x in ours.get("ReferencedImageSequence")
    ]
    assert meanings == ["Füße", "Füße"]
    assert private(ours, 0x0021, "SOMEBODY", 0x01) == "größer"
    assert private(ours, 0x0021, "NOBODY", 0x01) is None


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_other_encodings_are_left_to_pydicom(syntax: str, tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    path = tmp_path / "a.dcm"
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    if syntax == ExplicitVRBigEndian:
        write(ds, path)
    else:
        ds.save_as(path, implicit_vr=syntax == ImplicitVRLittleEndian)
    with pytest.raises(Unusual):
        read(path)
    fast, slow = both_ways(path)
    assert fast == slow
    assert len(fast[1]) == 1


def test_what_has_no_pixels_or_is_no_dicom_is_left_to_pydicom(tmp_path: Path) -> None:
    for path in (make.write(make.report(), tmp_path / "a.dcm"), tmp_path / "b.dcm", tmp_path / "c.dcm"):
        if path.name == "b.dcm":
            path.write_bytes(b"no image" * 100)
        if path.name == "c.dcm":
            path.touch()
        with pytest.raises(Unusual):
            read(path)
        fast, slow = both_ways(path)
        assert fast == slow


def test_a_header_that_is_longer_than_what_is_read_at_first_is_read_on(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", bytes(300_000))
    path = make.write(ds, tmp_path / "a.dcm")
    assert len(private(read(path), 0x0029, "SIEMENS CSA HEADER", 0x10)) == 300_000


def test_of_an_attribute_that_is_there_twice_pydicom_decides(tmp_path: Path) -> None:
    path = make.write(make.ct_series(1)[0], tmp_path / "a.dcm")
    data = path.read_bytes()
    at = data.index(b"\x20\x00\x32\x00DS")  # Image Position (Patient)
    end = at + 8 + int.from_bytes(data[at + 6 : at + 8], "little")
    path.write_bytes(data[:end] + data[at:end].replace(b"0", b"1") + data[end:])
    with pytest.raises(Unusual):
        read(path)
    fast, slow = both_ways(path)
    assert fast == slow


def test_the_values_of_one_file_are_never_those_of_another(tmp_path: Path) -> None:
    one, other = make.ct_series(2)
    one.SpecificCharacterSet, other.SpecificCharacterSet = "ISO_IR 192", "ISO_IR 101"
    for ds in (one, other):
        ds["SeriesDescription"] = DataElement(0x0008103E, "LO", "ő")
    paths = [make.write(one, tmp_path / "one.dcm"), make.write(other, tmp_path / "other.dcm")]
    for path in (*paths, *paths):
        assert same(read(path), read_header(path)[0]) > 30
        assert read(path).get("SeriesDescription") == "ő"


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("examples")
    made = (nested(True), nested(False), make.enhanced_mr(2, 1, rows=4, columns=4))
    return [make.write(ds, folder / f"{n}.dcm") for n, ds in enumerate(made)]


@given(data=st.data())
def test_whatever_is_damaged_both_ways_say_the_same(data: st.DataObject, examples: list[Path]) -> None:
    path = data.draw(st.sampled_from(examples))
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(132, len(whole) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(200, len(whole))) :]
    damaged = path.with_name("damaged.dcm")
    damaged.write_bytes(whole)
    fast, slow = both_ways(damaged)
    assert repr(fast) == repr(slow)  # a NaN is not itself
