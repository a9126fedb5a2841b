from __future__ import annotations

from pathlib import Path

import pytest

from node.config import Config, load
from node.errors import ConfigurationError
from node.index.versions import read_meta, write_meta
from node.steps import STEPS
from node.stores import open_database, open_keys, restored_at


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
