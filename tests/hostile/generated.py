"""Conversations and messages made by hypothesis: built as the standard says, but for one or several fields."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

from node.dicom import command as dimse
from tests.dicom.datasets import IMPLICIT
from tests.hostile.conversations import COMMITMENT, CONTEXTS, CT, ECHO_CONTEXT, Conversation, instance
from tests.hostile.damage import NUMBERS
from tests.peers import VERIFICATION

FIELDS = (0x0001, 0x8001, 0x0020, 0x0021, 0x0010, 0x0030, 0x8030, 0x0FFF, 0x0100, 0x8100, 0x0110, 0x0120, 0x0130,
          0x0140, 0x0150, 0x0777)  # fmt: skip
"""Command Fields of PS3.7 Table E.1-1, and one that is none."""

_GOOD = instance()

some_bytes = st.binary(max_size=40)
numbers = st.sampled_from(NUMBERS)
uids = st.sampled_from([CT, VERIFICATION, COMMITMENT, _GOOD.sop_instance, "1.2.3", "", "1." * 32 + "1", "../../x",
                        "1.2.3\\1.2.4", "1.02.3"]).map(str.encode) | some_bytes  # fmt: skip


@st.composite
def framed(draw: st.DrawFn, head: bytes, form: str, body: bytes) -> bytes:
    """`head`, the length of `body` in this form, and `body`; one in ten lengths is wrong."""
    room = (1 << 8 * struct.calcsize(form)) - 1
    length = len(body)
    if draw(st.integers(0, 9)) == 0:
        length = draw(st.one_of(numbers, st.just(length + 1), st.just(max(0, length - 1))))
    return head + struct.pack(form, length & room) + body


# ---- the association request (PS3.8 9.3.2) -------------------------------------------------------------


@st.composite
def items(draw: st.DrawFn, kinds: tuple[int, ...], body: st.SearchStrategy[bytes]) -> bytes:
    kind = draw(st.sampled_from(kinds))
    return draw(framed(bytes([kind, 0]), ">H", draw(body)))


names = uids
proposals = st.builds(
    lambda number, syntaxes: bytes([number, 0, 0, 0]) + b"".join(syntaxes),
    st.sampled_from([0, 1, 2, 3, 5, 255]), st.lists(items((0x30, 0x40, 0x40, 0x77), names), max_size=4),
)  # fmt: skip
user_items = st.one_of(
    items((0x51,), st.one_of(st.just(b"\0\0\x40\0"), st.just(b"\0\0\0\0"), st.just(b"\xff" * 4), some_bytes)),
    items((0x52, 0x55), names),
    items((0x53,), some_bytes),
    items((0x54,), st.builds(lambda uid, roles: struct.pack(">H", len(uid)) + uid + roles, names, some_bytes)),
    items((0x56, 0x57), st.builds(lambda uid, more: struct.pack(">H", len(uid)) + uid + more, names, some_bytes)),
    items((0x58, 0x59), st.builds(
        lambda kind, reply, name, code: struct.pack(">BBH", kind, reply, len(name)) + name
        + struct.pack(">H", len(code)) + code,
        st.integers(0, 6), st.integers(0, 2), some_bytes, some_bytes,
    )),
)  # fmt: skip
variable = st.one_of(
    items((0x10,), st.one_of(st.just(b"1.2.840.10008.3.1.1.1"), names)),
    items((0x20, 0x20, 0x21), proposals),
    items((0x50,), st.lists(user_items, max_size=4).map(b"".join)),
    items((0x00, 0x77), some_bytes),
)
titles = st.sampled_from([b"NODE", b"HOSTILE", b"", b" ", b"\\", b"N\0DE", b"\xff\xfe", b"\t\n", b"RESEARCH"])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A-ASSOCIATE-RQ."""
    called = draw(st.one_of(st.just(b"NODE"), titles)).ljust(16)
    fixed = struct.pack(">H2x16s16s32x", draw(st.sampled_from([1, 1, 1, 0, 2, 0xFFFF])), called, draw(titles).ljust(16))
    body = fixed + b"".join(draw(st.lists(variable, max_size=6)))
    if draw(st.integers(0, 9)) == 0:
        body = body[: draw(st.integers(0, len(body)))]
    return draw(framed(b"\x01\0", ">L", body))


# ---- messages (PS3.7 6.3, PS3.8 E.2) -------------------------------------------------------------------

_values = st.one_of(numbers.map(lambda n: struct.pack("<L", n)), numbers.map(lambda n: struct.pack("<H", n & 0xFFFF)),
                    some_bytes)  # fmt: skip


