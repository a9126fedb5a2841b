from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.cli.rules import check
from node.imaging import capabilities
from tests.authority import Authority
from tests.cli.command import dicom_node
from tests.house.sources import ROOT

GOOD = """\
node: {ae_title: NODE}
destinations: {out: {folder: ./out}}
routes:
  - {name: ct, when: {Modality: CT}, steps: [{forward: out}]}
tests:
  - {name: CT is taken, given: {Modality: CT}, expect: ct}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(GOOD)
    return path


def test_the_rules_of_the_repository_are_right_and_their_tests_pass() -> None:
    ran = dicom_node("check", "--config", ROOT / "rules.yaml")
    assert ran.code == 0, ran.err
    assert "FAILED" not in ran.out


def test_a_secret_that_is_not_there_is_a_warning_that_names_its_place(rules: Path, tmp_path: Path) -> None:
    rules.write_text(
        GOOD.replace("node: {ae_title: NODE}", "node: {ae_title: NODE, secret: {env: NO_SUCH_SECRET_OF_A_TEST}}")
        + "peers: {ct1: {ae_title: CT1, host: 10.0.0.1, identity: {user: ct1, passcode: {file: passcode}}}}\n"
    )
    ran = dicom_node("check", "--config", rules)
    assert ran.code == 0
    first, second = ran.err.splitlines()
    assert first.startswith("warning: node.secret: the secret in environment variable NO_SUCH_SECRET_OF_A_TEST is not")
    assert second.startswith(f"warning: peers.ct1.identity.passcode: the secret in file {tmp_path}/passcode cannot be")
    (tmp_path / "passcode").write_text("open sesame")
    (again,) = dicom_node("check", "--config", rules, "--json").json["warnings"]
    assert again.startswith("node.secret")


def test_check_says_what_there_is_and_runs_the_tests(rules: Path) -> None:
    ran = dicom_node("check", "--config", rules)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{rules}: 1 routes, 1 destinations, 0 peers\npassed  CT is taken\n"


def test_a_test_that_fails_exits_with_1_and_says_why(rules: Path) -> None:
    rules.write_text(GOOD.replace("expect: ct", "expect: []"))
    ran = dicom_node("check", "--config", rules)
    assert ran.code == 1
    assert "FAILED  CT is taken" in ran.out
    assert "expected no route, got ct" in ran.out
    assert dicom_node("check", "--config", rules, "--json").json["tests"] == [
        {"name": "CT is taken", "passed": False, "expected": [], "got": ["ct"]}
    ]


def test_all_that_is_wrong_is_said_with_its_place_and_exits_with_2(rules: Path) -> None:
    rules.write_text(GOOD.replace("forward: out", "forwrd: out").replace("when:", "wen:"))
    ran = dicom_node("check", "--config", rules)
    assert ran.code == 2
    assert f"{rules}:4:" in ran.err
    assert 'Did you mean "forward"?' in ran.err
    assert 'Did you mean "when"?' in ran.err
    problems = dicom_node("check", "--config", rules, "--json").json["problems"]
    assert {p["line"] for p in problems} == {4}


@pytest.mark.parametrize("command", ["check", "ledger", "status"])
def test_rules_that_are_not_there_exit_with_2(tmp_path: Path, command: str) -> None:
    ran = dicom_node(command, "--config", tmp_path / "rules.yaml")
    assert ran.code == 2
    assert "rules.yaml" in ran.err


def test_the_schema_is_json_that_knows_every_step() -> None:
    ran = dicom_node("schema")
    assert ran.code == 0
    assert set(json.loads(ran.out)["properties"]) == {"node", "peers", "complete", "destinations", "routes", "tests"}
    assert all(f'"{step}"' in ran.out for step in ("anonymize", "decompress", "nifti", "forward"))


def test_check_looks_into_the_files_of_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    own, other = authority.issue("node", days=10), authority.issue("other")
    rules = tmp_path / "rules.yaml"

    def listen(key: Path) -> None:
        tls = f"{{certificate: {own.certificate}, key: {key}, ca: {authority.ca}}}"
        rules.write_text(f"node: {{ae_title: NODE, listen: {{address: '127.0.0.1:2762', tls: {tls}}}}}\n")

    listen(own.key)
    ran = dicom_node("check", "--config", rules)
    assert ran.code == 0
    assert "warning: node.listen[0].tls: the certificate ends in 10 days" in ran.err
    assert dicom_node("check", "--config", rules, "--json").json["warnings"]
    listen(other.key)
    ran = dicom_node("check", "--config", rules)
    assert ran.code == 2
    assert "rules.yaml: node.listen[0].tls: the key" in ran.err
    ran = dicom_node("serve", "--config", rules)
    assert ran.code == 2
    assert "is not that of the certificate" in ran.err


@pytest.mark.parametrize("step", ["decompress", "nifti", "png", "{jpeg: middle}"])
def test_check_refuses_every_step_that_needs_a_decoder_that_is_missing(
    rules: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    rules.write_text(GOOD.replace("[{forward: out}]", f"[{step}, {{forward: out}}]"))
    monkeypatch.setattr(capabilities, "_there", lambda codec: codec != "jpegls")
    monkeypatch.setattr(capabilities, "plugin_of", lambda uid: None)
    capabilities.capabilities.cache_clear()
    try:
        assert check(rules, as_json=False) == 2
    finally:
        capabilities.capabilities.cache_clear()
    assert "this installation cannot decode JPEG-LS Lossless Image Compression" in capsys.readouterr().err


def test_check_refuses_a_route_that_this_installation_cannot_do(
    rules: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rules.write_text(GOOD.replace("[{forward: out}]", "[{transcode: jpeg-ls}, {forward: out}]"))
    assert check(rules, as_json=False) == 0
    monkeypatch.setattr(capabilities, "_there", lambda codec: codec != "jpegls")
    monkeypatch.setattr(capabilities, "plugin_of", lambda uid: None)
    capabilities.capabilities.cache_clear()
    try:
        assert check(rules, as_json=False) == 2
    finally:
        capabilities.capabilities.cache_clear()
    said = capsys.readouterr().err
    assert "rules.yaml:4:" in said
    assert "this installation cannot decode JPEG-LS Lossless Image Compression (this build of imagecodecs lacks" in said
    assert "this installation cannot encode JPEG-LS Lossless Image Compression" in said
