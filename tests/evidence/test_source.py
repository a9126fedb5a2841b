"""A source is asked over a real association, whatever it can and cannot answer."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from node.config import Address, Remote
from node.deliver.sender import Timeouts
from node.errors import TryAgain
from node.evidence.source import Answer, Here, Source
from tests import make
from tests.archive import Archive
from tests.peers import free_port, silent_listener

STUDY, SERIES = make.uid("study"), make.uid("study", "series")
FIVE = make.ct_series(5)
QUICK = Timeouts(connect=0.5, associate=0.5, answer=0.5)


def source(port: int, *, timeouts: Timeouts | None = None, stop: Callable[[], bool] = lambda: False) -> Source:
    return Source(
        remote=Remote("ARCHIVE", Address("127.0.0.1", port)), calling_ae="NODE", stop=stop,
        timeouts=timeouts or Timeouts(answer=5.0),
    )  # fmt: skip


def read(archive: Archive, *, here: int = 5, whole: bool = False, timeouts: Timeouts | None = None) -> Answer:
    found: dict[str, Answer] = {}
    asked = {STUDY: Here(series={SERIES: frozenset(str(one.SOPInstanceUID) for one in FIVE[:here])}, whole=whole)}
    why: list[str] = []
    source(archive.port, timeouts=timeouts).read(asked, found.__setitem__, lambda study, text: why.append(text))
    if why:
        raise TryAgain(why[0])
    return found[STUDY]


def never(study: str, why: str) -> None:
    raise AssertionError(f"{study}: {why}")


def test_it_says_how_many_instances_study_and_series_have() -> None:
    with Archive([*FIVE, make.report()]) as archive:
        said = read(archive)
    assert (said.study, said.series) == (6, {SERIES: 5, make.uid("study", "report"): 1})
    assert said.instances == {}, "nothing is missing of the series that is waited for"
    assert archive.asked == [("STUDY", "NODE"), ("SERIES", "NODE")]


def test_a_series_that_has_more_there_is_asked_for_by_instance() -> None:
    with Archive(FIVE) as archive:
        said = read(archive, here=3)
    assert said.instances == {SERIES: sorted(str(one.SOPInstanceUID) for one in FIVE[3:])}


def test_where_there_are_no_counts_instances_are_counted() -> None:
    with Archive([*FIVE, make.report()], counts=False) as archive:
        said = read(archive)
        everything = read(archive, whole=True)
    assert (said.study, said.series[SERIES]) == (None, 5)
    assert said.series[make.uid("study", "report")] is None, "a series that nobody waits for is not asked for"
    assert everything.series == {SERIES: 5, make.uid("study", "report"): 1}


def test_one_that_neither_counts_nor_lists_says_nothing() -> None:
    with Archive(FIVE, counts=False, lists=False) as archive:
        said = read(archive)
    assert said == Answer(study=None, series={SERIES: None})


def test_one_that_does_not_know_the_study_says_nothing() -> None:
    with Archive() as archive:
        assert read(archive) == Answer()


def test_several_studies_are_asked_for_on_one_association() -> None:
    with Archive(FIVE) as archive:
        asked = {uid: Here(series={}, whole=True) for uid in (STUDY, "1.2.3")}
        found: dict[str, Answer] = {}
        source(archive.port).read(asked, found.__setitem__, never)
        assert archive.associations == 1
    assert found["1.2.3"] == Answer()
    assert found[STUDY].study == 5


@pytest.mark.parametrize("how", [{"refuse": 0xA700}, {"hang": True}])
def test_what_does_not_work_may_work_later(how: dict[str, int]) -> None:
    with Archive(FIVE, **how) as archive, pytest.raises(TryAgain, match=r"0xA700|did not answer the C-FIND in time"):
        read(archive, timeouts=QUICK)


def test_a_dead_or_silent_one_may_answer_later() -> None:
    with pytest.raises(TryAgain, match="cannot be reached"):
        source(free_port()).read({STUDY: Here(series={}, whole=True)}, lambda *_: None, never)
    with silent_listener() as port, pytest.raises(TryAgain, match="did not answer the association request"):
        source(port, timeouts=QUICK).read({STUDY: Here(series={}, whole=True)}, lambda *_: None, never)


@pytest.mark.parametrize("how", [{"refuse": 0xC001}, {"hang": True}])
def test_one_study_that_it_does_not_answer_for_keeps_nothing_from_the_others(how: dict[str, int]) -> None:
    """Unless the association is over with it: then those behind it were not asked."""
    with Archive(FIVE, poison="1.2.3", **how) as archive:
        asked = {uid: Here(series={}, whole=True) for uid in ("1.2.3", STUDY)}
        found: dict[str, Answer] = {}
        failed: dict[str, str] = {}
        source(archive.port, timeouts=QUICK).read(asked, found.__setitem__, failed.__setitem__)
        assert archive.associations == 1
    assert list(failed) == ["1.2.3"]
    assert list(found) == ([STUDY] if "refuse" in how else [])


@pytest.mark.parametrize("count", ["-3", "99999999999", "1\\2", ""])
def test_a_count_that_is_none_is_not_believed(count: str) -> None:
    with Archive(FIVE, poison=STUDY, says=count, lists=False) as archive:
        assert read(archive) == Answer(study=None, series={SERIES: None})


def test_an_answer_that_cannot_be_read_may_be_better_later() -> None:
    with Archive(FIVE, poison=STUDY, says="inf") as archive, pytest.raises(TryAgain, match="C-FIND"):
        read(archive)


def test_one_that_ignores_which_series_is_asked_for_says_nothing_of_the_others() -> None:
    with Archive([*FIVE, make.report()], loose=True) as archive:
        said = read(archive, here=3)
    assert said.instances == {SERIES: sorted(str(one.SOPInstanceUID) for one in FIVE[3:])}


def test_missing_instances_come_over_the_association_that_asks_for_them() -> None:
    kept: list[tuple[str, str, int]] = []

    def stored(data: memoryview, syntax: str, sop_class: str, instance: str) -> int:
        kept.append((instance, sop_class, len(data)))
        return 0x0000

    wanted = [str(one.SOPInstanceUID) for one in FIVE[:2]]
    with Archive(FIVE) as archive:
        said = source(archive.port).get(STUDY, {SERIES: wanted}, [(make.CT_IMAGE, "1.2.840.10008.1.2.1")], stored)
    assert said == "2 sent"
    assert [one[0] for one in kept] == wanted
    assert all(size > 100 and sop_class == make.CT_IMAGE for _, sop_class, size in kept)


def test_what_we_refuse_did_not_come() -> None:
    kinds = [(make.CT_IMAGE, "1.2.840.10008.1.2.1")]
    with Archive(FIVE) as archive, pytest.raises(TryAgain, match="C-GET with 0xA702"):
        source(archive.port).get(STUDY, {SERIES: None}, kinds, lambda *_: 0xA700)


def test_an_archive_without_retrieval_says_so() -> None:
    with Archive(FIVE, models=("find",)) as archive, pytest.raises(TryAgain, match="no C-MOVE"):
        source(archive.port).move(STUDY, {SERIES: None}, "NODE")


@pytest.mark.parametrize("what", ["C-FIND", "C-MOVE", "C-GET"])
def test_one_that_never_comes_to_an_end_is_left(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr("node.evidence.source._MOST_SECONDS", 0.3)
    monkeypatch.setattr("node.evidence.source._MOST_UNMOVED", 0.3)
    wanted = {SERIES: [str(FIVE[0].SOPInstanceUID)]}
    asking: dict[str, Callable[[Source, Archive], object]] = {
        "C-FIND": lambda _, archive: read(archive),
        "C-MOVE": lambda one, _: one.move(STUDY, wanted, "NODE"),
        "C-GET": lambda one, _: one.get(STUDY, wanted, [(make.CT_IMAGE, "1.2.840.10008.1.2")], lambda *_: 0),
    }
    began = time.monotonic()
    ends = pytest.raises(TryAgain, match=r"did not come to an end|nothing comes of it")
    with Archive(FIVE, pending=True) as archive, ends:
        asking[what](source(archive.port), archive)
    assert time.monotonic() - began < 15
