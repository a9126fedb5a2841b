"""What is written is byte for byte what pydicom writes, in every transfer syntax and also for what was changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from node.steps.anonymize import evidence
from node.steps.anonymize.plan import NO_RULES, compile_plan
from node.steps.anonymize.write import write
from tests import make
from tests.data import real_folders

# As in production: pydicom warns of what real images have, and writes it.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

NATIVE = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


def read(path: Path) -> FileDataset:
    """As the step has it before it writes."""
    ds = dcmread(path)
    syntax = str(ds.file_meta.TransferSyntaxUID)
    evidence.mark(ds, compile_plan(frozenset(), NO_RULES, str(ds.SOPClassUID)))
    ds.PatientName = "ANONYMIZED"
    ds.preamble = bytes(128)
    ds.file_meta = evidence.file_meta(ds, syntax)
    return ds


def assert_same(path: Path, folder: Path) -> None:
    write(read(path), folder / "ours.dcm")
    dcmwrite(folder / "pydicom.dcm", read(path), enforce_file_format=True)
    assert (folder / "ours.dcm").read_bytes() == (folder / "pydicom.dcm").read_bytes()


def saved(ds: FileDataset, folder: Path, syntax: UID = ExplicitVRLittleEndian) -> Path:
    plain = Dataset(ds)  # without the encoding it was made for, which pydicom would keep
    plain.file_meta = ds.file_meta
    plain.file_meta.TransferSyntaxUID = syntax
    plain.save_as(
        folder / "in.dcm", implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian,
        enforce_file_format=True,
    )  # fmt: skip
    return folder / "in.dcm"


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: str(syntax.name).replace(" ", "-"))
@pytest.mark.parametrize("bits", [8, 16])
def test_it_is_what_pydicom_writes(tmp_path: Path, syntax: UID, bits: int) -> None:
    ds = make.ct_series(1)[0]
    make.set_pixels(ds, np.ones((3, 5), f"u{bits // 8}"))
    assert_same(saved(ds, tmp_path, syntax), tmp_path)


def test_values_of_odd_length_representations_and_lengths_stay_as_pydicom_has_them(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    for tag, vr, value in (
        (0x00104000, "LT", b"odd"), (0x00204000, "UT", b"long" * 20_000), (0x00091001, "UN", b"\1\2\3"),
        (0x00080000, "UL", b"\0\0\0\0"), (0x00282110, "CS", b""),
    ):  # fmt: skip
        ds[tag] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
    assert_same(saved(ds, tmp_path), tmp_path)


def test_a_changed_character_set_encodes_text_anew(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.SpecificCharacterSet, ds.StudyDescription = "ISO_IR 100", "Schädel"
    path = saved(ds, tmp_path)
    ours, theirs = read(path), read(path)
    ours.SpecificCharacterSet = theirs.SpecificCharacterSet = "ISO_IR 192"
    write(ours, tmp_path / "ours.dcm")
    dcmwrite(tmp_path / "pydicom.dcm", theirs, enforce_file_format=True)
    assert (tmp_path / "ours.dcm").read_bytes() == (tmp_path / "pydicom.dcm").read_bytes()


def _images() -> list[Path]:
    """Two of each folder, and every transfer syntax."""
    found = []
    for folder in real_folders():
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        found += files if folder.name == "ct_16ts" else files[:2]
    return found


@pytest.mark.parametrize("path", _images(), ids=lambda path: f"{path.parent.name}/{path.name}"[:60])
def test_a_real_image_is_written_as_pydicom_writes_it(path: Path, tmp_path: Path) -> None:
    assert_same(path, tmp_path)
