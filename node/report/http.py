"""`GET /healthz` and `GET /metrics`, for a monitor on the same machine."""

from __future__ import annotations

import json
import logging
import socket
import socketserver
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

Health = Callable[[], tuple[bool, Mapping[str, Any]]]
"""(all is well, facts as plain JSON values without patient data); may be called from several threads."""

log = logging.getLogger("node.report.http")


class StatusServer:
    """Serves health and metrics on `address` (host, port); port 0 takes a free one, see `port`.

    It binds when made and answers between `start` and `stop`; also a context manager. Raises OSError when
    the address cannot be bound. `patience` is how many seconds a client may take for each read and write.
    """

    def __init__(
        self, address: tuple[str, int], registry: CollectorRegistry, health: Health, *, patience: float = 5.0
    ) -> None:
        self._server = _Server(address, registry, health, patience)
        self.port: int = self._server.server_address[1]
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="status", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Answer no more; a request in progress ends with its thread. May be called without `start`."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> StatusServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a slow client must not hold up the end of the process

    def __init__(self, address: tuple[str, int], registry: CollectorRegistry, health: Health, patience: float) -> None:
        self.registry, self.health, self.patience = registry, health, patience
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Request)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's looks up the host's name, which may take long

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a status request broke off")  # the default prints a traceback to stderr


class _Request(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "dicom-node", ""

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.patience)

    def do_GET(self) -> None:
        answer = {"/healthz": self._health, "/metrics": self._metrics}.get(self.path.partition("?")[0])
        try:
            status, kind, body = answer() if answer else (404, "text/plain", b"not found\n")
        except Exception as error:  # whatever breaks there, the monitor must hear of it as an answer
            log.warning("%s could not be answered: %s", self.path.partition("?")[0], type(error).__name__)
            status, kind, body = 500, "text/plain", b"see the log\n"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _health(self) -> tuple[int, str, bytes]:
        well, facts = self.server.health()
        body = json.dumps({"healthy": well, **facts}, ensure_ascii=False).encode()
        return 200 if well else 503, "application/json", body + b"\n"

    def _metrics(self) -> tuple[int, str, bytes]:
        return 200, CONTENT_TYPE_LATEST, generate_latest(self.server.registry)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a monitor asks every few seconds."""
