"""What was read once is known until the file changes."""

from __future__ import annotations

import os
from pathlib import Path

from node.run.contents import Content
from node.run.known import Known


def written(path: Path, text: str = "some") -> Path:
    path.write_text(text)
    return path


def test_a_file_is_known_also_under_another_name(tmp_path: Path) -> None:
    known, one = Known(), written(tmp_path / "one")
    known.learn(one, one.stat(), Content(sha256="1"))
    (other := tmp_path / "other").hardlink_to(one)
    moved = one.rename(tmp_path / "moved")
    assert known.of([moved, other]) == [Content(sha256="1")] * 2


def test_all_must_be_known(tmp_path: Path) -> None:
    known, one, two = Known(), written(tmp_path / "one"), written(tmp_path / "two")
    known.learn(one, one.stat(), Content(sha256="1"))
    assert known.of([one, two]) is None
    assert known.of([tmp_path / "gone"]) is None
    assert known.of([]) == []


def test_what_was_written_to_is_not_known(tmp_path: Path) -> None:
    known, one = Known(), written(tmp_path / "one")
    known.learn(one, one.stat(), Content(sha256="1"))
    before = one.stat()
    written(one, "else")
    os.utime(one, ns=(before.st_atime_ns, before.st_mtime_ns + 1))  # a coarse clock may give both writes one time
    assert known.of([one]) is None


def test_nothing_is_learned_of_a_file_that_changed_while_it_was_read(tmp_path: Path) -> None:
    known, one = Known(), written(tmp_path / "one")
    before = one.stat()
    written(one, "longer than before")
    known.learn(one, before, Content(sha256="1"))
    assert known.of([one]) is None


def test_a_file_that_took_the_name_of_another_is_not_known(tmp_path: Path) -> None:
    known, one = Known(), written(tmp_path / "one")
    known.learn(one, one.stat(), Content(sha256="1"))
    written(tmp_path / "two", "other").rename(one)
    assert known.of([one]) is None


def test_the_oldest_are_forgotten(tmp_path: Path) -> None:
    known = Known(most=2)
    files = [written(tmp_path / f"{n}", "x" * n) for n in range(3)]
    for n, path in enumerate(files):
        known.learn(path, path.stat(), Content(sha256=f"{n}"))
    assert known.of(files[:1]) is None
    assert known.of(files[1:]) == [Content(sha256="1"), Content(sha256="2")]
