"""A Query/Retrieve SCP for tests, Study Root: it holds instances, answers for them, and misbehaves on demand."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from socketserver import BaseServer
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.dimse_primitives import C_GET, C_MOVE
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

_MODELS = {
    "find": StudyRootQueryRetrieveInformationModelFind,
    "move": StudyRootQueryRetrieveInformationModelMove,
    "get": StudyRootQueryRetrieveInformationModelGet,
}
_KEYS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_DEEPEST = {"STUDY": 1, "SERIES": 2, "IMAGE": 3}


class Archive:
    """Holds `instances`, which a test may change.

    counts: whether it returns the numbers of related instances. wrong: added to each. lists: whether it answers at
    IMAGE level. refuse: status to answer a C-FIND with. poison: a study whose C-FIND it
    answers with `refuse` alone, or with `says` as its counts. loose: ignores the series at IMAGE level.
    abort: the study whose C-FIND it answers with an A-ABORT. hang: does not answer a C-FIND before its end.
    grows: called before each C-FIND at STUDY level. to: the port that C-MOVE sends to. lost: SOP Instance UIDs that
    it lists and cannot send. models: what it serves. pending: answers each request with a status that says that more
    answers follow, until its end or that of the association.
    """

    def __init__(
        self, instances: Sequence[Dataset] = (), *, ae_title: str = "ARCHIVE", counts: bool = True, wrong: int = 0,
        lists: bool = True, refuse: int | None = None, hang: bool = False,
        grows: Callable[[Archive], None] | None = None, to: int = 0, lost: Sequence[str] = (),
        models: Sequence[str] = ("find", "move", "get"), poison: str = "", says: str | None = None,
        loose: bool = False, abort: str = "", pending: bool = False,
    ) -> None:  # fmt: skip
        self.poison, self.says, self.loose, self.abort = poison, says, loose, abort
        self.instances, self.ae_title, self.to = list(instances), ae_title, to
        self.counts, self.wrong, self.lists, self.refuse, self.hang = counts, wrong, lists, refuse, hang
        self.pending = pending
        self.grows, self.lost = grows, frozenset(lost)
        self.asked: list[tuple[str, str]] = []
        """(level, calling AE title) of each C-FIND."""
        self.pulled: list[str] = []
        """SOP Instance UIDs that were sent."""
        self.associations = 0
        self.most_at_once = 0
        self._changed, self._over = threading.Condition(), threading.Event()
        self._connections: list[socket.socket] = []
        self._ae = AE(ae_title)
        for model in models:
            self._ae.add_supported_context(_MODELS[model])
        for context in AllStoragePresentationContexts:
            self._ae.add_supported_context(context.abstract_syntax, scu_role=True, scp_role=True)
            self._ae.add_requested_context(context.abstract_syntax) if len(self._ae.requested_contexts) < 120 else None

    def __enter__(self) -> Archive:
        handlers = [
            (evt.EVT_C_FIND, self._find), (evt.EVT_C_MOVE, self._move), (evt.EVT_C_GET, self._get),
            (evt.EVT_ACCEPTED, self._accepted), (evt.EVT_CONN_OPEN, self._opened),
        ]  # fmt: skip
        self._server = self._ae.make_server(("127.0.0.1", 0), evt_handlers=handlers)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.port: int = self._server.server_address[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        BaseServer.shutdown(self._server)  # pynetdicom's own wants start_server to have been called
        self._server.server_close()
        self._thread.join(5)
        for association in self._ae.active_associations:
            association.abort()
            association.join(5)
        for connection in self._connections:
            connection.close()

    def wait_until_asked(self, times: int = 1, deadline: float = 10.0) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.asked) >= times, deadline), f"asked {self.asked}"

    def _opened(self, event: Any) -> None:
        connection = event.assoc.dul.socket.socket
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.append(connection)

    def _accepted(self, _: Any) -> None:
        with self._changed:
            self.associations += 1
            self.most_at_once = max(self.most_at_once, len(self._ae.active_associations))

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        identifier = event.identifier
        level = identifier.QueryRetrieveLevel
        if level == "STUDY" and self.grows is not None:
            self.grows(self)
        with self._changed:
            self.asked.append((level, event.assoc.requestor.ae_title))
            self._changed.notify_all()
        if self.pending:
            while self._goes_on(event):
                yield 0xFF00, self._answer(level, {"StudyInstanceUID": str(identifier.StudyInstanceUID)}, 1)
        if self.abort == str(identifier.StudyInstanceUID):
            event.assoc.abort()
            return
        poisoned = self.poison in ("", str(identifier.StudyInstanceUID))
        if self.hang and poisoned:
            self._over.wait(30)
        if self.refuse is not None and poisoned:
            yield self.refuse, None
            return
        if level == "IMAGE" and not self.lists:
            return
        keys = _KEYS[: _DEEPEST[level]]
        groups: dict[tuple[str, ...], int] = {}
        if self.loose and level == "IMAGE":
            del identifier.SeriesInstanceUID
        for one in self._matching(identifier):
            key = tuple(str(one[k].value) for k in keys)
            groups[key] = groups.get(key, 0) + 1
        for key, count in groups.items():
            yield 0xFF00, self._answer(level, dict(zip(keys, key, strict=True)), count)

    def _answer(self, level: str, keys: dict[str, str], count: int) -> Dataset:
        found = Dataset()
        found.QueryRetrieveLevel = level
        for keyword, value in keys.items():
            setattr(found, keyword, value)
        if self.counts and level != "IMAGE":
            kind = "Study" if level == "STUDY" else "Series"
            name = f"NumberOf{kind}RelatedInstances"
            if self.says is not None and keys["StudyInstanceUID"] == self.poison:
                found[Tag(name)] = DataElement(Tag(name), "LO", self.says)  # in implicit VR nobody sees the LO
            else:
                setattr(found, name, str(count + self.wrong))
        return found

    def _matching(self, identifier: Dataset) -> list[Dataset]:
        def fits(one: Dataset, keyword: str) -> bool:
            value = identifier.get(keyword)
            wanted = [value] if isinstance(value, str) else list(value or ())
            return not [w for w in wanted if w] or str(one[keyword].value) in map(str, wanted)

        return [one for one in self.instances if all(fits(one, keyword) for keyword in _KEYS)]

    def _to_send(self, identifier: Dataset) -> Iterator[tuple[int, Dataset | None]]:
        for one in self._matching(identifier):
            if str(one.SOPInstanceUID) not in self.lost:
                self.pulled.append(str(one.SOPInstanceUID))
                yield 0xFF00, one

    def _goes_on(self, event: Any) -> bool:
        return not self._over.wait(0.02) and bool(event.assoc.is_established)

    def _stay_pending(self, event: Any, response: C_MOVE | C_GET) -> None:
        """pynetdicom itself says so after each instance only."""
        while self._goes_on(event):
            response.MessageIDBeingRespondedTo = event.message_id
            response.AffectedSOPClassUID, response.Status = event.request.AffectedSOPClassUID, 0xFF00
            response.NumberOfRemainingSuboperations = 1
            event.assoc.dimse.send_msg(response, event.context.context_id)

    def _move(self, event: Any) -> Iterator[Any]:
        if self.pending:
            self._stay_pending(event, C_MOVE())
        yield "127.0.0.1", self.to
        sending = list(self._to_send(event.identifier))
        yield len(sending)
        yield from sending

    def _get(self, event: Any) -> Iterator[Any]:
        if self.pending:
            self._stay_pending(event, C_GET())
        sending = list(self._to_send(event.identifier))
        yield len(sending)
        yield from sending
