"""The storage SCP: associations in, instances to the keeper, a status out. This file alone imports the SCP
side of pynetdicom, so that another transport can take its place.

pynetdicom serves the protocol. What is ours: who may come in, which transfer syntax each context is accepted
with, that every storage SOP class is taken (also private and retired ones), and that a data set goes to the
spool as it came, never decoded.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from socketserver import BaseServer
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from node.dicom.negotiation import choose
from node.dicom.part10 import IMPLEMENTATION_VERSION_NAME
from node.dicom.status import PROCESSING_FAILURE, SUCCESS
from node.dicom.uids import IMPLEMENTATION_CLASS_UID, is_storage, name_of
from node.errors import Refused
from node.model import UID, Identity, Origin
from node.receive.admission import Reject
from node.receive.keeper import Command, Keeper
from node.receive.session import Sessions

log = logging.getLogger("node.receive")

VERIFICATION = UID("1.2.840.10008.1.1")
_PDU = 1 << 17
"""Largest PDU we ask for: larger ones save nothing any more, and each is held in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What others want to know of each instance: metrics, and nothing else."""

    received: Callable[[Origin, float], None] = lambda origin, seconds: None
    refused: Callable[[Origin, int], None] = lambda origin, status: None


@dataclass(slots=True)
class Receiver:
    """Listens on any number of addresses and keeps what comes. `start`, then `stop`."""

    keeper: Keeper
    sessions: Sessions
    admit: Callable[[Origin], Reject | None]
    idle: Callable[[], float]
    """Seconds after which an association on which nothing happens is closed."""
    told: Told = field(default_factory=Told)
    _servers: list[ThreadedAssociationServer] = field(default_factory=list)
    _ae: AE | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self, addresses: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """Listen. Returns the addresses with the ports that were bound (0 asks for a free one).

        Raises OSError when an address cannot be bound.
        """
        ae = AE("NODE")
        ae.maximum_pdu_size = _PDU
        # Ours are counted in `admit`, with a reason in the log; pynetdicom's own limit stays out of the way.
        ae.maximum_associations = 100_000
        ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        ae.acse_timeout, ae.dimse_timeout = 30, 60
        ae.network_timeout = self.idle()
        # pynetdicom refuses to listen without any; the real ones are set per association.
        ae.add_supported_context(VERIFICATION)
        self._ae = ae
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_PDU_RECV, self._pdu),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_CONN_CLOSE, self._closed),
        ]
        for address in addresses:
            server = ae.make_server(
                address, evt_handlers=handlers, server_class=ThreadedAssociationServer, request_handler=_Handler
            )
            self._servers.append(server)
            threading.Thread(target=server.serve_forever, name=f"listen {address[1]}", daemon=True).start()
        return [(s.server_address[0], s.server_address[1]) for s in self._servers]

    def stop(self, seconds: float = 20.0) -> None:
        """Accept nothing more, answer what is in flight, end every association."""
        self._stopping.set()
        for server in self._servers:
            # Only the listening ends here; the associations that are open are seen off below.
            BaseServer.shutdown(server)
            server.server_close()
        self.sessions.last_calls()
        if not self.sessions.wait_until_answered(seconds):
            log.warning("%d associations did not finish their instance in time and are cut", self.sessions.count())
        if self._ae is not None:
            for association in self._ae.active_associations:
                association.abort()

    # ---- association ----------------------------------------------------------------------------------

    def _requested(self, event: evt.Event) -> None:
        """Before negotiation: admit the sender, and say per context what is accepted."""
        association = event.assoc
        request = association.requestor.primitive
        origin = Origin(
            calling_ae=str(request.calling_ae_title).strip(),
            called_ae=str(request.called_ae_title).strip(),
            sender=str(association.requestor.address),
        )
        reject = self.admit(origin)
        if reject is not None or self._stopping.is_set():
            reject = reject or Reject(2, 3, 1, "the node is stopping")
            log.warning("association of %s at %s refused: %s", origin.calling_ae, origin.sender, reject.why)
            association.acse.send_reject(reject.result, reject.source, reject.diagnostic)
            association.kill()
            return
        self.sessions.add(id(association), origin)
        accepted: dict[str, list[UID]] = {}
        for context in request.presentation_context_definition_list:
            self._propose(context, origin, accepted)
        association.acceptor.supported_contexts = [build_context(sop, list(ts)) for sop, ts in accepted.items()]

    def _propose(self, context: PresentationContext, origin: Origin, accepted: dict[str, list[UID]]) -> None:
        sop_class = str(context.abstract_syntax)
        proposed = [UID(str(t)) for t in context.transfer_syntax]
        if sop_class != VERIFICATION and not is_storage(sop_class):
            log.warning("%s proposed %s (%s), which is no storage class", origin.calling_ae, sop_class, name_of(sop_class))
            return
        chosen = choose(proposed)
        if chosen is None:
            log.warning(
                "%s proposed %s for %s: none of these transfer syntaxes can be kept",
                origin.calling_ae, ", ".join(proposed) or "nothing", name_of(sop_class),
            )  # fmt: skip
            return
        # pynetdicom takes the first of ours that the context proposes. The same SOP class may be proposed in
        # several contexts, so each one's choice has to stand before what only another one may fall back to.
        # The order is kept right by narrowing the context itself to what was chosen for it.
        context.transfer_syntax = [chosen]
        known = accepted.setdefault(sop_class, [])
        if chosen not in known:
            known.append(chosen)

    def _closed(self, event: evt.Event) -> None:
        session = self.sessions.get(id(event.assoc))
        if session is not None and session.receiving_since is not None:
            log.warning(
                "%s at %s went away in the middle of an instance; nothing of it is kept",
                session.origin.calling_ae, session.origin.sender,
            )  # fmt: skip
        self.sessions.remove(id(event.assoc))

    # ---- instances ------------------------------------------------------------------------------------

    def _pdu(self, event: evt.Event) -> None:
        """Notes that an instance is on its way as soon as its first fragment comes."""
        if isinstance(event.pdu, P_DATA_TF):
            self.sessions.begin(id(event.assoc))

    def _echo(self, event: evt.Event) -> int:
        self.sessions.end(id(event.assoc))
        return SUCCESS

    def _store(self, event: evt.Event) -> int:
        key = id(event.assoc)
        session = self.sessions.get(key)
        if session is None or (self._stopping.is_set() and not session.last_call):
            event.assoc.abort()
            return PROCESSING_FAILURE
        session.last_call = False
        try:
            identity = self._keep(event, session.origin)
        except Refused as error:
            log.warning("instance of %s at %s refused: %s", session.origin.calling_ae, session.origin.sender, error)
            self.told.refused(session.origin, error.status)
            return error.status
        except Exception:  # worker loop: one bad instance must not end the association of the others
            log.exception("an instance of %s could not be kept", session.origin.calling_ae)
            self.told.refused(session.origin, PROCESSING_FAILURE)
            return PROCESSING_FAILURE
        finally:
            began = session.receiving_since
            self.sessions.end(key)
        session.stored(identity)
        self.told.received(session.origin, time.monotonic() - began if began is not None else 0.0)
        self.keeper.reach("before the answer")
        return SUCCESS

    def _keep(self, event: evt.Event, origin: Origin) -> Identity:
        request = event.request
        data = request.DataSet.getbuffer() if request.DataSet is not None else memoryview(b"")
        command = Command(
            sop_class=UID(str(request.AffectedSOPClassUID)), sop_instance=UID(str(request.AffectedSOPInstanceUID))
        )
        _, identity = self.keeper.keep(data, UID(str(event.context.transfer_syntax)), origin, command)
        return identity


class _Handler(RequestHandler):
    """Associations on which every C-STORE is storage, whatever its SOP class: pynetdicom would abort one that
    is not in its own list (private, retired, newer than the library)."""

    def _create_association(self) -> Any:
        association = super()._create_association()
        serve = association._serve_request
        association._serve_request = functools.partial(_serve, association, serve)  # type: ignore[method-assign]
        return association


def _serve(association: Any, otherwise: Callable[[Any, int], None], message: Any, context_id: int) -> None:
    context = association._accepted_cx.get(context_id)
    if not isinstance(message, C_STORE) or context is None or association._sent_release:
        otherwise(message, context_id)
        return
    association._is_paused = True
    StorageServiceClass(association).SCP(message, context)
    association._is_paused = False
