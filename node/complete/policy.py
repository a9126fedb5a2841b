"""What holds for a unit, by the peers that sent it: how long it waits, and what may end the wait. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from node.complete.facts import Policy
from node.config import Config, Peer
from node.model import Origin, Unit, UnitKind

Waits = Mapping[UnitKind, tuple[float, float]]
"""(quiet, at most) in seconds below which no unit of a kind can be complete, whoever sent it."""

GoesBy = Mapping[str, frozenset[str]]
"""AE title of a sender -> the sources of evidence it goes by."""


def policy_for(config: Config, unit: Unit) -> Policy:
    """The longest times of all senders of this unit, also of one that is no peer: closing early splits it,
    closing late only waits. And the evidence that all of them go by."""
    peers = [_peers(config, sender) for sender in unit.senders] or [[]]
    waits = [config.complete.waiting(unit.kind, of_one) for of_one in peers]
    return Policy(
        quiet=max(quiet for quiet, _ in waits),
        at_most=max(most for _, most in waits),
        floor=config.complete.floor,
        evidence=frozenset.intersection(*(_evidence(config, of_one) for of_one in peers)),
    )


def goes_by(config: Config, unit: Unit) -> GoesBy:
    """Whose word counts for this unit: of its senders alone, and of each by what was chosen for it."""
    found: dict[str, frozenset[str]] = {}
    for sender in unit.senders:
        peers = _peers(config, sender)
        for title in {peer.ae_title for peer in peers} or {sender.calling_ae}:
            found[title] = found.get(title, frozenset()) | _evidence(config, peers)
    return {title: evidence for title, evidence in found.items() if evidence and title}


def shortest(config: Config) -> Waits:
    """Below what no unit can be complete, whoever sent it: what the scan asks the database for."""
    senders: list[list[Peer]] = [[], *([peer] for peer in config.peers.values())]
    early = any(_evidence(config, peers) for peers in senders)
    floor = config.complete.floor.total_seconds()
    found = {}
    for kind in {UnitKind.SERIES, UnitKind.STUDY} | {route.unit for route in config.routes}:
        waits = [config.complete.waiting(kind, peers) for peers in senders]
        quiet = min(q for q, _ in waits).total_seconds()
        found[kind] = (min(quiet, floor) if early else quiet, min(m for _, m in waits).total_seconds())
    return found


def _peers(config: Config, sender: Origin) -> list[Peer]:
    """The peers that a sender is; an archive that is no peer itself stands for those it is asked for."""
    return list(config.peers_of([sender])) or [peer for peer in config.peers.values() if peer.answers_for(sender)]


def _evidence(config: Config, peers: list[Peer]) -> frozenset[str]:
    if not peers:
        return config.evidence_of(None)
    return frozenset[str]().union(*(config.evidence_of(peer) for peer in peers))
