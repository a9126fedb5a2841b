"""Every benchmark runs: a few instances each, real receivers, and its own checks of what was acknowledged.

No figure is asserted here, see benchmarks/README.md.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.processes import family, wait_until
from benchmarks.receive import WARM
from benchmarks.receivers import RECEIVERS
from tests.house.sources import ROOT

PATIENCE = 100


def run(program: str, folder: Path, *options: str) -> str:
    """What it prints; it leaves no file behind."""
    command = [sys.executable, "-m", f"benchmarks.{program}", "--quick", "--folder", str(folder), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(folder.iterdir()) == []
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (made := tmp_path / "work").mkdir()
    return made


def needs(program: str, receivers: Sequence[str]) -> pytest.MarkDecorator:
    missing = [name for name in receivers if not RECEIVERS[name].installed]
    return pytest.mark.skipif(bool(missing), reason=f"{program}: {', '.join(missing)} not installed")


@pytest.mark.full
def test_receiving_is_compared_with_every_receiver_that_is_installed(folder: Path, tmp_path: Path) -> None:
    installed = [name for name, receiver in RECEIVERS.items() if receiver.installed]
    figures = tmp_path / "figures.json"
    shown = run("receive", folder, "--images", "mr", "--associations", "2", "--json", str(figures))
    rows = json.loads(figures.read_text())["rows"]
    assert [row["receiver"] for row in rows] == installed
    assert all(row["files"] == row["instances"] + WARM for row in rows)
    assert "node : pynetdicom" in shown


@needs("storescu", ["storescp"])
def test_dcmtk_may_be_the_sender(folder: Path) -> None:
    options = ["--only", "storescp", "--images", "ct", "--associations", "2", "--sender", "storescu"]
    assert "storescp, instances/s" in run("receive", folder, *options)


@pytest.mark.full
@needs("pipeline", ["storescp"])
def test_the_pipeline_ends_in_the_archive(folder: Path) -> None:
    assert "last delivered" in run("pipeline", folder)


def test_the_processor_time_of_an_instance_is_shown_by_its_parts(folder: Path) -> None:
    assert "rows.record, CT" in run("per_instance", folder)


def test_the_second_reader_is_counted_on_patients_who_are_not_in_the_headers(folder: Path) -> None:
    shown = run("leaks", folder, "--headers")
    assert "after anonymize" in shown
    assert "collect" in shown


@pytest.mark.full
def test_a_large_index_is_filled_and_measured(folder: Path) -> None:
    assert "receiving with 2000 indexed : with 0" in run("receive", folder, "--growth")


@pytest.mark.full
def test_memory_is_looked_at_before_during_and_after(folder: Path) -> None:
    assert "most above its start" in run("memory", folder)


@pytest.mark.full
def test_nothing_is_lost_in_a_short_soak(folder: Path) -> None:
    shown = run("soak", folder)
    assert "held" in shown.splitlines()
    acknowledged = next(line for line in shown.splitlines() if "acknowledged to a sender" in line)
    assert int(acknowledged.split("|")[2].split(",")[0]) > 0


@pytest.mark.full
@pytest.mark.timeout(300)
def test_nothing_is_lost_in_a_minute_of_soak(folder: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.soak", "--seconds", "60", "--folder", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE + 100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.full
def test_sigterm_ends_a_benchmark_with_all_it_has_started(folder: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.receive", "--only", "node", "--folder", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until("the node is started", lambda: any(folder.rglob("node.db")))
        started = family(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) != 0
    finally:
        process.kill()
        process.wait()
    assert [one for one in started if Path(f"/proc/{one}").exists()] == []
    assert list(folder.iterdir()) == []


def test_conversion_is_compared_with_what_is_installed(folder: Path) -> None:
    shown = run("convert", folder, "--only", "enhanced", "--tools", "this", "dcm2niix -z y -1")
    assert "| this node " in shown
    assert "failed" not in shown


@pytest.mark.full
def test_answers_are_measured_while_a_real_node_converts(folder: Path) -> None:
    shown = run("convert", folder, "--answers")
    assert "converting : idle" in shown or "too few" in shown
