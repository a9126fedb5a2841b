"""Which quiet time holds for a unit: the longest of the peers that sent it. Pure."""

from __future__ import annotations

from node.complete import Policy
from node.config import Config
from node.index.units import Waits
from node.model import Unit, UnitKind


def policy_for(config: Config, unit: Unit) -> Policy:
    """The longest times of all senders of this unit, also of one that is no peer: closing early splits it,
    closing late only waits."""
    peers = [list(config.peers_of([sender])) for sender in unit.senders] or [[]]
    waits = [config.complete.waiting(unit.kind, of_one) for of_one in peers]
    return Policy(quiet=max(quiet for quiet, _ in waits), at_most=max(most for _, most in waits))


def shortest(config: Config) -> Waits:
    """Below what no unit can be complete, whoever sent it: what the scan asks the database for."""
    senders = [[], *([peer] for peer in config.peers.values())]
    found = {}
    for kind in {UnitKind.SERIES, UnitKind.STUDY} | {route.unit for route in config.routes}:
        waits = [config.complete.waiting(kind, peers) for peers in senders]
        found[kind] = (min(q for q, _ in waits).total_seconds(), min(m for _, m in waits).total_seconds())
    return found
