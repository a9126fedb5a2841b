from __future__ import annotations

import contextlib
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from node.dicom.part10 import UNKNOWN_HASH, beginning, file_meta, parse_meta, read_meta
from node.dicom.uids import IMPLEMENTATION_CLASS_UID
from node.errors import CannotSucceed
from node.model import UID, Identity, Origin, ReceiptId
from tests.dicom import datasets as made

IDENTITY = Identity(
    sop_class=UID("1.2.840.10008.5.1.4.1.1.2"),
    sop_instance=UID("1.2.3.4"),
    study=UID("1.2.3"),
    series=UID("1.2.3.5"),
    transfer_syntax=UID(made.EXPLICIT),
)
ORIGIN = Origin(calling_ae="CT1", called_ae="RESEARCH", sender="10.1.2.3")
RECEIPT = ReceiptId("0123456789abcdef0123456789abcdef")
RECEIVED = datetime(2026, 11, 22, 12, 0, 0, 123, tzinfo=UTC)


def written(origin: Origin = ORIGIN, identity: Identity = IDENTITY, **options: str) -> tuple[bytes, int]:
    return file_meta(identity, origin, RECEIPT, RECEIVED, **options)


def test_pydicom_reads_what_was_written() -> None:
    ds = Dataset()
    ds.Modality = "CT"
    meta, _ = written(receiving_address="127.0.0.1:11112")
    read = pydicom.dcmread(io.BytesIO(meta + made.encoded(ds)))
    assert read.Modality == "CT"
    info = read.file_meta
    assert info.FileMetaInformationGroupLength == len(meta) - 144
    assert (info.MediaStorageSOPClassUID, info.MediaStorageSOPInstanceUID) == (IDENTITY.sop_class, "1.2.3.4")
    assert (info.TransferSyntaxUID, info.ImplementationClassUID) == (made.EXPLICIT, IMPLEMENTATION_CLASS_UID)
    assert info.SourceApplicationEntityTitle == info.SendingApplicationEntityTitle == "CT1"
    assert info.ReceivingApplicationEntityTitle == "RESEARCH"
    assert info.SendingPresentationAddress == "dicom://10.1.2.3"
    assert info.ReceivingPresentationAddress == "dicom://127.0.0.1:11112"
    assert json.loads(info.PrivateInformation.rstrip(b"\0"))["received"] == "2026-11-22T12:00:00.000123+00:00"


@given(
    sender=st.sampled_from(["10.1.2.3", "fe80::1", "folder:/in/box", "folder:/dösen/\\x", "127.0.0.1"]),
    calling=st.text("ABCDEFGHIJ_ 0123", min_size=1, max_size=16).map(str.strip),
    syntax=st.sampled_from(made.UNCOMPRESSED),
    instance=st.integers(1, 10**30).map(lambda n: f"2.25.{n}"),
)
def test_provenance_comes_back_and_the_hash_may_be_patched(
    sender: str, calling: str, syntax: str, instance: str
) -> None:
    origin = Origin(calling_ae=calling, called_ae="NODE", sender=sender)
    identity = Identity(
        sop_class=IDENTITY.sop_class,
        sop_instance=UID(instance),
        study=IDENTITY.study,
        series=IDENTITY.series,
        transfer_syntax=UID(syntax),
    )
    meta, at = written(origin, identity)
    assert meta[at : at + 64].decode() == UNKNOWN_HASH
    patched = meta[:at] + b"ab" * 32 + meta[at + 64 :]
    read = parse_meta(patched + b"\x08\0\x60\0CS")
    assert (read.dataset_offset, read.transfer_syntax, read.sop_instance) == (len(meta), syntax, instance)
    assert read.provenance is not None
    assert (read.provenance.origin, read.provenance.sha256) == (origin, "ab" * 32)
    assert (read.provenance.receipt, read.provenance.received) == (RECEIPT, RECEIVED)
    assert len(meta) % 2 == 0


@given(
    sender=st.text(max_size=30), receipt=st.text(max_size=40),
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
    received=st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()),  # noqa: DTZ001
)  # fmt: skip
def test_the_note_is_what_json_makes_of_it(sender: str, receipt: str, sha256: str, received: datetime) -> None:
    origin = Origin(calling_ae="CT1", called_ae="NODE", sender=sender)
    meta, at = file_meta(IDENTITY, origin, ReceiptId(receipt), received, sha256)
    moment = received.astimezone(UTC).isoformat(timespec="microseconds")
    note = {"receipt": receipt, "received": moment, "via": sender, "sha256": sha256}
    assert meta.rstrip(b"\0").endswith(json.dumps(note, separators=(",", ":")).encode())
    assert meta[at : at + 64] == sha256.encode()
    assert len(meta) - 144 == int.from_bytes(meta[140:144], "little")


