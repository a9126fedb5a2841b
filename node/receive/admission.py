"""Who may send: decided once per association, before anything is negotiated. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from node.config import Config
from node.model import Origin


@dataclass(frozen=True, slots=True)
class Reject:
    """An A-ASSOCIATE-RJ (PS3.8 9.3.4) and the line for the log that says what to change."""

    result: int
    source: int
    diagnostic: int
    why: str


CALLED_AE = (1, 1, 7)
CALLING_AE = (1, 1, 3)
LOCAL_LIMIT = (2, 3, 2)


def admit(
    config: Config, origin: Origin, *, open_associations: Collection[Origin], is_peer: Callable[[Origin], bool]
) -> Reject | None:
    """None when the association may go on.

    open_associations   of the others that are established now
    is_peer             whether AE title and address belong to a configured peer
    """
    titles = config.node.ae_title
    if origin.called_ae not in titles:
        return Reject(*CALLED_AE, f'calls "{origin.called_ae}", and node: ae_title lists {", ".join(titles)}')
    if config.node.senders == "peers" and not is_peer(origin):
        return Reject(
            *CALLING_AE, f'"{origin.calling_ae}" at {origin.sender} is none of peers, and node: senders says peers'
        )
    limits = config.node.limits
    if len(open_associations) >= limits.associations:
        return Reject(*LOCAL_LIMIT, f"limits: associations ({limits.associations}) are in use")
    same = sum(1 for o in open_associations if o.sender == origin.sender)
    if same >= limits.per_sender:
        return Reject(*LOCAL_LIMIT, f"it has limits: per_sender ({limits.per_sender}) associations already")
    return None


def plain(address: str) -> str:
    """An IP address as peers and rules write it: a socket that listens on IPv6 and IPv4 shows `::ffff:10.1.2.3`."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)
