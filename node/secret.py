"""The key of every pseudonym: made once, kept with mode 0600, and held against its fingerprint at each start.

Another key would give the same patient another name and break every series that continues; so a node whose
database knows one fingerprint does not start with another. A key that is rotated out stays beside the new one, under
its fingerprint: patients that were mapped with it keep their names.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node.errors import ConfigurationError

SMALLEST = 32
"""Bytes."""


FOLDER = "secrets"
"""Below the data folder: keys that were rotated out, each in a file named by its fingerprint."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The key in use and those before it, by fingerprint."""

    current: bytes = field(repr=False)
    former: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        return fingerprint(self.current)

    def by_id(self) -> Mapping[str, bytes]:
        return {**self.former, self.id: self.current}


def keys(current: bytes, former: Iterable[bytes]) -> Keys:
    return Keys(current, {fingerprint(one): one for one in former})


def load_or_make(path: Path) -> bytes:
    """The secret in a file; made when the file is not there. Raises ConfigurationError."""
    if not path.exists():
        write(path, new())
    return _read(path)


def new() -> bytes:
    """A key that nobody has: 256 random bits, as hexadecimal digits."""
    return secrets.token_hex(SMALLEST).encode()


def write(path: Path, secret: bytes, *, replace: bool = False) -> None:
    """Whole and on the disk under its name, or not there: half a secret would be refused at every later start,
    and two processes that start together must end up with one.

    One that is there already stays, unless `replace`.
    """
    hidden = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if replace:
            hidden.replace(path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(hidden, path)
    finally:
        hidden.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def put_by(folder: Path, secret: bytes) -> None:
    """Keep a key that is rotated out. Raises ConfigurationError when another one stands there under its name."""
    folder.mkdir(mode=0o700, exist_ok=True)
    write(folder / fingerprint(secret), secret)
    _read_former(folder / fingerprint(secret))


def load_former(folder: Path) -> list[bytes]:
    """The keys that were rotated out; none where there is no such folder. Raises ConfigurationError."""
    if not folder.is_dir():
        return []
    return [_read_former(path) for path in sorted(folder.iterdir()) if "." not in path.name]


def _read_former(path: Path) -> bytes:
    secret = _read(path)
    if fingerprint(secret) != path.name:
        raise ConfigurationError(f"the secret {path} is not the one that its name says: it was changed, or renamed")
    return secret


def check_given(path: Path) -> None:
    """Raises ConfigurationError for a file of somebody else's making that everyone on this machine can read.

    Its group may: that is how a secret is mounted into a container.
    """
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise ConfigurationError(f"the secret {path} cannot be read: {error.strerror}") from error
    if mode & 0o007:
        raise ConfigurationError(f"the secret {path} can be read by everyone (mode {mode:o}): chmod 600 {path}")


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


def another(path: Path) -> str:
    """What to say when the secret is not the one that a database knows."""
    return (
        "the secret is not the one this database was made with: the same patients would get other pseudonyms. "
        f"Put the former one back ({path}, or node: secret). Where it was changed on purpose, name the former one in "
        "node: former_secrets and run `dicom-node crosswalk rotate`"
    )
