"""The keys of the certificate, derived from the node's secret, each for one use (HMAC-SHA256, RFC 2104).

A plain hash of a date or an identifier can be guessed, with a salt as well (PS3.15 E.1.1); one under a key that never
leaves the node cannot. None of them is the key of the pseudonyms, so that what is published under one tells nothing
under another.
"""

from __future__ import annotations

import hmac
from binascii import b2a_base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256

ValueCode = Callable[[bytes | memoryview | None], str]
"""An encoded value -> what stands for it within the node: equal for equal values, and of no use without the key."""

BLOCK = 64
"""Bytes that SHA-256 takes in at once."""

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
        digest = keyed(self._derived(b"value"))
        return lambda value: _code(digest(value)) if value else EMPTY

    def _derived(self, use: bytes) -> bytes:
        return hmac.digest(self.secret, b"dicom-node certificate " + use, "sha256")


def keyed(key: bytes) -> Callable[[bytes | memoryview], bytes]:
    """HMAC-SHA256 under a key of at most 64 bytes, for very many short messages: RFC 2104 on hashes that have taken in
    the key already, at a third of the cost of hmac.digest."""
    block = key.ljust(BLOCK, b"\0")
    inner, outer = (sha256(bytes(byte ^ pad for byte in block)).copy for pad in (0x36, 0x5C))

    def digest(message: bytes | memoryview) -> bytes:
        within, around = inner(), outer()
        within.update(message)
        around.update(within.digest())
        return around.digest()

    return digest


def _code(digest: bytes) -> str:
    """120 bits in 20 characters of base 64 (RFC 4648 4), which need nothing before them in JSON."""
    return b2a_base64(digest[:15], newline=False).decode()
