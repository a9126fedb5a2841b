from __future__ import annotations

from node.config.reference import reference
from node.config.schema import Config
from tests.config.steps import STEPS

PAGE = reference(STEPS)


def test_a_row_has_key_type_default_and_meaning() -> None:
    assert "| `keep_free` | size | `5GiB` | Free space" in PAGE
    assert "| `duplicates` | `newest`, `first`, `hold` | `newest` | Same SOP" in PAGE
    assert "| `as` | AE title |  | Our calling" in PAGE
    assert "| `name` | text | required |" in PAGE
    assert "| `series` | mapping | `{quiet: 1m}` |" in PAGE


def test_every_step_and_option_is_there() -> None:
    for name in STEPS:
        assert f"### `{name}`" in PAGE
    assert "| `wait` | duration | `5s` | How long it may take. |" in PAGE
    assert "`forward: value` fills `to`." in PAGE


def test_every_section_of_the_file_is_there() -> None:
    for name in Config.model_fields:
        assert f"| `{name}` |" in PAGE


def test_the_page_is_the_same_every_time_and_every_table_row_is_whole() -> None:
    assert reference(dict(STEPS)) == PAGE
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)
