"""Where the report of a commitment goes: back to who asked, at the port that `peers:` names. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from node.config import Config, Destination
from node.dicom.commitment import Report, Request
from node.errors import TryAgain
from node.index.asking import Asked
from node.index.commitments import Commitment
from node.model import Origin


class Unreachable(TryAgain):
    """There is no address to send a report to; said once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAddress:
    """An application entity, and what it knows us as."""

    ae_title: str
    host: str
    port: int
    calling_ae: str


Tell = Callable[[Commitment, Report, PeerAddress | None], str]
"""Send a report: on the association of its request, or to an address. Returns where it went, for the log; raises
TryAgain."""

Ask = Callable[[Asked, Request, Destination | None], None]
"""Send a request of our own. Raises TryAgain."""


def address_of(config: Config, origin: Origin) -> PeerAddress | None:
    """Where who asked listens; None when `peers:` does not say.

    The address that it called from, where the entry allows it; else the one that the entry names, such as that of
    a modality whose requests come from another machine.
    """
    candidates = [p for p in config.peers.values() if p.ae_title == origin.calling_ae and p.port is not None]
    best = sorted(candidates, key=lambda p: not p.sent(origin))
    for peer in best:
        single = [str(network.network_address) for network in peer.host if network.num_addresses == 1]
        host = origin.sender if peer.sent(origin) else single[0] if single else None
        if host is not None and peer.port is not None:
            return PeerAddress(ae_title=peer.ae_title, host=host, port=peer.port, calling_ae=origin.called_ae)
    return None


def unreachable(origin: Origin) -> Unreachable:
    return Unreachable(
        f"{origin.calling_ae} at {origin.sender} has no association open, and no entry of peers: has its AE title "
        "and a port; add one with the host and the port where it listens"
    )
