from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from node.dicom import status
from node.dicom.attributes import describe
from node.dicom.header import read_header
from node.dicom.identity import agree, begin_as_data, identify, irregular, study_and_series
from node.dicom.uids import tolerable_uid, valid_uid
from node.errors import Refused
from node.model import UID, Identity
from tests import make
from tests.dicom.datasets import UNCOMPRESSED, encoded

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
KEYS = {"sop_class": "00080016", "sop_instance": "00080018", "study": "0020000D", "series": "0020000E"}


def header(**uids: object) -> dict[str, list[object]]:
    values = {"sop_class": CT, "sop_instance": "1.2.3", "study": "1.2.4", "series": "1.2.5"} | uids
    return {KEYS[name]: ["UI", value if isinstance(value, list) else [value]] for name, value in values.items()}


def test_an_identity_is_read_from_the_header() -> None:
    identity = identify(header(), EXPLICIT)
    assert identity == Identity(
        sop_class=UID(CT),
        sop_instance=UID("1.2.3"),
        study=UID("1.2.4"),
        series=UID("1.2.5"),
        transfer_syntax=UID(EXPLICIT),
    )
    assert irregular(identity) == ()


BAD = ["../../etc/passwd", "1.2.a", "1..2", ".1", "1.", "1.2 3", "1." * 32 + "1", "", "1.2\n", "١.٢"]


@pytest.mark.parametrize("bad", [*BAD, [], ["1.2", "1.3"]])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sop_instance", status.INVALID_INSTANCE),
        ("sop_class", status.DOES_NOT_MATCH),
        ("study", status.DOES_NOT_MATCH),
        ("series", status.DOES_NOT_MATCH),
    ],
)
def test_what_is_no_uid_is_refused_and_not_repeated(name: str, expected: int, bad: object) -> None:
    with pytest.raises(Refused) as refused:
        identify(header(**{name: bad}), EXPLICIT)
    assert refused.value.status == expected
    assert not isinstance(bad, str) or len(bad) < 5 or bad not in str(refused.value)


def test_a_value_that_was_too_long_to_keep_is_refused_and_a_missing_one_too() -> None:
    broken = header()
    broken["00080018"] = ["UI", None]
    with pytest.raises(Refused, match="SOP Instance UID is not a UID"):
        identify(broken, EXPLICIT)
    del broken["00080018"]
    with pytest.raises(Refused, match="SOP Instance UID is missing"):
        identify(broken, EXPLICIT)


def test_leading_zeros_are_let_through_with_a_warning() -> None:
    identity = identify(header(study="1.2.007"), EXPLICIT)
    assert identity.study == "1.2.007"
    assert irregular(identity) == ("(0020,000D) Study Instance UID",)


@given(
    uids=st.fixed_dictionaries(dict.fromkeys(KEYS, st.from_regex(r"[0-9]{1,3}(\.(0|[0-9]{1,3})){0,6}", fullmatch=True)))
)
def test_exactly_those_are_warned_of_that_are_let_through_and_not_valid(uids: dict[str, str]) -> None:
    assert all(map(tolerable_uid, uids.values()))
    invalid = tuple(describe(int(KEYS[name], 16)) for name in KEYS if not valid_uid(uids[name]))
    assert irregular(identify(header(**uids), EXPLICIT)) == invalid


def test_a_command_that_names_another_object_is_refused() -> None:
    identity = identify(header(), EXPLICIT)
    agree(CT, "1.2.3", identity)
    agree(CT + "\0", "1.2.3\0", identity)
    for command in ((CT, "1.2.33"), (CT + ".1", "1.2.3")):
        with pytest.raises(Refused) as refused:
            agree(*command, identity)
        assert refused.value.status == status.DOES_NOT_MATCH


@pytest.mark.parametrize("syntax", [EXPLICIT, "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"])
def test_of_a_beginning_study_and_series_are_known_as_soon_as_they_are_there(syntax: str) -> None:
    instance = make.instance()
    data = encoded(instance, syntax)
    study, series = make.uid("study"), make.uid("study", "series")
    behind = data.index(series.encode()) + len(series) + len(series) % 2
    known = [study_and_series(data[:size], syntax) for size in range(len(data) + 1)]
    assert known[:behind] == sorted(known[:behind])
    assert set(known[:behind]) == {(), (study,)}
    assert set(known[behind:]) == {(study, series)}


@given(st.binary(max_size=200))
def test_what_is_no_data_set_is_of_no_series(data: bytes) -> None:
    assert all(map(tolerable_uid, study_and_series(data, EXPLICIT)))


@pytest.mark.parametrize("syntax", UNCOMPRESSED)
@pytest.mark.parametrize(
    ("tag", "refused"), [(0x00000002, True), (0x00010010, True), (0x00020010, True), (0x00080001, False)]
)
def test_a_data_set_that_begins_as_a_file_or_a_message_is_refused(syntax: str, tag: int, refused: bool) -> None:
    ds = Dataset()
    ds.Modality = "CT"
    ds.add_new(tag, "UI", "1.2.3")
    read = read_header(encoded(ds, syntax), syntax).header
    if not refused:
        begin_as_data(read)
        return
    with pytest.raises(Refused, match="which is of no data set") as error:
        begin_as_data(read)
    assert error.value.status == status.CANNOT_UNDERSTAND


def test_an_empty_header_begins_with_nothing() -> None:
    begin_as_data({})
