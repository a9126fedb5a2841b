"""The key of every pseudonym: made once, kept with mode 0600, and held against its fingerprint at each start.

Another key would give the same patient another name and break every series that continues; so a node whose
database knows one fingerprint does not start with another.
"""

from __future__ import annotations

import contextlib
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
    if not path.exists():
        _make(path)
    return _read(path)


def _make(path: Path) -> None:
    """Whole and on the disk under its name, or not there: half a secret would be refused at every later start,
    and two processes that start together must end up with one."""
    hidden = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(SMALLEST).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(hidden, path)
    finally:
        hidden.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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
