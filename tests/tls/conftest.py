from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.authority import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextlib.contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets over TCP."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname(), timeout=10)
        other = server.accept()[0]
    other.settimeout(10)
    with one, other:
        yield one, other


class Beside:
    """Runs a call in a thread; `result` is what it returned, or raises what it raised."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value, self._error = self._call(), None
        except Exception as error:  # handed to whoever asks for the result
            self._value, self._error = None, error

    def result(self, deadline: float = 10.0) -> object:
        self._thread.join(deadline)
        assert not self._thread.is_alive(), f"not over within {deadline} s"
        if self._error is not None:
            raise self._error
        return self._value
