from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from node.spool.ground import set_apart


def test_a_folder_set_apart_takes_files_and_folders_as_before(tmp_path: Path) -> None:
    (tmp_path / "earlier").mkdir()
    set_apart(tmp_path)
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "file").write_bytes(b"x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["earlier", "later"]
    assert (tmp_path / "later" / "file").read_bytes() == b"x"


def test_setting_apart_twice_says_the_same_as_once(tmp_path: Path) -> None:
    assert set_apart(tmp_path) == set_apart(tmp_path)


def test_a_file_system_that_has_no_such_flag_says_so() -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("there is no /proc here")
    assert not set_apart(Path("/proc/self"))


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        set_apart(tmp_path / "nowhere")


def test_who_lists_the_flags_sees_the_one_that_was_set(tmp_path: Path) -> None:
    if shutil.which("lsattr") is None:
        pytest.skip("lsattr (e2fsprogs) is not installed")
    if not set_apart(tmp_path):
        pytest.skip(f"the file system of {tmp_path} has no such flag")
    listed = subprocess.run(["lsattr", "-d", os.fspath(tmp_path)], capture_output=True, text=True, check=True).stdout
    assert "T" in listed.split()[0]
