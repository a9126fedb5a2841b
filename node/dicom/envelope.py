"""What only one recipient can read: Enveloped-data of the Cryptographic Message Syntax (RFC 5652 6; PS3.15 E.1.1).

The content under AES-256-CBC, its key under the recipient's RSA key (PKCS #1 v1.5, RFC 8017 7.2), as PS3.15 asks. Needs
`cryptography` (`pip install dicom-node[reversible]`), which is imported only here and only when it is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LEAST_BITS = 2048
"""Of an RSA key; shorter ones can be broken (NIST SP 800-131A)."""

_SEQUENCE = 0x30


class EnvelopeError(ValueError):
    """A certificate, key or envelope is of no use; `str()` says why, without what is in it."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom is sealed for: an X.509 certificate with an RSA key."""

    certificate: Any


@dataclass(frozen=True, slots=True)
class Owner:
    """Who can open what was sealed for the recipient."""

    recipient: Recipient
    key: Any = field(repr=False)


def read_certificate(path: Path) -> Recipient:
    """From a file, PEM or DER. Raises EnvelopeError."""
    _needed()
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    data = _bytes(path)
    if b"PRIVATE KEY-----" in data:
        raise EnvelopeError("it holds a private key, which does not belong here: give the certificate alone")
    try:
        pem = b"-----BEGIN" in data
        found = x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
        key: Any = found.public_key()
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise EnvelopeError(f"it is no X.509 certificate ({type(error).__name__})") from None
    if not isinstance(key, RSAPublicKey):
        raise EnvelopeError("its key is not RSA, and PS3.15 E.1.1 has no other")
    if key.key_size < LEAST_BITS:
        raise EnvelopeError(f"its key has {key.key_size} bits; at least {LEAST_BITS} are needed")
    return Recipient(found)


def read_private_key(path: Path, recipient: Recipient, password: bytes | None = None) -> Owner:
    """The recipient's private key, PEM or DER, encrypted under `password` where there is one. Raises EnvelopeError."""
    _needed()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    data = _bytes(path)
    try:
        if b"-----BEGIN" in data:
            found: Any = serialization.load_pem_private_key(data, password)
        else:
            found = serialization.load_der_private_key(data, password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise EnvelopeError(f"it is no private key, or its password is another ({type(error).__name__})") from None
    if not isinstance(found, RSAPrivateKey):
        raise EnvelopeError("it is no RSA key")
    if found.public_key() != recipient.certificate.public_key():
        raise EnvelopeError("it is not the key of the certificate")
    return Owner(recipient, found)


def sealed(content: bytes, recipient: Recipient) -> bytes:
    """The envelope, DER. Another one at every call: its key and its initial vector are random."""
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7EnvelopeBuilder, PKCS7Options

    builder = PKCS7EnvelopeBuilder().set_data(content).add_recipient(recipient.certificate)
    # Binary: the content is no text, whose line ends could be changed on the way.
    return bytes(builder.set_content_encryption_algorithm(AES256).encrypt(Encoding.DER, [PKCS7Options.Binary]))


def opened(envelope: bytes, owner: Owner) -> bytes:
    """The content; what stands behind the envelope, as the padding of an element does, is left out.

    Raises EnvelopeError when it is for another recipient, or damaged.
    """
    _needed()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization.pkcs7 import pkcs7_decrypt_der

    try:
        return bytes(pkcs7_decrypt_der(_one(envelope), owner.recipient.certificate, owner.key, []))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise EnvelopeError(f"the envelope is for another recipient, or damaged ({type(error).__name__})") from None


def _one(data: bytes) -> bytes:
    """The first DER value of some bytes (X.690 8.1.3)."""
    if len(data) < 2 or data[0] != _SEQUENCE:
        raise EnvelopeError("it is no envelope")
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    if start + length > len(data):
        raise EnvelopeError("the envelope is cut short")
    return data[: start + length]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EnvelopeError(f"it cannot be read ({error.strerror})") from None


def _needed() -> None:
    try:
        import cryptography  # noqa: F401  whether it is there
    except ImportError:
        raise EnvelopeError("cryptography is not installed: pip install dicom-node[reversible]") from None
