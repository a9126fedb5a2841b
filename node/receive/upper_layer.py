"""pynetdicom's DICOM upper layer, made to wait instead of to poll. Uses private parts of pynetdicom 3.

Its own looks at socket and queues a thousand times a second for every association, reads 4 KiB at a time, builds
objects of every PDU and holds every instance in memory. This one has the same state machine, and
  - sleeps until the socket or another thread has something for it;
  - in the established state splits the stream itself and gives fragments to a `Listener` as they come;
  - measures time by a clock that nobody sets.
What the listener does not want goes the way that it always went.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from pynetdicom.dul import DULServiceProvider

from node.receive.admission import plain
from node.receive.bell import Bell, Ringing
from node.receive.buffers import Buffers
from node.receive.goodbye import Goodbye
from node.receive.pace import Pace
from node.receive.pdata import COMMAND, LAST, Fragment, Splitter, Unreadable, begins_to_store, p_data
from node.receive.pipe import Return
from node.receive.quick import acknowledge
from node.receive.request import readable
from node.receive.timer import SteadyTimer
from node.receive.whole import read_pdu
from node.tls import Channel

log = logging.getLogger("node.receive")

WAITING, ESTABLISHED, CLOSING = "Sta2", "Sta6", "Sta13"
OUR_TURN = frozenset({"Sta3", "Sta8"})
"""It asked for an association, or for its release, and we have not answered. What it says before that is left in
the socket: waiting for the rest of it would keep the answer back that it waits for."""
_ABORT = bytes.fromhex("07 00 00000004 0000 02 00")
"""A-ABORT by the service provider, reason not specified (PS3.8 9.3.8)."""
_PEEK = 1 << 10
"""Bytes by which a message is known before it is read: a C-STORE request has some 200."""


class Listener(Protocol):
    """Who is told what comes on an established association, in the thread of its upper layer."""

    def fragment(self, fragment: Fragment) -> bool:
        """Take a piece of a message. False: it is none of ours, it goes to pynetdicom's DIMSE."""
        ...

    @property
    def busy(self) -> bool:
        """In the middle of a message."""
        ...

    def reads(self, buffer: memoryview) -> bool:
        """Whether something that was given from this buffer is still being read there."""
        ...

    def over(self) -> None:
        """Nothing more will come."""
        ...


class Lender(Protocol):
    """Who may take an association when an instance comes on it, and gives it back by `UpperLayer.give_back`."""

    def lend(self, layer: UpperLayer) -> bool:
        """True: from now on its connection is not ours to read or write."""
        ...

    def recall(self, layer: UpperLayer) -> None:
        """It is wanted here, as soon as the instance in flight is answered."""
        ...


def _done_with(buffer: memoryview) -> bool:
    return False


