from __future__ import annotations

import io
import json
import math
import struct
import unicodedata
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from node.dicom.attributes import key_of, tag_of
from node.dicom.encoding import Malformed, Truncated
from node.dicom.header import Reading, pack, read_header, read_header_of, unpack
from node.dicom.part10 import read_meta
from node.dicom.sniff import Sniffed, sniff
from tests import make
from tests.data import real, real_folders
from tests.dicom import big_endian as big
from tests.dicom import datasets as made


def header(ds: Dataset, syntax: str = made.EXPLICIT, **options: Any) -> dict[str, Any]:
    return dict(read_header(made.encoded(ds, syntax), syntax, **options).header)


def dataset(**values: object) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def test_the_shape_is_the_one_the_model_promises() -> None:
    inner = dataset(ReferencedSOPInstanceUID="1.2.3")
    ds = dataset(Modality="CT", ReferencedImageSequence=[inner], Rows=512, PatientName="A^B", StudyDescription="")
    assert header(ds) == {
        "00080060": ["CS", ["CT"]],
        "00081030": ["LO", []],
        "00081140": ["SQ", [{"00081155": ["UI", ["1.2.3"]]}]],
        "00100010": ["PN", ["A^B"]],
        "00280010": ["US", [512]],
    }


@pytest.mark.parametrize("syntax", made.UNCOMPRESSED)
@given(ds=made.datasets)
@settings(max_examples=40, deadline=None)
def test_a_data_set_reads_the_same_in_every_uncompressed_syntax(syntax: str, ds: Dataset) -> None:
    read = read_header(made.encoded(ds, syntax), syntax)
    assert_agrees(read.header, ds)
    assert read.guessed == read.dropped == 0


@pytest.mark.parametrize("defined", [True, False])
def test_what_is_written_as_un_is_little_endian_in_big_endian_too(defined: bool) -> None:
    """PS3.5 6.2.2 note 2: numbers, tags and sequences, and what stands behind them is big endian again."""
    deep = big.items(big.implicit(0x00280011, b"\3\0"))
    inner = big.implicit(0x00280010, b"\2\0") + big.implicit(0x00081140, deep)
    data = (
        big.unknown_sequence(0x00082112, inner, defined=defined)
        + big.element(0x00189087, "UN", struct.pack("<d", 1000))
        + big.element(0x00280009, "UN", b"\x18\0\x63\x10")
        + big.element(0x00280010, "UN", b"\2\0")
        + big.element(0x00280011, "US", b"\0\2")
    )
    assert read_header(data, made.BIG_ENDIAN).header == {
        "00082112": ["SQ", [{"00081140": ["SQ", [{"00280011": ["US", [3]]}]], "00280010": ["US", [2]]}]],
        "00189087": ["FD", [1000.0]],
        "00280009": ["AT", ["00181063"]],
        "00280010": ["US", [2]],
        "00280011": ["US", [2]],
    }


def test_a_private_number_in_un_is_little_endian_in_big_endian_too() -> None:
    creator = big.element(0x00190010, "LO", b"GEMS_ACQU_01")
    data = creator + big.element(0x00191002, "UN", b"\x90\3\0\0")
    (value,) = (v for k, v in read_header(data, made.BIG_ENDIAN).header.items() if not k.endswith("0010"))
    assert value == ["SL", [912]]


def test_a_real_image_has_the_same_header_in_big_endian_and_in_implicit() -> None:
    ours, theirs = (next(real("ct_16ts").glob(f"*{name}*")) for name in ("BigEndianExplicit", "LittleEndianImplicit"))
    metas = [read_meta(path) for path in (ours, theirs)]
    big_endian, implicit = (
        read_header_of(path, meta.transfer_syntax, meta.dataset_offset).header
        for path, meta in zip((ours, theirs), metas, strict=True)
    )
    assert big_endian == implicit
    assert len(big_endian) > 250


@given(ds=made.datasets)
@settings(max_examples=40, deadline=None)
def test_what_is_packed_comes_back(ds: Dataset) -> None:
    read = header(ds)
    assert unpack(pack(read)) == read


def test_packed_bytes_of_another_kind_are_refused() -> None:
    for packed in (b"", b"\x02abc", b"\x01abc"):
        with pytest.raises(ValueError, match="packed header"):
            unpack(packed)


