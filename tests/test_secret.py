from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from node.errors import ConfigurationError
from node.secret import SMALLEST, check, fingerprint, load_or_make


def test_it_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    made = load_or_make(path)
    assert len(made) >= SMALLEST
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_make(path) == made
    assert list(tmp_path.iterdir()) == [path]


def test_two_that_start_together_have_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(lambda _: load_or_make(tmp_path / "secret"), range(32)))
    assert made == {(tmp_path / "secret").read_bytes().strip()}


def test_one_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load_or_make(tmp_path / "secret")
    (tmp_path / "secret").chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_or_make(tmp_path / "secret")


@pytest.mark.parametrize("length", [0, SMALLEST - 1])
def test_one_that_is_too_short_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"x" * length)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=f"has {length} bytes"):
        load_or_make(path)
    assert check(b"x" * SMALLEST, "the test") == b"x" * SMALLEST


def test_one_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_or_make(tmp_path / "secret")


def test_a_fingerprint_tells_secrets_apart_and_does_not_hold_them() -> None:
    one, other = b"a" * 32, b"b" * 32
    assert fingerprint(one) == fingerprint(one) != fingerprint(other)
    assert one.decode() not in fingerprint(one)
