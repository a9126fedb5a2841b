"""What lies in the outbox and is nobody's, and what a job leaves there in its course and is its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from node.index.schema import job
from node.outbox.values import delivery_id
from node.report.strays import in_outbox, strays
from tests import make
from tests.kit import Kit

RULES = "destinations: {a: {folder: ./a}}\nroutes: [{name: r, when: always, steps: [{forward: a}]}]\n"
OTHER = "0123456789abcdef"


def found(kit: Kit) -> set[str]:
    root = kit.outbox.root
    return {str(file.relative_to(root)) for _, file in strays(kit.database, root, in_outbox(root))}


@pytest.fixture
def folder(working: Kit) -> Path:
    """Of a delivery that waits, with one file in it; its job is done."""
    working.rules(RULES)
    working.index(make.instance())
    (key,) = working.close()
    assert working.run(key).verdict == "done"
    return working.outbox.folder(delivery_id(key, "a"))


def test_what_waits_is_no_stray_and_what_lies_beside_it_is_one(working: Kit, folder: Path) -> None:
    assert found(working) == set()
    (folder / "x").write_bytes(b"x")
    (working.outbox.root / "y").symlink_to("/nonexistent")
    assert found(working) == {f"{folder.name}/x", "y"}


def test_what_the_same_file_was_with_other_content_is_the_node_s(working: Kit, folder: Path) -> None:
    """A rerun links the new one beside; retention removes both with the folder."""
    (one,) = folder.iterdir()
    for name in (f"{OTHER}{one.name[16:]}", f"{one.name}.part"):
        (folder / name).write_bytes(b"x")
    assert found(working) == set()
    (folder / f"{OTHER}-another.dcm").write_bytes(b"x")
    assert found(working) == {f"{folder.name}/{OTHER}-another.dcm"}


def test_what_a_job_links_before_it_writes_its_rows_is_the_node_s(working: Kit, folder: Path) -> None:
    working.index(make.instance(series="next"))
    (key,) = [each for each in working.close() if working.jobs()[each] == "queued"]
    begun = working.outbox.folder(delivery_id(key, "a"))
    begun.mkdir()
    (begun / f"{OTHER}-1.dcm").write_bytes(b"x")
    (begun / "x").write_bytes(b"x")
    assert found(working) == {f"{begun.name}/x"}
    working.write(sa.update(job).values(state="running"))
    (folder / f"{OTHER}-another.dcm").write_bytes(b"x")
    assert found(working) == {f"{begun.name}/x"}


def test_without_an_outbox_there_is_nothing_in_it(working: Kit, tmp_path: Path) -> None:
    assert in_outbox(tmp_path / "nowhere") == []
