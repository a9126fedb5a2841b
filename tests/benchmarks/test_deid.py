"""The benchmark of de-identification shows what its scorer found, of this node and of whatever else is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from deid.config import DeidRecipe
from pydicom import dcmread

from benchmarks.corpus.generate import FILTER, generate
from benchmarks.corpus.key import OPTIONS, Action, Instance
from benchmarks.corpus.score import score
from benchmarks.deid import rules, run_node, shown
from benchmarks.deid_speed import available, images
from benchmarks.deidentifiers import DEIDENTIFIERS, Deidentifier, recipe, run_all
from node.config import load
from node.dicom import deid_table
from node.steps import STEPS
from tests.benchmarks.test_programs import PATIENCE, run
from tests.house.sources import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    generate(folder, patients=1)
    return folder


@pytest.fixture(scope="module")
def instances(tmp_path_factory: pytest.TempPathFactory) -> tuple[Instance, ...]:
    return generate(tmp_path_factory.mktemp("again"), patients=1)


@pytest.mark.full
def test_a_table_has_a_line_for_each_action_and_a_column_for_each_program(tmp_path: Path) -> None:
    (folder := tmp_path / "work").mkdir()
    installed = ["node", *(name for name, one in DEIDENTIFIERS.items() if one.installed)]
    text = run("deid", folder, "--speed", "--misses", "3")
    head = next(line for line in text.splitlines() if line.startswith("| required action"))
    assert [cell.strip() for cell in head.split("|")[3:-1]] == installed
    assert all(f"| {action} " in text for action in Action)
    assert "| instances/s |" in text
    assert "| node, with certificate and second reader |" in text
    assert "missed by node" in text


def test_the_results_of_another_program_can_be_scored(tmp_path: Path, corpus: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.deid", "--score", str(corpus / "files"), "--corpus", str(corpus)]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    retained = next(line for line in done.stdout.splitlines() if line.startswith("| all that retains"))
    assert "100.00 %" in retained


def test_the_node_passes_on_no_identifier_that_its_options_promise_to_remove(
    tmp_path: Path, corpus: Path, instances: tuple[Instance, ...]
) -> None:
    (out := tmp_path / "out").mkdir()
    run_node(corpus, tmp_path, out)
    found = score(corpus, instances, out)
    assert found.came > 0
    assert found.percent(Action.UID_CHANGED) == found.percent(Action.PIXELS_HIDDEN) == 100
    assert not [miss for miss in found.misses if miss.action is Action.TEXT_REMOVED and "E.1-1: " in miss.source]


def test_the_rules_of_the_benchmark_are_ones_of_the_node(tmp_path: Path) -> None:
    (pixels := tmp_path / "pixels.dicom").write_text(FILTER)
    config = load(rules(tmp_path, pixels), STEPS)
    assert [route.name for route in config.routes] == ["deid"]
    assert set(available()) <= set(OPTIONS)


def test_deid_gets_every_row_that_no_option_keeps() -> None:
    path_lines = recipe().splitlines()
    assert path_lines[:2] == ["FORMAT dicom", "%header"]
    kept = [row for row in deid_table.rows().values() if row.keeps & set(OPTIONS)]
    times = [row for row in deid_table.rows().values() if "retain_long_modified_dates" in row.cleans]
    assert len(path_lines) > len(deid_table.rows()) - len(kept) - len(times)


def test_deid_reads_its_recipe(tmp_path: Path) -> None:
    (path := tmp_path / "header.dicom").write_text(recipe())
    actions = DeidRecipe(str(path)).get_actions()
    assert len(actions) == len(recipe().splitlines()) - 2


def test_a_program_that_fails_gives_nothing_for_that_object_and_goes_on(tmp_path: Path) -> None:
    def start(_pixels: Path):  # type: ignore[no-untyped-def]  # a program of others: what it raises is its own
        def work(source: Path, target: Path) -> None:
            target.write_bytes(source.read_bytes()[:2])
            if source.read_bytes() == b"second":
                raise ZeroDivisionError

        return work

    sources = {}
    for number, text in enumerate(("first", "second", "third"), 1):
        sources[number] = tmp_path / text
        sources[number].write_text(text)
    (out := tmp_path / "out").mkdir()
    assert run_all(Deidentifier("json", start), sources, out, tmp_path / "first") == 1
    assert sorted(path.name for path in out.iterdir()) == ["1.dcm", "3.dcm"]


@pytest.mark.parametrize("name", DEIDENTIFIERS)
def test_a_program_that_is_installed_changes_the_patient(
    name: str, tmp_path: Path, corpus: Path, instances: tuple[Instance, ...]
) -> None:
    which = DEIDENTIFIERS[name]
    if not which.installed:
        pytest.skip(f"{name} is not installed")
    one = instances[0]
    (out := tmp_path / "out").mkdir()
    pixels = Path(shutil.copy(corpus / "pixels.dicom", tmp_path))
    assert run_all(which, {one.number: corpus / "files" / one.file}, out, pixels) == 0
    after = dcmread(out / f"{one.number}.dcm")
    assert after.PatientName != dcmread(corpus / "files" / one.file).PatientName
    assert after.InstanceNumber == one.number


def test_speed_is_measured_on_images_of_half_a_megabyte_that_all_differ(tmp_path: Path) -> None:
    found = [dcmread(path) for path in images(tmp_path, 2)]
    assert {len(ds.PixelData) for ds in found} == {512 * 512 * 2}
    assert (
        len({ds.SOPInstanceUID for ds in found}) == len({ds.file_meta.MediaStorageSOPInstanceUID for ds in found}) == 2
    )


def test_what_nothing_was_required_of_is_shown_without_a_number() -> None:
    assert json.dumps(shown({})).count("%") == 0