def test_pixel_data_are_null_and_need_not_be_there() -> None:
    begin = made.explicit(0x00280010, "US", b"\0\2")
    read = read_header(begin + made.explicit(0x7FE00010, "OW", b"\1\2", 10**8), made.EXPLICIT)
    assert read.header == {"00280010": ["US", [512]], "7FE00010": ["OW", None]}
    assert read.pixel_data == len(begin)
    assert read_header(begin, made.EXPLICIT).pixel_data is None


def test_pixel_data_of_an_icon_are_not_the_end_of_the_header() -> None:
    icon = made.explicit(0x7FE00010, "OW", b"\1\2")
    item = made.ITEM + struct.pack("<I", len(icon)) + icon
    read = read_header(made.explicit(0x00880200, "SQ", item), made.EXPLICIT)
    assert read.header == {"00880200": ["SQ", [{"7FE00010": ["OW", None]}]]}
    assert read.pixel_data is None


def test_long_and_bulk_values_are_present_but_null() -> None:
    ds = dataset(ImageComments="x" * 65, StudyComments="x" * 64, ICCProfile=b"\0" * 4)
    assert header(ds) == {"00204000": ["LT", None], "00324000": ["LT", ["x" * 64]], "00282000": ["OB", None]}


def test_private_elements_are_kept_by_their_tag_beside_their_creator() -> None:
    ds = Dataset()
    ds.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "1000")
    assert header(ds) == {"00190010": ["LO", ["SIEMENS MR HEADER"]], "0019100C": ["IS", [1000]]}
    assert header(ds, made.IMPLICIT) == header(ds)


def test_signed_attributes_follow_the_pixel_representation_in_implicit_encoding() -> None:
    ds = dataset(PixelRepresentation=1)
    ds.add_new(0x00280106, "SS", -1000)
    assert header(ds, made.IMPLICIT)["00280106"] == header(ds)["00280106"] == ["SS", [-1000]]
    ds = dataset(PixelRepresentation=0)
    ds.add_new(0x00280106, "US", 64536)
    assert header(ds, made.IMPLICIT)["00280106"] == ["US", [64536]]


def test_an_item_has_the_character_set_of_its_data_set_unless_it_names_its_own() -> None:
    def item(body: bytes) -> bytes:
        return made.ITEM + struct.pack("<I", len(body)) + body

    own = made.explicit(0x00080005, "CS", b"ISO_IR 192") + made.explicit(0x00080104, "LO", "é".encode())
    inherited = made.explicit(0x00080104, "LO", b"\xe9")
    sequence = item(own) + item(inherited)
    data = made.explicit(0x00080005, "CS", b"ISO_IR 100") + made.explicit(0x0008103F, "SQ", sequence)
    data += made.explicit(0x00100010, "PN", b"\xe9")
    read = read_header(data, made.EXPLICIT)
    first, second = read.header["0008103F"][1]
    assert first["00080104"] == second["00080104"] == ["LO", ["é"]]
    assert read.header["00100010"] == ["PN", ["é"]]
    assert read.guessed == 0


def test_a_peers_charset_is_used_and_noted() -> None:
    data = made.explicit(0x00100010, "PN", b"M\xfcller")
    assert read_header(data, made.EXPLICIT, "ISO_IR 100") == Reading(header={"00100010": ["PN", ["Müller"]]}, guessed=1)
    damaged = read_header(made.explicit(0x00080005, "CS", b"ISO_IR 192") + data, made.EXPLICIT)
    assert (damaged.header["00100010"], damaged.guessed) == (["PN", ["M\ufffdller"]], 1)


def test_a_header_over_its_limit_keeps_the_outermost_sequence_as_null_and_goes_on() -> None:
    frames = [dataset(ReferencedImageSequence=[dataset(CodeMeaning=f"frame {n}")]) for n in range(200)]
    ds = dataset(Modality="MR", PerFrameFunctionalGroupsSequence=frames, StudyDescription="HEAD")
    ds.add_new(0x54000100, "SQ", [dataset(CodeMeaning="kept")])
    read = read_header(made.encoded(ds), made.EXPLICIT, max_header=2000)
    assert read.header["52009230"] == ["SQ", None]
    assert read.header["54000100"] == ["SQ", [{"00080104": ["LO", ["kept"]]}]]
    assert read.header["00081030"] == ["LO", ["HEAD"]]
    assert read.dropped == 1
    assert len(json.dumps(read.header)) < 2000


