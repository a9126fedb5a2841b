from __future__ import annotations

from pathlib import Path

import pytest

from node.config import Config, load
from node.errors import ConfigurationError
from node.index.versions import read_meta, write_meta
from node.steps import STEPS
from node.stores import (
    crosswalk_with,
    open_crosswalk,
    open_database,
    open_existing,
    open_keys,
    read_keys,
    restored_at,
)  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return _config(tmp_path)


def _config(folder: Path, secret: str = "") -> Config:
    path = folder / "rules.yaml"
    path.write_text(f"node: {{ae_title: NODE{secret}}}")
    return load(path, STEPS)


def test_the_database_lies_in_the_data_folder_and_is_ready(config: Config) -> None:
    database = open_database(config)
    with database.reader.connect() as connection:
        assert read_meta(connection, "schema") is not None
    database.close()
    assert (config.node.data / "node.db").is_file()


def test_a_secret_is_made_once_and_stays(config: Config) -> None:
    database = open_database(config)
    first = open_keys(config, database)
    assert len(first.current) >= 32
    assert open_keys(config, database) == first
    assert (config.node.data / "secret").stat().st_mode & 0o077 == 0
    database.close()


def test_another_secret_is_refused_because_pseudonyms_would_change(config: Config) -> None:
    database = open_database(config)
    kept = open_keys(config, database)
    (config.node.data / "secret").unlink()
    with pytest.raises(ConfigurationError, match="other pseudonyms"):
        open_keys(config, database)
    (config.node.data / "secret").write_bytes(kept.current)
    database.close()


def test_a_secret_of_the_rules_is_used_and_none_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_SECRET", "0123456789abcdef" * 4)
    config = _config(tmp_path, ", secret: {env: NODE_SECRET}")
    database = open_database(config)
    assert open_keys(config, database).current == b"0123456789abcdef" * 4
    assert not (config.node.data / "secret").exists()
    database.close()


@pytest.mark.parametrize("key", ["secret: {file: given}", "former_secrets: [{file: given}]"])
def test_a_secret_file_of_the_rules_that_everyone_can_read_or_that_is_short_is_refused(
    tmp_path: Path, key: str
) -> None:
    config = _config(tmp_path, f", {key}")
    given = tmp_path / "given"
    given.write_text("0123456789abcdef" * 4)
    given.chmod(0o644)
    with pytest.raises(ConfigurationError, match="can be read by everyone"):
        read_keys(config)
    given.chmod(0o640)
    assert b"0123456789abcdef" * 4 in read_keys(config).by_id().values()
    given.write_text("short")
    with pytest.raises(ConfigurationError, match="at least 32") as raised:
        read_keys(config)
    assert "short" not in str(raised.value).replace("too short", "")


def test_a_node_whose_crosswalk_knows_another_secret_does_not_start(config: Config) -> None:
    found, database = read_keys(config), open_database(config)
    crosswalk = open_crosswalk(config, found, database)
    crosswalk.key("", "p", "")
    crosswalk.close()
    (config.node.data / "secret").unlink()
    with pytest.raises(ConfigurationError, match="crosswalk rotate"):
        open_crosswalk(config, read_keys(config), database)
    crosswalk_with(config, found).close()
    database.close()


def test_the_time_of_a_restore_is_known_after_it(config: Config) -> None:
    database = open_database(config)
    assert restored_at(database) is None
    with database.durable.begin() as connection:
        write_meta(connection, "restored", "12.5")
    assert restored_at(database) == 12.5
    database.close()


def test_a_reading_command_does_not_bring_an_older_database_forward(config: Config) -> None:
    database = open_database(config)
    with database.durable.begin() as connection:
        write_meta(connection, "schema", "0")
    database.close()
    with pytest.raises(ConfigurationError, match=r"start it once with `dicom-node serve`"):
        open_database(config, migrate=False)
    with pytest.raises(ConfigurationError, match=r"start it once with `dicom-node serve`"):
        open_existing(config)


def test_a_database_is_made_for_a_node_and_not_for_who_looks(config: Config) -> None:
    with pytest.raises(ConfigurationError, match="no node has run on"):
        open_existing(config)
    assert not config.node.data.exists()
    open_database(config).close()
    open_existing(config).close()
