"""Certificates: those in our files, taken up when the files change, and the one that a sender shows."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from node.config import ListenTls
from node.errors import ConfigurationError
from node.tls.profile import server_context

log = logging.getLogger("node.tls")

_SETTLED = 2.0
"""Seconds for which changed files that do not fit are taken to be half replaced."""

_BLOCK = re.compile(
    rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----.*?-----END (?:TRUSTED |X509 )?CERTIFICATE-----", re.S
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is known of the one that a peer showed, once it is verified."""

    sha256: str
    """Fingerprint of the whole certificate, 64 hex digits."""
    names: frozenset[str]
    """Common name of its subject and its alternative names, in lower case."""

    @classmethod
    def of(cls, connection: ssl.SSLSocket) -> Certificate | None:
        """None when it showed none."""
        # typeshed knows only the outline of what it says.
        der, said = connection.getpeercert(True), cast(dict[str, Any] | None, connection.getpeercert())
        if der is None or not said:
            return None
        common = {value for part in said.get("subject", ()) for key, value in part if key == "commonName"}
        others = {value for _, value in said.get("subjectAltName", ()) if isinstance(value, str)}
        return cls(hashlib.sha256(der).hexdigest(), frozenset(name.casefold() for name in common | others))

    def answers_to(self, wanted: tuple[str, ...]) -> bool:
        """True when it is one of `wanted`: fingerprints, and names in lower case."""
        return any(one == self.sha256 or one in self.names for one in wanted)


class Certificates:
    """The context of one `listen` entry. Thread-safe.

    New handshakes use what is in the files now; a file that cannot be used is reported, and the old stays.
    Raises ConfigurationError when they cannot be used at first.
    """

    def __init__(self, tls: ListenTls, clock: Callable[[], float] = time.time) -> None:
        self.tls, self._clock = tls, clock
        self._lock = threading.Lock()
        self._stamps = self._look()
        self._context = server_context(tls)
        self.broken = ""
        """Why the files as they are now are not in use; empty when they are."""
        self._say_if_over()

    def context(self) -> ssl.SSLContext:
        """The one in force, looked at anew: to be asked at each handshake."""
        with self._lock:
            stamps = self._look()
            if stamps != self._stamps:
                self._reload(stamps)
            return self._context

    def _reload(self, stamps: _Stamps) -> None:
        try:
            self._context = server_context(self.tls)
        except ConfigurationError as error:
            if self._young(stamps):
                return  # certificate and key are replaced one after the other; the next handshake looks again
            self.broken, self._stamps = str(error), stamps
            log.error("a changed certificate cannot be used, the old one stays: %s", error)
            return
        self.broken, self._stamps = "", stamps
        log.info("certificate %s was read anew", self.tls.certificate)
        self._say_if_over()

    def _say_if_over(self) -> None:
        """It is used all the same: not every sender looks."""
        with contextlib.suppress(ConfigurationError):
            end = expiry(self.tls.certificate)
            if end.timestamp() < self._clock():
                log.warning("certificate %s ended on %s; senders will not accept it, give the node a new one",
                            self.tls.certificate, end.date())  # fmt: skip

    def _files(self) -> Iterator[Path]:
        yield from (self.tls.certificate, self.tls.key)
        if self.tls.ca is not None:
            yield self.tls.ca

    def _look(self) -> _Stamps:
        return tuple(_stamp(path) for path in self._files())

    def _young(self, stamps: _Stamps) -> bool:
        changed = [now[0] for now, before in zip(stamps, self._stamps, strict=True) if now and now != before]
        return any(0 <= self._clock() - nanoseconds / 1e9 < _SETTLED for nanoseconds in changed)


_Stamp = tuple[int, int, int]
_Stamps = tuple[_Stamp | None, ...]


def _stamp(path: Path) -> _Stamp | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_ino, state.st_size


def expiry(path: Path) -> datetime:
    """When the first certificate in a PEM file ends (RFC 5280 4.1.2.5). Raises ConfigurationError."""
    try:
        block = _BLOCK.search(path.read_bytes())
        if block is None:
            raise ValueError("no certificate")
        return not_after(ssl.PEM_cert_to_DER_cert(block[0].decode("ascii")))
    except OSError as error:
        raise ConfigurationError(f"certificate {path} cannot be read: {error.strerror}") from None
    except (ValueError, IndexError):
        raise ConfigurationError(f"{path} is no certificate in PEM") from None


def not_after(der: bytes) -> datetime:
    """From a certificate in DER. Raises ValueError, IndexError when it is none."""
    _, at, _ = _element(der, 0)  # Certificate
    _, at, _ = _element(der, at)  # TBSCertificate
    tag, _, end = _element(der, at)
    if tag == 0xA0:  # the version may be left out
        at = end
    for _ in ("serial number", "signature algorithm", "issuer"):
        at = _element(der, at)[2]
    _, at, _ = _element(der, at)  # Validity
    tag, start, end = _element(der, _element(der, at)[2])
    text = der[start:end].decode("ascii")
    if tag == 0x17:  # UTCTime: two digits of the year, from 1950
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """(tag, where the value begins, where it ends)"""
    tag, length, at = der[at], der[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, at = int.from_bytes(der[at : at + count]), at + count
    return tag, at, at + length
