"""C-STORE in the thread that reads: streamed, answered in order, and everything else left to pynetdicom."""

from __future__ import annotations

import struct
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from node.dicom import command as dimse
from node.dicom.command import encode_command
from node.dicom.status import DOES_NOT_MATCH
from node.model import UID, Identity, Origin
from node.receive.conversation import Conversation, Told
from node.receive.keeper import Command
from node.receive.pdata import Fragment
from node.receive.places import Admitted
from node.receive.session import Phase, Sessions
from tests import make
from tests.dicom.datasets import EXPLICIT, IMPLICIT, explicit
from tests.peers import VERIFICATION, Gone, Instance, Sender
from tests.receive.station import station, until
from tests.receive.test_session import identity

CT = make.CT_IMAGE
GOOD = Instance.of(make.instance())
CONTEXTS = [(CT, [EXPLICIT]), (VERIFICATION, [IMPLICIT])]


def large(size: int) -> Instance:
    pixels = explicit(0x7FE00010, "OW", b"\0" * size)
    return Instance(
        sop_class=CT, sop_instance=GOOD.sop_instance, transfer_syntax=EXPLICIT, data=GOOD.data + pixels
    )  # fmt: skip


def test_an_instance_is_never_whole_in_memory(tmp_path: Path) -> None:
    fragment = b"\0" * 100_000
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        instance = large(len(fragment) * 400)
        sender.begin(instance, only=0)
        head = instance.data[: len(instance.data) - 400 * len(fragment)]
        sender.raw(sender.p_data(1, 0x00, head))
        del instance
        pdu, last = sender.p_data(1, 0x00, fragment), sender.p_data(1, 0x02, fragment)
        tracemalloc.start()
        try:
            for number in range(400):
                sender.raw(last if number == 399 else pdu)
            assert sender.status() == 0
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4 << 20
        assert node.arrivals[0].size == len(head) + 400 * len(fragment)


def test_requests_that_are_not_waited_for_are_answered_in_their_order(tmp_path: Path) -> None:
    instances = [Instance.of(make.instance(number=n)) for n in range(20)]
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        for one in instances:
            sender.begin(one)
        assert [sender.status() for _ in instances] == [0] * 20
        assert {str(a.identity.sop_instance) for a in node.arrivals} == {one.sop_instance for one in instances}


def test_a_command_may_come_in_pieces(tmp_path: Path) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        whole: list[bytes] = []
        sender.raw = whole.append  # type: ignore[method-assign]  # only to see what it would send
        sender.begin(GOOD, only=0)
        del sender.raw  # type: ignore[method-assign]  # back to the socket
        command = whole[0][12:]
        for start in range(0, len(command), 10):
            piece = command[start : start + 10]
            sender.raw(sender.p_data(1, 0x03 if start + 10 >= len(command) else 0x01, piece))
        sender.raw(sender.p_data(1, 0x02, GOOD.data))
        assert sender.status() == 0
        assert node.stored() == [GOOD.data]


def request(**changed: bytes | int | str) -> bytes:
    values: dict[int, bytes | int | str] = {
        dimse.AFFECTED_SOP_CLASS: CT, dimse.COMMAND_FIELD: dimse.C_STORE_RQ, dimse.MESSAGE_ID: 5, 0x0700: 0,
        dimse.DATA_SET_TYPE: 1, dimse.AFFECTED_SOP_INSTANCE: GOOD.sop_instance,
    }  # fmt: skip
    return encode_command(values | {int(k[1:], 16): v for k, v in changed.items()})


def test_the_data_set_of_another_context_is_not_mixed_into_an_instance(tmp_path: Path) -> None:
    contexts = [(CT, [EXPLICIT]), (CT, [IMPLICIT])]
    with station(tmp_path) as node, Sender(node.port, contexts) as sender:
        sender.raw(sender.p_data(1, 0x03, request()))
        sender.raw(sender.p_data(3, 0x02, GOOD.data))
        with pytest.raises((Gone, OSError)):
            sender.status()
        node.until_nobody_is_here()
        assert node.kept() == []
        assert node.leftovers() == []


def test_a_command_in_the_middle_of_a_data_set_ends_the_association(tmp_path: Path) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        sender.raw(sender.p_data(1, 0x03, request()))
        sender.raw(sender.p_data(1, 0x00, GOOD.data[:100]))
        sender.raw(sender.p_data(1, 0x03, request()))
        with pytest.raises((Gone, OSError)):
            sender.status()
        node.until_nobody_is_here()
        assert node.leftovers() == []


@pytest.mark.parametrize("last", [0x00, 0x02])
def test_data_of_no_message_end_the_association(tmp_path: Path, last: int) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        sender.raw(sender.p_data(1, last, GOOD.data[:100]))
        sender.raw(sender.p_data(1, 0x03, request()) + sender.p_data(1, 0x02, GOOD.data))
        with pytest.raises(Gone):
            sender.status()
        assert node.kept() == []


def test_a_command_in_the_middle_of_another_message_ends_the_association(tmp_path: Path) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        sender.raw(sender.p_data(3, 0x03, request(x0100=0x0130)) + sender.p_data(3, 0x00, GOOD.data[:100]))
        sender.raw(sender.p_data(1, 0x03, request()) + sender.p_data(1, 0x02, GOOD.data))
        with pytest.raises(Gone):
            sender.status()
        assert node.kept() == []


