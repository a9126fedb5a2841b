"""Damaged files through the steps that show and check: a picture, a finding or a reason, and nothing else."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence

from node.errors import CannotSucceed
from node.model import Step
from node.steps.check import Check
from node.steps.jpeg import Jpeg
from node.steps.png import Png
from tests import make
from tests.steps.run_step import RealWork, batch_of, check_contract

STEPS: tuple[Step, ...] = (
    Png(),
    Png(show="montage", window="percentile"),
    Png(animated=True, bits=16),
    Jpeg(show="middle", window="lung"),
    Check(on_fail="note"),
)


def with_tables() -> FileDataset:
    ds = make.ct_series(1)[0]
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [16, 0, 12])
    item.add_new("LUTData", "US", list(range(0, 4096, 256)))
    ds.VOILUTSequence = ds.ModalityLUTSequence = Sequence([item])
    return ds


def with_segments() -> FileDataset:
    ds = make.secondary_capture(np.arange(64, dtype=np.uint8).reshape(8, 8), photometric="PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        ds.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [64, 0, 8])
        ds.add_new(f"Segmented{colour}PaletteColorLookupTableData", "OW", bytes([0, 2, 0, 9, 1, 62, 200, 0]))
    return ds


def damaged(data: bytes, seed: int) -> bytes:
    """A few bytes after the preamble changed, turned by a bit, or taken out."""
    chance, found = random.Random(seed), bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at, how = chance.randrange(132, len(found)), chance.randrange(4)
        if how == 0:
            found[at] = chance.randrange(256)
        elif how == 1:
            found[at] = chance.choice(b"0123456789.-eE+\\ naif")
        elif how == 2:
            found[at] ^= 1 << chance.randrange(8)
        else:
            del found[at : at + chance.randint(1, 8)]
    return bytes(found)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("whole")
    made = make.write_all([make.ct_series(1)[0], make.enhanced_mr(2, 2), with_tables(), with_segments()], folder)
    return [*made, Path(str(get_testdata_file("rtdose.dcm")))]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 30), number=st.integers(0, 4))
@pytest.mark.filterwarnings("ignore")  # pydicom's, which workers do not see either
def test_damage_gives_a_picture_or_a_reason(whole: list[Path], tmp_path: Path, seed: int, number: int) -> None:
    path = tmp_path / "damaged.dcm"
    path.write_bytes(damaged(whole[number].read_bytes(), seed))
    batch = batch_of([path, whole[0]])
    for step in STEPS:
        work = RealWork(tmp_path / "out", {"announced": ()})
        work.out.mkdir(exist_ok=True)
        try:
            check_contract(step, batch, step.run(batch, work), work.out)
        except CannotSucceed:
            continue
