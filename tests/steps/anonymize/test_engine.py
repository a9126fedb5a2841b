"""The engine on encoded bytes comes to what pydicom comes to by the same plan, and fails where that fails."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.steps.anonymize import instance
from node.steps.anonymize.instance import Anonymizer, HoldError
from node.steps.anonymize.patients import Patients
from node.steps.anonymize.plan import Plan
from tests import make
from tests.dicom.datasets import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, datasets, encoded, mutated
from tests.hostile.generated import data_sets
from tests.steps.anonymize import reference
from tests.steps.anonymize.choices import CHOICES, examples, plan_of
from tests.steps.anonymize.driver import SECRET
from tests.steps.anonymize.generated import Generator, element, file, sequence

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

_seeds, _choices = st.integers(0, 2**64 - 1), st.sampled_from(sorted(CHOICES))


@pytest.fixture(autouse=True, scope="module")
def _every_kind() -> Iterator[None]:
    """Also those that would be held for what their pixels, or their content, may show."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instance, "burned_in", lambda _: None)
        yield


def engine_of(plan: Plan, patients: Patients | None = None) -> Anonymizer:
    return Anonymizer(lambda _: plan, patients or Patients(SECRET))


def by_the_engine(source: Path, anonymizer: Anonymizer) -> bytes | str:
    """The file that is written, or why there is none; no other error may come."""
    try:
        anonymizer.anonymize(source, source.with_suffix(".ours"))
    except HoldError as error:
        return str(error)
    return source.with_suffix(".ours").read_bytes()


def by_the_reference(source: Path, plan: Plan, patients: Patients | None = None) -> bytes | str:
    try:
        reference.deidentified(source, source.with_suffix(".theirs"), plan, patients or Patients(SECRET))
    except reference.UNREADABLE as error:
        return f"{type(error).__name__}: {error}"
    return source.with_suffix(".theirs").read_bytes()


def assert_same(ours: bytes | str, theirs: bytes | str) -> None:
    """Both held; or the same bytes, or the same elements where pydicom wrote those of an item anew.

    It does where an item has another encoding or character set than what it lies in, and then it writes UN with the
    representation that the attribute has.
    """
    assert type(ours) is type(theirs), (ours, theirs)
    if isinstance(ours, bytes) and isinstance(theirs, bytes):
        event("the same bytes" if ours == theirs else "the same elements")
        assert ours == theirs or dcmread(BytesIO(ours)) == dcmread(BytesIO(theirs))
    else:
        event("held")


@pytest.fixture
def anonymizer() -> Anonymizer:
    return engine_of(plan_of("basic"))


def compared(data: bytes, plan: Plan, *, explicit: bool, syntax: str = "") -> tuple[bytes | str, bytes | str]:
    with tempfile.TemporaryDirectory() as folder:
        path = file(Path(folder) / "in", data, explicit=explicit, syntax=syntax)
        return by_the_engine(path, engine_of(plan)), by_the_reference(path, plan)


@examples(150)
@given(_seeds, _choices, st.booleans(), st.booleans())
@example(48875, "basic", False, True)  # an item with two values of Pixel Representation, which pydicom decodes early
def test_the_engine_writes_byte_for_byte_what_the_reference_writes(
    seed: int, choice: str, explicit: bool, content: bool
) -> None:
    event(choice)
    data = Generator(seed, explicit=explicit, content=content).data_set()
    assert_same(*compared(data, plan_of(choice), explicit=explicit))


@examples(50)
@given(_seeds, _choices, st.booleans())
def test_elements_in_disorder_are_put_in_order_and_the_last_of_two_counts(
    seed: int, choice: str, explicit: bool
) -> None:
    data = Generator(seed, explicit=explicit, disordered=True).data_set()
    assert_same(*compared(data, plan_of(choice), explicit=explicit))


@examples(50)
@given(_seeds, _choices, st.sampled_from([BIG_ENDIAN, DEFLATED]))
def test_big_endian_and_deflated_data_sets_go_the_same_way(seed: int, choice: str, syntax: str) -> None:
    data = Generator(seed, explicit=True, content=True).data_set()
    assert_same(*compared(data, plan_of(choice), explicit=True, syntax=syntax))


@examples(50)
@given(_seeds, _choices)
def test_sequences_written_as_un_stay_so_and_are_cleaned(seed: int, choice: str) -> None:
    """Their items are implicit; pydicom writes them anew, as SQ."""
    data = Generator(seed, explicit=True, unknown=True, content=True).data_set()
    assert_same(*compared(data, plan_of(choice), explicit=True))


@examples(50)
@given(datasets, _choices, st.sampled_from([EXPLICIT, IMPLICIT]))
def test_what_pydicom_encodes_goes_the_same_way(ds: Dataset, choice: str, syntax: str) -> None:
    ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = make.MR_IMAGE, "1.2.9", "1.2", "1.3"
    assert_same(*compared(encoded(ds, syntax), plan_of(choice), explicit=syntax == EXPLICIT))


@examples(30)
@given(data_sets(), _choices)
def test_what_an_attacker_sends_is_held_or_becomes_what_the_reference_makes_of_it(data: bytes, choice: str) -> None:
    for explicit in (True, False):
        ours, theirs = compared(data, plan_of(choice), explicit=explicit)
        if isinstance(ours, bytes) and isinstance(theirs, bytes):
            assert_same(ours, theirs)


