"""The table of decoders that agree is right about those that do and those that do not; every codec is measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from benchmarks import agreement
from benchmarks.agreement import Verdict, agreed, compare, unconfirmed
from benchmarks.other_decoders import Decoded, Refused
from node.imaging.targets import TARGETS
from tests import make
from tests.house.sources import ROOT

FILE = Path("a.dcm")
RLE = TARGETS["rle"].uid
FRAMES = np.arange(24, dtype=np.int16).reshape(1, 4, 6)


def verdicts(*others: Decoded) -> list[Verdict]:
    return list(compare(FILE, RLE, FRAMES, others))


def test_a_decoder_that_sees_the_same_confirms_a_file() -> None:
    found = verdicts(Decoded("one", Refused("ValueError")), Decoded("two", FRAMES.astype(np.int32)))
    assert [verdict.distance for verdict in found] == [None, 0]
    assert agreed(found) == "1 of 1 exact, 1 refused"
    assert unconfirmed(found, {FILE: RLE}) == []


def test_one_sample_that_differs_by_one_is_seen() -> None:
    other = FRAMES.copy()
    other[0, 3, 5] += 1
    found = verdicts(Decoded("one", other))
    assert agreed(found) == "0 of 1 exact, ±1"
    assert unconfirmed(found, {FILE: RLE}) == [FILE]


def test_a_lossless_file_that_nobody_else_decodes_is_not_confirmed() -> None:
    assert unconfirmed([], {FILE: RLE, Path("b.dcm"): TARGETS["jpeg-baseline"].uid}) == [FILE]


def test_another_number_of_samples_is_no_agreement() -> None:
    assert [v.distance for v in verdicts(Decoded("one", FRAMES[:, :2]))] == [None]


@pytest.mark.full
def test_real_decoders_agree_on_files_of_several_syntaxes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("MR_small_RLE.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm", "MR_small_jp2klossless.dcm", "CT_small.dcm")
    files = [str(get_testdata_file(name)) for name in names]
    without_pixels = make.write(make.report(), tmp_path / "report.dcm")
    (tmp_path / "rubbish").write_bytes(b"no DICOM" * 100)
    monkeypatch.setattr(sys, "argv", ["agreement", *files, str(without_pixels), str(tmp_path / "rubbish")])
    assert agreement.main() == 0
    shown = capsys.readouterr().out
    assert "5 of 5 lossless files are the same to a second decoder" in shown
    assert "not decoded by ours" in shown
    assert "RLE Lossless (1)" in shown


@pytest.mark.full
def test_every_codec_is_measured() -> None:
    command = [sys.executable, "-m", "benchmarks.codecs", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=True)
    names = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("|")]
    assert {name for name, target in TARGETS.items() if target.encapsulated} <= set(names)
