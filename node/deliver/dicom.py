"""Brings parcels to a DICOM peer by C-STORE, over associations that are opened nowhere else.

One association carries the parcels of a small delivery, several those of a large one (see several.py). The data set
goes out as it is stored, read from the file while it is sent; only where the peer takes no other than another
uncompressed transfer syntax is it encoded anew.
"""

from __future__ import annotations

import functools
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pynetdicom import build_context, build_role, evt
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at run time

from node.config import DestinationTls, Identity
from node.deliver.answers import answer
from node.deliver.base import Outcome, Parcel, Record, Result
from node.deliver.contexts import Context, choose, proposals, refusal
from node.deliver.entity import Entity, Hearing, Stored, hear, on_store
from node.deliver.recording import side_by_side
from node.deliver.sender import Sender, Timeouts, accepted_of
from node.deliver.several import Left, over_several
from node.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLICIT_VR_LITTLE_ENDIAN
from node.errors import CannotSucceed, ConfigurationError, TryAgain
from node.model import Kind
from node.tls import client_context, secure, why_not

_IN_A_ROW = 3
"""After so many temporary refusals one after the other, the peer is taken to be the reason, not the parcels."""


class DicomTarget:
    """A C-STORE SCP at `host`:`port`, called `ae_title`, to which this node is `calling_ae`.

    tls         how it is spoken to over TLS; None for in clear
    identity    the user that we say we are; None for none
    associations    at the same time for a large delivery
    """

    def __init__(
        self, ae_title: str, host: str, port: int, calling_ae: str, timeouts: Timeouts | None = None,
        *, tls: DestinationTls | None = None, identity: Identity | None = None, associations: int = 1,
    ) -> None:  # fmt: skip
        self._associations = associations
        self._ae_title, self._host, self._port, self._calling_ae = ae_title, host, port, calling_ae
        self._tls, self._identity = tls, identity
        self._timeouts = timeouts or Timeouts()

    def __str__(self) -> str:
        return f"{self._ae_title} at {self._host}:{self._port}"

    def deliver(self, parcels: Sequence[Parcel], record: Record, stop: Callable[[], bool]) -> None:
        """See Target. A parcel that the peer cannot be offered at all is recorded as refused."""
        sendable: list[Parcel] = []
        for parcel in parcels:
            if parcel.kind is Kind.DICOM and parcel.sop_class and parcel.transfer_syntax:
                sendable.append(parcel)
            else:
                text = f"{self._ae_title} is a DICOM peer and takes no {parcel.kind.value} file without SOP class"
                record(parcel, Result(outcome=Outcome.REFUSED, text=text))
        for proposal in proposals(sendable):
            if stop():
                return
            over_several(
                side_by_side(len(proposal.parcels), self._associations), proposal.parcels,
                functools.partial(self.associated, proposal.contexts),
                lambda association, left: self._store_all(association, left, record, stop),
                lambda further, first: accepted_of(first).keys() <= accepted_of(further).keys(), str(self),
            )  # fmt: skip

    def check(self) -> str:
        """C-ECHO (PS3.7 9.1.5). Raises TryAgain with the reason when it is not answered with success."""
        began = time.monotonic()
        with self.associated([Context(str(Verification), IMPLICIT_VR_LITTLE_ENDIAN)]) as association:
            if not association.accepted_contexts:
                raise TryAgain(f"{self} accepts associations but not the Verification SOP class (C-ECHO)")
            try:
                status = association.send_c_echo()
            except RuntimeError:  # the peer ended the association between its acceptance and our request
                raise TryAgain(f"{self} ended the association before the C-ECHO") from None
            if status.get("Status") != 0x0000:
                raise TryAgain(f"{self} accepted the association but did not answer the C-ECHO with success")
        return f"{self} answered C-ECHO in {(time.monotonic() - began) * 1000:.0f} ms"

    def _store_all(self, association: Any, left: Left, record: Record, stop: Callable[[], bool]) -> None:
        sender = Sender(association, str(self), self._timeouts)
        temporary = 0
        for message_id, parcel in enumerate(left, start=1):
            if stop():
                return
            context = choose(parcel, sender.accepted)
            if context is None:
                text = refusal(parcel, self._ae_title, sender.accepted)
                record(parcel, Result(outcome=Outcome.REFUSED, text=text))
                continue
            try:
                result = answer(sender.store(message_id % 0x10000, parcel, context), self._ae_title)
            except CannotSucceed as error:
                result = Result(outcome=Outcome.REFUSED, text=str(error))
            record(parcel, result)
            temporary = temporary + 1 if result.outcome is Outcome.AGAIN else 0
            if temporary == _IN_A_ROW:
                raise TryAgain(f"{result.text}, {_IN_A_ROW} times in a row")

    @contextmanager
    def associated(
        self, contexts: Collection[Context], *, scp_of: Collection[str] = (), stored: Stored | None = None,
        hearing: Hearing | None = None,
    ) -> Iterator[Any]:  # fmt: skip
        """An association that is released at the end, or aborted when the block raises.

        Its `accepted_contexts` are empty, and it is already over, when the peer accepted none.

        scp_of      SOP classes of which we are the SCP on it (PS3.7 D.3.3.4)
        stored      takes C-STORE requests of the peer
        hearing     takes N-EVENT-REPORT requests of the peer

        Raises TryAgain when there is none.
        """
        with self._connected() as connection:
            entity = Entity(self._calling_ae, connection)
            waits = self._timeouts
            entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
            entity.acse_timeout, entity.dimse_timeout, entity.network_timeout = waits.associate, waits.answer, None
            proposed = [build_context(c.sop_class, c.transfer_syntax) for c in contexts]
            began = time.monotonic()
            try:
                address = connection.getpeername()[0]
            except OSError:
                raise TryAgain(self._closed()) from None
            roles = [build_role(uid, scu_role=False, scp_role=True) for uid in scp_of]
            association: Any = entity.associate(
                address,
                self._port,
                contexts=proposed,
                ae_title=self._ae_title,
                ext_neg=[*roles, *self._user()],
                evt_handlers=[(evt.EVT_C_STORE, on_store, [stored])] if stored is not None else [],
            )
            if hearing is not None:
                association._serve_request = functools.partial(hear, association, hearing)
            answered = association.acceptor.primitive
            if answered is None or answered.result != 0:
                raise TryAgain(self._why_not(association, time.monotonic() - began))
            try:
                yield association
            except BaseException:
                association.abort()
                raise
            association.release()

    def _user(self) -> list[Any]:
        """The User Identity item (PS3.7 D.3.3.7.1): a passcode makes it type 2."""
        if self._identity is None:
            return []
        item = UserIdentityNegotiation()
        item.user_identity_type = 1
        item.primary_field = self._identity.user.encode()
        if self._identity.passcode is not None:
            try:
                item.user_identity_type, item.secondary_field = 2, self._identity.passcode.reveal().encode()
            except ConfigurationError as error:
                raise TryAgain(f"identity for {self}: {error}") from None
        return [item]

    def _connected(self) -> socket.socket:
        """A TCP connection to the peer; TryAgain with the system's reason when there is none."""
        try:
            connection = socket.create_connection((self._host, self._port), timeout=self._timeouts.connect)
        except socket.gaierror:
            raise TryAgain(f"{self._host} is not a known host; check the name of the destination") from None
        except TimeoutError:
            raise TryAgain(f"{self} did not take the connection within {self._timeouts.connect:g} s") from None
        except OSError as error:
            raise TryAgain(f"{self} cannot be reached: {error.strerror}") from None
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            connection = self._secured(connection, self._tls)
        connection.settimeout(self._timeouts.network)
        return connection

    def _secured(self, connection: socket.socket, tls: DestinationTls) -> socket.socket:
        """Files are read anew for each association, so a certificate that was replaced is used at once."""
        try:
            return secure(connection, client_context(tls), self._timeouts.associate, name=tls.name or self._host)
        except ConfigurationError as error:
            connection.close()
            raise TryAgain(f"tls to {self}: {error}") from None
        except OSError as error:
            raise TryAgain(f"{self} over TLS: {why_not(error)}") from None

    def _why_not(self, association: Any, took: float) -> str:
        """Why there is a connection and no association, and where to look."""
        if association.is_rejected:
            said = association.acceptor.primitive
            codes = f"{said.result}/{said.result_source}/{said.diagnostic}"
            titles = f"it must know us as {self._calling_ae} and itself as {self._ae_title}"
            hint = titles if said.result == 1 else "it may be busy"
            if said.result_source == 2:  # how a user identity is rejected (PS3.7 D.3.3.7)
                hint = "it may ask for another user identity (destinations: identity)"
            return f"{self} rejected the association ({codes}, {said.reason_str.lower()}); {hint}"
        if took >= self._timeouts.associate:
            return f"{self} did not answer the association request within {self._timeouts.associate:g} s"
        return self._closed()

    def _closed(self) -> str:
        # With TLS 1.3 a server that does not like our certificate says so only after the handshake.
        hint = "; it may not accept our certificate (tls: certificate)" if self._tls is not None else ""
        return f"{self} closed the connection instead of answering the association request{hint}"
