"""Hostile input to each layer of receiving without a network: many more inputs than sockets can carry."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom import AE, build_context, evt

from node.dicom import command as dimse
from node.dicom.encoding import Malformed
from node.dicom.header import read_header
from node.model import Origin
from node.receive.association import Acceptance, Connection
from node.receive.pdata import Fragment, Pdu, Splitter, Unreadable
from node.receive.places import Admitted
from node.spool import Files
from tests.conftest import FULL
from tests.dicom.datasets import UNCOMPRESSED
from tests.hostile.conversations import CONTEXTS, Conversation, data_sets_in, recorded
from tests.hostile.damage import damaged
from tests.hostile.generated import commands, conversations, data_sets
from tests.hostile.watch import Held, assert_only_instances_are_kept, forget, watching
from tests.receive.station import Station, station

SPLIT, COMMANDS, HEADERS, DAMAGED, GENERATED = (12000, 8000, 8000, 48000, 6000) if FULL else (60, 60, 60, 200, 40)
"""Inputs of each kind."""
SEED = 27112026
TOO_LONG = 10_000
"""Turns of an upper layer after which it does not get on: a conversation has a hundred."""

pytestmark = pytest.mark.timeout(600)


# ---- what parses ---------------------------------------------------------------------------------------


def told_apart(stream: bytes, cuts: list[int]) -> tuple[list[object], str]:
    """Fragments, put together again, and PDUs; and what ended the reading."""
    splitter, found = Splitter(), list[Any]()
    edges = [0, *sorted(cuts), len(stream)]
    try:
        for start, end in itertools.pairwise(edges):
            for part in splitter.feed(memoryview(stream)[start:end]):
                if isinstance(part, Pdu):
                    found.append(part.data)
                elif found and isinstance(found[-1], list) and not found[-1][1] & 2:
                    _continue(found, part)
                else:
                    found.append([part.context_id, part.control, bytes(part.data)])
    except Unreadable as error:
        return found, str(error)
    return found, "" if splitter.between else "in the middle"


def _continue(found: list[Any], part: Fragment) -> None:
    """Fragments of one message are taken together where the last of them did not say so."""
    if found[-1][0] == part.context_id and found[-1][1] & 1 == part.control & 1:
        found[-1] = [part.context_id, part.control, found[-1][2] + bytes(part.data)]
    else:
        found.append([part.context_id, part.control, bytes(part.data)])


def test_a_hostile_stream_is_told_apart_the_same_way_however_it_is_cut(record_property: Callable[..., None]) -> None:
    tried = 0

    @settings(max_examples=SPLIT, database=None)
    @given(conversations(struct.pack(">BBL", 1, 0, 0)), st.data())
    def split(said: Conversation, data: st.DataObject) -> None:
        nonlocal tried
        tried += 1
        stream = b"".join(said)
        cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
        assert told_apart(stream, cuts) == told_apart(stream, [])

    split()
    record_property("figures", f"{tried} streams told apart")


def test_a_hostile_command_set_is_read_or_malformed(record_property: Callable[..., None]) -> None:
    tried = 0

    @settings(max_examples=COMMANDS, database=None)
    @given(commands())
    def parse(command: bytes) -> None:
        nonlocal tried
        tried += 1
        with contextlib.suppress(Malformed):
            for element in (values := dimse.parse_command(command)):
                number, uid = dimse.number_of(values, element), dimse.uid_of(values, element)
                assert number is None or 0 <= number <= 0xFFFF
                assert uid is None or 0 < len(uid) <= 64

    parse()
    record_property("figures", f"{tried} command sets")


def test_a_hostile_data_set_has_a_header_or_is_malformed(record_property: Callable[..., None]) -> None:
    tried = 0

    @settings(max_examples=HEADERS, database=None)
    @given(data_sets(), st.sampled_from(UNCOMPRESSED))
    def read(data: bytes, syntax: str) -> None:
        nonlocal tried
        tried += 1
        with contextlib.suppress(Malformed):
            read_header(data, syntax)

    read()
    record_property("figures", f"{tried} data sets")


# ---- what converses ------------------------------------------------------------------------------------


class Unsynced(Files):
    """A disk that is not waited for: no power is cut here."""

    def sync(self, descriptor: int) -> None: ...

    def sync_folder(self, folder: Path) -> None: ...


@dataclass(slots=True)
class Line:
    """Established associations of a station whose both threads are run by the test, turn by turn."""

    node: Station
    could_be_kept: set[str] = field(default_factory=set)
    conversations: int = 0
    _ae: AE = field(default_factory=lambda: AE("NODE"))

    def say(self, said: Conversation) -> None:
        """All that follows the association request, to a new association."""
        self.conversations += 1
        stream = b"".join(said)
        self.could_be_kept |= data_sets_in(stream)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            # Else the last answers could fill the socket, with nobody there to read them.
            for one in (ours, theirs):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            theirs.sendall(stream)
            theirs.shutdown(socket.SHUT_WR)
            self._serve(self._established(ours))

    def _established(self, connection: socket.socket) -> Acceptance:
        association: Any = Acceptance(self._ae, self.node.receiver)
        association.set_socket(Connection(association, client_socket=connection))
        receiver = self.node.receiver
        association.bind(evt.EVT_DIMSE_RECV, receiver._message)
        association.bind(evt.EVT_CONN_CLOSE, receiver._closed)
        association.requestor.ae_title = "HOSTILE"
        for number, (sop_class, (syntax,)) in enumerate(CONTEXTS):
            context = build_context(sop_class, syntax)
            context.context_id = 2 * number + 1
            association._accepted_cx[context.context_id] = context
        origin = Origin(calling_ae="HOSTILE", called_ae="NODE", sender="127.0.0.1")
        self.node.sessions.enter(association, origin, lambda places: Admitted())
        association.is_established = True
        association.dul.state_machine.current_state = "Sta6"
        found: Acceptance = association
        return found

    def _serve(self, association: Acceptance) -> None:
        """What the two threads of an association do, one after the other, until its end."""
        for _ in range(TOO_LONG):
            if association.dul._kill_thread:
                break
            try:
                association.dul._once()
            except Exception:  # as the upper layer's own loop
                association.dul.hang_up()
            while not association._kill and association._look():
                pass
        else:
            raise AssertionError("the upper layer does not come to an end")
        assert association.dul.listener is not None
        association.dul.listener.over()
        association.dul._bell.close()
        self.node.receiver.over(association)


@contextlib.contextmanager
def line(data: Path, told: Callable[..., None]) -> Iterator[Line]:
    with watching() as watch, station(data, files=Unsynced()) as node:
        one = Line(node)
        for said in recorded(node.port):
            one.could_be_kept |= data_sets_in(b"".join(said))
        node.until_nobody_is_here()
        before = Held.by(node)
        yield one
        assert watch.uncaught == []
        assert watch.errors == []
        assert_only_instances_are_kept(node, [])
        assert {a.sha256 for a in node.arrivals} <= one.could_be_kept
        forget(node, one.could_be_kept)
        leaks = before.leaks(node)
        told("figures", f"{one.conversations} conversations without a network: {len(node.kept())} instances kept; "
                        f"{before.growth(Held.by(node))}")  # fmt: skip
        assert leaks == []


def test_damaged_messages(tmp_path: Path, record_property: Callable[..., None]) -> None:
    random = Random(SEED)
    with line(tmp_path, record_property) as one:
        known = [said[1:] for said in recorded(one.node.port)]
        for _ in range(DAMAGED):
            one.say(damaged(random.choice(known), known, random))


def test_messages_made_up(tmp_path: Path, record_property: Callable[..., None]) -> None:
    with line(tmp_path, record_property) as one:

        @settings(max_examples=GENERATED, database=None)
        @given(conversations(b""))
        def say(said: Conversation) -> None:
            one.say(said)

        say()
