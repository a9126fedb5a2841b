from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from node.config import Address, Config, load, load_text
from node.errors import ConfigurationError
from node.model import Disclosure, Kind, Origin, UnitKind
from tests.config.steps import STEPS, Anonymize, Decompress, Forward, Nifti

DESIGN = """\
node:
  ae_title: [NODE, RESEARCH]
  listen: 127.0.0.1:11112
  data: ./data
  database: sqlite
  senders: anyone
  limits: {associations: 64, per_sender: 16, idle: 15m, instance: 4GiB, keep_free: 5GiB}
  duplicates: newest
  keep: {received: 7d, finished: 1d}
  watch: [{path: ./inbox, as: NODE}]
peers:
  ct1: {ae_title: CT1, host: 10.1.2.0/24, port: 104, charset: ISO_IR 100, complete: {quiet: 5m}}
complete: {series: {quiet: 60s}, study: {quiet: 10m}, at_most: 4h, late: rerun}
destinations:
  archive: {dicom: ARCHIVE@127.0.0.1:11113, as: NODE, accepts: deidentified, concurrent: 2,
            retry: {first: 10s, factor: 2, at_most: 1h, give_up: 14d}}
  share:   {folder: ./out, accepts: deidentified,
  layout: "{PatientID}/{StudyInstanceUID}/{SeriesNumber}_{Modality}"}
routes:
  - name: research-ct
    unit: series
    when: {Modality: [CT, PT], StudyDescription: "*chest*", called_ae: RESEARCH}
    steps:
      - anonymize: {profile: basic, options: [retain_patient_characteristics], recipe: recipes/site.dicom}
      - decompress
      - nifti
      - forward: archive
      - forward: {to: share, what: [nifti, report]}
  - name: everything-else
    when: otherwise
    steps: [anonymize, {forward: archive}]
tests:
  - {name: chest CT goes to research, given: {Modality: CT, StudyDescription: CT CHEST, called_ae: RESEARCH},
     expect: [research-ct]}
"""

FOLDER = Path("/site")


def good(text: str) -> Config:
    return load_text(text, STEPS, folder=FOLDER)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        good(text)
    return [str(problem) for problem in caught.value.problems]


def test_the_file_of_the_design_loads_as_it_is_meant() -> None:
    config = good(DESIGN)
    assert config.node.ae_title == ("NODE", "RESEARCH")
    assert config.node.listen[0].address == Address("127.0.0.1", 11112)
    assert config.node.limits.instance == 4 * 1024**3
    assert config.node.data == FOLDER / "data"
    assert config.node.watch[0].path == FOLDER / "inbox"
    assert config.peers["ct1"].host == (ip_network("10.1.2.0/24"),)
    assert config.destinations["archive"].accepts is Disclosure.DEIDENTIFIED
    assert config.destinations["archive"].retry.give_up == timedelta(days=14)
    assert config.routes[0].steps == (
        Anonymize(options=("retain_patient_characteristics",), recipe=FOLDER / "recipes/site.dicom"),
        Decompress(),
        Nifti(),
        Forward(to="archive"),
        Forward(to="share", what=frozenset({Kind.NIFTI, Kind.REPORT})),
    )


def test_a_wrong_step_is_said_with_its_place_and_the_nearest_name() -> None:
    assert problems(
        "node: {ae_title: A}\nroutes:\n  - name: x\n    when: always\n    steps:\n\n      - anonymise\n"
    ) == ['rules.yaml:7:9: routes[0].steps[0]: unknown step "anonymise". Did you mean "anonymize"?']


def test_all_mistakes_come_at_once_in_the_order_of_the_file() -> None:
    text = """\
node: {ae_title: "A\\\\B", lissten: 3, limits: {idle: 5}}
destinations: {a: {dicom: X@h, acepts: deidentified}}
routes:
  - name: x
    whn: {Modalty: CT}
    when: {Modalty: CT}
    steps:
      - forward: {too: a}
      - anonymize: {profil: 3, wait: 5}
      - nifti: {level: 11}
      - anonymize: {profile: none, recipe: r}
      - decompress: 5
      - 7
tests: 5
"""
    found = problems(text)
    assert [line.split(" ")[0] for line in found] == [
        "rules.yaml:1:18:",
        "rules.yaml:1:26:",
        "rules.yaml:1:53:",
        "rules.yaml:2:27:",
        "rules.yaml:2:32:",
        "rules.yaml:5:5:",
        "rules.yaml:6:12:",
        "rules.yaml:8:18:",
        "rules.yaml:8:19:",
        "rules.yaml:9:21:",
        "rules.yaml:9:38:",
        "rules.yaml:10:16:",
        "rules.yaml:11:20:",
        "rules.yaml:12:21:",
        "rules.yaml:13:9:",
        "rules.yaml:14:8:",
    ]
    assert found[1].endswith('node.lissten: unknown key "lissten". Did you mean "listen"?')
    assert found[8].endswith('routes[0].steps[0].forward.too: unknown key "too". Did you mean "to"?')
    assert found[12].endswith("no recipe without a profile")


