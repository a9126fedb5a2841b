"""One association that the node lent to this receiver process, in a thread of its own: the hot way, and nothing else.

It came between two messages and goes back between two messages: when anything but a C-STORE comes, when nothing
comes for a moment, when the node asks for it, when it ends. Never do two processes read or write one connection.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from dataclasses import dataclass, field, replace

from node.model import UID
from node.receive.bell import Bell
from node.receive.buffers import Buffers
from node.receive.conversation import Conversation, Told
from node.receive.keeper import Keeper
from node.receive.pace import Pace
from node.receive.pdata import Fragment, Splitter, Unreadable
from node.receive.pipe import Loan, Return
from node.receive.quick import acknowledge
from node.receive.session import Sessions
from node.receive.turns import Turns

log = logging.getLogger("node.receive")

PAUSE = 0.25
"""Seconds after which an association on which no message comes goes back."""
_TOO_LITTLE = "too little in the middle of a message"
_SHARE = 1 << 20
"""Bytes after which others have their turn, when one comes without end."""


@dataclass(slots=True)
class Lent:
    """One association, in a thread of its own. `Wire` of its conversation."""

    loan: Loan
    connection: socket.socket
    turns: Turns = field(default_factory=Turns)
    """Of the process."""
    recalled: bool = False
    bell: Bell = field(default_factory=Bell)
    _splitter: Splitter = field(default_factory=Splitter)
    _pace: Pace = field(default_factory=Pace)
    _said: int = 0
    """Bytes of messages in what came last: heads, and PDUs and fragments with nothing in them, say nothing."""
    _heard: float = field(default_factory=time.monotonic)
    """When any came."""
    _command: tuple[int, bytes] | None = None
    _broken: str = ""
    _gone: bool = False

    @property
    def key(self) -> int:
        return self.loan.number

    def syntax(self, context_id: int) -> UID | None:
        named = self.loan.contexts.get(context_id)
        return None if named is None else UID(named)

    def send_now(self, data: bytes) -> None:
        try:
            sent = self._send(data)
            if sent < len(data):  # the peer reads no answers: nobody else waits for it
                with self.turns.given():
                    self.connection.sendall(data[sent:])
        except OSError:  # a part of it may be out: nothing can follow
            self._gone = True

    def _send(self, data: bytes) -> int:
        """How much there is room for at once."""
        try:
            return os.write(self.connection.fileno(), data)
        except BlockingIOError:
            return 0

    def leave(self, context_id: int, command: bytes) -> None:
        self._command = (context_id, command)

    def refuse_message(self) -> None:
        self._broken = "what is no message"

    def abort(self) -> None:
        self._broken = "a message that may not be answered"

    def recall(self) -> None:
        """From any thread: the node wants it back as soon as the instance in flight is answered."""
        self.recalled = True
        self.bell.ring()

    def run(self, keeper: Keeper, sessions: Sessions, told: Told) -> Return:
        """Until it goes back; then the connection is the node's again."""
        sessions.adopt(self.key, self.loan.session)
        conversation = Conversation(self, keeper, sessions, told)
        self.turns.take()
        try:
            back = self._receive(conversation)
        except Exception:  # worker loop of one association: it ends, no other does
            log.exception("the association of %s is ended", self.loan.origin.calling_ae)
            back = Return(session=None, splitter=Splitter(), lost=True)
        finally:
            self.turns.give()
        if conversation.busy and (back.closed or back.pdu):
            log.warning("%s at %s went away in the middle of an instance; nothing of it is kept",
                        self.loan.origin.calling_ae, self.loan.origin.sender)  # fmt: skip
        conversation.over()
        self.connection.close()
        self.bell.close()
        return replace(back, session=sessions.remove(self.key))

    def _receive(self, conversation: Conversation) -> Return:
        buffers = Buffers()
        descriptor = self.connection.fileno()
        taken = 0
        while True:
            between = self._splitter.between and not conversation.busy
            if between and self.recalled:
                return self._back()
            buffer = buffers.free(conversation.reads)
            try:
                # It does not block, and spares the two looks that a wait and a socket with a timeout take.
                count = os.readv(descriptor, [buffer])
            except BlockingIOError:
                with self.turns.given():
                    readable = self._readable(between)
                if readable:
                    continue
                if between:
                    return self._back()
                if self._pace.too_slow(time.monotonic()):
                    return self._back(broken=_TOO_LITTLE)
                continue
            except OSError:
                count = 0
            if not count:
                return self._back(closed=True)
            taken += count
            if taken >= _SHARE:
                taken = 0
                self.turns.pass_on()
            if (back := self._take(conversation, buffer[:count])) is not None:
                return back
            now = time.monotonic()
            self._pace.note(self._said, now, middle=not between)
            if self._said:
                self._heard = now
            elif self._splitter.between and not conversation.busy:
                if self._pause() <= 0:
                    return self._back()
            elif self._pace.too_slow(now):
                return self._back(broken=_TOO_LITTLE)

    def _pause(self) -> float:
        """Seconds that are left for the next message to come."""
        return self._heard + PAUSE - time.monotonic()

    def _readable(self, between: bool) -> bool:
        if not between:
            acknowledge(self.connection)
        patience = max(0.0, self._pause() if between else self._pace.remaining(time.monotonic()))
        return self.bell.wait(self.connection.fileno(), patience * 1000 + 1)

    def _take(self, conversation: Conversation, data: memoryview) -> Return | None:
        """Tell apart what came; a Return when it is to be answered by the node."""
        self._said = 0
        try:
            for part in self._splitter.feed(data):
                self._said += len(part.data)
                if not isinstance(part, Fragment):
                    return self._back(pdu=part.data, rest=self._behind(data))
                if not conversation.fragment(part):
                    self._broken = "data of no message"
                if self._gone:
                    return self._back(closed=True)
                if self._broken or self._command is not None:
                    return self._back(rest=self._behind(data))
        except Unreadable as error:
            return self._back(broken=str(error))
        return None

    def _behind(self, data: memoryview) -> bytes:
        """Of what came last, what is not told apart yet."""
        return bytes(data[self._splitter.position :])

    def _back(self, *, pdu: bytes = b"", rest: bytes = b"", closed: bool = False, broken: str = "") -> Return:
        return Return(
            session=None, splitter=self._splitter, rest=rest, command=self._command, pdu=pdu, closed=closed,
            broken=broken or self._broken,
        )  # fmt: skip
