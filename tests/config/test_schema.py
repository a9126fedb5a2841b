from __future__ import annotations

from pathlib import Path

import pytest

from node.config import Config, freeze, load_text
from node.model import Kind, Origin, UnitKind
from node.steps import STEPS

TEXT = """
node: {ae_title: NODE}
peers:
  ct1: {ae_title: CT1, host: 10.1.2.0/24}
  same: {ae_title: CT1, host: 10.1.2.3, charset: ISO_IR 100}
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:104"}
  share: {folder: ./out}
routes:
  - {name: one, unit: instance, when: always, steps: [{forward: archive}]}
"""


def _config(text: str = TEXT) -> Config:
    return load_text(text, STEPS, folder=Path("/nowhere"))


def _origin(address: str = "10.1.2.3", calling_ae: str = "CT1") -> Origin:
    return Origin(calling_ae=calling_ae, called_ae="NODE", sender=address)


@pytest.mark.parametrize(
    ("address", "calling_ae", "peers"),
    [
        ("10.1.2.3", "CT1", 2),
        ("10.1.2.4", "CT1", 1),
        ("10.1.3.4", "CT1", 0),
        ("10.1.2.3", "CT2", 0),
        ("folder:/in", "CT1", 0),
    ],
)
def test_a_peer_is_known_by_title_and_address(address: str, calling_ae: str, peers: int) -> None:
    assert len(list(_config().peers_of([_origin(address, calling_ae)]))) == peers


def test_the_first_peer_that_names_a_character_set_decides() -> None:
    assert _config().charset_of(_origin()) == "ISO_IR 100"
    assert _config().charset_of(_origin("10.1.2.4")) is None


def test_units_are_those_of_the_routes_and_always_series_and_studies() -> None:
    assert _config().routed == {UnitKind.INSTANCE}
    assert _config().kinds == {UnitKind.INSTANCE, UnitKind.SERIES, UnitKind.STUDY}


def test_without_a_route_series_settle() -> None:
    config = _config("node: {ae_title: NODE}")
    assert config.routed == {UnitKind.SERIES}
    assert config.kinds == {UnitKind.SERIES, UnitKind.STUDY}


def test_an_application_entity_takes_dicom_and_a_folder_everything() -> None:
    assert _config().takes("archive") == {Kind.DICOM}
    assert _config().takes("share") == frozenset(Kind)
    assert _config().takes("gone") == frozenset()


def test_a_plan_is_frozen_and_changes_its_mark_with_the_route() -> None:
    first = freeze(_config().routes[0])
    assert (first.route, first.unit) == ("one", UnitKind.INSTANCE)
    assert [name for name, _ in first.steps] == ["forward"]
    assert freeze(_config().routes[0]).fingerprint == first.fingerprint
    assert (
        freeze(_config(TEXT.replace("forward: archive", "forward: share")).routes[0]).fingerprint != first.fingerprint
    )
