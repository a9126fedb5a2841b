"""Where a report goes: what `peers:` says of who asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.commit.peers import PeerAddress, address_of, unreachable
from node.config import load_text
from node.model import Origin

CT1 = Origin(calling_ae="CT1", called_ae="RESEARCH", sender="10.1.2.3")


def address(peers: str, origin: Origin = CT1) -> tuple[str, int] | None:
    config = load_text(f"node: {{ae_title: NODE}}\npeers: {{{peers}}}\n", {}, folder=Path())
    found = address_of(config, origin)
    return (found.host, found.port) if found else None


@pytest.mark.parametrize(
    ("peers", "where"),
    [
        ("a: {ae_title: CT1, host: 10.1.2.3, port: 104}", ("10.1.2.3", 104)),
        ("a: {ae_title: CT1, host: 10.1.0.0/16, port: 104}", ("10.1.2.3", 104)),
        ("a: {ae_title: CT1, host: [10.9.9.0/24, 10.9.9.9], port: 104}", ("10.9.9.9", 104)),
        ("a: {ae_title: CT1, host: 10.9.9.0/24, port: 104}", None),
        ("a: {ae_title: CT1, host: 10.1.2.3}", None),
        ("a: {ae_title: CT2, host: 10.1.2.3, port: 104}", None),
        ("", None),
        ("a: {ae_title: CT1, host: 10.9.9.9, port: 1}, b: {ae_title: CT1, host: 10.1.2.3, port: 2}", ("10.1.2.3", 2)),
        ("a: {ae_title: CT1, host: 10.1.2.3}, b: {ae_title: CT1, host: 10.9.9.9, port: 2}", ("10.9.9.9", 2)),
    ],
    ids=[
        "its address", "its network", "the one it names", "a network is no address", "no port", "another title", "none",
        "the one that sent comes first", "the one with a port",
    ],
)  # fmt: skip
def test_the_entry_of_who_asked_says_where_it_listens(peers: str, where: tuple[str, int] | None) -> None:
    assert address(peers) == where


def test_it_knows_us_by_the_title_that_it_called() -> None:
    config = load_text(
        "node: {ae_title: NODE}\npeers: {a: {ae_title: CT1, host: 10.1.2.3, port: 104}}\n", {}, folder=Path()
    )
    assert address_of(config, CT1) == PeerAddress(ae_title="CT1", host="10.1.2.3", port=104, calling_ae="RESEARCH")


def test_who_is_in_no_entry_is_named_with_what_to_add() -> None:
    text = str(unreachable(CT1))
    assert "CT1 at 10.1.2.3" in text
    assert "port" in text