class UpperLayer(DULServiceProvider):
    """The thread that owns the connection of one association."""

    def __init__(
        self, association: Any, on_end: Callable[[], None] = lambda: None,
        unasked: Callable[[str, str], None] = lambda address, why: None,
    ) -> None:  # fmt: skip
        super().__init__(association)
        self.listener: Listener | None = None
        self.on_end, self._unasked = on_end, unasked
        self._bell = Bell()
        self.to_provider_queue = Ringing(self._ring)
        self.event_queue = Ringing(self._ring)
        self._messages = Ringing(self._ring)
        self.artim_timer: SteadyTimer = SteadyTimer(30)
        self._idle_timer = SteadyTimer(60)
        self._splitter, self._pace, self._buffers = Splitter(), Pace(), Buffers()
        self.lender: Lender | None = None
        self._lent = self._recalled = False
        self._returned: queue.SimpleQueue[Return] = queue.SimpleQueue()
        self._goodbye = Goodbye()

    def _ring(self) -> None:
        if threading.get_ident() != self.ident:
            self._bell.ring()

    def kill_dul(self) -> None:
        super().kill_dul()
        self._ring()

    def stop_dul(self) -> bool:
        """True when the state machine is idle and the thread has ended."""
        if self.state_machine.current_state != "Sta1":
            return False
        self.kill_dul()
        self.join()
        return True

    def run_reactor(self) -> None:
        """The life of the connection."""
        self._idle_timer.start()
        self.assoc._dul_ready.set()
        try:
            while not self._kill_thread:
                self._once()
        except Exception as error:  # worker loop of one association: it ends, no other does
            log.info("the association of %s is ended: %s", self._peer(), type(error).__name__)
            log.debug("how it came to that", exc_info=True)
            self.hang_up()
        finally:
            self.over()

    def over(self) -> None:
        """Nothing of the connection stays. Also for who could not start this thread."""
        if self.listener is not None:
            self.listener.over()
        if self.socket is not None:
            self.socket._shutdown_socket()  # the state machine forgets a connection that the peer closed
        self._bell.close()
        # Associations of pynetdicom are rings of objects: the garbage collector finds them much later.
        self._buffers, self._splitter = Buffers(), Splitter()
        self._kill_thread = True
        self.on_end()

    def _once(self) -> None:
        """One event, or a wait for it."""
        if self.artim_timer.expired:
            self._no_request("it asked for no association in time")
            self.event_queue.put("Evt18")
        if self._lent:
            self._while_lent()
        else:
            self._speak()
            if self.event_queue.empty() and not self._process_recv_primitive():
                self._await()
        self._act()

    # ---- lent to a receiver process -------------------------------------------------------------------

    @property
    def key(self) -> Any:
        """What the association is called in Sessions."""
        return self.assoc

    @property
    def contexts(self) -> dict[int, str]:
        """Accepted presentation contexts: id -> transfer syntax."""
        return {number: str(one.transfer_syntax[0]) for number, one in self.assoc._accepted_cx.items()}

    @property
    def descriptor(self) -> int:
        """Of the connection."""
        return int(self.socket.socket.fileno()) if self.socket is not None and self.socket.socket is not None else -1

    def give_back(self, back: Return) -> None:
        """From the lender's thread."""
        self._returned.put(back)
        self._bell.ring()

    def idle_timer_expired(self) -> bool:
        return not self._lent and bool(super().idle_timer_expired())

    def _offer(self, connection: Any) -> bool:
        """Between two messages, when there is nothing to say here, and a C-STORE comes: it may be lent, and whoever
        takes it reads that from its first byte. TLS is spoken here alone."""
        if self.lender is None or self.listener is None or isinstance(connection, Channel) or self._in_the_middle():
            return False
        if not (self.to_provider_queue.empty() and self._messages.empty() and self.event_queue.empty()):
            return False
        try:
            begins = connection.recv(_PEEK, socket.MSG_PEEK)
        except OSError:
            return False  # who reads it is told again
        if not begins_to_store(begins):
            return False
        self._recalled = False
        self._lent = self.lender.lend(self)
        if self._lent:
            self._idle_timer.stop()
        return self._lent

    def _while_lent(self) -> None:
        """Nothing is sent meanwhile: what there is to say waits until the association is back."""
        try:
            back = self._returned.get_nowait()
        except queue.Empty:
            if self.lender is not None and not self._recalled and not (
                self.to_provider_queue.empty() and self._messages.empty() and self.event_queue.empty()
            ):  # fmt: skip
                self._recalled = True
                self.lender.recall(self)
            self._sleep(None, None)
            return
        self._lent = False
        self._idle_timer.restart()
        self._splitter, self._pace = back.splitter, Pace()
        if back.lost:
            self.event_queue.put("Evt19")
        elif back.broken:
            self._cannot_read(back.broken)
        elif back.closed:
            self.event_queue.put("Evt17")
        else:
            if back.command is not None and self.listener is not None:
                context_id, command = back.command
                self.listener.fragment(Fragment(context_id, COMMAND | LAST, memoryview(command)))
            if back.pdu:
                self._indicate(back.pdu)
                self._act()
            if self.state_machine.current_state == ESTABLISHED:
                self._tell_apart(memoryview(back.rest))

    # ---- sending and reading --------------------------------------------------------------------------

    def say(self, message: bytes) -> None:
        """Send a whole message, from any thread. No fragment of an answer gets in between; on an association that
        ends meanwhile it is not sent."""
        self._messages.put(message)

    def _speak(self) -> None:
        while self.state_machine.current_state == ESTABLISHED and not self._messages.empty():
            self.send_now(self._messages.get_nowait())

    def _act(self) -> None:
        while not self._kill_thread:
            try:
                event = self.event_queue.get(block=False)
            except queue.Empty:
                return
            self.state_machine.do_action(event)

    def _await(self) -> None:
        """Until there is something to read, to send or to end."""
        state = self.state_machine.current_state
        connection = self.socket.socket if self.socket is not None else None
        if self._in_the_middle() and self._pace.too_slow(time.monotonic()):
            log.warning("%s sends too slowly in the middle of a message; its association is aborted", self._peer())
            self.assoc.abort(block=False)
        elif connection is None or state in OUR_TURN:
            self._sleep(None, self._patience())
        elif state == CLOSING:
            self._see_off(connection)
        elif self._readable(connection, self._patience()):
            if state != ESTABLISHED:
                self._idle_timer.restart()
                self._read_pdu_data()
            elif not self._offer(connection):
                self._read(connection)

    def _see_off(self, connection: Any) -> None:
        """It was aborted, rejected or released: the peer is left to close."""
        self._goodbye.begin(connection)
        if not self._sleep(connection, self._goodbye.remaining * 1000):
            if not self._goodbye.remaining and self.socket is not None:
                self.socket.close()
        elif self._goodbye.heard(connection, self._room()):
            self.event_queue.put("Evt17")

    def _read_pdu_data(self) -> None:
        """As pynetdicom's; but of what is no PDU there is a line that says from whom, and none that does not."""
        connection: Any = self.socket
        read = read_pdu(connection.recv)
        if read.why:
            self._no_request(read.why)
        if read.event:
            self.event_queue.put(read.event)
        elif why := self._indicate(read.pdu):
            self._no_request(why)

    def _no_request(self, why: str) -> None:
        if self.state_machine.current_state == WAITING:
            self._unasked(self._peer(), why)

    def _process_recv_primitive(self) -> bool:
        """As pynetdicom's; but an answer that an abort overtook is dropped: the state machine knows no such event."""
        while self.state_machine.current_state == CLOSING and not self.to_provider_queue.empty():
            self.to_provider_queue.get_nowait()
        return bool(super()._process_recv_primitive())

    def _readable(self, connection: Any, milliseconds: float | None) -> bool:
        if not isinstance(connection, Channel):
            return self._sleep(connection, milliseconds)
        # Of TLS a record counts when it is here as a whole: a read that waited for its rest would hear no bell.
        return connection.ready() or (self._sleep(connection, milliseconds) and connection.ready())

    def _sleep(self, connection: Any, milliseconds: float | None) -> bool:
        """Wait for at most so long; True when there is something to read."""
        number = connection.fileno() if connection is not None else -1
        if number < 0 and connection is not None:
            self.event_queue.put("Evt17")
            return False
        return self._bell.wait(number, milliseconds)

    def _patience(self) -> float | None:
        """Milliseconds after which something has to be looked at though nothing happened."""
        waits = [self.artim_timer.remaining] if self.artim_timer.running else []
        if self._in_the_middle():
            acknowledge(self.socket and self.socket.socket)
            waits.append(self._pace.remaining(time.monotonic()))
        return max(0.0, min(waits)) * 1000 + 1 if waits else None

    def _in_the_middle(self) -> bool:
        return self.state_machine.current_state == ESTABLISHED and (
            not self._splitter.between or (self.listener is not None and self.listener.busy)
        )

    def _room(self) -> memoryview:
        """For the next bytes."""
        return self._buffers.free(self.listener.reads if self.listener is not None else _done_with)

    def _read(self, connection: Any) -> None:
        """What has come on the established association."""
        try:
            count = connection.recv_into(buffer := self._room())
        except InterruptedError:
            return
        except OSError:
            count = 0
        if not count:
            self.event_queue.put("Evt17")
            return
        middle, said = self._in_the_middle(), self._tell_apart(buffer[:count])
        self._pace.note(said, time.monotonic(), middle=middle)
        if said:
            self._idle_timer.restart()

    def _tell_apart(self, data: memoryview) -> int:
        """Give everyone what is theirs of the bytes that came. Returns how many were of messages and not of heads."""
        said = 0
        try:
            for part in self._splitter.feed(data):
                said += len(part.data)
                if isinstance(part, Fragment):
                    if self.listener is None or not self.listener.fragment(part):
                        self._indicate(p_data(part.context_id, part.control, part.data))
                else:
                    self._indicate(part.data)
                # What stands behind a release or an abort is no part of the association any more.
                self._act()
                if self._kill_thread or self.state_machine.current_state != ESTABLISHED:
                    break
        except Unreadable as error:
            self._cannot_read(str(error))
        return said

    def _cannot_read(self, what: str) -> None:
        log.warning("%s sent %s; its association is aborted", self._peer(), what)
        self.event_queue.put("Evt19")

    def _indicate(self, pdu: bytes) -> str:
        """The way that everything goes in pynetdicom: decoded, then an event for the state machine. Why not, or ""."""
        try:
            decoded, event = self._decode_pdu(bytearray(readable(pdu)))
        except Exception as error:  # whatever bytes make pynetdicom raise, they are no PDU
            self.event_queue.put("Evt19")
            return f"it sent {error}" if isinstance(error, Unreadable) else "its association request cannot be read"
        self._recv_pdu.put(decoded)
        self.event_queue.put(event)
        return ""

    def refuse_message(self) -> None:
        """What came is no message: abort, as for a PDU that is none (PS3.8 9.2, AA-8)."""
        self.event_queue.put("Evt19")

    def send_now(self, data: bytes) -> None:
        """Send a PDU from the thread of this layer, in the established state."""
        if self.socket is not None and self.socket.socket is not None:
            try:
                self.socket.socket.sendall(data)
            except OSError:
                self.event_queue.put("Evt17")

    def hang_up(self) -> None:
        """The connection ends with no more than an abort, and whoever waits for this association is told."""
        self.assoc.is_aborted, self.assoc.is_established = True, False
        self.send_now(_ABORT)
        if self.socket is not None:
            self.socket._shutdown_socket()
        self.assoc._kill = self._kill_thread = True
        nothing: Any = None
        self.to_user_queue.put(nothing)

    def _peer(self) -> str:
        address = self.assoc.requestor.address_info
        return plain(str(address.address)) if address is not None else "a peer"
