"""Who may send: decided once per association, before anything is negotiated.

Pure, but that a passcode is read where rules.yaml says it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from node.config import Config, Peer
from node.errors import ConfigurationError
from node.model import Origin
from node.receive.places import SETTLED, Admitted, Bounds, Full, Place, Reject, find
from node.tls import Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """The User Identity item of an association request (PS3.7 D.3.3.7.1)."""

    kind: int
    name: bytes
    passcode: bytes = field(default=b"", repr=False)
    asks: bool = False
    """For an answer that confirms it."""


USER, USER_AND_PASSCODE = 1, 2
_OTHER_KINDS = {3: "a Kerberos ticket", 4: "a SAML assertion", 5: "a JSON Web Token"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks for an association: what its request says, and its connection."""

    origin: Origin
    secured: bool = False
    """It came under TLS."""
    certificate: Certificate | None = None
    """Verified; None without TLS, and where it showed none."""
    user: User | None = None


_SHOWN = 4
"""Names or addresses in a line."""
CALLED_AE = (1, 1, 7)
CALLING_AE = (1, 1, 3)
NO_IDENTITY = (1, 2, 1)
LOCAL_LIMIT = (2, 3, 2)
CONGESTION = (2, 3, 1)


def admit(config: Config, caller: Caller, places: Sequence[Place], settled: float = SETTLED) -> Admitted | Reject:
    """What becomes of an association that `caller` asks for.

    places      of the others that are established now
    settled     seconds after which one of them is idle
    """
    origin, titles = caller.origin, config.node.ae_title
    if origin.called_ae not in titles:
        why = f'calls "{origin.called_ae}", and node: ae_title lists {", ".join(titles)}'
        return Reject(*CALLED_AE, "called_ae", why)
    peers = list(config.peers_of([origin]))
    if config.node.senders == "peers" and not peers:
        why = f'"{origin.calling_ae}" at {origin.sender} is none of peers, and node: senders says peers'
        return Reject(*CALLING_AE, "calling_ae", why + _nearly(config, origin))
    vouched = _vouched(config, caller)
    if isinstance(vouched, Reject):
        return vouched
    found = find(bounds(config, origin), origin, places, settled)
    if isinstance(found, Full):
        return Reject(*LOCAL_LIMIT, found.limit, found.why)
    return Admitted(found.instead_of, identified=vouched)


def _nearly(config: Config, origin: Origin) -> str:
    """What is nearest to the sender among the peers, behind the line that it is none of them."""
    title = origin.calling_ae
    same = [peer for peer in config.peers.values() if peer.ae_title == title]
    if same:
        hosts = [str(one.network_address) if one.num_addresses == 1 else str(one) for peer in same for one in peer.host]
        return f"; the host of its peer is {', '.join(hosts[:_SHOWN])}{' and others' * (len(hosts) > _SHOWN)}"
    other = next((peer for peer in config.peers.values() if peer.ae_title.casefold() == title.casefold()), None)
    return f'; peers has "{other.ae_title}", and AE titles differ by case' if other is not None else ""


def _vouched(config: Config, caller: Caller) -> bool | Reject:
    """Whether an AE title that is bound to a certificate or a user comes with them; True when a user was asked for.

    A peer of the same title that asks for neither still vouches for its own address.
    """
    origin = caller.origin
    entries = [peer for peer in config.peers.values() if peer.ae_title == origin.calling_ae]
    if not any(peer.certificate or peer.identity for peer in entries):
        return False
    fault = Reject(*CALLING_AE, "calling_ae", f'"{origin.calling_ae}" at {origin.sender} is none of peers')
    for peer in entries:
        bound = peer.certificate or peer.identity
        if not peer.sent(origin) and (config.node.senders == "peers" or not bound):
            continue
        found = _certified(peer, caller) or _identified(peer, caller)
        if found is None:
            return peer.identity is not None
        fault = found
    return fault


def _certified(peer: Peer, caller: Caller) -> Reject | None:
    shown = caller.certificate
    if peer.certificate is None or (shown is not None and shown.answers_to(peer.certificate)):
        return None
    if shown is not None:
        names = ", ".join(sorted(shown.names)[:_SHOWN]) or "nobody"
        other = f"it showed that of {names} (SHA-256 {shown.sha256}); where that is right, name it there"
    elif caller.secured:
        other = "it showed none; give it one that `ca` of node: listen vouches for"
    else:
        other = "it came without TLS; have it send to an address of node: listen that has tls"
    why = f'"{peer.ae_title}" is admitted only with the certificate that its peer names; {other}'
    return Reject(*CALLING_AE, "certificate", why)


def _identified(peer: Peer, caller: Caller) -> Reject | None:
    wanted, user = peer.identity, caller.user
    if wanted is None:
        return None
    if user is None:
        why = "it sent none; set it there, or take identity out of its peer"
    elif user.kind not in (USER, USER_AND_PASSCODE):
        why = f"it sent {_OTHER_KINDS.get(user.kind, 'one of an unknown kind')}, and only user and passcode are checked"
    elif wanted.passcode is not None and user.kind == USER:
        why = "it sent a user name without a passcode"
    else:
        try:
            if wanted.fits(user.name, user.passcode):
                return None
            why = "user name or passcode is wrong"
        except ConfigurationError as error:
            why = str(error)
    return Reject(*NO_IDENTITY, "identity", f'"{peer.ae_title}" is admitted only with its user identity: {why}')


def bounds(config: Config, origin: Origin) -> Bounds:
    """The limits that hold for a sender. A peer that may have more than others may have it from its address."""
    limits = config.node.limits
    own = next((peer.associations for peer in config.peers_of([origin]) if peer.associations), None)
    return Bounds(
        per_sender=own or limits.per_sender,
        per_address=max(own or 0, limits.per_address),
        associations=limits.associations,
    )


def idle_limit(config: Config, origin: Origin) -> float:
    """Seconds after which an association of `origin` on which nothing happens is ended."""
    own = next((peer.idle for peer in config.peers_of([origin]) if peer.idle), None)
    return (own or config.node.limits.idle).total_seconds()


def plain(address: str) -> str:
    """An IP address as peers and rules write it: a socket that listens on IPv6 and IPv4 shows `::ffff:10.1.2.3`."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)
