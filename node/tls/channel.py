"""A TLS connection that one thread may read from while another one writes.

OpenSSL lets only one of them in at a time, and Python before 3.13 does not see to it. So each call takes the
gate, does what can be done at once, and waits outside it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

_Done = TypeVar("_Done")


class Channel(ssl.SSLSocket):
    """What a context of ours makes of a socket. `settimeout` holds as it does for a socket: per call."""

    _gate: threading.Lock
    _patience: float | None
    _ahead: bytes
    """What `ready` had to read to know that it is there."""

    def __new__(cls, *arguments: Any, **options: Any) -> Channel:
        self: Channel = super().__new__(cls, *arguments, **options)
        self._gate, self._patience, self._ahead = threading.Lock(), None, b""
        return self

    def settimeout(self, value: float | None) -> None:
        super().settimeout(0.0)  # below, nothing waits
        self._patience = value

    def gettimeout(self) -> float | None:
        return self._patience

    def do_handshake(self, block: bool = False) -> None:
        self._sure(super().do_handshake)

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        return self._sure(lambda: self._read(len, buffer))

    def _read(self, len: int, buffer: Any) -> Any:
        if not self._ahead or not len:
            return super().read(len, buffer)
        first, self._ahead = self._ahead, b""
        # What stands behind it in the same record is here too; what would have to be waited for is left.
        here = min(len - 1, super().pending())
        if buffer is None:
            return first + (super().read(here) if here else b"")
        view = memoryview(buffer).cast("B")
        view[:1] = first
        return 1 + (int(super().read(here, view[1:])) if here else 0)

    def ready(self) -> bool:
        """Whether a read would end at once: with data, at the end, or with an error.

        That bytes have come is not enough: those of TLS itself, such as the tickets that a server sends after the
        handshake, are no data, and a read would wait for some.
        """
        with self._gate:
            if not self._ahead:
                try:
                    self._ahead = super().read(1)
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    return False
                except OSError:
                    return True
            return True

    def send(self, data: Any, flags: int = 0) -> int:
        return self._sure(lambda: super(Channel, self).send(data, flags))

    def pending(self) -> int:
        with self._gate:
            return len(self._ahead) + super().pending()

    def shutdown(self, how: int) -> None:
        """Says goodbye as TLS wants it, when that can be done at once, and wakes whoever waits."""
        with contextlib.suppress(OSError, ValueError), self._gate:
            tls: Any = getattr(self, "_sslobj", None)
            if tls is not None:
                tls.shutdown()
        # Not SSLSocket's own, which would make a plain connection of it under the hands of another thread.
        # When the peer was first there is nothing to shut down, and pynetdicom would not close what fails here.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self, how)

    def _sure(self, call: Callable[[], _Done]) -> _Done:
        deadline = None if self._patience is None else time.monotonic() + self._patience
        while True:
            try:
                with self._gate:
                    return call()
            except ssl.SSLWantReadError:
                self._await(select.POLLIN, deadline)
            except ssl.SSLWantWriteError:
                self._await(select.POLLOUT, deadline)

    def _await(self, event: int, deadline: float | None) -> None:
        left = None if deadline is None else (deadline - time.monotonic()) * 1000
        if left is not None and left <= 0:
            raise TimeoutError("timed out")
        waiting, descriptor = select.poll(), self.fileno()
        if descriptor < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        waiting.register(descriptor, event)
        if not waiting.poll(left):
            raise TimeoutError("timed out")


def secure(connection: socket.socket, context: ssl.SSLContext, seconds: float, *, name: str | None = None) -> Channel:
    """The connection under TLS; `name` is that of the server, from its client.

    seconds     for the whole handshake, however slowly the bytes come

    Raises ssl.SSLError, OSError, TimeoutError; the connection is closed then.
    """
    connection.settimeout(seconds)
    try:
        channel = context.wrap_socket(
            connection, server_side=name is None, server_hostname=name, do_handshake_on_connect=False
        )
    except BaseException:
        connection.close()
        raise
    assert isinstance(channel, Channel)
    try:
        channel.do_handshake()
    except BaseException:
        channel.close()
        raise
    return channel
