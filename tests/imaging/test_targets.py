"""Which pixels a transfer syntax may hold, by the tables of PS3.5 8.2."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from pydicom.pixels.encoders.base import ENCODING_PROFILES
from pydicom.uid import UID

from node.dicom.uids import TRANSFER_SYNTAXES
from node.imaging.targets import TARGETS, why_not, written
from node.steps.transcode import Syntax
from tests.imaging.layouts import layout

COLOUR = ("RGB", "YBR_FULL")


def test_the_step_offers_every_target() -> None:
    assert list(get_args(Syntax)) == list(TARGETS)


def test_a_target_is_lossy_where_its_syntax_is() -> None:
    assert [name for name, t in TARGETS.items() if t.lossy is TRANSFER_SYNTAXES[t.uid].lossless] == []


@pytest.mark.parametrize("name", [name for name, t in TARGETS.items() if UID(t.uid) in ENCODING_PROFILES])
def test_what_is_written_is_in_the_tables_of_the_standard(name: str) -> None:
    """pydicom has its own copy of them."""
    target = TARGETS[name]
    profile = ENCODING_PROFILES[UID(target.uid)]
    tried = 0
    for allocated in (8, 16, 32):
        for stored in range(1, allocated + 1):
            for photometric in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", *COLOUR):
                for kind in "iu":
                    shape = (4, 4, 3) if photometric in COLOUR else (4, 4)
                    source = layout(shape, dtype=f"{kind}{allocated // 8}", stored=stored, photometric=photometric)
                    if why_not(target, source):
                        continue
                    tried += 1
                    to = written(target, source)
                    assert any(
                        to.photometric == pi and to.samples == samples and to.signed in signs
                        and to.allocated in allocations and to.stored in depths
                        for pi, samples, signs, allocations, depths in profile
                    ), to  # fmt: skip
    assert tried


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("jpeg-baseline", {"allocated": 16, "stored": 12}, "12 'Bits Stored' in 16 'Bits Allocated' cannot be"),
        ("jpeg-baseline", {"allocated": 8, "stored": 8, "signed": True}, "signed pixels"),
        ("rle", {"allocated": 1, "stored": 1}, "pixels of one bit cannot be RLE"),
        ("htj2k", {"keyword": "FloatPixelData", "allocated": 32, "stored": 32}, "floating point"),
        ("jpeg-ls-near", {"photometric": "PALETTE COLOR"}, "palette colour"),
        ("jpeg-ls", {"photometric": "YBR_FULL", "samples": 3}, "YBR_FULL in 16"),
        ("jpeg-ls", {"photometric": "YBR_PARTIAL_422", "samples": 3}, "YBR_PARTIAL_422 cannot"),
        ("jpeg-2000", {"allocated": 32, "stored": 30}, "30 'Bits Stored'"),
    ],
)  # fmt: skip
def test_what_a_syntax_cannot_hold_is_said(name: str, changes: dict[str, object], reason: str) -> None:
    assert reason in why_not(TARGETS[name], layout((4, 4), **changes))  # type: ignore[arg-type]  # of several types


@pytest.mark.parametrize("name", ["explicit", "deflated"])
def test_uncompressed_syntaxes_hold_everything(name: str) -> None:
    assert why_not(TARGETS[name], layout((4, 4), dtype=np.uint8, allocated=1, stored=1)) == ""
