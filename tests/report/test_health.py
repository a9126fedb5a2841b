from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.lifecycle import Service
from node.report.health import Health
from node.service import build
from tests import make
from tests.peers import send

RULES = "node: {{ae_title: NODE, listen: '127.0.0.1:0', status: off, limits: {{keep_free: {free}}}}}\n"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES.format(free="1MiB"))
    return path


@pytest.fixture
def service(rules: Path) -> Iterator[Service]:
    service = build(rules)
    service.start()
    yield service
    service.stop()


@pytest.fixture
def health(service: Service) -> Health:
    return Health(
        database=service.database, rules=service.rules, spool=service.spool,
        routed=lambda: service.rules.current().routed,
    )  # fmt: skip


def test_a_node_that_can_keep_and_index_is_well(health: Health) -> None:
    well, facts = health.check()
    assert well
    assert facts["free_bytes"] > 0
    assert {key: facts[key] for key in ("rules", "database", "receiving")} == {
        "rules": "in force", "database": "ok", "receiving": True,
    }  # fmt: skip


def test_a_disk_with_too_little_room_makes_it_unwell(health: Health, rules: Path) -> None:
    rules.write_text(RULES.format(free="900000GiB"))
    assert health.rules.reload()
    well, facts = health.check()
    assert (well, facts["receiving"]) == (False, False)


def test_broken_rules_are_said_and_the_old_ones_serve_on(health: Health, rules: Path) -> None:
    rules.write_text("node: {ae_titel: NODE}")
    assert not health.rules.reload()
    well, facts = health.check()
    assert well
    assert facts["rules"].startswith(f"{rules}:1:")


def test_a_spool_that_is_gone_makes_it_unwell(health: Health, service: Service) -> None:
    hidden = service.spool.root.with_name("away")
    service.spool.root.rename(hidden)
    try:
        well, facts = health.check()
        assert not well
        assert "spool" in facts
    finally:
        hidden.rename(service.spool.root)


def test_figures_count_instances_by_state(health: Health, service: Service) -> None:
    assert send(service.listening[0][1], make.ct_series(2, rows=8, columns=8)) == [0, 0]
    figures = health.figures()
    assert sum(figures.states.values()) == 2
    assert (figures.queues, figures.jobs) == ({}, 0)
    assert health.ledger() is health.ledger()  # one count serves several scrapes
    assert health.ledger(fresh=0.0).acknowledged == 2
