"""A plugin for pytest: the tests that ship inside pynetdicom run against our server, handler and upper layer.

Loaded with `-p tests.receive.shipped` in a process of its own, because it changes pynetdicom's AE for all of it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import pytest
from pynetdicom import AE

from node.receive.association import Acceptance, Handler, Server
from node.tls import Channel

SKIPPED: dict[str, str] = {
    "test_gc": "it waits for the collection that pynetdicom's server forces each minute; ours leaves it to Python",
}
"""Test -> why it cannot hold for our classes. Each entry needs its reason."""

_made = 0


class Everything:
    """An Acceptor that leaves every message to pynetdicom's services."""

    def listen_to(self, association: Any) -> None:
        global _made
        _made += 1

    def serve(self, association: Any, message: Any, context_id: int) -> bool:
        return False

    def served(self, association: Any) -> None: ...

    def over(self, association: Any) -> None: ...

    def not_secured(self, address: str, error: OSError) -> None: ...

    def not_asked(self, address: str, why: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Given:
    """The TLS context of a test, as our server wants it."""

    made: Any

    def context(self) -> Any:
        self.made.sslsocket_class = Channel
        return self.made


_stock = AE.make_server


def _make_server(self: AE, *arguments: Any, server_class: Any = None, ssl_context: Any = None, **how: Any) -> Any:
    # By name: tests of TLS load pynetdicom's modules again, after which its classes are others.
    own = server_class is None or server_class.__module__ == "pynetdicom.transport"
    if not own or "request_handler" in how:
        return _stock(self, *arguments, server_class=server_class, ssl_context=ssl_context, **how)
    handler = functools.partial(Handler, acceptor=Everything())
    server = _stock(self, *arguments, server_class=Server, request_handler=handler, **how)
    if ssl_context is not None:
        server.certificates = Given(ssl_context)
    return server


def pytest_configure() -> None:
    AE.make_server = _make_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        reason = SKIPPED.get(item.name)
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Without this a plugin that did nothing would look like success."""
    terminalreporter.write_line(f"{_made} associations by {Acceptance.__name__}")
