"""What is read of a performed procedure step, whatever else is in it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from node.dicom.commitment import TRANSFER_SYNTAXES
from node.dicom.encoding import Malformed
from node.dicom.procedure_step import Attributes, read_attributes
from node.dicom.uids import EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from tests.dicom.test_commitment import written

IMPLICIT = IMPLICIT_VR_LITTLE_ENDIAN


def reference(uid: str) -> Dataset:
    ds = Dataset()
    ds.ReferencedSOPInstanceUID = uid
    return ds


def series(uid: str, images: list[str], others: list[str] | None = None) -> Dataset:
    ds = Dataset()
    ds.SeriesInstanceUID = uid
    ds.ReferencedImageSequence = Sequence([reference(one) for one in images])
    if others is not None:
        ds.ReferencedNonImageCompositeSOPInstanceSequence = Sequence([reference(one) for one in others])
    return ds


def study(uid: str) -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID = uid
    return ds


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES)
def test_status_studies_and_series_are_read(syntax: str) -> None:
    ds = Dataset()
    ds.PerformedProcedureStepStatus = "COMPLETED"
    ds.ScheduledStepAttributesSequence = Sequence([study("1.1"), study("1.1"), study("1.5")])
    ds.PerformedSeriesSequence = Sequence([series("1.2", ["1.2.1", "1.2.1"], ["1.2.2"]), series("1.3", [])])
    assert read_attributes(written(ds, syntax), syntax) == Attributes(
        status="COMPLETED", studies=("1.1", "1.5"), series=(("1.2", ("1.2.1", "1.2.2")), ("1.3", ())),
    )  # type: ignore[arg-type]  # UIDs  # fmt: skip


def test_what_is_not_said_is_none_and_what_is_empty_is_empty() -> None:
    assert read_attributes(b"", IMPLICIT) == Attributes(status=None, studies=(), series=None)
    ds = Dataset()
    ds.PerformedSeriesSequence = Sequence([])
    assert read_attributes(written(ds), IMPLICIT).series == ()


@pytest.mark.parametrize("bad", [series("", ["1.2.1"]), series("1.2.9", []), series("1.2", ["1.2.9"])])
def test_what_is_no_uid_is_malformed_and_not_repeated(bad: Dataset) -> None:
    ds = Dataset()
    ds.PerformedSeriesSequence = Sequence([bad])
    data = written(ds).replace(b"1.2.9\0", b"Smith ")
    with pytest.raises(Malformed) as raised:
        read_attributes(data, IMPLICIT)
    assert "Smith" not in str(raised.value)


def test_a_transfer_syntax_that_was_not_accepted_is_not_read() -> None:
    with pytest.raises(Malformed):
        read_attributes(b"", EXPLICIT_VR_BIG_ENDIAN)


@given(st.binary(max_size=300), st.sampled_from(TRANSFER_SYNTAXES))
def test_any_bytes_are_read_or_malformed(data: bytes, syntax: str) -> None:
    with contextlib.suppress(Malformed):
        read_attributes(data, syntax)
