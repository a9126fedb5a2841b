"""Negative controls: each kind of value planted in each kind of output is caught, and its place named without it."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from node.leaks import Collected, Kept, Output, Reader, What, collect
from tests import make
from tests.leaks.patients import UID, clean, collected, item, original, read, whats

VALUES = {
    "surname": ("Königstein", What.PATIENT),
    "surname in capitals without accents": ("KONIGSTEIN", What.PATIENT),
    "surname transliterated": ("koenigstein", What.PATIENT),
    "other name": ("Kowalczyk", What.PATIENT),
    "names run together": ("annamueller", What.PATIENT),
    "physician": ("OKONKWO", What.PERSON),
    "operator": ("petrosyan", What.PERSON),
    "patient id": ("MRN-0047113", What.ID),
    "patient id without zeros and separators": ("mrn47113", What.ID),
    "number of the patient id": ("0047113", What.ID),
    "accession number": ("ACC88123457", What.ID),
    "accession number in another spelling": ("acc-88-123-457", What.ID),
    "admission": ("5550123", What.ID),
    "birth date": ("19610409", What.BIRTH),
    "birth date by month name": ("9 April 1961", What.BIRTH),
    "birth date in German": ("09.04.1961", What.BIRTH),
    "study date": ("2017-08-23", What.DATE),
    "study date, year first, in a date and time": ("20170823101112", What.DATE),
    "street": ("Lindenallee 27", What.CONTACT),
    "telephone": ("0761 5550199", What.CONTACT),
    "institution": ("CHARITE", What.INSTITUTION),
    "serial number": ("40277B", What.DEVICE),
    "station": ("AWP45557", What.DEVICE),
    "uid": (UID, What.UID),
}
SENTENCE = "protocol for {} as planned"


def in_text(ds: FileDataset, text: str) -> None:
    ds.SeriesDescription = text


def in_private(ds: FileDataset, text: str) -> None:
    ds.private_block(0x0019, "SOMEBODY", create=True).add_new(1, "LT", text)


def in_private_bytes(ds: FileDataset, text: str) -> None:
    ds.private_block(0x0029, "SOMEBODY CSA", create=True).add_new(
        0x10, "OB", b"SV10\4\3\2\1" + text.encode() + b"\0\1\2"
    )


def in_structured_content(ds: FileDataset, text: str) -> None:
    inner = item(ValueType="TEXT", TextValue=text)
    ds.ContentSequence = item(ValueType="CONTAINER", ContentSequence=inner)


def in_code_meaning(ds: FileDataset, text: str) -> None:
    ds.ProcedureCodeSequence = item(CodeValue="1", CodingSchemeDesignator="99LOCAL", CodeMeaning=text)


def in_structure_set(ds: FileDataset, text: str) -> None:
    ds.StructureSetROISequence = item(ROINumber=1, ROIName=text)


def in_overlay(ds: FileDataset, text: str) -> None:
    ds.add_new((0x6000, 0x0022), "LO", text)


def in_overlay_bits(ds: FileDataset, text: str) -> None:
    raw = b"\1\2\3\0" + text.encode() + b"\0\0"
    ds.add_new((0x6000, 0x3000), "OW", raw + b"\0" * (len(raw) % 2))


def in_wide_characters(ds: FileDataset, text: str) -> None:
    ds.private_block(0x0029, "SOMEBODY CSA", create=True).add_new(0x10, "OB", b"\1\2\3\4" + text.encode("utf-16-le"))


PLACES: dict[str, Callable[[FileDataset, str], None]] = {
    "description": in_text, "private": in_private, "private bytes": in_private_bytes, "SR": in_structured_content,
    "code meaning": in_code_meaning, "RTSTRUCT": in_structure_set, "overlay": in_overlay,
    "overlay bits": in_overlay_bits, "UTF-16": in_wide_characters,
}  # fmt: skip
IN_BYTES = {"private bytes", "overlay bits", "UTF-16"}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Collected:
    return collected(tmp_path_factory.mktemp("originals"))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", VALUES)
def test_a_value_planted_in_an_instance_is_caught(found: Collected, tmp_path: Path, place: str, value: str) -> None:
    written, what = VALUES[value]
    ds = clean()
    PLACES[place](ds, SENTENCE.format(written))
    findings = read(found, ds, tmp_path)
    if place in IN_BYTES and value == "birth date by month name":
        assert not findings, "a short number beside a word in bytes is chance"
        return
    assert what in whats(findings), findings
    assert not any(written.lower() in str(finding).lower() for finding in findings)


def nifti(text: str, at: int = 148) -> bytes:
    header = bytearray(352)
    header[:4], header[344:348] = (348).to_bytes(4, "little"), b"n+1\0"
    header[108:112] = struct.pack("<f", 352)
    header[at : at + len(text.encode())] = text.encode()
    return bytes(header) + b"\0" * 64


def nifti_extension(text: str) -> bytes:
    content = text.encode() + b"\0" * 16
    content += b"\0" * (-(len(content) + 8) % 16)
    header = bytearray(nifti("")[:352])
    header[348] = 1
    header[108:112] = struct.pack("<f", 352 + 8 + len(content))
    return bytes(header) + struct.pack("<2i", len(content) + 8, 6) + content + b"\0" * 64


def png(kind: bytes, content: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(kind, content) + body + chunk(b"IEND", b"")


FILES: dict[str, Callable[[str], bytes]] = {
    "NIfTI header": lambda text: nifti(text),
    "compressed NIfTI": lambda text: gzip.compress(nifti(text)),
    "NIfTI extension": nifti_extension,
    "sidecar": lambda text: json.dumps({"SeriesDescription": [text]}).encode(),
    "key of a sidecar": lambda text: json.dumps({text: 1}).encode(),
    "PNG text": lambda text: png(b"tEXt", b"Comment\0" + text.encode()),
    "PNG compressed text": lambda text: png(b"zTXt", b"Comment\0\0" + zlib.compress(text.encode())),
    "PNG international text": lambda text: png(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(text.encode())),
    "certificate": lambda text: f"subject: none\nnote: {text}\n".encode(),
    "behind a PNG": lambda text: png(b"tEXt", b"a\0b") + text.encode(),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("value", VALUES)
def test_a_value_planted_in_another_file_is_caught(found: Collected, tmp_path: Path, kind: str, value: str) -> None:
    written, what = VALUES[value]
    text = SENTENCE.format(written) if kind != "NIfTI header" else written
    path = tmp_path / "output"
    path.write_bytes(FILES[kind](text))
    findings = read(found, path, tmp_path)
    assert what in whats(findings), findings
    assert not any(written.lower() in str(finding).lower() for finding in findings)
    path.write_bytes(FILES[kind]("nothing at all"))
    assert read(found, path, tmp_path) == []


@pytest.mark.parametrize("name", ["Koenigstein_Anna", "mrn47113", "CT_20170823_1", UID, "scan-1961-04-09"])
def test_file_and_folder_names_are_read(found: Collected, tmp_path: Path, name: str) -> None:
    path = make.write(clean(), tmp_path / "output.dcm")
    reader = Reader(found, Kept())
    for names in ((f"{name}.nii.gz",), (name, "001.dcm"), (f"{name}.dcm",)):
        findings = reader.read(Output(path=path, number=4, names=names))
        assert findings, names
        assert {finding.where for finding in findings} == {"its name"}
    assert reader.read(Output(path=path, number=4, names=("0190c8e2b2d17b3a9fd05a2f0c4f1a11.dcm",))) == []


# ---- places around the data set ------------------------------------------------------------------------------


def test_the_preamble_and_file_meta_information_are_read(found: Collected, tmp_path: Path) -> None:
    ds = clean()
    ds.preamble = b"Anna Koenigstein".ljust(128, b"\0")
    (finding,) = read(found, ds, tmp_path)
    assert (finding.what, finding.where) == (What.PATIENT, "preamble")
    ds = clean()
    ds.file_meta.PrivateInformationCreatorUID = UID
    ds.file_meta.PrivateInformation = b"\1\2kowalczyk\0\0\0"
    assert whats(read(found, ds, tmp_path)) == {What.PATIENT, What.UID}
    ds = clean()
    ds.file_meta.SourceApplicationEntityTitle = "PETROSYAN"
    assert whats(read(found, ds, tmp_path)) == {What.PERSON}


def test_comments_of_compressed_frames_are_read(found: Collected, tmp_path: Path) -> None:
    comment = b"Anna Koenigstein"
    frame = b"\xff\xd8\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + b"\xff\xda\0\2\1\2\3\xff\xd9"
    ds = clean()
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].is_undefined_length = True
    (finding,) = read(found, ds, tmp_path)
    assert (finding.what, finding.where.split(",")[0]) == (What.PATIENT, "fragment 1 of Pixel Data")


def test_what_lies_behind_the_last_pixel_is_read(found: Collected, tmp_path: Path) -> None:
    ds = clean()
    ds.PixelData = ds.PixelData + b"mrn47113"
    (finding,) = read(found, ds, tmp_path)
    assert finding.what is What.ID
    assert finding.where.startswith("behind the last frame of Pixel Data")


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_every_encoding_is_read(found: Collected, tmp_path: Path, syntax: str) -> None:
    ds = clean()
    in_structured_content(ds, "for Kowalczyk")
    in_private(ds, "for MRN47113")
    ds.file_meta.TransferSyntaxUID = syntax
    assert whats(read(found, ds, tmp_path)) == {What.PATIENT, What.ID}


def test_a_place_is_named_by_attribute_item_and_byte(found: Collected, tmp_path: Path) -> None:
    ds = clean()
    in_structured_content(ds, "Kowalczyk was here")
    (finding,) = read(found, ds, tmp_path)
    byte = (tmp_path / "output.dcm").read_bytes().index(b"Kowalczyk")
    assert finding.where == f"(0040,A730)[1].(0040,A730)[1].(0040,A160) Text Value, byte {byte}"


# ---- what cannot be read -------------------------------------------------------------------------------------


def test_an_output_that_breaks_off_is_not_passed(found: Collected, tmp_path: Path) -> None:
    path = make.write(clean(), tmp_path / "output.dcm")
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    assert whats(read(found, path, tmp_path)) == {What.UNREADABLE}
    path.write_bytes(whole[:700])
    assert whats(read(found, path, tmp_path)) == {What.UNREADABLE}


def test_an_output_of_an_original_that_cannot_be_read_to_its_end_is_not_passed(tmp_path: Path) -> None:
    (source,) = make.write_all([original()], tmp_path)
    source.write_bytes(source.read_bytes()[:900])
    found = collect([source], Kept())
    path = make.write(clean(), tmp_path / "output.dcm")
    assert whats(Reader(found, Kept()).read(Output(path=path, number=1, originals=(source,)))) == {What.UNREADABLE}
    assert Reader(found, Kept()).read(Output(path=path, number=1)) == []


def test_a_document_that_cannot_be_read_is_not_passed(found: Collected, tmp_path: Path) -> None:
    ds = clean()
    ds.EncapsulatedDocument = b"%PDF-1.7\n\x93\x8c\x8b\x9e\n\0\1\2\3stream\0"
    assert whats(read(found, ds, tmp_path)) == {What.UNREADABLE}
    ds.EncapsulatedDocument = b"<ClinicalDocument><name>Kowalczyk</name></ClinicalDocument>"
    assert whats(read(found, ds, tmp_path)) == {What.PATIENT}


# ---- what is no leak -----------------------------------------------------------------------------------------


def test_a_clean_output_is_clean(found: Collected, tmp_path: Path) -> None:
    assert read(found, clean(), tmp_path) == []


def test_a_shifted_date_that_is_by_chance_another_one_of_the_study_is_no_leak(tmp_path: Path) -> None:
    """Two days of one study, shifted by one day: the second then has the date of the first."""
    first, second = original(AcquisitionDate="20170823"), original(AcquisitionDate="20170824")
    second.SOPInstanceUID = make.uid("second")
    paths = make.write_all([first, second], tmp_path / "originals")
    kept = Kept.of(["retain_long_modified_dates"])
    reader = Reader(collect(paths, kept), kept)
    ds = clean()
    ds.AcquisitionDate = "20170823"
    path = make.write(ds, tmp_path / "output.dcm")
    assert reader.read(Output(path=path, number=2, originals=(paths[1],))) == []
    unchanged = reader.read(Output(path=path, number=1, originals=(paths[0],)))
    assert whats(unchanged) == {What.DATE}, "the same attribute of the same instance was not shifted"
    ds.SeriesDescription = "seen on 23.08.2017"
    make.write(ds, path)
    assert whats(reader.read(Output(path=path, number=2, originals=(paths[1],)))) == {What.DATE}