def test_time_is_kept_in_utc() -> None:
    local = RECEIVED.astimezone(timezone(timedelta(hours=5)))
    assert file_meta(IDENTITY, ORIGIN, RECEIPT, local) == written()


def test_files_of_others_have_no_provenance(tmp_path: Path) -> None:
    ds = pydicom.dcmread(io.BytesIO(written()[0] + made.encoded(Dataset())))
    ds.file_meta.PrivateInformationCreatorUID = "1.2.3"
    path = tmp_path / "other.dcm"
    ds.save_as(path)
    meta = read_meta(path)
    assert (meta.provenance, meta.sop_class) == (None, IDENTITY.sop_class)
    with path.open("rb") as file:
        assert read_meta(file) == meta


@pytest.mark.parametrize("private", [b"", b"not json", b'{"receipt":"a"}', b'{"receipt":1,"received":"x"}', b"[]"])
def test_damaged_provenance_is_no_provenance(private: bytes) -> None:
    ds = pydicom.dcmread(io.BytesIO(written()[0]), force=True)
    ds.file_meta.PrivateInformation = private
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    assert parse_meta(buffer.getvalue()).provenance is None


def test_a_wrong_group_length_does_no_harm() -> None:
    meta, _ = written()
    wrong = meta[:140] + (7).to_bytes(4, "little") + meta[144:]
    assert parse_meta(wrong + b"\x08\0\0\0\4\0\0\0abcd").dataset_offset == len(meta)


@pytest.mark.parametrize(
    "data",
    [made.explicit(0x00020010, "UI", made.IMPLICIT.encode()), b"\2\0\x10\0\x04\0\0\0" + b"1.2\0",
     made.explicit(0x00000002, "UI", b"1.2"), b"\2\0\xff"],
)  # fmt: skip
def test_what_was_received_begins_behind_our_note_whatever_it_looks_like(data: bytes) -> None:
    """A data set with file meta information of its own; a deflated one whose first block is empty."""
    meta, _ = written()
    read = parse_meta(meta + data)
    assert (read.dataset_offset, read.transfer_syntax) == (len(meta), made.EXPLICIT)
    assert read.provenance is not None
    assert read.provenance.receipt == RECEIPT
    assert beginning(meta + data)[:2] == (made.EXPLICIT, len(meta))


@pytest.mark.parametrize("data", [b"", b"hello", bytes(132), bytes(128) + b"DICM", bytes(128) + b"DICM" + bytes(50)])
def test_what_is_no_part_10_file_says_so(data: bytes) -> None:
    with pytest.raises(CannotSucceed, match="not a"):
        parse_meta(data)


@given(cut=st.integers(0, 500), noise=st.binary(max_size=40))
def test_any_bytes_are_meta_information_or_an_error(cut: int, noise: bytes) -> None:
    meta, _ = written()
    with contextlib.suppress(CannotSucceed):
        assert parse_meta(meta[:cut] + noise).dataset_offset <= cut + len(noise)


def _both(data: bytes) -> list[tuple[str, int] | str]:
    def whole(data: bytes) -> tuple[str, int]:
        meta = parse_meta(data)
        return meta.transfer_syntax, meta.dataset_offset

    found: list[tuple[str, int] | str] = []
    for read in (lambda data: beginning(data)[:2], whole):
        try:
            found.append(read(data))
        except CannotSucceed as error:
            found.append(f"{type(error).__name__} {error}")
    return found


@given(
    cut=st.integers(0, 500), behind=st.integers(0, 500), noise=st.binary(max_size=40),
    groups=st.lists(st.sampled_from([0, 1, 2, 3, 8, 9, 0xFFFE]), max_size=3),
    vr=st.sampled_from([b"UI", b"UN", b"SQ", b"OB", b"??", b"ZZ"]),
    length=st.sampled_from([0, 2, 6, 0xFFFF, 0xFFFFFFFF]),
)  # fmt: skip
def test_where_a_data_set_begins_is_the_same_without_the_rest(
    cut: int, behind: int, noise: bytes, groups: list[int], vr: bytes, length: int
) -> None:
    meta, _ = written()
    head = b"".join(g.to_bytes(2, "little") + b"\x10\0" + vr + length.to_bytes(4, "little") for g in groups)
    for data in (meta + b"\x08\0\5\0CS\4\0abcd", meta[:cut] + head + noise + meta[behind:], meta + head + noise):
        one, other = _both(data)
        assert one == other
