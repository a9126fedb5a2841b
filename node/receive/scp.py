"""The storage SCP: where it listens, who may come in, and which transfer syntax each context is accepted with.

pynetdicom serves the protocol, but for what is in `upper_layer` and `association`; instances are taken by
`conversation`. Every storage SOP class is accepted, also private and retired ones.
"""

from __future__ import annotations

import errno
import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from socketserver import BaseServer
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.presentation import PresentationContext, build_context

from node.config import Address, Node
from node.dicom.part10 import IMPLEMENTATION_VERSION_NAME
from node.dicom.uids import IMPLEMENTATION_CLASS_UID, is_storage, name_of
from node.model import UID, Origin
from node.receive.admission import CONGESTION, Caller, plain
from node.receive.association import (
    Handler,
    Server,
    Wired,
    certificate_of,
    confirm_user,
    cut,
    drop_unusable_uids,
    end,
    user_of,
)
from node.receive.contexts import VERIFICATION, Declined, decide
from node.receive.conversation import Conversation, Keeps, Told
from node.receive.lines import Lines
from node.receive.places import Admitted, Place, Reject
from node.receive.receivers import Receivers
from node.receive.services import Services, choose_syntax
from node.receive.session import Phase, Sessions
from node.receive.unasked import Unasked
from node.tls import Certificates, why_not

log = logging.getLogger("node.receive")

_NOTHING = UID("2.25.0")
"""Stands for the syntax of a context that gets none: nobody proposes it, so the answer is "not supported"."""
_UNKNOWN = UID("2.25.1")
"""Stands for what a context without any proposes: it is never ours."""
_PDU = 1 << 20
"""Largest PDU we ask for. None is held in memory, and an instance in fewer of them is written in fewer pieces."""
_LISTENING = 0.1
"""Seconds after which a listener looks whether it is to end."""


