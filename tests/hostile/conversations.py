"""What well-behaved senders say, recorded from the tests' own sender against a running station."""

from __future__ import annotations

import contextlib
import hashlib
import struct
from collections.abc import Callable
from functools import cache

from node.dicom import command as dimse
from node.receive.pdata import COMMAND, LAST, Fragment, Splitter, Unreadable
from tests import make
from tests.dicom.datasets import DEFLATED, EXPLICIT, IMPLICIT, encoded
from tests.peers import VERIFICATION, Instance, Sender

CT, COMMITMENT = make.CT_IMAGE, "1.2.840.10008.1.20.1"
CONTEXTS = [
    (CT, [EXPLICIT]), (CT, [IMPLICIT]), (CT, [DEFLATED]), (VERIFICATION, [IMPLICIT]), (COMMITMENT, [IMPLICIT]),
]  # fmt: skip
ECHO_CONTEXT = 7
"""The ID of the verification context in CONTEXTS."""

Conversation = tuple[bytes, ...]
"""The PDUs of one sender, the association request first."""

C_ECHO, C_CANCEL, N_EVENT_REPORT, N_ACTION = 0x0030, 0x0FFF, 0x0100, 0x0130


class Recording(Sender):
    """A Sender that remembers what it said."""

    def __init__(self, port: int) -> None:
        super().__init__(port, CONTEXTS, calling_ae="HOSTILE")
        self.said: list[bytes] = []

    def raw(self, data: bytes) -> None:
        self.said.append(data)
        super().raw(data)


@cache
def instance(syntax: str = EXPLICIT, number: int = 1) -> Instance:
    """A small, good one."""
    ds = make.instance(number=number)
    return Instance(sop_class=CT, sop_instance=str(ds.SOPInstanceUID), transfer_syntax=syntax, data=encoded(ds, syntax))


def message(field: int, *, number: int = 1, data_set: bool = False, **others: bytes | int | str) -> bytes:
    """The command set of any DIMSE message; `others` are elements of group 0 as x1000=..."""
    values: dict[int, bytes | int | str] = {
        dimse.COMMAND_FIELD: field, dimse.MESSAGE_ID: number, dimse.DATA_SET_TYPE: 1 if data_set else 0x0101
    }  # fmt: skip
    return dimse.encode_command(values | {int(name[1:], 16): value for name, value in others.items()})


def stores(*syntaxes: str) -> Callable[[Recording], None]:
    def said(sender: Recording) -> None:
        for number, syntax in enumerate(syntaxes):
            assert sender.store(instance(syntax, number)) == 0
        sender.release()

    return said


def echoes(sender: Recording) -> None:
    assert sender.echo() == 0
    sender.release()


def in_many_fragments(sender: Recording) -> None:
    sender.max_pdu = 46
    assert sender.store(instance()) == 0
    sender.release()


def in_one_pdu(sender: Recording) -> None:
    """Command and data set as two fragments of the same PDU (PS3.8 9.3.5.1)."""
    one = instance()
    command = message(dimse.C_STORE_RQ, data_set=True, x0002=one.sop_class, x0700=0, x1000=one.sop_instance)
    items = b"".join(
        struct.pack(">LBB", len(part) + 2, 1, control) + part for control, part in ((3, command), (2, one.data))
    )
    sender.raw(struct.pack(">BBL", 4, 0, len(items)) + items)
    assert sender.status() == 0
    sender.release()


def aborts_in_the_middle(sender: Recording) -> None:
    sender.begin(instance(), only=200)
    sender.abort()


def changes_its_mind(sender: Recording) -> None:
    sender.raw(sender.p_data(1, 3, message(C_CANCEL, x0120=1)))
    assert sender.echo() == 0
    sender.release()


def asks_for_commitment(sender: Recording) -> None:
    sender.raw(sender.p_data(9, 3, message(N_ACTION, data_set=True, x0003=COMMITMENT, x1001="1.2.840.10008.1.20.1.1",
                                           x1008=1)))  # fmt: skip
    sender.raw(sender.p_data(9, 2, encoded(make.instance(), IMPLICIT)))


def reports_an_event(sender: Recording) -> None:
    sender.raw(sender.p_data(ECHO_CONTEXT, 3, message(N_EVENT_REPORT, x0002=COMMITMENT, x1000="1.2.3", x1002=1)))


SAID: dict[str, Callable[[Recording], None]] = {
    "echo": echoes,
    "store": stores(EXPLICIT),
    "stores": stores(EXPLICIT, IMPLICIT, DEFLATED),
    "in many fragments": in_many_fragments,
    "in one PDU": in_one_pdu,
    "abort": aborts_in_the_middle,
    "cancel": changes_its_mind,
    "commitment": asks_for_commitment,
    "event report": reports_an_event,
}


def recorded(port: int) -> list[Conversation]:
    """Each of SAID, as it went over the wire."""
    found = []
    for said in SAID.values():
        sender = Recording(port)
        sender.connect()
        sender.associate()
        said(sender)
        sender.cut()
        found.append(tuple(sender.said))
    return found


def data_sets_in(stream: bytes) -> set[str]:
    """SHA-256 of everything in this stream that one C-STORE could have carried: the data fragments from a whole
    command to the one that says it is the last."""
    found, collected = set[str](), b""
    with contextlib.suppress(Unreadable):
        for part in Splitter().feed(memoryview(stream)):
            if not isinstance(part, Fragment) or part.control & COMMAND:
                collected = b""
                continue
            collected += bytes(part.data)
            if part.control & LAST:
                found.add(hashlib.sha256(collected).hexdigest())
                collected = b""
    return found
