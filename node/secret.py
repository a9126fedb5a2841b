"""The key of every pseudonym: made once, kept with mode 0600, and held against its fingerprint at each start.

Another key would give the same patient another name and break every series that continues; so a node whose
database knows one fingerprint does not start with another.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from node.errors import ConfigurationError

SMALLEST = 32
"""Bytes."""


def load_or_make(path: Path) -> bytes:
    """The secret in a file; made when the file is not there. Raises ConfigurationError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    with os.fdopen(descriptor, "wb") as file:
        secret = secrets.token_hex(SMALLEST).encode()
        file.write(secret + b"\n")
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return secret


def _read(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode & 0o777
        text = path.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(f"the secret {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigurationError(f"the secret {path} can be read by others (mode {mode:o}): chmod 600 {path}")
    return check(text, str(path))


def check(secret: bytes, where: str) -> bytes:
    """Raises ConfigurationError when it is too short to protect a name from being guessed."""
    if len(secret) < SMALLEST:
        raise ConfigurationError(f"the secret in {where} has {len(secret)} bytes; it needs at least {SMALLEST}")
    return secret


def fingerprint(secret: bytes) -> str:
    """What the database keeps: tells secrets apart, and gives none away."""
    return hmac.new(secret, b"dicom-node fingerprint", hashlib.sha256).hexdigest()[:32]
