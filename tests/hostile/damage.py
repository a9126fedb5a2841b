"""Recorded conversations, spoilt: seldom so much that the first layer turns them away."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random

from tests.hostile.conversations import Conversation

NUMBERS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 64, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x10000, 0x400000,
           0x400001, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)  # fmt: skip
"""Lengths and codes at which something changes."""

_HEAD, _ITEM, P_DATA = 6, 12, 4

Pdus = list[bytes]


def damaged(said: Conversation, others: Sequence[Conversation], random: Random) -> Conversation:
    """One conversation with one to three faults; `others` lend their PDUs."""
    pdus = list(said)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        random.choice(FAULTS)(pdus, random, random.choice(others))
    return tuple(pdu for pdu in pdus if pdu)


# ---- the order of PDUs ---------------------------------------------------------------------------------


def drop(pdus: Pdus, random: Random, _: Conversation) -> None:
    if len(pdus) > 1:
        del pdus[random.randrange(len(pdus))]


def double(pdus: Pdus, random: Random, _: Conversation) -> None:
    at = random.randrange(len(pdus))
    pdus[at:at] = [pdus[at]] * random.choice((1, 1, 2, 10))


def swap(pdus: Pdus, random: Random, _: Conversation) -> None:
    one, other = random.randrange(len(pdus)), random.randrange(len(pdus))
    pdus[one], pdus[other] = pdus[other], pdus[one]


def borrow(pdus: Pdus, random: Random, other: Conversation) -> None:
    pdus.insert(random.randrange(1, len(pdus) + 1), random.choice(other))


def another_end(pdus: Pdus, random: Random, other: Conversation) -> None:
    pdus[random.randrange(1, len(pdus) + 1) :] = other[random.randrange(len(other)) :]


def a_short_one(pdus: Pdus, random: Random, _: Conversation) -> None:
    """A release, an abort, or something that only the acceptor says."""
    kind = random.choice((2, 3, 5, 6, 7, 7))
    pdus.insert(random.randrange(1, len(pdus) + 1), struct.pack(">BBLBBBB", kind, 0, 4, 0, 0, *random.randbytes(2)))


# ---- the bytes of one PDU ------------------------------------------------------------------------------


def flip(pdus: Pdus, random: Random, _: Conversation) -> None:
    def spoil(pdu: bytearray) -> None:
        for _ in range(random.choice((1, 1, 2, 8))):
            pdu[random.randrange(len(pdu))] ^= 1 << random.randrange(8)

    _change(pdus, random, spoil)


def cut_out(pdus: Pdus, random: Random, _: Conversation) -> None:
    def spoil(pdu: bytearray) -> None:
        at = random.randrange(len(pdu))
        del pdu[at : at + random.choice((1, 2, 4, 8, 100))]

    _change(pdus, random, spoil)


def put_in(pdus: Pdus, random: Random, other: Conversation) -> None:
    def spoil(pdu: bytearray) -> None:
        at = random.randrange(len(pdu) + 1)
        strange = random.randbytes(random.choice((1, 2, 4, 8, 200)))
        pdu[at:at] = random.choice((strange, b"\0" * len(strange), b"\xff" * len(strange), random.choice(other)))

    _change(pdus, random, spoil)


def a_number(pdus: Pdus, random: Random, _: Conversation) -> None:
    """Somewhere a length or a code at which something changes, in either byte order."""

    def spoil(pdu: bytearray) -> None:
        size = random.choice((1, 2, 2, 4, 4))
        at = random.randrange(max(1, len(pdu) - size))
        value = random.choice(NUMBERS) & ((1 << 8 * size) - 1)
        pdu[at : at + size] = value.to_bytes(size, random.choice(("little", "big")))

    _change(pdus, random, spoil)


def a_head(pdus: Pdus, random: Random, _: Conversation) -> None:
    """The type or length of a PDU, the length, context or control header of its first fragment; nothing is mended."""
    at = random.randrange(len(pdus))
    pdu = bytearray(pdus[at])
    place, size = random.choice(((0, 1), (2, 4), (6, 4), (10, 1), (11, 1)))
    if len(pdu) >= _ITEM:
        value = random.choice((*NUMBERS, len(pdu), len(pdu) - _HEAD, len(pdu) - _ITEM))
        pdu[place : place + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "big")
        pdus[at] = bytes(pdu)


FAULTS: tuple[Callable[[Pdus, Random, Conversation], None], ...] = (
    drop, double, swap, borrow, another_end, a_short_one, flip, flip, cut_out, put_in, a_number, a_number, a_head,
)  # fmt: skip


def _change(pdus: Pdus, random: Random, spoil: Callable[[bytearray], None]) -> None:
    """Spoil one PDU. Mostly its lengths are put right again, so that the fault is found behind them."""
    at = random.randrange(len(pdus))
    pdu = bytearray(pdus[at])
    if not pdu:
        return
    if random.random() < 0.7 and len(pdu) > _ITEM:
        start = _ITEM if pdu[0] == P_DATA else _HEAD
        body = pdu[start:]
        spoil(body)
        head = pdu[:start]
        head[2:6] = struct.pack(">L", start - _HEAD + len(body))
        if pdu[0] == P_DATA:
            head[6:10] = struct.pack(">L", 2 + len(body))
        pdu = head + body
    else:
        spoil(pdu)
    pdus[at] = bytes(pdu)
