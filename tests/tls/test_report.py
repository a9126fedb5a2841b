from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node.config import Config, load_text
from node.errors import ConfigurationError
from node.tls.report import days_left, problems, warnings
from tests.authority import Authority, Pair

NOW = datetime.now(UTC)


def config_of(listens: Pair, sends: Pair, ca: Path) -> Config:
    text = f"""
node:
  ae_title: NODE
  listen:
    - 127.0.0.1:11112
    - {{address: 127.0.0.1:2762, tls: {{certificate: {listens.certificate}, key: {listens.key}, ca: {ca}}}}}
destinations:
  plain: {{dicom: "A@127.0.0.1:104"}}
  archive: {{dicom: "A@127.0.0.1:2763", tls: {{ca: {ca}, certificate: {sends.certificate}, key: {sends.key}}}}}
"""
    return load_text(text, {}, folder=Path())


def test_good_files_are_no_problem_and_their_days_are_counted(authority: Authority) -> None:
    config = config_of(authority.issue("node", days=100), authority.issue("us", days=20), authority.ca)
    assert problems(config, "rules.yaml") == []
    left = days_left(config, NOW)
    assert {place: round(days) for place, days in left.items()} == {"node.listen[1]": 100, "destinations.archive": 20}
    assert warnings(config, NOW) == ["destinations.archive.tls: the certificate ends in 20 days"]
    assert warnings(config, NOW + timedelta(days=110))[0] == "node.listen[1].tls: the certificate ended 10 days ago"


def test_each_file_that_cannot_be_used_is_named_with_its_place(authority: Authority, tmp_path: Path) -> None:
    good = authority.issue("node")
    config = config_of(Pair(good.certificate, authority.ca), Pair(tmp_path / "none", good.key), authority.ca)
    found = problems(config, "rules.yaml")
    assert [problem.path for problem in found] == ["node.listen[1].tls", "destinations.archive.tls"]
    assert "cannot be read" in found[1].text
    assert list(days_left(config, NOW)) == ["node.listen[1]"]


@pytest.mark.parametrize(
    ("tls", "text"),
    [
        ("{certificate: a, key: b}", "needs `ca`"),
        ("{certificate: a}", '"key" is missing'),
        ("{certificate: a, key: b, ca: c, clients: maybe}", "must be required or optional or none"),
    ],
)
def test_what_is_wrong_in_the_text_is_said_at_load(tls: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        load_text(
            f"node: {{ae_title: NODE, listen: {{address: '127.0.0.1:1', tls: {tls}}}}}", {}, folder=Path()
        )  # fmt: skip


def test_a_peer_bound_to_a_certificate_needs_an_address_that_asks_for_one() -> None:
    text = "node: {ae_title: NODE}\npeers: {ct1: {ae_title: CT1, host: 10.1.2.3, certificate: ct1.example}}"
    with pytest.raises(ConfigurationError, match="could never show its certificate"):
        load_text(text, {}, folder=Path())


def test_a_folder_has_neither_tls_nor_identity() -> None:
    for more in ("tls: {}", "identity: {user: us}"):
        with pytest.raises(ConfigurationError, match="are for an application entity"):
            load_text(
                f"node: {{ae_title: NODE}}\ndestinations: {{out: {{folder: ./out, {more}}}}}", {}, folder=Path()
            )  # fmt: skip
