from __future__ import annotations

from pathlib import Path

from node.model import Kind
from node.steps.forward import Forward
from tests import make
from tests.steps.run_step import batch_of, run_step


def test_the_batch_goes_on_as_it_came(tmp_path: Path) -> None:
    batch = batch_of(make.write_all(make.ct_series(2, rows=8, columns=8), tmp_path / "in"))
    before = [item.path.read_bytes() for item in batch.items]
    after = run_step(Forward(to="archive"), batch, tmp_path)
    assert after == batch
    assert [item.path.read_bytes() for item in after.items] == before


def test_it_takes_and_gives_every_kind_because_the_destination_decides() -> None:
    assert Forward.accepts == Forward.gives == frozenset(Kind)
    assert Forward(to="archive").what is None
