"""The imports of the node point one way. The table is also the one in docs/ARCHITECTURE.md."""

from __future__ import annotations

import pytest

from tests.house.sources import MODULES, ROOT, imports

LEVELS = (
    ("__main__",),
    ("cli",),
    ("service", "lifecycle"),
    ("receive", "collect", "evidence", "run", "deliver", "commit", "report", "retention", "acts", "backup", "healing"),
    ("steps", "leaks"),
    ("imaging",),
    ("engine", "outbox", "stores"),
    ("crosswalk",),
    ("index", "spool", "pool", "secret", "rules", "tls"),
    ("rehearsal",),
    ("complete", "match", "retry", "commitment", "certificate"),
    ("config",),
    ("dicom",),
    ("moment", "listing", "watching"),
    ("model", "errors", "node"),
)
"""From the top. A room may import only rooms on lower levels, and itself; `node` is the package's own version."""

SIDEWAYS = {
    ("node.service", "node.lifecycle"): "one puts the parts together, the other starts and stops them",
    ("node.retention", "node.run.results"): "it removes the folders whose names that module gives",
    ("node.evidence.source", "node.deliver.dicom"): "there is one way to open an association",
    ("node.evidence.source", "node.deliver.contexts"): "what it is opened for",
    ("node.evidence.source", "node.deliver.entity"): "who takes what comes on it",
    ("node.evidence.source", "node.deliver.sender"): "how long it waits",
}
"""The only imports between rooms of one level, each with its reason."""

STEPS_NEVER_IMPORT = frozenset(
    {"engine", "outbox", "stores", "index", "spool", "pool", "secret", "rules", "config", "crosswalk"}
)

ONLY_IN = {
    "dbos": {"node.engine"},
    "pynetdicom": {
        "node.receive.scp",
        "node.receive.association",
        "node.receive.timer",
        "node.receive.upper_layer",
        "node.deliver.dicom",
        "node.deliver.entity",
        "node.deliver.sender",
        "node.evidence.source",
    },
    "cryptography": {"node.dicom.envelope"},
    "deid": {"node.steps.anonymize.recipe_text"},
    "imagecodecs": {"node.imaging"},
    "highdicom": {"node.imaging.segmentation"},
    "typer": {"node.cli.app"},
    "prometheus_client": {"node.report"},
    "structlog": {"node.report.log"},
    "watchdog": {"node.watching"},
    "yaml": {"node.config.reader"},
}
"""Libraries whose behaviour or weight is kept in one place."""

LEVEL = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def test_every_room_has_a_level() -> None:
    """One that has none goes into the table above and into docs/ARCHITECTURE.md."""
    assert set(LEVEL) == {room(module) for module in MODULES}


def test_imports_point_down() -> None:
    assert [
        f"{module} imports {other}, which is not below it"
        for module, path in MODULES.items()
        for other in sorted(imports(path))
        if other.split(".")[0] == "node" and room(other) != room(module) and (module, other) not in SIDEWAYS
        if LEVEL[room(other)] <= LEVEL[room(module)]
    ] == []


def test_every_exception_is_in_use() -> None:
    for module, other in SIDEWAYS:
        assert other in imports(MODULES[module]), f"{module} no longer imports {other}: take it out of SIDEWAYS"


def test_steps_know_no_network_no_database_and_no_configuration() -> None:
    network = {"socket", "ssl", "http", "urllib", "sqlalchemy", "sqlite3", "pynetdicom", "time"}
    assert [
        f"{module} imports {other}"
        for module, path in MODULES.items()
        if room(module) == "steps"
        for other in imports(path)
        if (room(other) in STEPS_NEVER_IMPORT if other.startswith("node.") else other.split(".")[0] in network)
    ] == []


def test_decisions_do_no_input_or_output_and_read_no_time() -> None:
    pure = [module for module in MODULES if module.startswith("node.complete")]
    for module in (*pure, "node.match", "node.retry", "node.rehearsal", "node.evidence.due", "node.commitment"):
        forbidden = imports(MODULES[module]) & {"time", "os", "pathlib", "socket", "threading", "random", "sqlalchemy"}
        assert not forbidden, f"{module} imports {forbidden}"
        assert ".now(" not in MODULES[module].read_text()


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_in_its_place_only(library: str) -> None:
    for module, path in MODULES.items():
        if any(name.split(".")[0] == library for name in imports(path)):
            assert any(module == place or module.startswith(f"{place}.") for place in ONLY_IN[library]), module


def test_the_table_in_the_documentation_is_this_one() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    shown = "\n".join("  ".join(rooms) for rooms in LEVELS)
    assert shown in text, f"docs/ARCHITECTURE.md should have:\n{shown}"
