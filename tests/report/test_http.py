from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from node.report.http import StatusServer
from node.report.metrics import Figures, Metrics


class Node:
    """What the server asks; well until told otherwise."""

    def __init__(self) -> None:
        self.well = True
        self.broken = False

    def health(self) -> tuple[bool, dict[str, Any]]:
        if self.broken:
            raise RuntimeError("Secret^Person")
        return self.well, {"receiving": self.well}

    def figures(self) -> Figures:
        if self.broken:
            raise RuntimeError("Secret^Person")
        return Figures(states={"held": 3})


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def server(node: Node) -> Iterator[StatusServer]:
    with StatusServer(("127.0.0.1", 0), Metrics(node.figures).registry, node.health) as server:
        yield server


def get(server: StatusServer, path: str, method: str = "GET") -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_health_is_200_while_all_is_well_and_503_otherwise(server: StatusServer, node: Node) -> None:
    status, body = get(server, "/healthz")
    assert (status, json.loads(body)) == (200, {"healthy": True, "receiving": True})
    node.well = False
    status, body = get(server, "/healthz")
    assert (status, json.loads(body)) == (503, {"healthy": False, "receiving": False})


def test_metrics_are_served_for_prometheus(server: StatusServer) -> None:
    status, body = get(server, "/metrics?name=x")
    assert status == 200
    assert 'dicom_node_instances{state="held"} 3.0' in body


def test_nothing_else_is_there(server: StatusServer) -> None:
    assert get(server, "/")[0] == 404
    assert get(server, "/metrics/../etc")[0] == 404
    assert get(server, "/healthz", "POST")[0] == 501


@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
def test_what_breaks_behind_it_is_an_answer_without_details(
    server: StatusServer, node: Node, path: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    node.broken = True
    status, body = get(server, path)
    assert status == 500
    assert "Secret" not in body + caplog.text + capfd.readouterr().err
    assert "RuntimeError" in caplog.text
    node.broken = False
    assert get(server, path)[0] == 200


def test_requests_and_broken_ones_print_nothing(server: StatusServer, capfd: pytest.CaptureFixture[str]) -> None:
    get(server, "/healthz")
    with socket.create_connection(("127.0.0.1", server.port)) as rude:
        rude.sendall(b"GET /metrics HTTP/1.1\r\n")
    get(server, "/healthz")
    assert capfd.readouterr().err == ""


def test_a_silent_client_is_left_and_holds_up_nobody(node: Node) -> None:
    with (
        StatusServer(("127.0.0.1", 0), Metrics().registry, node.health, patience=0.3) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=5) as silent,
    ):
        assert get(server, "/healthz")[0] == 200
        assert silent.recv(1) == b""


def test_after_stop_the_port_is_free_and_the_thread_gone(node: Node) -> None:
    before = set(threading.enumerate())
    server = StatusServer(("127.0.0.1", 0), Metrics().registry, node.health)
    server.start()
    started = set(threading.enumerate()) - before
    assert started
    server.stop()
    assert not any(thread.is_alive() for thread in started)
    StatusServer(("127.0.0.1", server.port), Metrics().registry, node.health).stop()


def test_a_port_in_use_is_an_error_at_once(server: StatusServer, node: Node) -> None:
    with pytest.raises(OSError, match="in use"):
        StatusServer(("127.0.0.1", server.port), Metrics().registry, node.health)
