"""One SOP Instance UID, other bytes: the same content, another content, or not to be told."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom.dataset import FileDataset
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from node.collect.duplicates import compare
from node.errors import TryAgain
from node.index.schema import history, receipt, unit
from node.pool import Pool
from tests import make
from tests.kit import Kit, changed

RULES = """
node: {{ae_title: NODE, data: {data}, duplicates: {policy}}}
routes: [{{name: all, when: always, steps: [drop]}}]
"""


def policy(kit: Kit, name: str) -> None:
    kit.rules(RULES.format(data=kit.data, policy=name))


def image() -> FileDataset:
    return make.ct_series(1)[0]


def dressed(syntax: str) -> FileDataset:
    """The same image in another transfer syntax."""
    ds = image()
    if syntax == RLELossless:
        ds.compress(RLELossless, generate_instance_uid=False)
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


def decided(kit: Kit, *instances: FileDataset) -> tuple[list[str], list[str]]:
    """(states, reasons) of instances that come one after the other, each judged before the next."""
    receipts = []
    for ds in instances:
        receipts += kit.index(ds)
        kit.duplicates().judge()
    rows = {row["id"]: row for row in kit.rows(receipt)}
    return [rows[r]["state"] for r in receipts], [rows[r]["reason"] for r in receipts]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("name", ["newest", "first", "hold"])
def test_the_same_content_in_another_transfer_syntax_is_a_duplicate(working: Kit, syntax: str, name: str) -> None:
    policy(working, name)
    states, reasons = decided(working, image(), dressed(syntax))
    assert states == ["current", "duplicate"]
    assert reasons[1] == "same content, encoded otherwise"


@pytest.mark.parametrize(
    ("name", "states"),
    [("newest", ["superseded", "current"]), ("first", ["current", "superseded"]), ("hold", ["current", "held"])],
)
def test_other_content_goes_by_the_policy(working: Kit, name: str, states: list[str]) -> None:
    policy(working, name)
    found, reasons = decided(working, image(), changed(image(), KVP=81.5))
    assert found == states
    assert any("differ in" in reason and "KVP" in reason for reason in reasons)
    assert "81.5" not in " ".join(reasons), "no values in a reason"
    assert all(working.spool.where(row["path"]).is_file() for row in working.rows(receipt))


def test_pixels_count_as_content(working: Kit) -> None:
    policy(working, "hold")
    other = image()
    make.set_pixels(other, make.picture(12, 10, seed=99))
    states, reasons = decided(working, image(), other)
    assert states == ["current", "held"]
    assert "pixels" in reasons[1]


@pytest.mark.parametrize("name", ["newest", "first", "hold"])
def test_what_cannot_be_decoded_is_held_whatever_the_policy(working: Kit, name: str) -> None:
    policy(working, name)
    broken = image()
    broken.PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x04\x00\x00\x00abcd\xfe\xff\xdd\xe0\0\0\0\0"
    broken["PixelData"].VR = "OB"
    broken["PixelData"].is_undefined_length = True
    broken.file_meta.TransferSyntaxUID = JPEG2000Lossless
    states, reasons = decided(working, image(), broken)
    assert states == ["current", "held"]
    assert "cannot be compared" in reasons[1]


def test_a_file_that_left_the_spool_cannot_be_compared(working: Kit) -> None:
    policy(working, "newest")
    working.index(image())
    working.write(sa.update(receipt).values(path=None, header=None))
    states, reasons = decided(working, changed(image(), KVP=80))
    assert states == ["held"]
    assert "left the spool" in reasons[0]


def test_the_newest_before_completion_is_worked_on_alone(working: Kit) -> None:
    policy(working, "newest")
    working.index(image())
    (newer,) = working.index(changed(image(), KVP=80))
    working.duplicates().judge()
    (key,) = working.close()
    assert working.owed(key) == {newer: "in_job"}
    assert working.balance() == {"in_job": 1, "superseded": 1}


def test_the_newest_after_completion_opens_the_next_generation(working: Kit) -> None:
    policy(working, "newest")
    working.index(image())
    working.close()
    (newer,) = working.index(changed(image(), KVP=80))
    working.duplicates().judge()
    assert {(u["kind"], u["generation"], u["state"]) for u in working.rows(unit)} == {
        ("series", 2, "open"), ("study", 2, "open"),
    }  # fmt: skip
    (key,) = working.close()
    assert working.owed(key) == {newer: "in_job"}


def test_the_first_is_gone_so_the_next_takes_its_place(working: Kit) -> None:
    """A person dropped the one that this came against."""
    policy(working, "hold")
    working.index(image())
    working.index(changed(image(), KVP=80))
    working.write(sa.update(receipt).where(receipt.c.state == "current").values(state="dropped"))
    working.duplicates().judge()
    assert Counter(working.receipts().values()) == {"dropped": 1, "current": 1}


def test_what_a_person_dropped_meanwhile_stays_dropped(working: Kit) -> None:
    policy(working, "newest")
    working.index(image())
    (other,) = working.index(changed(image(), KVP=80))
    duplicates = working.duplicates()
    working.write(sa.update(receipt).where(receipt.c.id == other).values(state="dropped"))
    duplicates._one(other, working.rows(receipt, receipt.c.id == other)[0]["path"], "NODE", str(image().SOPInstanceUID))
    assert sorted(working.receipts().values()) == ["current", "dropped"]


def test_two_processes_decide_once(working: Kit) -> None:
    policy(working, "newest")
    ds = make.ct_series(4)
    working.index(*ds)
    working.index(*(changed(one, KVP=80) for one in ds))
    threads = [threading.Thread(target=working.duplicates().judge) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(working.receipts().values()) == {"superseded": 4, "current": 4}
    assert {u["count"] for u in working.rows(unit)} == {8}


def test_comparing_does_not_keep_who_asks_for_it(working: Kit) -> None:
    """All workers are busy, so nothing can be compared; completion asks, and goes on at once."""
    policy(working, "newest")
    ds = make.ct_series(3)
    working.index(*ds)
    working.index(*(changed(one, KVP=80) for one in ds))
    duplicates = working.duplicates()
    busy = [threading.Thread(target=working.pool.call, args=(time.sleep, 1)) for _ in range(working.pool.size)]
    for thread in busy:
        thread.start()
    began = time.monotonic()
    assert duplicates.begin() == duplicates.begin() == 0
    assert time.monotonic() - began < 0.5
    for thread in busy:
        thread.join()
    assert duplicates.busy.acquire(timeout=30)
    assert Counter(working.receipts().values()) == {"superseded": 3, "current": 3}


def test_a_thread_that_cannot_be_started_does_not_end_comparing(working: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    policy(working, "newest")
    working.index(image())
    working.index(changed(image(), KVP=80))
    duplicates = working.duplicates()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        with pytest.raises(RuntimeError, match="new thread"):
            duplicates.begin()  # the loop says so, and asks again
    duplicates.begin()
    assert duplicates.busy.acquire(timeout=30)
    assert Counter(working.receipts().values()) == {"superseded": 1, "current": 1}


def test_compare_names_what_differs_and_no_values(working: Kit) -> None:
    a, b = working.arrival(image()), working.arrival(changed(image(), PatientName="Other^Invented", KVP=80))
    found = compare(working.spool.where(a.path), working.spool.where(b.path))
    assert found
    assert not found.pixels
    assert "KVP" in str(found)
    assert "Other" not in str(found)


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("newest", ["superseded", "superseded", "current"]),
        ("first", ["current", "superseded", "duplicate"]),
        ("hold", ["current", "held", "duplicate"]),
    ],
)
def test_the_last_that_came_is_the_newest_though_it_repeats_the_first(
    working: Kit, name: str, states: list[str]
) -> None:
    """Nothing was compared yet when all three were there."""
    policy(working, name)
    first, other = image(), changed(image(), KVP=80)
    receipts = working.index(first, other, first)
    working.duplicates().judge()
    assert [working.receipts()[r] for r in receipts] == states
    assert working.rows(receipt, receipt.c.id == receipts[2])[0]["reason"] in ("", "same bytes")


@dataclass(frozen=True)
class BusyFor:
    """A pool that has no worker for the comparisons of one file."""

    pool: Pool
    file: Path

    def call_within(self, seconds: float, function: Callable[..., Any], *paths: Path) -> Any:
        if self.file in paths:
            raise TryAgain("all workers are busy")
        return self.pool.call_within(seconds, function, *paths)


def test_what_comes_behind_one_that_could_not_be_compared_yet_waits_for_it(working: Kit) -> None:
    """A, B, C, and B again: C is compared one round late, and must not be the newest for that."""
    policy(working, "newest")
    b = changed(image(), KVP=80)
    instances = [working.arrival(ds) for ds in (image(), b, changed(image(), KVP=90), b)]
    working.record(*instances)
    busy: Any = BusyFor(working.pool, working.spool.where(instances[2].path))
    replace(working.duplicates(), pool=busy).judge()
    states = working.receipts()
    assert [states[a.receipt] for a in instances] == ["superseded", "current", "unjudged", "unjudged"]
    working.duplicates().judge()
    states = working.receipts()
    assert [states[a.receipt] for a in instances] == ["superseded", "superseded", "superseded", "current"]
    (key,) = working.close()
    assert working.owed(key) == {instances[3].receipt: "in_job"}


@pytest.mark.parametrize(
    ("came", "indexed", "states"),
    [
        ("ABC", (0, 2, 1), ["superseded", "superseded", "current"]),
        ("ABCB", (0, 1, 3, 2), ["superseded", "current", "superseded", "duplicate"]),
        ("ABCB", (0, 2, 1, 3), ["superseded", "superseded", "superseded", "current"]),
        ("ABA", (0, 2, 1), ["current", "superseded", "duplicate"]),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_one_that_is_indexed_late_does_not_take_the_place_of_a_newer_one(
    working: Kit, came: str, indexed: tuple[int, ...], states: list[str], at_once: bool
) -> None:
    """As the sweep indexes what another process received and left; compared after each, or when all are there."""
    policy(working, "newest")
    kvp = {"A": 120, "B": 80, "C": 90}
    instances = [working.arrival(changed(image(), KVP=kvp[content])) for content in came]
    for number in indexed:
        working.record(instances[number])
        if at_once:
            working.duplicates().judge()
    working.duplicates().judge()
    found = working.receipts()
    current = [content for content, a in zip(came, instances, strict=True) if found[a.receipt] == "current"]
    assert current == [came[-1]]
    if at_once:
        assert [found[a.receipt] for a in instances] == states


def test_what_is_held_against_the_first_is_held_once(working: Kit) -> None:
    policy(working, "hold")
    working.index(image())
    receipts = [working.index(changed(image(), KVP=kvp))[0] for kvp in (80, 90, 80, 80)]
    working.duplicates().judge()
    assert [working.receipts()[r] for r in receipts] == ["held", "held", "duplicate", "duplicate"]


def test_explain_shows_values_that_name_nobody_and_only_names_of_the_others(working: Kit) -> None:
    policy(working, "hold")
    working.index(image())
    (held,) = working.index(changed(image(), KVP=81.5, PatientName="Else^Somebody"))
    working.duplicates().judge()
    lines = [row["text"] for row in working.rows(history, history.c.subject == held)]
    assert lines == ["(0010,0010) Patient's Name differs", "(0018,0060) KVP: 120 in the first, 81.5 in this one"]
