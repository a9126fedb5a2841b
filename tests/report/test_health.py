"""What a monitor is told: whether the node is well, and what waits where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.index.database import open_reader
from node.index.schema import commitment, member, receipt
from node.report.balance import RunningCheck
from node.report.health import Health, take_ledger
from node.rules import Rules
from node.spool import Files
from node.spool.files import Room
from node.steps import STEPS
from tests import make
from tests.index.test_commitments import recorded
from tests.kit import Kit

ROUTES = "destinations: {a: {folder: ./a}}\nroutes: [{name: r, when: always, steps: [{forward: a}]}]"


def health(kit: Kit) -> Health:
    path = kit.data / "rules.yaml"
    path.write_text(f"node: {{ae_title: NODE, data: {kit.data}, limits: {{keep_free: 1MiB}}}}\n{ROUTES}")
    kit.rules(ROUTES)
    balance = RunningCheck(database=kit.database, spool=kit.spool, routed=lambda: kit.config.routed)
    return Health(database=kit.database, rules=Rules(path, STEPS), spool=kit.spool, balance=balance)


def test_a_node_that_can_do_its_work_is_well(kit: Kit) -> None:
    well, facts = health(kit).check()
    assert well
    assert (facts["database"], facts["rules"], facts["receiving"]) == ("ok", "in force", True)


def test_broken_rules_are_said_and_make_nobody_unwell(kit: Kit) -> None:
    one = health(kit)
    one.rules.path.write_text("routes: what")
    one.rules.reload()
    well, facts = one.check()
    assert well
    assert "rules.yaml" in facts["rules"]


def test_a_full_disk_makes_it_unwell(kit: Kit) -> None:
    class Full(Files):
        def room(self, folder: Path) -> Room:
            return Room(1000, 1_000_000)

    one = health(kit)
    kit.spool.files = Full()
    well, facts = one.check()
    assert not well
    assert (facts["receiving"], facts["free_bytes"]) == (False, 1000)


def test_a_damaged_database_makes_it_unwell_though_it_can_be_opened(kit: Kit) -> None:
    one = health(kit)
    one.damaged = lambda: "database disk image is malformed"
    assert not one.check()[0]
    assert one.check()[1]["database"] == "database disk image is malformed"


def test_a_disk_that_was_low_makes_it_unwell_until_instances_are_taken_again(kit: Kit) -> None:
    said = ["900 MiB are free, less than limits: keep_free asks for"]
    one = health(kit)
    one.low, one.associations = lambda: said[0], lambda: 3
    well, facts = one.check()
    assert not well
    assert (facts["receiving"], facts["disk"]) == (False, said[0])
    assert (one.figures().low, one.figures().associations) == (True, 3)
    said[0] = ""
    assert one.check()[0]
    assert not one.figures().low


def test_a_broken_certificate_is_said_and_makes_nobody_unwell(kit: Kit) -> None:
    one = health(kit)
    one.broken, one.certificates = lambda: "the key is not that of the certificate", lambda: {"node.listen[0]": 9.0}
    well, facts = one.check()
    assert well
    assert facts["tls"] == "the key is not that of the certificate"
    assert one.figures().certificates == {"node.listen[0]": 9.0}


def test_a_spool_that_is_gone_makes_it_unwell(kit: Kit) -> None:
    one = health(kit)
    kit.spool.root = kit.data / "unmounted"
    well, facts = one.check()
    assert not well
    assert facts["spool"] == "No such file or directory"


def test_a_database_that_is_away_makes_it_unwell(kit: Kit, tmp_path: Path) -> None:
    away = open_reader(f"postgresql://nobody@/none?host={tmp_path}", tmp_path)
    one = health(kit)
    one.database = replace(kit.database, reader=away)
    well, facts = one.check()
    assert not well
    assert facts["database"] == "OperationalError"
    away.dispose()


def test_figures_count_states_queues_and_jobs(kit: Kit) -> None:
    one = health(kit)
    receipts = kit.index(*make.ct_series(2), make.instance(series="other"))
    first, _ = kit.close()
    key = next(k for k in kit.jobs() if len(kit.owed(k)) == 2)
    kit.put(key, "a", *(kit.goods(str(n), r) for n, r in enumerate(receipts[:2])))
    kit.write(sa.text("UPDATE node_job SET state = 'done' WHERE id = :key").bindparams(key=key))
    found = one.figures()
    assert found.queues == {"a": 2}
    assert found.jobs == 1
    assert (found.states["waiting"], found.states["in_job"], found.states["held"]) == (2, 1, 0)
    assert first


def test_figures_count_requests_for_commitment_that_nobody_answered(kit: Kit) -> None:
    assert health(kit).figures().commitments == {"open": 0, "given_up": 0}
    for transaction in ("1.1", "1.2", "1.3"):
        recorded(kit, transaction=transaction)
    kit.write(sa.update(commitment).where(commitment.c.transaction == "1.2").values(state="given_up"))
    kit.write(sa.update(commitment).where(commitment.c.transaction == "1.3").values(state="answered"))
    assert health(kit).figures().commitments == {"open": 1, "given_up": 1}


def test_a_ledger_that_does_not_balance_is_said_and_makes_nobody_unwell(kit: Kit) -> None:
    one = health(kit)
    one.balance.patience = 0
    kit.index(make.instance())
    assert one.check()[1]["ledger"] == "balanced"
    kit.write(sa.delete(member))
    one.balance.turn()
    assert one.figures().faults == {"unaccounted": 1, "missing": 0, "unindexed": 0}
    well, facts = one.check()
    assert (well, facts["ledger"]) == (True, "1 instances are nowhere")


def test_an_instance_that_gets_its_row_a_moment_later_is_waited_for(kit: Kit) -> None:
    """Else a node that is receiving would look out of balance all day."""
    arrival = kit.arrival(make.instance())
    with kit.database.reader.connect() as connection:
        assert not take_ledger(connection, kit.spool, kit.config.routed, patience=0).balanced

    class Late:
        """Asks for files; at the first question the row comes."""

        def __getattr__(self, name: str) -> object:
            return getattr(kit.spool, name)

        def kept(self) -> list[Path]:
            found = list(kit.spool.kept())
            kit.record(arrival)
            return found

    with kit.database.reader.connect() as connection:
        connection.execute(sa.select(receipt.c.id)).all()  # an older state of the database
        found = take_ledger(connection, Late(), kit.config.routed, patience=10)  # type: ignore[arg-type]  # a spool
    assert found.balanced
    assert found.acknowledged == 1


@pytest.mark.parametrize("patience", [0.0, 0.1])
def test_what_never_gets_its_row_is_said_after_a_while(kit: Kit, patience: float) -> None:
    kit.arrival(make.instance())
    with kit.database.reader.connect() as connection:
        found = take_ledger(connection, kit.spool, kit.config.routed, patience=patience)
    assert (found.unindexed, found.balanced) == (1, False)
