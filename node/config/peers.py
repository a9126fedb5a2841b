"""The `peers:` and `complete:` parts of rules.yaml: who sends, and how long to wait for more."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydicom.charset import python_encoding

from node.config.identity import Identity
from node.config.section import Fault, Section, suggestion, wrong
from node.config.tls import CertificateNames
from node.config.units import parse_duration
from node.config.values import (
    AETitle,
    Count,
    PositiveDuration,
    Shown,
    Text,
    one_or_list,
)
from node.model import Origin, UnitKind

Late = Literal["rerun", "delta", "hold", "ignore"]
"""What happens to an instance that arrives after its unit was complete."""


class PeerCompletion(Section):
    """How long to wait for this sender; what is not given is as in `complete`."""

    quiet: PositiveDuration | None = None
    """Time without a new instance."""
    at_most: PositiveDuration | None = None
    """Longest wait since the first instance."""


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def network(text: str) -> Network:
    """An address or a network. IPv4 written as IPv6 (`::ffff:10.1.2.3`) is IPv4. Raises ValueError."""
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f'"{text}" is not an IP address or a network such as 10.1.2.0/24') from None
    if "%" in text:
        raise ValueError(f'"{text}": leave out {text[text.index("%") :]}, the address counts whatever the interface')
    mapped = found.network_address.ipv4_mapped if isinstance(found, ipaddress.IPv6Network) else None
    return found if mapped is None or found.prefixlen < 96 else ipaddress.ip_network((mapped, found.prefixlen - 96))


def _networks(value: Any) -> Any:
    found: list[Network] = []
    faults: list[Fault] = []
    for i, item in enumerate(one_or_list(value)):
        try:
            found.append(network(str(item) if isinstance(item, int) else item))
        except ValueError as error:
            loc = (i,) if isinstance(value, list) else ()
            faults.append(Fault(loc, str(error)))
    if faults:
        raise wrong(faults)
    return tuple(found)


def _charset(value: str) -> str:
    for part in value.split("\\"):
        if part not in python_encoding or (not part and "\\" not in value):
            raise ValueError(f'unknown character set "{part}" (PS3.3 C.12.1.1.2).{suggestion(part, python_encoding)}')
    return value


class Peer(Section):
    """An application entity that sends to this node."""

    ae_title: AETitle
    """Its calling AE title."""
    host: Annotated[
        tuple[Network, ...], BeforeValidator(_networks), Field(min_length=1), Shown("IP address, network or list")
    ]
    """Where it sends from."""
    port: Annotated[Count, Field(le=65535)] | None = None
    """Where it listens, for C-ECHO."""
    charset: Annotated[Text, AfterValidator(_charset), Shown("Specific Character Set")] | None = None
    """Character set of its data sets that name none (PS3.3 C.12.1.1.2)."""
    idle: PositiveDuration | None = None
    """As in `node.limits`, for this peer."""
    associations: Count | None = None
    """Its associations at the same time, in place of `per_sender` in `node.limits`."""
    certificate: CertificateNames | None = None
    """Its TLS certificate. Its AE title is admitted only with it: by fingerprint, subject or alternative name."""
    identity: Identity | None = None
    """User identity that its associations must come with. Its AE title is admitted only with it."""
    complete: PeerCompletion = PeerCompletion()
    """How long to wait for its series and studies."""

    def sent(self, origin: Origin) -> bool:
        """True when `origin` is this peer: by AE title and address."""
        if origin.calling_ae != self.ae_title:
            return False
        try:
            address = ipaddress.ip_address(origin.sender)
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self.host)


class Quiet(Section):
    """Completion of one kind of unit."""

    quiet: PositiveDuration
    """Time without a new instance after which it is complete."""


class Completion(Section):
    """When a unit is complete."""

    series: Quiet = Quiet(quiet=parse_duration("60s"))
    """Series."""
    study: Quiet = Quiet(quiet=parse_duration("10m"))
    """Studies."""
    at_most: PositiveDuration = timedelta(hours=4)
    """Longest wait since the first instance, also while instances still arrive."""
    late: Late = "rerun"
    """An instance after completion: run the route again on all, on the new ones only, hold, or ignore it."""

    def waiting(self, kind: UnitKind, peers: Sequence[Peer] = ()) -> tuple[timedelta, timedelta]:
        """(quiet, at most) for a unit that came from `peers`: the longest that any of them asks for.

        An instance is complete at once: both are zero.
        """
        if kind is UnitKind.INSTANCE:
            return timedelta(0), timedelta(0)
        quiet = self.series.quiet if kind is UnitKind.SERIES else self.study.quiet
        quiets = [p.complete.quiet or quiet for p in peers] or [quiet]
        mosts = [p.complete.at_most or self.at_most for p in peers] or [self.at_most]
        return max(quiets), max(mosts)
