"""The bytes of an established association, told apart: fragments of messages, and all other PDUs (PS3.8 9.3).

Pure: bytes in, what they are out, wherever the network cut them. A fragment is given as far as it is here, so no
PDU of data is ever held in memory, however long its sender makes it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from node.dicom import command as dimse
from node.dicom.encoding import Malformed
from node.errors import CannotSucceed

P_DATA_TF = 0x04
COMMAND, LAST = 0x01, 0x02
"""Bits of the message control header (PS3.8 E.2)."""

LONGEST_PDU = 1 << 22
"""Ours is 1 MiB; an A-ASSOCIATE-RQ has 128 contexts at most. A longer one is no DICOM."""

_PDU = struct.Struct(">BxL")
_ITEM = struct.Struct(">LBB")
_BOTH = struct.Struct(">BxLLBB")
"""The head of a PDU of data, and of its first fragment."""


class Unreadable(CannotSucceed):
    """What came is no PDU of PS3.8."""


class Fragment(NamedTuple):
    """A piece of a message. `data` is a window on the bytes that were fed: it is over when the next ones come."""

    context_id: int
    control: int
    """COMMAND and LAST; LAST only with the piece that ends the fragment that has it."""
    data: memoryview


@dataclass(frozen=True, slots=True)
class Pdu:
    """Any other PDU as a whole, its head included."""

    data: bytes


@dataclass(slots=True)
class Splitter:
    """Where we are in the stream. One for each association."""

    _head: bytearray = field(default_factory=bytearray)
    """The beginning of a PDU or item head, or of a whole PDU that is not data."""
    _wanted: int = _PDU.size
    """Bytes that the head is to have."""
    _pdu: int = 0
    """Bytes left in the P-DATA-TF PDU."""
    _item: int = 0
    """Bytes left in the fragment."""
    _context_id: int = 0
    _control: int = 0
    position: int = 0
    """Of the bytes that were fed last, so many are told apart."""

    @property
    def between(self) -> bool:
        """True when nothing of a PDU is here that is not here as a whole."""
        return not (self._head or self._pdu)

    def feed(self, data: memoryview) -> Iterator[Fragment | Pdu]:
        """What is in these bytes, in order. Raises Unreadable; nothing can be read after that."""
        position, end = 0, len(data)
        while position < end:
            if self._item:
                taken = min(self._item, end - position)
                self.position = position + taken
                yield self._piece(data[position : position + taken])
                position += taken
                continue
            if end - position >= _BOTH.size and self._begin_whole(data, position):
                self.position = position = position + _BOTH.size
                continue
            taken = min(self._wanted - len(self._head), end - position)
            self._head += data[position : position + taken]
            self.position = position = position + taken
            if len(self._head) == self._wanted and (whole := self._understand()) is not None:
                yield whole

    def _begin_whole(self, data: memoryview, position: int) -> bool:
        """Most PDUs: their head, and that of a fragment with data, come in one piece and are good. Else False, and
        nothing has changed."""
        if self._head or self._pdu:
            return False
        kind, pdu, item, context_id, control = _BOTH.unpack_from(data, position)
        if kind != P_DATA_TF or pdu > LONGEST_PDU or item <= 2 or 4 + item > pdu:
            return False
        self._pdu, self._item, self._context_id, self._control = pdu - _ITEM.size, item - 2, context_id, control
        return True

    def _piece(self, data: memoryview) -> Fragment:
        self._item -= len(data)
        self._pdu -= len(data)
        last = self._item == 0
        if last:
            self._await_item()
        return Fragment(self._context_id, self._control if last else self._control & ~LAST, data)

    def _understand(self) -> Fragment | Pdu | None:
        """The head is here: of an item, of a PDU, or a whole PDU that is not data."""
        head = self._head
        if self._pdu:
            return self._begin_item(head)
        kind, length = _PDU.unpack_from(head)
        if not 1 <= kind <= 7:
            raise Unreadable(f"a PDU of type 0x{kind:02X}")
        if length > LONGEST_PDU:
            raise Unreadable(f"a PDU of {length} bytes")
        if kind == P_DATA_TF:
            head.clear()
            self._pdu = length
            self._await_item()
            return None
        self._wanted = _PDU.size + length
        if len(head) < self._wanted:
            return None
        whole = Pdu(bytes(head))
        head.clear()
        self._wanted = _PDU.size
        return whole

    def _await_item(self) -> None:
        if 0 < self._pdu < _ITEM.size:
            raise Unreadable(f"{self._pdu} bytes of PDU behind its last fragment")
        self._wanted = _ITEM.size if self._pdu else _PDU.size

    def _begin_item(self, head: bytearray) -> Fragment | None:
        length, self._context_id, self._control = _ITEM.unpack(head)
        head.clear()
        # The length counts the context ID and the control header, and not itself (PS3.8 9.3.5.1).
        if length < 2 or 4 + length > self._pdu:
            raise Unreadable(f"a fragment of {length} bytes in {self._pdu} bytes of PDU")
        self._pdu -= _ITEM.size
        self._item = length - 2
        return self._piece(memoryview(b"")) if not self._item else None


def begins_to_store(data: bytes) -> bool:
    """Whether a message that begins so is a C-STORE request; False too where its command set is not here as a whole."""
    try:
        part = next(Splitter().feed(memoryview(data)), None)
        if not isinstance(part, Fragment) or part.control != COMMAND | LAST:
            return False
        command = dimse.parse_command(bytes(part.data))
    except (Unreadable, Malformed):
        return False
    return dimse.number_of(command, dimse.COMMAND_FIELD) == dimse.C_STORE_RQ


def p_data(context_id: int, control: int, data: bytes | memoryview) -> bytes:
    """One P-DATA-TF PDU with one fragment (PS3.8 9.3.5)."""
    return _PDU.pack(P_DATA_TF, len(data) + 6) + _ITEM.pack(len(data) + 2, context_id, control) + data


def message(context_id: int, command: bytes, data: bytes, maximum: int) -> bytes:
    """A command set and its data set as P-DATA-TF PDUs, each with one fragment and none longer than `maximum`
    bytes after its head (PS3.8 D.1; 0 for no limit)."""
    room = (maximum or 1 << 16) - 6
    pdus = []
    for kind, whole in ((COMMAND, command), (0, data)):
        for start in range(0, len(whole), room):
            last = LAST if start + room >= len(whole) else 0
            pdus.append(p_data(context_id, kind | last, whole[start : start + room]))
    return b"".join(pdus)
