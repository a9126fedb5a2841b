"""The stream of an association is told apart the same way wherever the network cuts it."""

from __future__ import annotations

import contextlib
import itertools
import struct
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.dicom import command as dimse
from node.receive.pdata import COMMAND, LAST, LONGEST_PDU, Fragment, Pdu, Splitter, Unreadable, begins_to_store, p_data

RELEASE = struct.pack(">BBLL", 0x05, 0, 4, 0)

Told = list[tuple[int, int, bytes] | bytes]
"""(context ID, control, data) of whole fragments, and other PDUs."""


def told(stream: bytes, cuts: list[int] | None = None) -> Told:
    """What a Splitter makes of a stream that comes in these pieces, fragments put together again."""
    splitter, found, open_fragment = Splitter(), Told(), b""
    edges = [0, *sorted(cuts or []), len(stream)]
    for start, end in itertools.pairwise(edges):
        for part in splitter.feed(memoryview(stream)[start:end]):
            if isinstance(part, Pdu):
                found.append(part.data)
                continue
            open_fragment += bytes(part.data)
            if part.control & LAST:
                found.append((part.context_id, part.control, open_fragment))
                open_fragment = b""
    assert splitter.between
    return found


fragments = st.tuples(st.integers(0, 255), st.sampled_from([0, COMMAND]), st.binary(max_size=300))


def pdu_of(items: list[tuple[int, int, bytes]]) -> bytes:
    """One P-DATA-TF with these fragments, each the last of its message."""
    body = b"".join(
        struct.pack(">LBB", len(data) + 2, context, control | LAST) + data for context, control, data in items
    )
    return struct.pack(">BBL", 0x04, 0, len(body)) + body


@given(st.lists(st.one_of(st.lists(fragments, max_size=4), st.just(RELEASE)), max_size=6), st.data())
def test_any_stream_is_told_apart_however_it_is_cut(
    pdus: list[list[tuple[int, int, bytes]] | bytes], data: st.DataObject
) -> None:
    stream = b"".join(one if isinstance(one, bytes) else pdu_of(one) for one in pdus)
    expected: Told = []
    for one in pdus:
        expected += [one] if isinstance(one, bytes) else [(c, k | LAST, d) for c, k, d in one]
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    assert told(stream, cuts) == expected


def test_a_byte_at_a_time_is_enough() -> None:
    stream = p_data(1, COMMAND | LAST, b"command") + p_data(1, LAST, b"x" * 50) + RELEASE
    assert told(stream, list(range(len(stream)))) == told(stream)


def test_a_fragment_is_given_as_far_as_it_is_here_and_last_only_at_its_end() -> None:
    splitter, pdu = Splitter(), p_data(3, LAST, b"abcdef")
    first = list(splitter.feed(memoryview(pdu[:-2])))
    assert [(one.control, bytes(one.data)) for one in first if isinstance(one, Fragment)] == [(0, b"abcd")]
    assert not splitter.between
    second = list(splitter.feed(memoryview(pdu[-2:])))
    assert [(one.control, bytes(one.data)) for one in second if isinstance(one, Fragment)] == [(LAST, b"ef")]
    assert splitter.between


def test_a_pdu_of_data_may_be_longer_than_any_memory() -> None:
    splitter = Splitter()
    head = struct.pack(">BBLLBB", 0x04, 0, LONGEST_PDU, LONGEST_PDU - 4, 1, LAST)
    assert list(splitter.feed(memoryview(head))) == []
    piece = memoryview(bytes(1 << 16))
    for _ in range(8):
        (part,) = splitter.feed(piece)
        assert isinstance(part, Fragment)
        assert part.data is not None
        assert len(part.data) == 1 << 16


def test_a_fragment_without_data_and_a_pdu_without_fragments_are_no_fault() -> None:
    assert told(p_data(1, LAST, b"")) == [(1, LAST, b"")]
    assert told(struct.pack(">BBL", 0x04, 0, 0) + RELEASE) == [RELEASE]