@dataclass(slots=True)
class Receiver:
    """Listens on any number of addresses and keeps what comes. `start`, then `stop`."""

    keeper: Keeps
    sessions: Sessions
    node: Callable[[], Node]
    """What rules.yaml says at this moment."""
    admit: Callable[[Caller, Sequence[Place]], Admitted | Reject]
    idle: Callable[[Origin], float]
    """Seconds after which an association of this sender on which nothing happens is closed."""
    told: Told = field(default_factory=Told)
    services: Services | None = None
    """What is served beside storage and verification."""
    certificates: Mapping[tuple[str, int], Certificates] = field(default_factory=dict)
    """Of the addresses on which TLS is spoken."""
    receivers: Receivers | None = None
    """Processes that take busy associations; without them all is received here."""
    lines: Lines = field(default_factory=lambda: Lines(log))
    unasked: Unasked = field(default_factory=Unasked)
    """Connections that are accepted, and nobody has asked for an association on them."""
    _servers: list[Server] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self, addresses: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """Listen. Returns the addresses with the ports that were bound (0 asks for a free one).

        Raises OSError, with the address in the place of a file name, when one cannot be bound; then none is.
        """
        ae = AE("NODE")
        ae.maximum_pdu_size = _PDU
        # Ours are counted in `admit`, with a reason in the log; pynetdicom's own limit stays out of the way.
        ae.maximum_associations = 100_000
        ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        ae.acse_timeout, ae.dimse_timeout = 30, 60
        # pynetdicom refuses to listen without any; the real ones are set per association.
        ae.add_supported_context(VERIFICATION)
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_DIMSE_RECV, self._message),
            (evt.EVT_CONN_CLOSE, self._closed),
        ]
        self.unasked.ended = self._crowded
        try:
            for address in addresses:
                server: Any = ae.make_server(
                    address, evt_handlers=handlers, server_class=Server,
                    request_handler=functools.partial(Handler, acceptor=self),
                )  # fmt: skip
                server.certificates, server.unasked = self.certificates.get(address), self.unasked
                self._servers.append(server)
        except OSError as error:
            for server in self._servers:
                server.server_close()
            self._servers.clear()
            why = error.strerror or str(error)
            if error.errno == errno.EADDRINUSE and {("::", address[1]), ("0.0.0.0", address[1])} <= set(addresses):
                why += "; [::] takes IPv4 too, so leave 0.0.0.0 out"
            raise OSError(error.errno, why, str(Address(*address))) from error
        for server in self._servers:
            name = f"listen {server.server_address[1]}"
            threading.Thread(target=server.serve_forever, args=(_LISTENING,), name=name, daemon=True).start()
        return [(s.server_address[0], s.server_address[1]) for s in self._servers]

    def stop(self, seconds: float = 20.0) -> None:
        """Accept nothing more, answer what is in flight, end every association."""
        if self._servers:
            places = self.sessions.places()
            busy = sum(1 for place in places if place.idle is None)
            log.info("stopping: %d associations are open, %d of them with an instance on its way", len(places), busy)
        self._stopping.set()
        for server in self._servers:
            # Only the listening ends here; the associations that are open are seen off below.
            BaseServer.shutdown(server)
            server.server_close()
        self.unasked.end_all()
        for idle in self.sessions.last_calls():
            end(idle)
        if self.receivers is not None:
            self.receivers.recall_all()
        if not self.sessions.wait_until_answered(seconds):
            log.warning("instances did not arrive as a whole in time; %d associations are cut", self.sessions.count())
        left = [association for server in self._servers for association in server.active_associations]
        self._servers.clear()
        for last in (end, cut):
            for association in left:
                last(association)
            deadline = time.monotonic() + 1.0
            for association in filter(_begun, left):
                association.join(max(0.0, deadline - time.monotonic()))
            left = [association for association in left if association.is_alive() or not _begun(association)]

    # ---- association ----------------------------------------------------------------------------------

    def _requested(self, event: evt.Event) -> None:
        """Before negotiation: admit the sender, and say per context what is accepted."""
        association: Any = event.assoc
        association.asked()
        request = association.requestor.primitive
        # A context that names no abstract syntax is none (PS3.8 9.3.2.2); pynetdicom fails over it.
        request.presentation_context_definition_list = [
            one for one in request.presentation_context_definition_list if one.abstract_syntax is not None
        ]
        origin = Origin(
            calling_ae=str(request.calling_ae_title).strip(),
            called_ae=str(request.called_ae_title).strip(),
            sender=plain(str(association.requestor.address)),
        )
        secured, certificate = certificate_of(association)
        caller = Caller(origin=origin, secured=secured, certificate=certificate, user=user_of(association))
        association.caller = caller
        verdict = self.sessions.enter(association, origin, lambda places: self._admit(caller, places))
        if isinstance(verdict, Reject):
            self.told.turned_away("association", verdict.reason)
            text = f"association of {origin.calling_ae} at {origin.sender} refused: {verdict.why}"
            # At a limit the text has numbers that change; else another text is another mistake, as when one is mended.
            same = verdict.reason if verdict.result == CONGESTION[0] else verdict.why
            self.lines.say(origin.sender, (origin.calling_ae, origin.called_ae, same), text)
            association.acse.send_reject(verdict.result, verdict.source, verdict.diagnostic)
            association.kill()
            return
        if verdict.identified:
            confirm_user(association)
        elif caller.user is not None and caller.user.asks:
            self.lines.say(
                origin.sender, (origin.calling_ae, "confirm"),
                f"{origin.calling_ae} at {origin.sender} asks to have its user identity confirmed, and no identity is "
                "set in its peer: one that insists ends the association; set it, or take that out there",
            )  # fmt: skip
        if verdict.instead_of is not None:
            self._make_room(verdict.instead_of, origin)
        association.network_timeout = self.idle(origin)
        accepted: dict[str, list[UID]] = {}
        for context in request.presentation_context_definition_list:
            self._propose(context, origin, accepted)
        association.acceptor.supported_contexts = [self._supported(sop, ts) for sop, ts in accepted.items()]

    def rules_changed(self) -> None:
        """Whoever would not be let in any more goes: one that a receiver process has, after the instance in flight.
        Limits hold for newcomers, but for the time after which an association is idle."""
        for place in self.sessions.places():
            association: Any = place.key
            verdict, origin = self.admit(association.caller, ()), place.origin
            if isinstance(verdict, Reject):
                self.told.turned_away("ended", "rules")
                text = (
                    f"association of {origin.calling_ae} at {origin.sender} ended, as the rules changed: {verdict.why}"
                )
                self.lines.say(origin.sender, (origin.calling_ae, origin.called_ae, "rules"), text)
                end(association)
            else:
                association.network_timeout = self.idle(origin)

    def not_secured(self, address: str, error: OSError) -> None:
        """As Acceptor says."""
        self.told.turned_away("association", "tls")
        why = why_not(error)
        self.lines.say(plain(address), ("tls", why), f"connection of {plain(address)} refused: {why}")

    def not_asked(self, address: str, why: str) -> None:
        """As Acceptor says."""
        self.told.turned_away("association", "request")
        self.lines.say(plain(address), ("request", why), f"connection of {plain(address)} closed: {why}")

    def _crowded(self, address: str, why: str) -> None:
        self.told.turned_away("association", "unasked")
        self.lines.say(address, ("unasked",), f"connection of {address} closed: {why}; see what opens them there")

    def _admit(self, caller: Caller, places: Sequence[Place]) -> Admitted | Reject:
        if self._stopping.is_set():
            return Reject(*CONGESTION, "stopping", "the node is stopping")
        return self.admit(caller, places)

    def _make_room(self, place: Place, newcomer: Origin) -> None:
        end(place.key)
        self.told.turned_away("ended", "room")
        self.lines.say(
            place.origin.sender, (place.origin.calling_ae, "room", newcomer.calling_ae),
            f"association of {place.origin.calling_ae} at {place.origin.sender}, idle for {place.idle or 0:.0f} s, "
            f"ended to make room for {newcomer.calling_ae} at {newcomer.sender}; see node: limits",
        )  # fmt: skip

    def _supported(self, sop_class: str, transfer_syntaxes: list[UID]) -> PresentationContext:
        context = build_context(sop_class, list(transfer_syntaxes))
        roles = self.services.roles(sop_class) if self.services is not None else None
        if roles is not None:
            context.scu_role, context.scp_role = roles.scu, roles.scp
        return context

    def _decide(self, sop_class: str, proposed: list[UID]) -> UID | Declined:
        if self.services is None or is_storage(sop_class) or sop_class == VERIFICATION:
            return decide(self.node(), sop_class, proposed)
        if self.services.roles(sop_class) is None:
            named, why = f"{sop_class} ({name_of(sop_class)})", self.services.why_not(sop_class)
            return Declined("sop_class", f"proposed {named}, which is not accepted: {why}")
        syntaxes = ", ".join(proposed) or "nothing"
        none = f"proposed {syntaxes} for {name_of(sop_class)}: none of these transfer syntaxes is supported"
        return choose_syntax(proposed) or Declined("transfer_syntax", none)

    def _propose(self, context: PresentationContext, origin: Origin, accepted: dict[str, list[UID]]) -> None:
        sop_class = str(context.abstract_syntax)
        proposed = [UID(str(t)) for t in context.transfer_syntax]
        decided = self._decide(sop_class, proposed)
        if isinstance(decided, Declined):
            self.told.turned_away("context", decided.reason)
            text = f"{origin.calling_ae} {decided.why}"
            self.lines.say(origin.sender, (origin.calling_ae, decided.reason, sop_class, *proposed), text)
            if decided.reason == "sop_class":
                return
        # pynetdicom takes the first of ours that the context proposes. The same SOP class may be proposed in
        # several contexts, so each one's choice has to stand before what only another one may fall back to.
        # The order is kept right by narrowing the context itself to what was chosen for it.
        known = accepted.setdefault(sop_class, [])
        if isinstance(decided, Declined):
            chosen = _NOTHING
            if not proposed:  # pynetdicom fails over a context that names none
                context.transfer_syntax = [_UNKNOWN]
        else:
            chosen = decided
            context.transfer_syntax = [chosen]
        if chosen not in known:
            known.append(chosen)

    def _closed(self, event: evt.Event) -> None:
        association: Any = event.assoc
        association.dul.listener.over()
        session = self.sessions.remove(association)
        if association.requestor.primitive is None:
            # A probe that only connects: its thread would wait for a request until the ACSE time-out.
            association.dul.to_user_queue.put(None)
        if session is None or session.phase is Phase.IDLE:
            return
        what = {
            Phase.ARRIVING: "in the middle of an instance; nothing of it is kept",
            Phase.SERVED: "before its instance was answered",
            Phase.LENT: "while a receiver process had it",
        }[session.phase]
        log.warning("%s at %s went away %s", session.origin.calling_ae, session.origin.sender, what)

    def over(self, association: Any) -> None:
        """As Acceptor says. Not every end of an association closes its connection with an event."""
        self.sessions.remove(association)
        if self.services is not None:
            self.services.over(association)

    # ---- messages -------------------------------------------------------------------------------------

    def listen_to(self, association: Any) -> Conversation:
        """As Acceptor says."""
        association.dul.lender = self.receivers
        return Conversation(Wired(association), self.keeper, self.sessions, self.told)

    def _message(self, event: evt.Event) -> None:
        drop_unusable_uids(event.message.command_set)

    def serve(self, association: Any, message: Any, context_id: int) -> bool:
        """As Acceptor says. C-STORE is the conversation's; C-ECHO is answered by pynetdicom."""
        session = self.sessions.serve(association)
        if session is None:
            association.abort(block=False)
            return True
        return self.services is not None and self.services.serve(association, session.origin, message, context_id)

    def served(self, association: Any) -> None:
        """As Acceptor says."""
        self.sessions.end(association)


def _begun(association: Any) -> bool:
    """False of one whose connection was accepted this very moment: its thread cannot be joined yet."""
    return association.ident is not None
