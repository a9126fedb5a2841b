"""The scorer gives 0 to what was not touched, 100 to what obeys the key, and finds every single thing left undone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset

from benchmarks.corpus.key import REMOVAL, RETENTION, Action, Answer, Instance
from benchmarks.corpus.outputs import shifted
from benchmarks.corpus.score import Score, score
from tests.benchmarks.corpus.conftest import Made
from tests.benchmarks.corpus.oracle import obey

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
A = Action


@pytest.fixture(scope="module")
def obeyed(small: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return obey(small.folder, small.instances, tmp_path_factory.mktemp("obeyed") / "out")


def scored(made: Made, results: Path) -> Score:
    return score(made.folder, made.instances, results)


@pytest.fixture
def results(obeyed: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(obeyed, tmp_path / "results"))


@pytest.mark.full
def test_untouched_originals_have_nothing_removed_and_everything_retained(corpus: Made) -> None:
    found = scored(corpus, corpus.folder / "files")
    for action in Action:
        assert found.percent(action) == (100 if action in RETENTION else 0), action
    assert found.percent(*REMOVAL) == 0
    assert found.came == len(corpus.instances)


def test_the_key_can_be_obeyed_and_nothing_that_identifies_is_then_left(corpus: Made, tmp_path: Path) -> None:
    found = scored(corpus, obey(corpus.folder, corpus.instances, tmp_path / "out"))
    assert found.misses == []
    assert found.percent(*Action) == 100


def test_nothing_at_all_leaks_nothing_and_keeps_nothing(small: Made, tmp_path: Path) -> None:
    found = scored(small, tmp_path)
    assert (found.percent(A.TEXT_REMOVED), found.percent(A.PIXELS_HIDDEN)) == (100, 100)
    assert found.percent(*RETENTION) == found.percent(A.DATE_SHIFTED) == found.percent(A.UID_CONSISTENT) == 0
    assert found.withheld == sum(not one.withheld for one in small.instances)


def test_a_document_that_is_withheld_is_right(small: Made, results: Path) -> None:
    (results / f"{small.of('DOC').number}.dcm").unlink()
    assert scored(small, results).misses == []


@pytest.mark.parametrize("action", [action for action in Action if action not in RETENTION])
def test_one_action_that_is_left_out_is_found(small: Made, tmp_path: Path, action: Action) -> None:
    """The negative control: of each kind the first answer of each object is not obeyed."""
    first = {
        one.number: next((a for a in one.answers if a.action is action and a.place != "anywhere"), None)
        for one in small.instances
    }

    def skip(instance: Instance, answer: Answer) -> bool:
        left = first[instance.number]
        return left is not None and answer.place == left.place and answer.drawn == left.drawn

    found = scored(small, obey(small.folder, small.instances, tmp_path / "out", skip))
    missed = {(miss.file, miss.place) for miss in found.misses if miss.action is action}
    expected = {(one.file, left.place) for one in small.instances if (left := first[one.number]) is not None}
    if action is A.PIXELS_HIDDEN:  # the oracle hides a whole banner or none of it: only an overlay is left as it was
        expected = {(file, place) for file, place in expected if place != "pixels"}
    assert expected <= missed
    assert expected


def spoil(change: Callable[[FileDataset], object], made: Made, results: Path, kind: str) -> Score:
    path = results / f"{made.of(kind).number}.dcm"
    ds = dcmread(path)
    change(ds)
    ds.save_as(path)
    return scored(made, results)


def _one_pixel(ds: FileDataset) -> None:
    original = np.zeros((ds.Rows, ds.Columns, 3), np.uint8)
    original[:] = ds.pixel_array
    original[60, 60] ^= 1
    ds.PixelData = original.tobytes()


def _set(keyword: str, value: object) -> Callable[[FileDataset], object]:
    return lambda ds: setattr(ds, keyword, value)


def _without(keyword: str) -> Callable[[FileDataset], object]:
    return lambda ds: delattr(ds, keyword)


_ANYWHERE, _PREAMBLE = (A.TEXT_REMOVED, "anywhere"), (A.TEXT_REMOVED, "preamble")
_STUDY_DATE, _STUDY = (A.DATE_SHIFTED, "(0008,0020)"), (A.UID_CONSISTENT, "(0020,000D)")
SPOILT: list[tuple[str, str, Callable[[FileDataset], object], set[tuple[Action, str]]]] = [
    ("a name in a comment", "CT", _set("FilterType", "for refipo"), {_ANYWHERE}),
    ("a voltage that is gone", "CT", _without("KVP"), {(A.TEXT_RETAINED, "(0018,0060)")}),
    ("a number that was rounded", "CT", _set("SliceThickness", "4.1"), {(A.TEXT_RETAINED, "(0018,0050)")}),
    ("an empty Type 2 that is gone", "CT", _without("PatientBirthDate"), {(A.TAG_RETAINED, "(0010,0030)")}),
    ("a date by itself", "CT", _set("StudyDate", "20180101"), {_STUDY_DATE}),
    ("a date that is none", "CT", _set("StudyDate", ""), {_STUDY_DATE}),
    ("another study", "CT", _set("StudyInstanceUID", "2.25.1"), {_STUDY}),
    ("no UID", "CT", _set("StudyInstanceUID", "anonymous"), {_STUDY, (A.UID_CHANGED, "(0020,000D)")}),
    ("another patient", "CT", _set("PatientID", "P7"), {(A.PATIENT_ID_CONSISTENT, "(0010,0020)")}),
    ("one pixel", "US", _one_pixel, {(A.PIXELS_RETAINED, "pixels")}),
    ("a preamble", "CT", _set("preamble", b"Tiroro".ljust(128)), {_PREAMBLE, _ANYWHERE}),
]


@pytest.mark.parametrize(("what", "kind", "change", "missed"), SPOILT, ids=[spoilt[0] for spoilt in SPOILT])
def test_one_thing_that_is_wrong_is_found_and_nothing_else(
    small: Made,
    results: Path,
    what: str,
    kind: str,
    change: Callable[[FileDataset], object],
    missed: set[tuple[Action, str]],
) -> None:
    found = spoil(change, small, results, kind)
    assert {(miss.action, miss.place) for miss in found.misses} == missed
    assert {miss.kind for miss in found.misses} == {kind}


def test_a_file_that_is_named_by_the_patient_is_found(small: Made, results: Path) -> None:
    one = small.of("MR")
    (results / f"{one.number}.dcm").rename(results / f"{one.patient}.dcm")
    assert {(miss.kind, miss.place) for miss in scored(small, results).misses} == {("MR", "file name")}


def test_two_patients_who_became_one_are_both_wrong(small: Made, results: Path) -> None:
    for path in results.iterdir():
        ds = dcmread(path)
        ds.PatientID = "EVERYBODY"
        ds.save_as(path)
    assert scored(small, results).percent(A.PATIENT_ID_CONSISTENT) == 0


def test_two_results_of_one_object_are_refused(small: Made, results: Path) -> None:
    path = results / f"{small.of('CT').number}.dcm"
    shutil.copyfile(path, results / "again.dcm")
    with pytest.raises(ValueError, match="two results have Instance Number"):
        scored(small, results)


def test_what_is_no_dicom_is_passed_over(small: Made, results: Path) -> None:
    (results / "report.json").write_text("{}")
    (results / "empty").touch()
    assert scored(small, results).misses == []


def test_misses_name_places_and_never_values(small: Made) -> None:
    found = scored(small, small.folder / "files")
    for one in small.instances:
        shown = [f"{miss.place} {miss.source}" for miss in found.misses if miss.file == one.file]
        assert not [line for line in shown if any(token in line for token in one.tokens)]


@pytest.mark.parametrize(
    ("old", "new", "days"),
    [
        ("20200229", "20200301", 1),
        ("20200229", "2020", None),
        ("20200101101500.5+0100", "20191231", -1),
        ("20200101", "20201301", None),
    ],
)
def test_a_shift_is_counted_in_days(old: str, new: str, days: int | None) -> None:
    assert shifted(old, new) == days
