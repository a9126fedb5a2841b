"""The `peers:` and `complete:` parts of rules.yaml: who sends, and how long to wait for more."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydicom.charset import python_encoding

from node.config.identity import Identity
from node.config.section import Fault, Section, suggestion, wrong
from node.config.tls import CertificateNames
from node.config.units import parse_duration
from node.config.values import (
    Address,
    AETitle,
    Count,
    PositiveDuration,
    Remote,
    Shown,
    Text,
    one_or_list,
)
from node.model import Origin, UnitKind

Late = Literal["rerun", "delta", "hold", "ignore"]
"""What happens to an instance that arrives after its unit was complete."""

Evidence = Literal["commitment", "find", "mpps", "header"]
"""What may say that a unit is complete before its quiet time is over; see docs/OPERATIONS.md."""

_Chosen = Annotated[
    tuple[Evidence, ...],
    BeforeValidator(one_or_list),
    AfterValidator(lambda value: tuple(dict.fromkeys(value))),
    Shown("list of `commitment`, `find`, `mpps`, `header`"),
]


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


class Query(Section):
    """The application entity that knows what this peer has sent, where it is not the peer itself: often an archive."""

    ae_title: AETitle | None = None
    """Its AE title; default: the peer's."""
    host: Annotated[Text, Field(pattern=r"^[A-Za-z0-9_:.-]{1,253}$")] | None = None
    """Its name or address; default: the peer's, which must be one address then."""
    port: Annotated[Count, Field(le=65535)] | None = None
    """Where it listens; default: the peer's."""

    @model_validator(mode="after")
    def _check(self) -> Query:
        if not self.model_fields_set:
            raise ValueError("is empty: name `ae_title`, `host` or `port`, or leave `query` out")
        return self


class Peer(Section):
    """An application entity that sends to this node."""

    ae_title: AETitle
    """Its calling AE title."""
    host: Annotated[
        tuple[Network, ...], BeforeValidator(_networks), Field(min_length=1), Shown("IP address, network or list")
    ]
    """Where it sends from."""
    port: Annotated[Count, Field(le=65535)] | None = None
    """Where it listens: for C-ECHO, C-FIND, C-MOVE, C-GET, and for answers to its requests for storage commitment."""
    charset: Annotated[Text, AfterValidator(_charset), Shown("Specific Character Set")] | None = None
    """Character set of its data sets that name none (PS3.3 C.12.1.1.2), or one that their text is not in."""
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
    evidence: _Chosen | None = None
    """What may end the wait for its series and studies early; default: as in `complete`."""
    query: Query | None = None
    """Who is asked by C-FIND what a study has; default: the peer itself."""
    pull: Literal["move", "get"] | None = None
    """Ask for missing instances by C-MOVE or C-GET; needs `evidence: find`."""

    @property
    def source(self) -> Remote | None:
        """Who is asked; None where no single address and port are known."""
        query = self.query or Query.model_construct()
        one = self.host[0] if len(self.host) == 1 and self.host[0].num_addresses == 1 else None
        host = query.host or (str(one.network_address) if one is not None else None)
        port = query.port or self.port
        if host is None or port is None:
            return None
        return Remote(query.ae_title or self.ae_title, Address(host, port))

    def answers_for(self, origin: Origin) -> bool:
        """True when `origin` is this peer, or the archive that is asked for it: what was pulled comes from there."""
        source = self.source
        return self.sent(origin) or (source is not None and source.ae_title == origin.calling_ae)

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
    evidence: _Chosen = ()
    """What may end the wait early, for every sender that `peers` says nothing else of."""
    floor: PositiveDuration = timedelta(seconds=5)
    """Evidence counts only after so long without a new instance."""
    incomplete: Literal["proceed", "hold"] = "proceed"
    """A unit that is known to be incomplete at `at_most`: go on with what came, or hold it."""
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