def test_a_sequence_that_comes_twice_and_is_over_the_limit_is_null_and_no_other_attribute_is() -> None:
    item = made.ITEM + b"\xff\xff\xff\xff"
    small = item + made.explicit(0x00081155, "UI", b"1.2.3\0") + made.ITEM_END
    large = b"".join(
        item + made.explicit(0x00081155, "UI", b"1." * 20 + b"%04d" % n) + made.ITEM_END for n in range(40)
    )
    study = made.explicit(0x0020000D, "UI", b"1.2.826\0")
    data = made.explicit(0x00081140, "SQ", small) + study + made.explicit(0x00081140, "SQ", large)
    for given_as in (data, memoryview(data)):
        read = read_header(given_as, made.EXPLICIT, max_header=1000)
        assert read.header == {"00081140": ["SQ", None], "0020000D": ["UI", ["1.2.826"]]}


def test_a_header_over_its_limit_keeps_no_endless_row_of_private_elements() -> None:
    data = b"".join(made.explicit(0x00091000 + n, "LO", b"x" * 60) for n in range(1000))
    read = read_header(data + made.explicit(0x00100020, "LO", b"A1"), made.EXPLICIT, max_header=5000)
    assert len(json.dumps(read.header)) < 6000
    assert read.dropped + len(read.header) == 1001


@pytest.mark.parametrize("syntax", made.UNCOMPRESSED)
def test_what_identifies_an_instance_is_kept_whatever_stands_before_it(syntax: str) -> None:
    ds = make.instance()
    for block in range(0x10, 0x90):
        ds.add_new(0x00090000 | block, "LO", "WIDE")
        for n in range(0x100):
            ds.add_new(0x00090000 | block << 8 | n, "LO", "x" * 60)
    data = made.encoded(ds, syntax)
    read = read_header(data, syntax)
    assert read.dropped > 0
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "PatientID", "SpecificCharacterSet", "SeriesNumber"):
        assert read.header[key_of(tag_of(keyword) or 0)][1] == [ds[keyword].value]


def test_a_deflated_header_is_read_without_inflating_its_pixels() -> None:
    ds = dataset(Modality="CT", Rows=512)
    ds.add_new(0x7FE00010, "OW", bytes(5_000_000))
    data = made.encoded(ds, made.DEFLATED)
    assert read_header(b"meta" + data, made.DEFLATED, start=4).header["7FE00010"] == ["OW", None]
    with pytest.raises(Malformed):
        read_header(data[:8], made.DEFLATED)


def test_a_file_is_read_at_its_offset(tmp_path: Path) -> None:
    ds = dataset(Modality="CT")
    path = tmp_path / "instance"
    path.write_bytes(b"twelve bytes" + made.encoded(ds))
    assert read_header_of(path, made.EXPLICIT, 12).header == header(ds)
    with pytest.raises(Truncated):
        read_header_of(path, made.EXPLICIT, 1000)


@given(ds=made.datasets, syntax=st.sampled_from(made.UNCOMPRESSED), choices=st.data())
@settings(max_examples=150, deadline=None)
def test_a_beginning_in_which_pixel_data_begin_reads_as_the_whole(
    ds: Dataset, syntax: str, choices: st.DataObject
) -> None:
    """Receiving relies on it: of an instance only so much is in memory."""
    ds.PixelData, ds.BitsAllocated = bytes(64), 8
    ds["PixelData"].VR = "OB"
    whole = made.encoded(ds, syntax)
    if choices.draw(st.booleans()):
        whole = made.mutated(choices, whole)
    beginning = whole[: choices.draw(st.integers(0, len(whole)))]
    try:
        read = read_header(beginning, syntax)
    except Malformed:
        return
    if read.pixel_data is not None:
        assert read == read_header(whole, syntax)


@given(raw=st.binary(max_size=300), syntax=st.sampled_from(made.UNCOMPRESSED))
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_a_header_or_are_malformed(raw: bytes, syntax: str) -> None:
    _read_or_malformed(raw, syntax)


