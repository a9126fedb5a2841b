"""Peers of storage commitment: a Modality that asks and hears reports, an Archive that is asked and reports.

Both are pynetdicom's own, so that they share no code with the node, and end with their `with` block.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from socketserver import BaseServer
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, build_context, build_role, evt

from tests.peers import Recorder

PUSH_MODEL, WELL_KNOWN = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Heard:
    """One N-EVENT-REPORT."""

    transaction: str
    event: int
    committed: tuple[str, ...]
    failed: tuple[tuple[str, int], ...]
    place: str
    """`here` on the association that asked, `new` on one that the node opened."""
    calling_ae: str
    called_ae: str

    @property
    def reasons(self) -> set[int]:
        return {reason for _, reason in self.failed}


def information(transaction: str, references: Sequence[tuple[str, str]]) -> Dataset:
    """Action Information: (SOP class, SOP instance) each."""
    data = Dataset()
    data.TransactionUID = transaction
    data.ReferencedSOPSequence = Items([_reference(*one) for one in references])
    return data


def references(instances: Sequence[Dataset]) -> list[tuple[str, str]]:
    return [(str(ds.SOPClassUID), str(ds.SOPInstanceUID)) for ds in instances]


def _reference(sop_class: str, sop_instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
    return item


@dataclass(slots=True)
class Modality:
    """Asks for commitment, and listens for the answer. `answer`: statuses for the next reports, then success."""

    ae_title: str = "CT1"
    answer: list[int] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    port: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _server: Any = None
    _connections: list[Any] = field(default_factory=list)

    def __enter__(self) -> Modality:
        ae = AE(self.ae_title)
        ae.add_supported_context(PUSH_MODEL, scu_role=False, scp_role=True)
        handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, self._report, ["new"]), (evt.EVT_CONN_OPEN, self._opened)]
        self._server = ae.make_server(("127.0.0.1", self.port), evt_handlers=handlers)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._server is not None:
            BaseServer.shutdown(self._server)
            self._server.server_close()
            for association in self._server.active_associations:
                association.abort()
                association.join(5)
            for connection in self._connections:
                connection.close()  # pynetdicom leaves those open that the peer ended first
            self._server = None

    def _opened(self, event: Any) -> None:
        self._connections.append(event.assoc.dul.socket.socket)

    @contextlib.contextmanager
    def association(self, port: int, called_ae: str = "NODE", roles: Sequence[Any] = ()) -> Iterator[Any]:
        ae = AE(self.ae_title)
        association = ae.associate(
            "127.0.0.1", port, [build_context(PUSH_MODEL)], called_ae, ext_neg=list(roles),
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._report, ["here"])],
        )  # fmt: skip
        assert association.is_established
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def ask(
        self, port: int, transaction: str, wanted: Sequence[tuple[str, str]], called_ae: str = "NODE"
    ) -> int | None:
        """One request on an association of its own, which is released at once."""
        with self.association(port, called_ae) as association:
            return ask_on(association, transaction, wanted)

    def wait_for(self, count: int = 1, deadline: float = PATIENCE) -> list[Heard]:
        with self._changed:
            found = self._changed.wait_for(lambda: len(self.heard) >= count, deadline)
            assert found, f"{len(self.heard)} of {count} reports within {deadline} s"
            return list(self.heard)

    def _report(self, event: Any, place: str) -> tuple[int, None]:
        data = event.event_information
        with self._changed:
            status = self.answer.pop(0) if self.answer else 0x0000
            if status == 0x0000:
                self.heard.append(_heard(event, data, place))
                self._changed.notify_all()
        return status, None


def _heard(event: Any, data: Dataset, place: str) -> Heard:
    return Heard(
        transaction=str(data.TransactionUID), event=event.event_type, place=place,
        committed=tuple(str(i.ReferencedSOPInstanceUID) for i in data.get("ReferencedSOPSequence", ())),
        failed=tuple(
            (str(i.ReferencedSOPInstanceUID), int(i.FailureReason)) for i in data.get("FailedSOPSequence", ())
        ),
        calling_ae=event.assoc.requestor.ae_title, called_ae=event.assoc.acceptor.ae_title,
    )  # fmt: skip


def ask_on(association: Any, transaction: str, wanted: Sequence[tuple[str, str]]) -> int | None:
    """The status of one N-ACTION; None when there was no answer."""
    answer, _ = association.send_n_action(information(transaction, wanted), 1, PUSH_MODEL, WELL_KNOWN)
    return answer.get("Status")


Decide = Callable[[str], int | None]
"""SOP Instance UID -> failure reason, None when it is committed."""


@dataclass(slots=True)
class Committing:
    """Answers requests for commitment as an archive does, on the port of a Recorder.

    decide: what becomes of each instance. where: `here` on the association that asks, `new` on one to `node_port`,
    `nowhere`.
    """

    ae_title: str = "ARCHIVE"
    decide: Decide = lambda uid: None
    where: str = "new"
    node_port: int = 0
    asked: list[Dataset] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """What the node answered to our reports."""
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @contextlib.contextmanager
    def archive(self, **how: Any) -> Iterator[Recorder]:
        """A Recorder that commits too; `how` are its knobs."""
        recorder = Recorder(ae_title=self.ae_title, **how)
        recorder._ae.add_supported_context(PUSH_MODEL)
        with recorder:
            recorder._server.bind(evt.EVT_N_ACTION, self._action)
            yield recorder

    def _action(self, event: Any) -> tuple[int, None]:
        data = event.action_information
        with self._changed:
            self.asked.append(data)
            self._changed.notify_all()
        if self.where != "nowhere":
            threading.Thread(target=self._report, args=(event.assoc, data), daemon=True).start()
        return 0x0000, None

    def _report(self, association: Any, data: Dataset) -> None:
        report = Dataset()
        report.TransactionUID = data.TransactionUID
        committed, failed = [], []
        for item in data.ReferencedSOPSequence:
            reason = self.decide(str(item.ReferencedSOPInstanceUID))
            copy = _reference(item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID)
            if reason is not None:
                copy.FailureReason = reason
            (committed if reason is None else failed).append(copy)
        if committed:
            report.ReferencedSOPSequence = Items(committed)
        if failed:
            report.FailedSOPSequence = Items(failed)
        self.report(report, 2 if failed else 1, association if self.where == "here" else None)

    def report(self, report: Dataset, event: int, association: Any = None) -> int | None:
        if association is not None:
            threading.Event().wait(0.1)  # its N-ACTION is answered first
            answer, _ = association.send_n_event_report(report, event, PUSH_MODEL, WELL_KNOWN)
        else:
            context = build_context(PUSH_MODEL, ImplicitVRLittleEndian)
            role = build_role(PUSH_MODEL, scu_role=False, scp_role=True)
            own = AE(self.ae_title).associate("127.0.0.1", self.node_port, [context], "NODE", ext_neg=[role])
            assert own.is_established
            answer, _ = own.send_n_event_report(report, event, PUSH_MODEL, WELL_KNOWN)
            own.release()
        status = answer.get("Status")
        with self._changed:
            self.statuses.append(status)
            self._changed.notify_all()
        return status

    def wait_until_asked(self, count: int = 1, deadline: float = PATIENCE) -> list[Dataset]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.asked) >= count, deadline), f"{len(self.asked)} of {count}"
            return list(self.asked)

    def wait_for_statuses(self, count: int, deadline: float = PATIENCE) -> None:
        """Until the node has answered so many of our reports."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.statuses) >= count, deadline), self.statuses
