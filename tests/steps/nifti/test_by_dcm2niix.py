"""The engine dcm2niix: what it writes is let out only when our gate finds every frame in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from node.model import Kind
from node.steps.nifti import Nifti, by_dcm2niix
from tests import make
from tests.data import real
from tests.steps.run_step import batch_of, run_step

STEP = Nifti(engine="dcm2niix")
installed = pytest.mark.skipif(by_dcm2niix.program() is None, reason="dcm2niix is not installed")


def stand_in(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@installed
def test_a_ct_by_dcm2niix_passes_our_gate_with_its_sidecar(tmp_path: Path) -> None:
    batch = batch_of(make.write_all(make.ct_series(5), tmp_path / "in"))
    result = run_step(STEP, batch, tmp_path)
    assert result.held == ()
    names = [item.path.name for item in result.items if item.kind is Kind.NIFTI]
    assert [name.split(".", 1)[1] for name in names] == ["nii.gz", "json"]
    (report,) = [item for item in result.items if item.kind is Kind.REPORT]
    assert json.loads(report.path.read_text())["gate"] == {"frames": 5}
    assert report.sources == tuple(item.sources[0] for item in batch.items)


@installed
def test_two_series_of_one_name_keep_what_belongs_together_beside_each_other(tmp_path: Path) -> None:
    series = make.ct_series(3) + make.ct_series(3, series="other")
    for ds in series:
        ds.SeriesDescription = "a^b/../c"
    step = Nifti(engine="dcm2niix", names="%d")
    result = run_step(step, batch_of(make.write_all(series, tmp_path / "in")), tmp_path)
    found = sorted(item.path.relative_to(tmp_path / "out").as_posix() for item in result.items[6:])
    ends = (".json", ".nii.gz", ".report.json")
    stem = min(found).removesuffix(".json")
    assert found == [stem + end for end in ends] + [f"{stem}_2{end}" for end in ends]
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", stem)


@installed
@pytest.mark.parametrize(("folder", "held"), [("ct_tilt_4", 4), ("localizer3", 0), ("mosaic_cor", 0), ("ct_gap_4", 4)])
def test_real_series_pass_or_are_held_with_the_reason(folder: str, held: int, tmp_path: Path) -> None:
    result = run_step(STEP, batch_of(sorted(real(folder).iterdir())), tmp_path)
    assert len(result.held) == held
    assert all(one.reason.startswith(("gate: ", "shares a volume")) for one in result.held)
    assert [path.name for path in (tmp_path / "out").rglob("*.nii.gz") if held] == []


@pytest.mark.parametrize(
    ("script", "reason"), [("exit 3", "dcm2niix wrote nothing (it ended with 3)"), ("exit 0", "wrote nothing")]
)
def test_a_program_that_fails_holds_the_series(
    script: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = stand_in(tmp_path / "dcm2niix", script)
    monkeypatch.setattr(by_dcm2niix, "program", lambda: program)
    result = run_step(STEP, batch_of(make.write_all(make.ct_series(2), tmp_path / "in")), tmp_path)
    assert [reason in one.reason for one in result.held] == [True, True]


def test_without_the_program_rules_are_refused_and_a_series_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_dcm2niix, "program", lambda: None)
    assert STEP.problems() == ("dcm2niix is not installed: pip install dcm2niix",)
    result = run_step(STEP, batch_of(make.write_all(make.ct_series(2), tmp_path / "in")), tmp_path)
    assert all("not installed" in one.reason for one in result.held)


def test_options_of_the_other_engine_are_refused() -> None:
    step = Nifti(engine="dcm2niix", tilt="sheared", format="nrrd", names="{SeriesNumber}")
    problems = step.problems()
    assert '"tilt" is for engine: node' in problems
    assert '"format" is for engine: node' in problems
    assert "names: header keywords are for engine: node" in problems
