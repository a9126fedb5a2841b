"""What the documents say is what the program does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import typer.main
import yaml

from node.cli.app import app
from node.config import load
from node.config.options import options_of
from node.rehearsal import run_tests
from node.steps import STEPS
from tests.flow import matrix
from tests.house import pages
from tests.house.sources import ROOT, files

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docker/*.md")])
RULES = [ROOT / "rules.yaml", *sorted(ROOT.glob("docker/*/rules.yaml"))]
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # it is a group

_YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#([^)]*))?\)")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks() -> list[tuple[str, str]]:
    """Every rules.yaml in the documents: (page and number, text)."""
    return [
        (f"{relative(page)} {number}", text)
        for page in PAGES
        for number, text in enumerate(_YAML.findall(page.read_text()), 1)
        if "node" in yaml.safe_load(text)
    ]


@pytest.mark.parametrize(("where", "text"), blocks(), ids=[where for where, _ in blocks()])
def test_every_rules_yaml_in_the_documents_loads(
    where: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_DB_PASSWORD", "not a real one")
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    assert all(result.passed for result in run_tests(load(path, STEPS)))


def test_some_rules_are_shown() -> None:
    assert len(blocks()) >= 2


@pytest.mark.parametrize("rules", RULES, ids=relative)
def test_every_rules_yaml_of_the_repository_loads_and_passes_its_tests(rules: Path) -> None:
    results = run_tests(load(rules, STEPS))
    assert results
    assert all(result.passed for result in results)


def test_the_compose_file_names_what_is_there_and_mounts_folders() -> None:
    """A mounted file stays the one that it was at the start: editors, and `mv`, put a new one in its place."""
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    mounted = set()
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert (ROOT / "docker" / source).is_dir() if source.startswith(".") else source in compose["volumes"]
            mounted.add((ROOT / "docker" / source).resolve())
        assert all(secret in compose["secrets"] for secret in service.get("secrets", []))
    assert {rules.parent for rules in RULES[1:]} <= mounted
    assert len(RULES) == 3
    built = compose["services"]["node"]["build"]
    assert (ROOT / "docker" / built["context"] / built["dockerfile"]).is_file()


def test_the_generated_pages_are_what_the_code_says() -> None:
    again = "run: python -m tests.house.pages"
    assert pages.CONFIGURATION.read_text() == pages.reference(STEPS), again
    for path in pages.parts():
        assert path.read_text() == pages.with_parts(path), again


def test_the_fault_matrix_has_every_cell_and_the_short_run_every_fault_and_every_point() -> None:
    cells = list(matrix.cells())
    assert {(cell.point, cell.fault) for cell in cells} == {(p, f) for p in matrix.Point for f in matrix.Fault}
    assert all(bool(cell.expected) != bool(cell.meaningless) for cell in cells)
    sampled = [cell for cell in cells if cell.sampled]
    assert {cell.fault for cell in sampled} == set(matrix.Fault)
    assert {cell.point for cell in sampled} == set(matrix.Point)
    assert not [cell for cell in sampled if cell.meaningless]


@pytest.mark.parametrize("step", STEPS)
def test_every_step_and_each_of_its_options_is_documented(step: str) -> None:
    text = pages.CONFIGURATION.read_text()
    assert f"### `{step}`" in text
    missing = [name for name, field in options_of(STEPS[step]).model_fields.items() if not field.description]
    assert not missing, f"write a string below these fields of {step}: {missing}"


def test_every_key_is_documented() -> None:
    rows = [line for line in pages.CONFIGURATION.read_text().splitlines() if line.startswith("| `")]
    assert rows
    assert not [row for row in rows if row.endswith("|  |")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_documents(command: str) -> None:
    text = "\n".join(page.read_text() for page in PAGES if page.name != "CHANGELOG.md")
    assert re.search(rf"dicom-node {command}\b|`{command}`|`{command} ", text), f"{command} is in no document"


def test_commands_in_the_documents_are_there() -> None:
    for page in PAGES:
        text = page.read_text()
        shown = re.findall(r"`dicom-node ([a-z]+)", text)
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            shown += re.findall(r"dicom-node ([a-z]+)", block)
        assert set(shown) - set(COMMANDS) == set(), f"{relative(page)}: {set(shown) - set(COMMANDS)}"


def test_the_readme_opens_with_its_two_commands() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    commands = [line for line in lines[:25] if line.startswith("python3 ")]
    assert [line.split("/")[-1] for line in commands] == ["dicom-node demo", "pytest"]


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    for target, heading in _LINK.findall(page.read_text()):
        found = (page.parent / target).resolve()
        assert found.exists(), f"{relative(page)}: {target}"
        if heading:
            anchors = [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in _headings(found)]
            assert heading in anchors, f"{relative(page)}: {target}#{heading}"


def _headings(page: Path) -> list[str]:
    return [line.lstrip("#").strip() for line in page.read_text().splitlines() if line.startswith("#")]


def test_every_dependency_has_its_reason_and_its_licence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for group in project["optional-dependencies"].values() for name in group]
    names = {re.split(r"[\[<>=~!; ]", text)[0] for text in [*project["dependencies"], *extras]}
    reasons = (ROOT / "docs" / "ARCHITECTURE.md").read_text().partition("## Dependencies")[2]
    assert not [name for name in names if not re.search(rf"[| ,]{re.escape(name)}[ ,|]", reasons)]
    shipped = {re.split(r"[\[<>=~!; ]", text)[0] for text in project["dependencies"]}
    licences = (ROOT / "docs" / "LICENSES.md").read_text()
    assert not [name for name in shipped if not re.search(rf"[| ]{re.escape(name)}[ ,|]", licences)]


def test_the_architecture_fits_in_one_sitting() -> None:
    assert len((ROOT / "docs" / "ARCHITECTURE.md").read_text().splitlines()) <= 200


def test_the_reasons_in_the_documents_are_those_of_the_program() -> None:
    program = "\n".join(path.read_text() for path in files("node"))
    table = (ROOT / "docs" / "OPERATIONS.md").read_text().partition("| reason |")[2].partition("## Disk")[0]
    shown = [text for line in table.splitlines()[2:] for text in re.findall(r"`([^`]+)`", line.split(" | ")[0])]
    parts = {
        part.strip(" ,;") for text in shown for part in re.split("…|0x\\w+|X ", text) if len(part.strip(" ,;")) > 8
    }
    assert len(parts) > 15
    assert not [part for part in parts if part not in program]


def test_the_metrics_of_the_documents_are_there() -> None:
    from prometheus_client.exposition import generate_latest

    from node.report.metrics import Figures, Metrics

    figures = Figures(
        states={"held": 1}, queues={"archive": 1}, jobs=1, certificates={"x": 9}, faults={"missing": 0},
        commitments={"open": 0},
    )  # fmt: skip
    metrics = Metrics(lambda: figures)
    metrics.received("CT1", "NODE", 0.1)
    metrics.refused("CT1", "NODE", 0xA700)
    metrics.turned_away("association", "calling_ae")
    there = set(re.findall(r"^(\w+)", generate_latest(metrics.registry).decode(), re.MULTILINE))
    named = set(re.findall(r"dicom_node_\w+", (ROOT / "docs" / "OPERATIONS.md").read_text()))
    assert {name for name in named if name not in there and f"{name}_count" not in there} == set()
