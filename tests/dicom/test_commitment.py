"""The data sets of storage commitment: as pydicom writes them they are read, as we write them pydicom reads them."""

from __future__ import annotations

import contextlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from node.dicom.commitment import (
    TRANSFER_SYNTAXES,
    Reference,
    Report,
    Request,
    read_report,
    read_request,
    write_report,
    write_request,
)
from node.dicom.encoding import Malformed
from node.dicom.uids import EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from node.model import UID
from tests import make
from tests.committing import information

IMPLICIT = IMPLICIT_VR_LITTLE_ENDIAN
UIDS = st.from_regex(r"[1-9][0-9]{0,3}(\.[1-9][0-9]{0,8}){1,5}", fullmatch=True).map(UID)
REFERENCES = st.builds(Reference, UIDS, UIDS)
SYNTAXES = st.sampled_from(TRANSFER_SYNTAXES)


def written(ds: Dataset, syntax: str = IMPLICIT) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = syntax == IMPLICIT, True
    write_dataset(buffer, ds)
    return buffer.getvalue()


def parsed(data: bytes, syntax: str) -> Dataset:
    return read_dataset(BytesIO(data), syntax == IMPLICIT, True)


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES)
def test_a_request_of_another_program_is_read(syntax: str) -> None:
    ds = information(make.uid("t"), [(make.CT_IMAGE, make.uid(1)), (make.MR_IMAGE, make.uid(2))])
    request = read_request(written(ds, syntax), syntax)
    assert request.transaction == make.uid("t")
    assert [(r.sop_class, r.sop_instance) for r in request.references] == [
        (make.CT_IMAGE, make.uid(1)), (make.MR_IMAGE, make.uid(2)),
    ]  # fmt: skip


def test_a_request_of_a_hundred_thousand_instances_is_read() -> None:
    request = Request(
        transaction=UID("1.2"), references=tuple(Reference(UID(make.CT_IMAGE), UID(f"1.2.{n}")) for n in range(100_000))
    )
    assert read_request(write_request(request, IMPLICIT), IMPLICIT) == request


@given(UIDS, st.lists(REFERENCES, min_size=1, max_size=5), SYNTAXES)
def test_what_is_written_is_read_the_same(transaction: UID, references: list[Reference], syntax: str) -> None:
    request = Request(transaction=transaction, references=tuple(references))
    assert read_request(write_request(request, syntax), syntax) == request


@given(
    UIDS, st.lists(REFERENCES, max_size=4), st.lists(st.tuples(REFERENCES, st.integers(0, 65535)), max_size=4), SYNTAXES
)
def test_a_report_is_read_the_same_by_us_and_by_pydicom(
    transaction: UID, committed: list[Reference], failed: list[tuple[Reference, int]], syntax: str
) -> None:
    report = Report(transaction=transaction, committed=tuple(committed), failed=tuple(failed))
    data = write_report(report, syntax)
    assert read_report(data, syntax) == report
    assert report.event == (2 if failed else 1)
    ds = parsed(data, syntax)
    assert ds.TransactionUID == transaction
    assert [i.ReferencedSOPInstanceUID for i in ds.get("ReferencedSOPSequence", ())] == [
        r.sop_instance for r in committed
    ]
    assert [i.FailureReason for i in ds.get("FailedSOPSequence", ())] == [reason for _, reason in failed]


def test_a_failure_without_a_reason_is_a_failure() -> None:
    ds = Dataset()
    ds.TransactionUID = "1.2"
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = make.CT_IMAGE, "1.2.3"
    ds.FailedSOPSequence = Sequence([item])
    assert [reason for _, reason in read_report(written(ds), IMPLICIT).failed] == [0x0110]


def broken(**without: object) -> Dataset:
    ds = information("1.2.3", [(make.CT_IMAGE, "1.2.4")])
    for keyword, value in without.items():
        if value is None:
            delattr(ds if keyword in ds else ds.ReferencedSOPSequence[0], keyword)
        else:
            setattr(ds, keyword, value)
    return ds


@pytest.mark.parametrize(
    "ds",
    [
        broken(TransactionUID=None), broken(ReferencedSOPSequence=None), broken(ReferencedSOPSequence=Sequence([])),
        broken(ReferencedSOPClassUID=None), broken(ReferencedSOPInstanceUID=None), broken(TransactionUID=""),
    ],
    ids=["no transaction", "no sequence", "empty sequence", "no class", "no instance", "empty transaction"],
)  # fmt: skip
def test_a_request_that_lacks_what_it_must_have_is_malformed(ds: Dataset) -> None:
    with pytest.raises(Malformed):
        read_request(written(ds), IMPLICIT)


def test_text_in_place_of_a_uid_is_not_repeated() -> None:
    data = written(information("1.2.3", [(make.CT_IMAGE, "1.2.4")])).replace(b"1.2.3\0", b"Smith ")
    with pytest.raises(Malformed) as raised:
        read_request(data, IMPLICIT)
    assert "Smith" not in str(raised.value)


@given(st.binary(max_size=300), SYNTAXES)
def test_any_bytes_are_read_or_malformed(data: bytes, syntax: str) -> None:
    for read in (read_request, read_report):
        with contextlib.suppress(Malformed):
            read(data, syntax)


def test_a_transfer_syntax_that_was_not_accepted_is_not_read() -> None:
    with pytest.raises(Malformed):
        read_request(b"", EXPLICIT_VR_BIG_ENDIAN)
    with pytest.raises(ValueError, match="is not written"):
        write_request(Request(transaction=UID("1.2"), references=()), EXPLICIT_VR_BIG_ENDIAN)
