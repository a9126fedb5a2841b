"""The acknowledgement of TCP that a sender may be waiting for.

Most senders leave Nagle's algorithm on (RFC 896): the small end of a message is not sent before what went ahead of it
is acknowledged, and a receiver that has nothing to say puts that off for 40 ms. Small instances came no faster than 22
a second so, whatever the disk does.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


def acknowledge(connection: Any) -> None:
    """Let what has come be acknowledged at once. It holds for a while only: say it before each wait for more."""
    if _QUICKACK is not None and connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
