"""The second reader's own parser against pydicom, and on bytes that are no data set."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from node.leaks.dicom import NotDicom, read_dicom
from node.leaks.parse import Encoding, Parsed, Unparsable, parse, steps, written
from tests import make
from tests.data import real_folders
from tests.leaks.patients import item


def nested(depth: int) -> FileDataset:
    ds = make.ct_series(1)[0]
    inner = item(CodeMeaning="innermost", PatientName="Kowalczyk^Anna")
    for _ in range(depth):
        inner = item(ContentSequence=inner, TextValue="around")
    ds.ContentSequence = inner
    block = ds.private_block(0x0019, "SOMEBODY", create=True)
    block.add_new(1, "LO", "private")
    block.add_new(2, "SQ", item(TextValue="in private"))
    return ds


def encoded(ds: FileDataset, syntax: str) -> bytes:
    """A whole file, encoded by pydicom."""
    ds.file_meta.TransferSyntaxUID = syntax
    if syntax != ExplicitVRBigEndian:
        buffer = BytesIO()
        dcmwrite(buffer, ds, enforce_file_format=True)
        return buffer.getvalue()
    head = DicomBytesIO()
    write_file_meta_info(head, ds.file_meta)
    body = DicomBytesIO()
    body.is_implicit_VR, body.is_little_endian = False, False
    write_dataset(body, ds)
    return b"\0" * 128 + b"DICM" + head.getvalue() + body.getvalue()


def by_pydicom(ds: Dataset, prefix: str = "") -> set[str]:
    """Every element that is no sequence and no pixel data, by its path."""
    found = set()
    for element in ds:
        tag = f"({element.tag.group:04X},{element.tag.element:04X})"
        if element.VR == "SQ":
            for number, inner in enumerate(element.value, 1):
                found |= by_pydicom(inner, f"{prefix}{tag}[{number}].")
        elif prefix or element.tag.group != 0x7FE0:
            found.add(prefix + tag)
    return found


def by_us(data: bytes) -> set[str]:
    file = read_dicom(data)
    assert file.broken is None
    return {written(value.path, value.tag) for value in file.parsed.values}


SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [False, True])
def test_every_element_is_found_where_pydicom_finds_it(syntax: str, undefined: bool) -> None:
    ds = nested(4)
    for element in ds.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = undefined
            for inner in element.value:
                inner.is_undefined_length_sequence_item = undefined
    data = encoded(ds, syntax)
    ours, theirs = by_us(data), by_pydicom(dcmread(BytesIO(data)))
    assert theirs - ours <= {place.split("[")[0] for place in ours - theirs}, "bytes to pydicom, a sequence to us"
    assert all(place.startswith("(0019,1002)[1]") for place in ours - theirs)


def test_values_have_their_bytes_and_their_place() -> None:
    data = encoded(nested(2), ExplicitVRLittleEndian)
    for value in read_dicom(data).parsed.values:
        assert data[value.offset : value.offset + len(value.raw)] == value.raw
    (name,) = [v for v in read_dicom(data).parsed.values if v.raw.startswith(b"Kowalczyk")]
    assert list(steps(name.path)) == [(0x0040A730, 1)] * 3
    assert name.vr == "PN"


def test_the_character_set_of_an_item_holds_in_it_alone() -> None:
    ds = make.instance()
    ds.ContentSequence = item(SpecificCharacterSet="ISO_IR 100", TextValue="x")
    ds.ImageComments = "y"
    sets = {v.tag: v.charset.strip() for v in read_dicom(encoded(ds, ExplicitVRLittleEndian)).parsed.values}
    assert (sets[0x0040A160], sets[0x00204000]) == (b"ISO_IR 100", b"ISO_IR 192")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_sequence_that_is_written_as_UN_is_read(syntax: str) -> None:
    hidden = Dataset()
    hidden.PatientName = "Kowalczyk^Anna"
    inner = DicomBytesIO()
    inner.is_little_endian, inner.is_implicit_VR = True, True
    write_dataset(inner, hidden)
    body = inner.getvalue()
    raw = b"\xfe\xff\x00\xe0" + len(body).to_bytes(4, "little") + body
    ds = make.instance()
    ds.add(DataElement(0x00190010, "LO", "SOMEBODY"))
    ds.add(DataElement(0x00191001, "UN", raw))
    file = read_dicom(encoded(ds, syntax))
    assert [v.raw for v in file.parsed.values if v.tag == 0x00100010 and v.path] == [b"Kowalczyk^Anna"]


def test_encapsulated_pixels_are_given_as_fragments_and_not_as_values() -> None:
    ds = make.ct_series(1)[0]
    ds.PixelData = encapsulate([b"\1\2\3\4", b"\5\6"])
    ds["PixelData"].is_undefined_length = True
    data = encoded(ds, RLELossless)
    pixels = read_dicom(data).parsed.pixels
    assert pixels is not None
    assert [data[begin:end] for begin, end in pixels.fragments[1:]] == [b"\1\2\3\4", b"\5\6"]


@pytest.mark.parametrize("folder", real_folders(), ids=lambda folder: folder.name)
def test_real_headers_are_read_as_pydicom_reads_them(folder: Path) -> None:
    path = sorted(p for p in folder.rglob("*") if p.is_file())[0]
    try:
        file = read_dicom(path.read_bytes())
    except NotDicom:
        pytest.skip("no preamble")
    assert file.broken is None
    ours = {written(v.path, v.tag) for v in file.parsed.values}
    theirs = by_pydicom(dcmread(path))
    # What we read as a sequence in UN, pydicom leaves as bytes.
    missing = {place for place in theirs - ours if not any(other.startswith(f"{place}[") for other in ours)}
    assert missing == set()


# ---- bytes that are no data set --------------------------------------------------------------------------------


@given(st.binary(max_size=300), st.sampled_from([Encoding(), Encoding(explicit=False), Encoding(big=True)]))
def test_any_bytes_are_read_or_refused(data: bytes, encoding: Encoding) -> None:
    try:
        end = parse(data, 0, encoding, Parsed())
    except Unparsable as error:
        end = error.offset
    assert 0 <= end <= len(data)


@given(st.integers(132, 1200), st.integers(0, 255))
def test_a_damaged_file_is_read_or_broken(position: int, byte: int) -> None:
    data = bytearray(encoded(nested(3), ExplicitVRLittleEndian))
    data[position] = byte
    file = read_dicom(bytes(data))
    assert file.broken is None or 0 <= file.broken <= len(data)


def test_a_file_cut_anywhere_is_broken_unless_it_is_cut_between_elements() -> None:
    data = encoded(nested(1), ExplicitVRLittleEndian)
    whole = by_us(data)
    for end in range(400, len(data) - 1, 7):
        file = read_dicom(data[:end])
        assert file.broken is not None or {written(v.path, v.tag) for v in file.parsed.values} < whole


def test_nesting_that_cannot_be_read_takes_no_time() -> None:
    """Each level is tried in two encodings, which alone would be 2 to the power of 60."""
    body = b"\xff" * 10
    for _ in range(60):
        body = b"\xfe\xff\x00\xe0" + len(body).to_bytes(4, "little") + body
        body = b"\x19\x00\x01\x10UN\0\0" + len(body).to_bytes(4, "little") + body
    parsed = Parsed()
    with pytest.raises(Unparsable):
        parse(body.replace(b"UN", b"SQ"), 0, Encoding(), parsed)


def test_an_item_of_an_item_has_its_number() -> None:
    ds = make.instance()
    first, second = Dataset(), Dataset()
    first.TextValue, second.TextValue = "1", "2"
    ds.ContentSequence = Sequence([first, second])
    assert "(0040,A730)[2].(0040,A160)" in by_us(encoded(ds, ExplicitVRLittleEndian))


def test_no_file_is_no_dicom_file() -> None:
    with pytest.raises(NotDicom):
        read_dicom(b"x" * 400)
