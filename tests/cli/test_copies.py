from __future__ import annotations

from pathlib import Path

import pytest

from node.service import build
from node.spool import Presence
from tests import make
from tests.cli.command import dicom_node
from tests.cli.conftest import Left
from tests.flow.nodes import Site, send_until_cut
from tests.peers import Instance, Recorder, send

each_in_full = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.full)], indirect=True
)


def states(rules: Path) -> dict[str, int]:
    ran = dicom_node("ledger", "--config", rules, "--json")
    assert ran.json["balanced"]
    return {key: n for key, n in ran.json.items() if n and key not in ("acknowledged", "balanced")}


def test_what_was_on_its_way_at_the_backup_is_held_after_the_restore(left: Left, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    made = dicom_node("backup", copy, "--config", left.rules, "--json")
    assert made.code == 0
    back = dicom_node("restore", copy, "--config", left.rules, "--json")
    assert back.code == 0, back.err
    assert back.json["rows"] == made.json["rows"]
    assert states(left.rules) == {"delivered": 3, "held": 2, "unrouted": 1}


def test_nothing_is_sent_again_after_a_restore(tmp_path: Path) -> None:
    first, second = make.ct_series(2, rows=8, columns=8), make.ct_series(2, rows=8, columns=8, series="second")
    with Recorder() as archive, Site(tmp_path / "node", "sqlite") as site:
        site.rules(
            f"destinations: {{archive: {{dicom: 'ARCHIVE@127.0.0.1:{archive.port}'}}}}\n"
            "routes: [{name: all, when: always, steps: [{forward: archive}]}]\n"
        )
        with site.running() as node:
            send(node.port, first)
            site.settled(2)
        assert dicom_node("backup", tmp_path / "copy", "--config", site.path).code == 0
        with site.running() as node:  # the world goes on after the backup
            send(node.port, second)
            site.settled(4)
        assert len(archive.received) == 4

        assert dicom_node("restore", tmp_path / "copy", "--config", site.path).code == 0
        with site.running():
            assert site.settled(4) == {"delivered": 2, "held": 2}
            assert all("not in the backup" in one["reason"] for one in site.held())
        assert len(archive.received) == 4


@each_in_full
@pytest.mark.full
def test_what_has_no_row_at_the_backup_is_held_after_the_restore_and_what_comes_since_is_not(
    database_url: str, tmp_path: Path
) -> None:
    first, second = (Instance.of(ds) for ds in make.ct_series(2, rows=8, columns=8))
    with Recorder() as archive, Site(tmp_path / "node", database_url) as site:
        site.rules(
            f"destinations: {{archive: {{dicom: 'ARCHIVE@127.0.0.1:{archive.port}'}}}}\n"
            "routes: [{name: all, when: always, steps: [{forward: archive}]}]\n"
        )
        with site.process(kill=("before the rows", 1)) as node:
            assert send_until_cut(node.port, [first]) == [first]
            node.wait_for_death()
        assert dicom_node("backup", tmp_path / "copy", "--config", site.path).code == 0
        with site.running():  # indexes and sends it
            archive.wait_for(1)
            site.settled(1)
        assert dicom_node("restore", tmp_path / "copy", "--config", site.path).code == 0
        with site.running():
            assert site.settled(1) == {"held": 1}
            (held,) = site.held()
            assert "not in the backup" in held["reason"]
        with site.process(kill=("before the rows", 1)) as node:
            assert send_until_cut(node.port, [second]) == [second]
            node.wait_for_death()
        with site.running():
            assert site.settled(2) == {"held": 1, "delivered": 1}
    assert archive.uids == [first.sop_instance, second.sop_instance]


@pytest.mark.full
@each_in_full
def test_a_new_patient_after_a_restore_gets_nothing_of_the_one_before(database_url: str, tmp_path: Path) -> None:
    """Units, and so jobs, are numbered on from those of the backup: the ids of before come again."""
    names = ("kept", "one", "other")
    kept, one, other = (make.ct_series(1, rows=8, columns=8, study=name, series=name) for name in names)
    with Recorder() as archive, Site(tmp_path / "node", database_url) as site:
        site.rules(
            f"destinations: {{archive: {{dicom: 'ARCHIVE@127.0.0.1:{archive.port}'}}}}\n"
            "routes: [{name: all, when: always, steps: [decompress, {forward: archive}]}]\n"
        )
        with site.running() as node:
            send(node.port, kept)
            site.settled(1)
        assert dicom_node("backup", tmp_path / "copy", "--config", site.path).code == 0
        with site.running() as node:
            send(node.port, one)
            site.settled(2)
        before = {job for (job,) in site.rows("SELECT id FROM node_job")}
        (site.data / "outbox" / "left").mkdir()
        (site.data / "outbox" / "left" / "one.dcm").touch()
        assert dicom_node("restore", tmp_path / "copy", "--config", site.path).code == 0
        assert [p for name in ("work", "outbox") for p in (site.data / name).rglob("*")] == []
        with site.running() as node:
            send(node.port, other)
            site.wait(lambda: len(archive.received) == 3)
        assert {job for (job,) in site.rows("SELECT id FROM node_job")} == before, "the case this is about"
    assert archive.uids == [ds[0].SOPInstanceUID for ds in (kept, one, other)]


def test_a_backup_is_made_beside_a_running_node_and_a_restore_is_refused(tmp_path: Path) -> None:
    with Site(tmp_path / "node", "sqlite") as site:
        site.rules("routes: []")
        with site.running():
            assert dicom_node("backup", tmp_path / "copy", "--config", site.path).code == 0
            ran = dicom_node("restore", tmp_path / "copy", "--config", site.path)
    assert ran.code == 1
    assert "stop the node first" in ran.err


def test_who_is_to_stop_the_node_reads_its_name_and_not_those_of_its_receivers(left: Left, tmp_path: Path) -> None:
    assert dicom_node("backup", tmp_path / "copy", "--config", left.rules).code == 0
    run = left.rules.parent / "data" / "run"
    node, *receivers = (Presence(run, name) for name in ("host-1-abc", "host-1-abc-r1", "host-1-abc-r2"))
    try:
        ran = dicom_node("restore", tmp_path / "copy", "--config", left.rules)
        assert (ran.code, ran.err) == (1, "stop the node first: host-1-abc is running on this data\n")
        node.close()
        ran = dicom_node("restore", tmp_path / "copy", "--config", left.rules)
        assert (ran.code, "host-1-abc-r1, host-1-abc-r2 are running" in ran.err) == (1, True)
    finally:
        for one in (node, *receivers):
            one.close()


def test_a_restore_into_an_empty_folder_brings_the_spool_and_the_secret(left: Left, tmp_path: Path) -> None:
    assert dicom_node("backup", tmp_path / "copy", "--config", left.rules).code == 0
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    (fresh / "rules.yaml").write_text(left.rules.read_text())
    assert dicom_node("restore", tmp_path / "copy", "--config", fresh / "rules.yaml").code == 0
    assert states(fresh / "rules.yaml") == {"delivered": 3, "held": 2, "unrouted": 1}
    assert (fresh / "data" / "secret").read_bytes() == (left.rules.parent / "data" / "secret").read_bytes()
    service = build(fresh / "rules.yaml")  # the same secret: the database takes it
    service.start()
    service.stop()


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_folder_that_does_not_fit_exits_with_2(left: Left, tmp_path: Path, command: str) -> None:
    (tmp_path / "other").mkdir()
    ran = dicom_node(command, tmp_path / "other", "--config", left.rules)
    assert ran.code == 2
    assert str(tmp_path / "other") in ran.err


def test_a_damaged_backup_is_refused_and_changes_nothing(left: Left, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert dicom_node("backup", copy, "--config", left.rules).code == 0
    tables = copy / "tables.jsonl.gz"
    tables.write_bytes(tables.read_bytes()[:-40])
    before = states(left.rules)
    ran = dicom_node("restore", copy, "--config", left.rules)
    assert ran.code == 2
    assert "damaged" in ran.err
    assert states(left.rules) == before


def overwrite(path: Path, begin: int, count: int) -> None:
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(b"\xff" * count)


@pytest.mark.parametrize("begin", [0, 4096], ids=["its beginning", "its middle"])
def test_a_restore_puts_a_damaged_database_aside(left: Left, tmp_path: Path, begin: int) -> None:
    data = left.rules.parent / "data"
    assert dicom_node("backup", tmp_path / "copy", "--config", left.rules).code == 0
    overwrite(data / "node.db", begin, (data / "node.db").stat().st_size - begin - 4096)
    there = (data / "node.db").read_bytes()
    ran = dicom_node("ledger", "--config", left.rules)
    assert ran.code != 0

    back = dicom_node("restore", tmp_path / "copy", "--config", left.rules)
    assert back.code == 0, back.err
    (aside,) = data.glob("damaged-*")
    assert str(aside) in back.err
    assert (aside / "node.db").read_bytes() == there
    assert states(left.rules) == {"delivered": 3, "held": 2, "unrouted": 1}


def test_a_damaged_database_stays_where_it_is_when_the_backup_is_damaged_too(left: Left, tmp_path: Path) -> None:
    data, tables = left.rules.parent / "data", tmp_path / "copy" / "tables.jsonl.gz"
    assert dicom_node("backup", tmp_path / "copy", "--config", left.rules).code == 0
    overwrite(data / "node.db", 0, 4096)
    tables.write_bytes(tables.read_bytes()[:-40])
    assert dicom_node("restore", tmp_path / "copy", "--config", left.rules).code == 2
    assert list(data.glob("damaged-*")) == []
    assert (data / "node.db").exists()


def test_pseudonyms_and_secrets_come_back_with_the_rest_on_a_new_disk(left: Left, tmp_path: Path) -> None:
    """The three CT and the MR are of one patient, who was mapped before the secret was rotated."""
    found = dicom_node("crosswalk", "find", "T-0001", "--config", left.rules, "--json").json
    assert found
    assert dicom_node("crosswalk", "rotate", "--config", left.rules).code == 0
    assert dicom_node("backup", tmp_path / "copy", "--config", left.rules).code == 0
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    (fresh / "rules.yaml").write_text(left.rules.read_text())
    back = dicom_node("restore", tmp_path / "copy", "--config", fresh / "rules.yaml")
    assert back.code == 0, back.err
    assert dicom_node("crosswalk", "find", "T-0001", "--config", fresh / "rules.yaml", "--json").json == found
    secrets = {path.name for path in (left.rules.parent / "data" / "secrets").iterdir()}
    assert {path.name for path in (fresh / "data" / "secrets").iterdir()} == secrets


def test_a_secret_that_was_taken_since_the_backup_stays_for_its_patients(left: Left, tmp_path: Path) -> None:
    data = left.rules.parent / "data"
    then = (data / "secret").read_bytes()
    assert dicom_node("backup", tmp_path / "copy", "--config", left.rules).code == 0
    assert dicom_node("crosswalk", "rotate", "--config", left.rules).code == 0
    since = (data / "secret").read_bytes()
    assert dicom_node("restore", tmp_path / "copy", "--config", left.rules).code == 0
    assert (data / "secret").read_bytes() == then
    assert since in [path.read_bytes() for path in (data / "secrets").iterdir()]
    assert dicom_node("crosswalk", "find", "T-0001", "--config", left.rules).code == 0
