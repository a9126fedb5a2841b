"""The keys of the certificate, derived from the node's secret, each for one use (HMAC-SHA256, RFC 2104).

A plain hash of a date or an identifier can be guessed, with a salt as well (PS3.15 E.1.1); one under a key that never
leaves the node cannot. None of them is the key of the pseudonyms, so that what is published under one tells nothing
under another.
"""

from __future__ import annotations

import hmac
from base64 import b85encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

ValueCode = Callable[[bytes | memoryview | None], str]
"""An encoded value -> what stands for it within the node: equal for equal values, and of no use without the key."""

EMPTY = ""
"""The code of a value without bytes."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What is made with the keys; the keys themselves go nowhere."""

    secret: bytes = field(repr=False)
    former: tuple[bytes, ...] = field(default=(), repr=False)
    """Secrets that were rotated out: nothing is made with them any more, and what was sealed under them verifies."""

    def every(self) -> Iterator[Keys]:
        """The ones in use, then those before them."""
        return map(Keys, (self.secret, *self.former))

    def sealed(self, data: bytes, seal: str) -> bool:
        """Whether a seal is one of these keys'."""
        # JSON may have half a surrogate pair, which has no encoding.
        found = seal.encode(errors="replace")
        return any(hmac.compare_digest(found, one.seal(data).encode()) for one in self.every())

    @property
    def id(self) -> str:
        """Tells which secret a certificate was sealed under, and gives none of it away."""
        return self._derived(b"id").hex()[:16]

    def seal(self, data: bytes) -> str:
        return hmac.digest(self._derived(b"seal"), data, "sha256").hex()

    def chain(self, process: str) -> str:
        """The name of a process's chain. A process is named by its host, which says whose it is."""
        return hmac.digest(self._derived(b"chain"), process.encode(), "sha256").hex()[:24]

    def uid(self, uid: str) -> str:
        """A UID as a certificate writes it."""
        return hmac.digest(self._derived(b"uid"), uid.encode(), "sha256").hex()[:32]

    def value(self) -> ValueCode:
        key = self._derived(b"value")
        return lambda value: _code(key, value) if value else EMPTY

    def _derived(self, use: bytes) -> bytes:
        return hmac.digest(self.secret, b"dicom-node certificate " + use, "sha256")


def _code(key: bytes, value: bytes | memoryview) -> str:
    """128 bits in 20 characters."""
    return b85encode(hmac.digest(key, value, "sha256")[:16]).decode()
