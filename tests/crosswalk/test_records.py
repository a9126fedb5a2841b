"""What a person asks is answered, and leaves a record that names the person and no patient."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.crosswalk import Crosswalk, records
from node.crosswalk.table import text_of
from node.errors import ConfigurationError
from node.secret import Keys, fingerprint

SECRET = b"a secret of thirty-two bytes or so"
HEAD = "issuer,patient_id,study,scheme,pseudonym,key\n"


@pytest.fixture
def crosswalk(database_url: str, tmp_path: Path) -> Iterator[Crosswalk]:
    made = Crosswalk(url=database_url, data=tmp_path, keys=Keys(SECRET))
    made.prepare()
    yield made
    made.close()


def number(crosswalk: Crosswalk, patient_id: str, study: str = "") -> str:
    crosswalk.key("", patient_id, study)
    return crosswalk.name("", patient_id, study, "number:S-", None)


def test_a_pseudonym_leads_to_its_patient_and_back(crosswalk: Crosswalk) -> None:
    name = number(crosswalk, "Secretive7")
    number(crosswalk, "other")
    crosswalk.name("", "Secretive7", "", "key", "abcdef")
    for asked in (name, "abcdef", "secretive7 "):
        found = records.find(crosswalk, asked, "anna@host")
        assert {(entry.patient_id, entry.pseudonym) for entry in found} == {
            ("Secretive7", name), ("Secretive7", "abcdef"),
        }  # fmt: skip
        assert {entry.key for entry in found} == {fingerprint(SECRET)}


def test_an_unknown_patient_is_found_by_the_study_and_nothing_finds_nobody(crosswalk: Crosswalk) -> None:
    number(crosswalk, "", "1.2.3")
    number(crosswalk, "p")
    assert [entry.study for entry in records.find(crosswalk, "1.2.3", "anna@host")] == ["1.2.3"]
    assert records.find(crosswalk, "", "anna@host") == []
    assert records.find(crosswalk, "%", "anna@host") == []


def test_each_use_is_recorded_and_logged_with_who_and_when_and_no_patient(
    crosswalk: Crosswalk, caplog: pytest.LogCaptureFixture
) -> None:
    number(crosswalk, "Secretive7")
    with caplog.at_level(logging.INFO, "node"):
        records.find(crosswalk, "Secretive7", "anna@host")
        records.find(crosswalk, "nobody", "anna@host")
        records.export(crosswalk, "bert@host")
        records.read_in(crosswalk, HEAD + ",p,,number:S-,S-0100,", "in.csv", "bert@host")
    assert [row[1:] for row in records.uses(crosswalk)] == [
        ("anna@host", "find", 1), ("anna@host", "find", 0), ("bert@host", "export", 1), ("bert@host", "import", 1),
    ]  # fmt: skip
    assert all(row[0].endswith("+00:00") for row in records.uses(crosswalk))
    assert [line for line in caplog.text.splitlines() if "find by anna@host" in line]
    assert "Secretive7" not in caplog.text + repr(records.uses(crosswalk))
    assert "nobody" not in caplog.text + repr(records.uses(crosswalk))


def test_what_was_exported_can_be_imported_where_nothing_is_and_again_where_it_is(
    crosswalk: Crosswalk, tmp_path: Path
) -> None:
    names = {one: number(crosswalk, one) for one in ("p", "q")}
    number(crosswalk, "", "1.2.3")
    text = text_of(records.export(crosswalk, "anna@host"))
    fresh = Crosswalk(url="sqlite", data=tmp_path / "fresh", keys=Keys(SECRET))
    fresh.prepare()
    for one in (fresh, crosswalk):
        assert records.read_in(one, text, "in.csv", "anna@host") == 3
        assert {name: number(one, name) for name in names} == names
        assert number(one, "new") == "S-0004"
    fresh.close()


def test_an_import_that_contradicts_changes_nothing_and_names_every_line(crosswalk: Crosswalk) -> None:
    number(crosswalk, "secretive")
    before = records.export(crosswalk, "anna@host")
    text = HEAD + ",new,,number:S-,S-0050,\n,secretive,,number:S-,S-0060,\n,q,,number:S-,S-0001,\n,r,,key,X,00ff\n"
    with pytest.raises(ConfigurationError) as raised:
        records.read_in(crosswalk, text, "in.csv", "anna@host")
    assert [(problem.file, problem.line) for problem in raised.value.problems] == [
        ("in.csv", 3), ("in.csv", 4), ("in.csv", 5),
    ]  # fmt: skip
    assert "secretive" not in str(raised.value)
    assert records.export(crosswalk, "anna@host") == before
    assert number(crosswalk, "next") == "S-0002"


def test_a_table_that_does_not_parse_is_no_use(crosswalk: Crosswalk) -> None:
    with pytest.raises(ConfigurationError, match=r"in\.csv:2"):
        records.read_in(crosswalk, HEAD + ",,,key,X,\n", "in.csv", "anna@host")
    assert records.uses(crosswalk) == []


def test_a_patients_name_is_replaced_only_when_that_is_asked_for(crosswalk: Crosswalk) -> None:
    number(crosswalk, "p")
    records.read_in(crosswalk, HEAD + ",p,,number:S-,S-0077,", "in.csv", "anna@host", replace=True)
    assert number(crosswalk, "p") == "S-0077"
    assert number(crosswalk, "q") == "S-0078"


def test_a_patient_of_another_key_keeps_it(crosswalk: Crosswalk) -> None:
    number(crosswalk, "p")
    with pytest.raises(ConfigurationError, match="not among the secrets"):
        records.read_in(crosswalk, HEAD + f",p,,key,X,{'0' * 32}", "in.csv", "anna@host")