def cancel(data_set: int = dimse.NO_DATA_SET) -> bytes:
    values: dict[int, bytes | int | str] = {0x0100: dimse.C_CANCEL_RQ, 0x0120: 1, 0x0800: data_set}
    return encode_command(values)


@pytest.mark.parametrize("processes", [0, 1])
def test_a_cancel_is_no_instance_that_is_waited_for(tmp_path: Path, processes: int) -> None:
    """Its unit would never close, its place never be taken by another, and a stop would wait for it in vain."""
    with station(tmp_path, processes=processes) as node, Sender(node.port, CONTEXTS) as sender:
        for _ in range(12):  # pynetdicom remembers ten
            assert sender.store(GOOD) == 0
            sender.raw(sender.p_data(1, 0x03, cancel()))
        assert sender.store(GOOD) == 0
        sender.raw(sender.p_data(1, 0x03, cancel()))
        assert sender.echo() == 0
        sender.raw(sender.p_data(1, 0x03, cancel()))
        until(lambda: node.sessions.places()[0].idle is not None, "the association is idle")
        assert node.sessions.receiving(0.0) == set()
        assert node.sessions.count() == 1


def test_a_cancel_with_data_is_no_message(tmp_path: Path) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        sender.raw(sender.p_data(1, 0x03, cancel(dimse.WITH_DATA_SET)))
        with pytest.raises(Gone):
            sender.status()
        assert node.kept() == []


def test_a_command_without_an_end_is_given_up(tmp_path: Path) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        piece = struct.pack("<HHL", 0, 0x0003, 4000) + b"\0" * 4000
        with pytest.raises((Gone, OSError)):  # noqa: PT012  # which of the sends fails is the network's choice
            for _ in range(100):
                sender.raw(sender.p_data(1, 0x01, piece))
            sender.status()
        node.until_nobody_is_here()


def test_a_message_without_end_that_is_no_store_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.receive.conversation._LONGEST_OTHER", 100_000)
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        sender.raw(sender.p_data(1, 0x03, request(x0100=0x0020)))
        with pytest.raises((Gone, OSError)):  # noqa: PT012  # which of the sends fails is the network's choice
            for _ in range(100):
                sender.raw(sender.p_data(1, 0x00, b"\0" * 10_000))
            sender.status()
        node.until_nobody_is_here()


def test_an_association_contributes_to_the_units_of_what_it_sent_and_of_nothing_that_was_refused(
    tmp_path: Path,
) -> None:
    """While the next instance arrives, none of them closes."""
    other = Instance.of(make.instance(series="other"))
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        assert sender.store(GOOD) == 0
        assert sender.store(replace(other, data=GOOD.data)) == DOES_NOT_MATCH
        (session,) = node.sessions._open.values()
        until(lambda: session.phase is Phase.IDLE, "its answer is out")
        assert list(session.contributed) == [f"NODE/{make.uid('study', 'series')}", f"NODE/{make.uid('study')}"]


class Silence:
    """A connection, and a keeper of instances; both note what they are told."""

    key = "a"

    def __init__(self) -> None:
        self.story: list[str] = []

    def syntax(self, context_id: int) -> UID:
        return UID(EXPLICIT)

    def send_now(self, data: bytes) -> None:
        self.story.append("answered")

    def leave(self, context_id: int, command: bytes) -> None:
        self.story.append("left")

    def refuse_message(self) -> None:
        self.story.append("refused")

    def abort(self) -> None:
        self.story.append("aborted")

    def reach(self, point: str) -> None:
        self.story.append(point)

    def begin(self, transfer_syntax: UID, origin: Origin, command: Command) -> Silence:
        self.story.append("begun")
        return self

    def write(self, data: memoryview) -> None:
        self.story.append("written")

    def reads(self, buffer: memoryview) -> bool:
        return False

    def belongs_to(self) -> tuple[str, ...]:
        return ()

    def keep(self) -> tuple[object, Identity]:
        self.story.append("kept")
        return None, identity("series")

    def discard(self) -> None:
        self.story.append("discarded")


@pytest.mark.parametrize("stops", [False, True])
def test_when_the_node_stops_what_was_not_in_flight_is_neither_kept_nor_answered(stops: bool) -> None:
    said, sessions = Silence(), Sessions()
    sessions.enter("a", Origin(calling_ae="CT1", called_ae="NODE", sender="10.1.2.3"), lambda places: Admitted())
    conversation = Conversation(said, said, sessions, Told())
    if stops:
        sessions.last_calls()
    conversation.fragment(Fragment(1, 0x03, memoryview(request())))
    conversation.fragment(Fragment(1, 0x02, memoryview(GOOD.data)))
    ends = ["aborted"] if stops else ["kept", "before the answer", "answered"]
    assert said.story == ["begun", "written", *ends, "discarded"]
    assert not conversation.busy


def test_the_answer_names_the_message_and_the_instance(tmp_path: Path) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        sender.raw(sender.p_data(1, 0x03, request(x0110=4242)) + sender.p_data(1, 0x02, GOOD.data))
        _, body = sender.pdu()
        answer = dimse.parse_command(body[6:])
        assert dimse.number_of(answer, dimse.MESSAGE_ID_RESPONDED_TO) == 4242
        assert dimse.number_of(answer, dimse.STATUS) == 0
        assert dimse.uid_of(answer, dimse.AFFECTED_SOP_INSTANCE) == GOOD.sop_instance
        assert len(node.kept()) == 1