@examples(80)
@given(st.data(), _seeds, _choices, st.booleans())
def test_a_damaged_data_set_is_held_or_becomes_what_the_reference_makes_of_it(
    data: st.DataObject, seed: int, choice: str, explicit: bool
) -> None:
    """Each may hold what the other reads: pydicom passes over much, and reads what is removed."""
    damaged = mutated(data, Generator(seed, explicit=explicit, content=True).data_set(), draw_count=2)
    ours, theirs = compared(damaged, plan_of(choice), explicit=explicit)
    if isinstance(ours, bytes) and isinstance(theirs, bytes):
        assert_same(ours, theirs)


# ---- cases by hand -------------------------------------------------------------------------------------


def _instance(*others: bytes, explicit: bool = True) -> bytes:
    own = {0x00080016: make.MR_IMAGE, 0x00080018: "1.2.3.9", 0x0020000D: "1.2.3", 0x0020000E: "1.2.3.4"}
    parts = [element(tag, "UI", uid.encode(), explicit=explicit) for tag, uid in own.items()]
    parts += [element(0x00080060, "CS", b"MR", explicit=explicit), *others]
    order = "big"  # of a tag; each half is little endian in the file
    return b"".join(sorted(parts, key=lambda part: int.from_bytes(part[1::-1] + part[3:1:-1], order)))


def _result(data: bytes, anonymizer: Anonymizer, folder: Path, *, explicit: bool = True) -> bytes:
    found = by_the_engine(file(folder / "in", data, explicit=explicit), anonymizer)
    assert isinstance(found, bytes), found
    return found


@pytest.mark.parametrize("explicit", [True, False])
def test_a_long_value_passes_as_it_came(anonymizer: Anonymizer, tmp_path: Path, explicit: bool) -> None:
    table = bytes(range(256)) * 300
    waveform = element(0x54001010, "OW", table, explicit=explicit)
    nested = sequence(0x54000100, [waveform, waveform], explicit=explicit, defined=(True, False))
    found = _result(_instance(nested, explicit=explicit), anonymizer, tmp_path, explicit=explicit)
    assert found.endswith(nested)


def test_what_a_device_left_in_reserved_bytes_does_not_pass(anonymizer: Anonymizer, tmp_path: Path) -> None:
    lut = element(0x00281201, "OW", bytes(20), explicit=True)
    long = element(0x00281202, "OW", bytes(2000), explicit=True)
    marked = [part[:6] + b"ZQ" + part[8:] for part in (lut, long)]
    found = _result(_instance(*marked), anonymizer, tmp_path)
    assert lut in found
    assert long in found


def test_an_own_uid_of_one_instance_is_no_own_uid_of_the_next(anonymizer: Anonymizer, tmp_path: Path) -> None:
    uid = element(0x00080117, "UI", b"1.2.3.9", explicit=True)  # Context UID: not in Table E.1-1
    assert uid not in _result(_instance(uid), anonymizer, tmp_path)
    other = _instance(uid).replace(
        element(0x00080018, "UI", b"1.2.3.9", explicit=True), b"\x08\0\x18\0UI\x08\x001.2.3.88"
    )
    assert uid in _result(other, anonymizer, tmp_path)


def _damages() -> Iterator[tuple[str, bytes]]:
    item = element(0x00280030, "DS", b"1\\1", explicit=True)
    yield "is cut short", sequence(0x00082218, [item], explicit=True, defined=(True, True)) + b"\x28\0\0\1US\4\0\1"
    undefined = sequence(0x00082218, [item], explicit=True, defined=(False, False))
    yield "a sequence has no end", undefined[:-8]
    yield "an item has no end", undefined[:-16]
    yield "middle of an element", undefined + b"\x28\0\x30"
    yield "is encoded as SQ", sequence(0x00180050, [item], explicit=True, defined=(True, True))
    yield "no value representation of PS3.5", b"\x18\0\x50\0ZZ\0\0\2\0\0\0ab"
    yield "has no length", b"\x18\0\x50\0UT\0\0\xff\xff\xff\xff"


@pytest.mark.parametrize(("why", "end"), list(_damages()), ids=lambda value: value if isinstance(value, str) else "")
def test_what_cannot_be_told_with_certainty_is_held_with_its_reason(
    anonymizer: Anonymizer, tmp_path: Path, why: str, end: bytes
) -> None:
    found = by_the_engine(file(tmp_path / "in", _instance() + end, explicit=True), anonymizer)
    assert isinstance(found, str)
    assert why in found


def test_uids_that_would_no_longer_fit_their_element_are_held(anonymizer: Anonymizer, tmp_path: Path) -> None:
    many = element(0x00081155, "UI", b"\\".join([b"1.2"] * 3000), explicit=True)
    data = _instance(sequence(0x00081140, [many], explicit=True, defined=(True, True)))
    found = by_the_engine(file(tmp_path / "in", data, explicit=True), anonymizer)
    assert found == "(0008,1155) Referenced SOP Instance UID would be too long for UI"
