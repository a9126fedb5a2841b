"""The key of the pseudonyms: made once, whole, for its owner alone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import ConfigurationError
from node.secret import (
    FOLDER,
    SMALLEST,
    check,
    check_given,
    fingerprint,
    keys,
    load_former,
    load_or_make,
    new,
    put_by,
    write,
)
from node.stores import open_keys
from tests.kit import Kit


def test_it_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    made = load_or_make(path)
    assert len(made) >= SMALLEST
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_make(path) == made
    assert [p.name for p in tmp_path.iterdir()] == ["secret"]


def test_every_node_has_its_own(tmp_path: Path) -> None:
    assert load_or_make(tmp_path / "a") != load_or_make(tmp_path / "b")


def test_two_processes_that_start_together_have_one(tmp_path: Path) -> None:
    found: list[bytes] = []
    barrier = threading.Barrier(4)

    def start() -> None:
        barrier.wait()
        found.append(load_or_make(tmp_path / "secret"))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_one_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    load_or_make(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_or_make(path)


def test_one_that_is_too_short_is_refused_without_being_shown(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("hunter2\n")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="has 7 bytes") as raised:
        load_or_make(path)
    assert "hunter2" not in str(raised.value)


def test_one_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret").chmod(0o700)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_or_make(tmp_path / "secret")


@given(st.binary(max_size=80))
def test_the_length_alone_is_checked(secret: bytes) -> None:
    if len(secret) >= SMALLEST:
        assert check(secret, "here") == secret
    else:
        with pytest.raises(ConfigurationError, match="here"):
            check(secret, "here")


@given(st.binary(min_size=32, max_size=64), st.binary(min_size=32, max_size=64))
def test_a_fingerprint_tells_secrets_apart_and_gives_none_away(a: bytes, b: bytes) -> None:
    # HMAC fills a key up with zeros, so two that differ in those alone are one key.
    assert (fingerprint(a) == fingerprint(b)) == (a.rstrip(b"\0") == b.rstrip(b"\0"))
    assert a.hex() not in fingerprint(a)
    assert len(fingerprint(a)) == 32


def test_a_database_that_knows_another_secret_does_not_start(kit: Kit) -> None:
    made = open_keys(kit.config, kit.database)
    assert open_keys(kit.config, kit.database) == made
    path = kit.data / "secret"
    path.unlink()
    with pytest.raises(ConfigurationError, match="Put the former one back"):
        open_keys(kit.config, kit.database)
    path.write_bytes(made.current + b"\n")
    path.chmod(0o600)
    assert open_keys(kit.config, kit.database) == made


def test_a_key_that_is_put_by_is_found_again_under_its_fingerprint(tmp_path: Path) -> None:
    made = [new(), new()]
    assert load_former(tmp_path / FOLDER) == []
    for one in (*made, made[0]):
        put_by(tmp_path / FOLDER, one)
    assert sorted(load_former(tmp_path / FOLDER)) == sorted(made)
    found = keys(made[0], load_former(tmp_path / FOLDER))
    assert found.by_id() == {fingerprint(one): one for one in made}
    assert found.id == fingerprint(made[0])
    assert not any(one.decode() in repr(found) for one in made)


def test_a_former_key_that_was_changed_or_opened_to_others_is_refused(tmp_path: Path) -> None:
    one = new()
    put_by(tmp_path / FOLDER, one)
    path = tmp_path / FOLDER / fingerprint(one)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_former(tmp_path / FOLDER)
    path.chmod(0o600)
    path.write_bytes(new())
    with pytest.raises(ConfigurationError, match="was changed, or renamed"):
        load_former(tmp_path / FOLDER)
    with pytest.raises(ConfigurationError, match="was changed, or renamed"):
        put_by(tmp_path / FOLDER, one)


def test_a_half_written_key_is_no_former_key(tmp_path: Path) -> None:
    put_by(tmp_path / FOLDER, new())
    (tmp_path / FOLDER / "0123.part").touch()
    assert len(load_former(tmp_path / FOLDER)) == 1


def test_one_that_is_there_is_replaced_only_when_that_is_meant(tmp_path: Path) -> None:
    first, second = new(), new()
    for secret, replace, stays in ((first, False, first), (second, False, first), (second, True, second)):
        write(tmp_path / "secret", secret, replace=replace)
        assert load_or_make(tmp_path / "secret") == stays
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize(
    ("mode", "good"), [(0o400, True), (0o440, True), (0o640, True), (0o644, False), (0o604, False)]
)
def test_a_file_of_the_owners_may_be_read_by_its_group_and_not_by_everyone(
    tmp_path: Path, mode: int, good: bool
) -> None:
    path = tmp_path / "mounted"
    path.write_bytes(new())
    path.chmod(mode)
    if good:
        check_given(path)
    else:
        with pytest.raises(ConfigurationError, match="can be read by everyone"):
            check_given(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        check_given(tmp_path / "none")