@pytest.mark.parametrize(
    "stream",
    [
        b"GET / HTTP/1.1\r\n",
        struct.pack(">BBL", 0x00, 0, 4),
        struct.pack(">BBL", 0x08, 0, 4),
        struct.pack(">BBL", 0x04, 0, LONGEST_PDU + 1),
        struct.pack(">BBL", 0x01, 0, 0xFFFFFFFF),
        struct.pack(">BBLLBB", 0x04, 0, 6, 1, 1, 3),
        struct.pack(">BBLLBB", 0x04, 0, 6, 4000, 1, 3),
        struct.pack(">BBL", 0x04, 0, 5) + b"\0" * 5,
        struct.pack(">BBLLBB", 0x04, 0, 9, 2, 1, 3) + b"abc",
    ],
    ids=["text", "type 0", "type 8", "too long", "an endless request", "no control header", "longer than its PDU",
         "too short for a fragment", "bytes behind the last fragment"],
)  # fmt: skip
def test_what_is_no_pdu_is_unreadable(stream: bytes) -> None:
    with pytest.raises(Unreadable):
        list(Splitter().feed(memoryview(stream)))


def outcome(stream: bytes, cuts: list[int]) -> tuple[bytes, list[int], str]:
    """All data, the contexts of fragments that ended, and why the rest cannot be read."""
    splitter, data, ended = Splitter(), b"", []
    try:
        for start, end in itertools.pairwise([0, *cuts, len(stream)]):
            for part in splitter.feed(memoryview(stream)[start:end]):
                data += part.data
                if isinstance(part, Fragment) and part.control & LAST:
                    ended.append(part.context_id)
    except Unreadable as error:
        return data, ended, str(error)
    return data, ended, ""


@given(
    st.sampled_from([0x04, 0x05, 0x00, 0x07, 0x08]), st.integers(0, 20) | st.integers(LONGEST_PDU - 1, LONGEST_PDU + 1),
    st.integers(0, 20) | st.integers(LONGEST_PDU - 6, LONGEST_PDU), st.binary(max_size=40),
)  # fmt: skip
@example(0x04, 17, 10, b"abcdefghxyz123")
def test_good_or_bad_heads_say_the_same_as_a_whole_and_byte_by_byte(
    kind: int, pdu: int, item: int, rest: bytes
) -> None:
    stream = p_data(1, LAST, b"before") + struct.pack(">BBLLBB", kind, 0, pdu, item, 7, LAST) + rest
    data, ended, error = outcome(stream, [])
    by_byte, ended_then, error_then = outcome(stream, list(range(1, len(stream))))
    assert (ended, error) == (ended_then, error_then)
    # Of a fragment behind which the PDU is wrong, nothing is given where all of it comes at once.
    assert by_byte.startswith(data) if error else by_byte == data
    with patch.object(Splitter, "_begin_whole", lambda *_: False):
        assert outcome(stream, []) == (data, ended, error), "as where every head is read for itself"


@given(st.binary(max_size=200))
def test_noise_raises_nothing_else(noise: bytes) -> None:
    with contextlib.suppress(Unreadable):
        list(Splitter().feed(memoryview(noise)))


def command_of(field: int) -> bytes:
    return dimse.encode_command({
        dimse.AFFECTED_SOP_CLASS: "1.2.840.10008.5.1.4.1.1.2", dimse.COMMAND_FIELD: field, dimse.MESSAGE_ID: 1,
        dimse.DATA_SET_TYPE: dimse.WITH_DATA_SET, dimse.AFFECTED_SOP_INSTANCE: "1.2.3",
    })  # fmt: skip


def test_a_store_is_known_by_its_command_whatever_stands_behind_it() -> None:
    request = p_data(1, COMMAND | LAST, command_of(dimse.C_STORE_RQ))
    assert begins_to_store(request)
    assert begins_to_store(request + p_data(1, 0, bytes(700))[:500])
    assert not any(begins_to_store(request[:length]) for length in range(len(request)))


@pytest.mark.parametrize(
    "stream",
    [
        p_data(1, COMMAND | LAST, command_of(0x0030)),
        p_data(1, COMMAND, command_of(dimse.C_STORE_RQ)),
        p_data(1, LAST, command_of(dimse.C_STORE_RQ)),
        p_data(1, COMMAND | LAST, b"no command"),
        RELEASE + p_data(1, COMMAND | LAST, command_of(dimse.C_STORE_RQ)),
    ],
)
def test_nothing_else_is_taken_for_a_store(stream: bytes) -> None:
    assert not begins_to_store(stream)


@given(st.binary(max_size=200))
def test_noise_is_no_store(noise: bytes) -> None:
    assert not begins_to_store(noise)