def test_mistakes_of_sound_routes_are_found_beside_broken_ones() -> None:
    broken = "steps: [anonymize, {forward: archive}]"
    text = DESIGN.replace(broken, broken.replace("archive", "archiv")).replace("- decompress", "- decompres")
    assert [line.split(": ", 2)[1] for line in problems(text)] == ["routes[0].steps[1]", "routes[1].steps[1]"]


@pytest.mark.parametrize("when", ["5", "null", "[]", "true", "1.5"])
def test_a_when_that_is_no_condition_is_refused(when: str) -> None:
    found = problems(f"node: {{ae_title: A}}\nroutes: [{{name: r, steps: [drop], when: {when}}}]")
    assert len(found) == 1
    assert "must be a mapping such as {Modality: CT}, or always, or otherwise" in found[0]


def test_numbers_are_text_where_text_is_meant() -> None:
    assert good("node: {ae_title: [1234, 0010, no]}").node.ae_title == ("1234", "0010", "no")
    assert problems("node: {ae_title: []}") == ["rules.yaml:1:18: node.ae_title: must not be empty"]
    assert problems("node: {ae_title: 1.50}") == ["rules.yaml:1:18: node.ae_title: must be text: write it in quotes"]


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ("ae_title: ''", "1 to 16"),
        ("ae_title: ABCDEFGHIJKLMNOPQ", "longer than 16"),
        ("ae_title: Ä", "ASCII"),
        ("ae_title: []", "must not be empty"),
        ("{}", '"ae_title" is missing'),
        ("listen: '::1:104'", "in brackets"),
        ("listen: localhost:70000", "port from 1 to 65535"),
        ("listen: 11112", "host:port"),
        ("duplicates: newst", 'Did you mean "newest"?'),
        ("workers: 0", "workers"),
        ("limits: {associations: true}", "whole number"),
        ("limits:", "is empty"),
        ("secret: hunter2", "not written in this file"),
        ("secret: {env: A, file: b}", "either"),
        ("database: mysql://x/y", "sqlite"),
        ("database: postgresql://u:pw@h/d", "a password is not written"),
        ("status: 127.0.0.1:11112", "already taken"),
        ("data: ''", "path is empty"),
    ],
)
def test_what_a_node_cannot_be_is_refused(node: str, said: str) -> None:
    rest = "" if node == "{}" or node.startswith("ae_title") else "ae_title: A, "
    found = problems(f"node: {{{rest}{'' if node == '{}' else node}}}")
    assert len(found) == 1
    assert said in found[0]


def test_a_refused_password_is_not_repeated() -> None:
    for node in ("secret: hunter2", "database: postgresql://u:hunter2@h/d"):
        assert "hunter2" not in " ".join(problems(f"node: {{ae_title: A, {node}}}"))


def test_a_secret_is_read_when_used_and_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    database = "{url: postgresql://u@h/d, password: {env: PW_OF_TEST}}"
    text = f"node: {{ae_title: A, secret: {{file: key}}, database: {database}}}"
    (tmp_path / "rules.yaml").write_text(text)
    config = load(tmp_path / "rules.yaml", STEPS)
    assert config.node.secret is not None
    assert config.node.secret.reveal() == "s3cret"
    assert "s3cret" not in repr(config) + str(config.model_dump())
    password = config.node.database.password
    assert password is not None
    with pytest.raises(ConfigurationError, match="environment variable PW_OF_TEST is not set"):
        password.reveal()
    monkeypatch.setenv("PW_OF_TEST", "x")
    assert password.reveal() == "x"


def test_ipv6_lists_and_off_are_understood() -> None:
    node = good("node: {ae_title: A, listen: ['[::1]:104', {address: localhost:105}], status: off}").node
    assert [str(entry.address) for entry in node.listen] == ["[::1]:104", "localhost:105"]
    assert node.status is None


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    for name, content in (("none", None), ("latin", b"\xe9: 1"), ("empty", b"")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigurationError, match=r"cannot be read|is not UTF-8|is empty"):
            load(tmp_path / name, STEPS)


def test_a_peer_is_known_by_title_and_address_and_waits_its_own_time() -> None:
    config = good(DESIGN)
    known = Origin(calling_ae="CT1", called_ae="NODE", sender="::ffff:10.1.2.9")
    strangers = [
        Origin(calling_ae=t, called_ae="NODE", sender=s)
        for t, s in (("CT1", "10.1.3.9"), ("CT2", "10.1.2.9"), ("CT1", "folder:/x"))
    ]
    peers = list(config.peers_of([known]))
    assert peers == [config.peers["ct1"]]
    assert not list(config.peers_of(strangers))
    assert config.complete.waiting(UnitKind.SERIES, peers) == (timedelta(minutes=5), timedelta(hours=4))
    assert config.complete.waiting(UnitKind.STUDY) == (timedelta(minutes=10), timedelta(hours=4))
    assert config.complete.waiting(UnitKind.INSTANCE)[0] == timedelta(0)


def test_the_shipped_example_loads() -> None:
    assert load(Path(__file__).parents[2] / "rules.yaml", STEPS).routes
