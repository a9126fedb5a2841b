"""Which quiet time holds for a unit: the longest of the peers that sent it. Pure."""

from __future__ import annotations

from node.complete import Policy
from node.config import Config
from node.index.units import Waits
from node.model import Unit, UnitKind


def policy_for(config: Config, unit: Unit) -> Policy:
    """The longest quiet time of all senders of this unit: closing early splits it, closing late only waits."""
    quiet, at_most = config.complete.waiting(unit.kind, list(config.peers_of(unit.senders)))
    return Policy(quiet=quiet, at_most=at_most)


def shortest(config: Config) -> Waits:
    """Below what no unit can be complete, whoever sent it: what the scan asks the database for."""
    senders = [[], *([peer] for peer in config.peers.values())]
    found = {}
    for kind in {UnitKind.SERIES, UnitKind.STUDY} | {route.unit for route in config.routes}:
        waits = [config.complete.waiting(kind, peers) for peers in senders]
        found[kind] = (min(q for q, _ in waits).total_seconds(), min(m for _, m in waits).total_seconds())
    return found