@st.composite
def commands(draw: st.DrawFn) -> bytes:
    """A command set: a C-STORE or any other, of which elements lack, are twice there, or say something else."""
    elements: dict[int, bytes] = {
        dimse.AFFECTED_SOP_CLASS: CT.encode() + b"\0",
        dimse.COMMAND_FIELD: struct.pack("<H", draw(st.one_of(st.just(1), st.sampled_from(FIELDS)))),
        dimse.MESSAGE_ID: b"\x07\0", 0x0700: b"\0\0", dimse.DATA_SET_TYPE: draw(st.sampled_from([b"\1\0", b"\1\1"])),
        dimse.AFFECTED_SOP_INSTANCE: _GOOD.sop_instance.encode() + b"\0" * (len(_GOOD.sop_instance) % 2),
    }  # fmt: skip
    for number in draw(st.lists(st.sampled_from([*elements, 0x0003, 0x0120, 0x0900, 0x1001, 0x1002, 0x1008, 0x1030]),
                                max_size=3)):  # fmt: skip
        change = draw(st.one_of(st.none(), uids if number in (2, 3, 0x1000, 0x1001) else _values))
        if change is None:
            elements.pop(number, None)
        else:
            elements[number] = change
    parts = [draw(framed(struct.pack("<HH", 0, number), "<L", value)) for number, value in sorted(elements.items())]
    if parts and draw(st.integers(0, 9)) == 0:
        parts.insert(draw(st.integers(0, len(parts))), draw(st.sampled_from(parts)))
    body = b"".join(parts)
    return draw(framed(struct.pack("<HHL", 0, 0, 4), "<L", body)) if draw(st.booleans()) else body


@st.composite
def data_sets(draw: st.DrawFn) -> bytes:
    good = instance(draw(st.sampled_from([CONTEXTS[0][1][0], IMPLICIT]))).data
    match draw(st.integers(0, 4)):
        case 0:
            return draw(some_bytes)
        case 1:
            return good[: draw(st.integers(0, len(good)))]
        case 2:
            at, change = draw(st.integers(0, len(good) - 1)), draw(some_bytes)
            return good[:at] + change + good[at + draw(st.sampled_from([0, len(change)])) :]
        case _:
            return good


def p_data(context: int, control: int, data: bytes) -> bytes:
    return struct.pack(">BBLLBB", 4, 0, len(data) + 6, len(data) + 2, context, control) + data


contexts = st.one_of(st.just(1), st.sampled_from([0, 1, 2, 3, 5, ECHO_CONTEXT, 9, 99, 255]))


@st.composite
def messages(draw: st.DrawFn) -> Conversation:
    """The PDUs of one message, each as it should be framed: what is wrong is in what they carry."""
    context, pdus = draw(contexts), list[bytes]()
    parts = [(1, draw(commands())), *([(0, draw(data_sets()))] if draw(st.integers(0, 5)) else [])]
    for kind, data in parts:
        size = draw(st.sampled_from([len(data) + 1, len(data) + 1, 50, 7]))
        pieces = [data[start : start + size] for start in range(0, len(data), size)] or [b""]
        for number, piece in enumerate(pieces, 1):
            last = 2 if number == len(pieces) else 0
            pdus.append(p_data(context, kind | last, piece))
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(pdus) - 1))
        odd = bytearray(pdus[at])
        odd[draw(st.sampled_from([10, 11]))] ^= draw(st.sampled_from([1, 2, 3, 4, 0x80]))
        pdus[at] = bytes(odd)
    return tuple(pdus)


others = st.one_of(
    st.builds(lambda kind, body: struct.pack(">BBL", kind, 0, len(body)) + body, st.integers(0, 9), some_bytes),
    st.builds(lambda kind, more: struct.pack(">BBL2x", kind, 0, 4) + more, st.sampled_from([5, 6, 7]),
              st.binary(min_size=2, max_size=2)),
    requests(),
    some_bytes,
)  # fmt: skip
"""Anything but data."""


@st.composite
def conversations(draw: st.DrawFn, request: bytes) -> Conversation:
    """`request`, which the node accepts, or one that it may not; then messages and what should not come."""
    first = draw(st.one_of(st.just(request), st.just(request), requests()))
    rest = draw(st.lists(st.one_of(messages(), others.map(lambda pdu: (pdu,))), max_size=4))
    return (first, *(pdu for pdus in rest for pdu in pdus))
