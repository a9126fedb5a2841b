"""The BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12) as contexts of OpenSSL."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from node.config import DestinationTls, ListenTls, Secret
from node.errors import ConfigurationError
from node.tls.channel import Channel

SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)
"""Of TLS 1.2: those that RFC 9325 4.2 recommends. TLS 1.3 has no others than authenticated ones."""


def server_context(tls: ListenTls) -> ssl.SSLContext:
    """For those who connect to us. Raises ConfigurationError when its files cannot be used."""
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    # A session that is taken up again skips the sender's certificate, and an association lasts for minutes anyway.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    _load_own(context, tls.certificate, tls.key, tls.key_password)
    if tls.ca is not None:
        _load_trusted(context, tls.ca)
    wanted = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}
    context.verify_mode = wanted[tls.clients]
    return context


def client_context(tls: DestinationTls) -> ssl.SSLContext:
    """For those whom we connect to; their name is checked. Raises ConfigurationError."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT)  # verifies and checks the name unless told otherwise
    if tls.ca is not None:
        _load_trusted(context, tls.ca)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if tls.certificate is not None and tls.key is not None:
        _load_own(context, tls.certificate, tls.key, tls.key_password)
    return context


def _context(protocol: ssl._SSLMethod) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(SUITES))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.sslsocket_class = Channel
    return context


def _load_own(context: ssl.SSLContext, certificate: Path, key: Path, password: Secret | None) -> None:
    _readable(certificate, "certificate")
    _readable(key, "key")
    try:
        context.load_cert_chain(certificate, key, password=_password(key, password))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigurationError(f"the key {key} is not that of the certificate {certificate}") from None
        hint = "" if password is None else ", or key_password is wrong"
        raise ConfigurationError(f"{certificate} and {key} are no certificate and key in PEM{hint}") from None


def _password(key: Path, password: Secret | None) -> Callable[[], str]:
    def reveal() -> str:
        # Without this OpenSSL would ask at the terminal, and a service would wait there for ever.
        if password is None:
            raise ConfigurationError(f"the key {key} is encrypted: give its key_password")
        return password.reveal()

    return reveal


def _load_trusted(context: ssl.SSLContext, ca: Path) -> None:
    _readable(ca, "ca")
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise ConfigurationError(f"ca {ca} has no certificates in PEM ({error.reason})") from None


def _readable(path: Path, what: str) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigurationError(f"{what} {path} cannot be read: {error.strerror}") from None