@given(ds=made.datasets, syntax=st.sampled_from(made.UNCOMPRESSED), choices=st.data())
@settings(max_examples=100, deadline=None)
def test_a_damaged_data_set_gives_a_header_or_is_malformed(ds: Dataset, syntax: str, choices: st.DataObject) -> None:
    _read_or_malformed(made.mutated(choices, made.encoded(ds, syntax)), syntax)


def _read_or_malformed(raw: bytes, syntax: str) -> None:
    try:
        read = read_header(raw, syntax, max_header=3000)
    except Malformed:
        return
    assert unpack(pack(read.header)) == read.header


@pytest.mark.parametrize("folder", real_folders(), ids=lambda p: p.name)
def test_real_headers_agree_with_pydicom(folder: Path) -> None:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    assert files
    for path in files:
        found = sniff(path)
        assert isinstance(found, Sniffed)
        read = read_header_of(path, found.transfer_syntax, found.dataset_offset)
        ds = pydicom.dcmread(path, defer_size=1024)
        for tag in list(ds.keys()):
            element = ds.get_item(tag)
            if isinstance(element, RawDataElement) and element.VR == "UN":
                # PS3.5 6.2.2 note 2, which pydicom does not know of big endian data sets.
                ds[tag] = element._replace(is_little_endian=True)
        assert_agrees(read.header, ds, dropped=read.dropped)


@pytest.mark.parametrize("folder", real_folders()[::4], ids=lambda p: p.name)
@given(choices=st.data())
@settings(max_examples=8, deadline=None)
def test_damaged_real_files_give_a_header_or_are_malformed(folder: Path, choices: st.DataObject) -> None:
    path = next(p for p in sorted(folder.rglob("*")) if p.is_file())
    found = sniff(path)
    assert isinstance(found, Sniffed)
    with io.BytesIO(path.read_bytes()) as file:
        file.seek(found.dataset_offset)
        whole = file.read(20_000)
    _read_or_malformed(made.mutated(choices, whole), found.transfer_syntax)


def assert_agrees(read: Any, ds: Dataset, dropped: int = 0) -> None:
    """Every element of `ds` up to pixel data stands in the header with pydicom's value, and nothing else does."""
    tags = {f"{int(tag):08X}" for tag in list(ds.keys()) if int(tag) <= 0x7FE00010 and tag.element}
    assert set(read) == tags
    for element in ds:
        if f"{int(element.tag):08X}" not in read:
            continue
        vr, values = read[f"{int(element.tag):08X}"]
        if values is None:
            assert _not_kept(element) or dropped, f"{element.tag} {vr}"
        elif vr == "SQ":
            assert len(values) == len(element.value)
            for ours, theirs in zip(values, element.value, strict=True):
                assert_agrees(ours, theirs, dropped)
        else:
            assert [_plain(v) for v in values] == _values_of(element), element.tag


def _not_kept(element: pydicom.DataElement) -> bool:
    if element.VR in ("OB", "OW", "OF", "OD", "OL", "OV", "UN"):
        return True
    values = element.value if element.VM > 1 else [element.value]
    size = {"FD": 8, "FL": 4, "UL": 4, "SL": 4}.get(element.VR, 2)
    return len(values) * size > 64 or any(
        len(str(v)) > 64 or (isinstance(v, float) and not math.isfinite(v)) for v in values
    )


def _values_of(element: pydicom.DataElement) -> list[object]:
    if element.value is None or (element.VM <= 1 and str(element.value).strip("\0 ") == ""):
        return []
    return [_plain(v, element.VR) for v in (element.value if element.VM > 1 else [element.value])]


def _plain(value: object, vr: str = "") -> object:
    if vr == "AT":
        return f"{int(str(value), 16) if isinstance(value, str) else int(value):08X}"  # type: ignore[call-overload]  # a BaseTag is an int
    if isinstance(value, str) or not isinstance(value, int | float):
        text = unicodedata.normalize("NFC", str(value))
        return text.rstrip("\0 ") if vr in ("PN", "ST", "LT", "UT", "UC") else text.strip("\0 ")
    return float(value) if math.isfinite(value) else str(value)
