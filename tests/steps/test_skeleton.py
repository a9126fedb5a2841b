from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from node.errors import CannotSucceed
from node.model import Batch, Held, ReceiptId
from node.steps._skeleton import Skeleton
from tests import make
from tests.steps.run_step import batch_of, run_step


def _file(tmp_path: Path) -> Path:
    path = tmp_path / "one.dcm"
    make.ct_series(1)[0].save_as(path, enforce_file_format=True)
    return path


def test_it_passes_files_on_as_copies(tmp_path: Path) -> None:
    path = _file(tmp_path)
    after = run_step(Skeleton(prefix="copy-"), batch_of([path]), tmp_path)
    assert [item.path.name for item in after.items] == ["copy-one.dcm"]
    assert after.items[0].path.read_bytes() == path.read_bytes()


def test_a_repeat_changes_nothing(tmp_path: Path) -> None:
    batch = batch_of([_file(tmp_path)])
    assert run_step(Skeleton(), batch, tmp_path) == run_step(Skeleton(), batch, tmp_path)


def test_a_file_above_the_limit_is_held_with_the_reason(tmp_path: Path) -> None:
    after = run_step(Skeleton(limit=10), batch_of([_file(tmp_path)]), tmp_path)
    assert after.items == ()
    assert after.held[0].reason == "it has more than 10 bytes"


def test_what_was_held_or_dropped_before_stays(tmp_path: Path) -> None:
    before = Batch(items=(), held=(Held(sources=(ReceiptId("h"),), reason="why"),), dropped=(ReceiptId("d"),))
    assert run_step(Skeleton(), before, tmp_path) == before


def test_all_wrong_options_are_named(tmp_path: Path) -> None:
    step = Skeleton(prefix="../", limit=-1)
    assert len(step.problems()) == 2
    with pytest.raises(CannotSucceed, match="prefix"):
        run_step(step, batch_of([]), tmp_path)


def test_it_can_be_sent_to_a_worker_process() -> None:
    assert pickle.loads(pickle.dumps(Skeleton(prefix="a"))) == Skeleton(prefix="a")
