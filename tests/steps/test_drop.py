from __future__ import annotations

from pathlib import Path

from node.model import Batch, Disclosure, Held, Item, Kind, ReceiptId
from node.steps.drop import Drop
from tests.steps.run_step import batch_of, run_step


def test_every_receipt_is_dropped_once(tmp_path: Path) -> None:
    batch = batch_of([tmp_path / "a", tmp_path / "b"])
    first = batch.items[0].sources
    report = Item(path=tmp_path / "r.json", kind=Kind.REPORT, sources=first)
    after = run_step(Drop(), Batch(items=(*batch.items, report), disclosure=Disclosure.DEIDENTIFIED), tmp_path)
    assert after.items == ()
    assert after.dropped == tuple(item.sources[0] for item in batch.items)
    assert after.disclosure is Disclosure.DEIDENTIFIED


def test_what_was_held_stays_held_and_what_was_dropped_stays_dropped(tmp_path: Path) -> None:
    held, earlier = Held(sources=(ReceiptId("h"),), reason="why"), ReceiptId("d")
    both = Item(path=tmp_path / "a", kind=Kind.NIFTI, sources=(ReceiptId("h"), ReceiptId("x")))
    after = run_step(Drop(), Batch(items=(both,), held=(held,), dropped=(earlier,)), tmp_path)
    assert after.held == (held,)
    assert after.dropped == (earlier, ReceiptId("x"))


def test_it_takes_every_kind_and_has_no_options() -> None:
    assert set(Drop.accepts) == set(Kind)
    assert Drop().problems() == ()
