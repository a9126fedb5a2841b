"""A sender with Nagle's algorithm on, as most are, does not wait for an acknowledgement that is put off."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests import make
from tests.peers import Instance, Sender
from tests.receive.station import station

CONTEXT = [(make.CT_IMAGE, ["1.2.840.10008.1.2.1"])]


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="this system has no such option")
@pytest.mark.parametrize("processes", [0, 1])
def test_the_end_of_a_small_instance_is_not_kept_back(tmp_path: Path, processes: int) -> None:
    instances = [Instance.of(make.instance(number=number)) for number in range(40)]
    with station(tmp_path, processes=processes) as node, Sender(node.port, CONTEXT) as sender:
        sender._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        took = []
        for one in instances:
            began = time.monotonic()
            assert sender.store(one) == 0
            took.append(time.monotonic() - began)
    # The first segments of a connection are always acknowledged at once.
    assert min(took[30:]) < 0.03, "else each waits for 40 ms"
