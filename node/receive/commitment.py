"""Storage commitment as it arrives (PS3.4 J.3): requests of senders, and what destinations say to ours.

A request is answered with success when it is on the disk: from then on it is reported, whatever happens to this
process. What is said in the report is decided elsewhere (commit).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from node.commitment import Proof
from node.dicom import status
from node.dicom.commitment import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    REQUEST,
    WELL_KNOWN,
    read_report,
    read_request,
)
from node.errors import Refused
from node.index import Database, asking, commitments
from node.receive.asked import Asked
from node.receive.reports import Reports

log = logging.getLogger("node.receive")


@dataclass(slots=True)
class Commitments:
    """Serves the Storage Commitment Push Model."""

    database: Database
    proof: Callable[[], Proof | None]
    """What is asked of an instance before it is committed; None: requests are not accepted."""
    wake: threading.Event
    """Set when there is something to decide or to report."""
    told: Callable[[], None] = lambda: None
    """Called when something is known that completion may have waited for."""
    reach: Callable[[str], None] = lambda point: None
    reports: Reports = field(default_factory=Reports)

    @property
    def accepted(self) -> bool:
        return self.proof() is not None

    @property
    def asks(self) -> bool:
        """Whether destinations are asked, and so may report to us."""
        return self.proof() is Proof.DOWNSTREAM

    def requested(self, asked: Asked) -> Mapping[str, object]:
        """N-ACTION (PS3.4 J.3.2). Raises Refused, Malformed."""
        message, proof = asked.message, self.proof()
        if message.RequestedSOPInstanceUID != WELL_KNOWN:
            raise Refused(status.NO_SUCH_INSTANCE, f"storage commitment has one instance, {WELL_KNOWN}")
        if message.ActionTypeID != REQUEST:
            raise Refused(status.NO_SUCH_ACTION, "storage commitment has one action type, 1")
        if proof is None:  # switched off since the association was negotiated
            raise Refused(status.NOT_AUTHORIZED, "node: commitment is off")
        request = read_request(asked.data("ActionInformation"), asked.transfer_syntax)
        with self.database.durable.begin() as connection:
            key = commitments.record(connection, request, asked.origin, proof, self.database.now(connection))
        self.reports.remember(key, asked.association, asked.context_id)
        log.info(
            "%s at %s asks for commitment of %d instances, transaction %s", asked.origin.calling_ae,
            asked.origin.sender, len(request.references), request.transaction,
        )  # fmt: skip
        self.reach("commitment recorded")
        self.wake.set()
        self.told()
        return {}

    def reported(self, asked: Asked) -> Mapping[str, object]:
        """N-EVENT-REPORT of a destination (PS3.4 J.3.3), which opened the association. Raises Refused, Malformed."""
        if asked.message.EventTypeID not in (ALL_COMMITTED, FAILURES_EXIST):
            raise Refused(status.NO_SUCH_EVENT_TYPE, "storage commitment has the event types 1 and 2")
        self.heard(asked.data("EventInformation"), asked.transfer_syntax, asked.origin.calling_ae)
        return {"EventTypeID": asked.message.EventTypeID}

    def heard(self, data: bytes, transfer_syntax: str, ae_title: str) -> None:
        """What a destination says. Returns when it is on the disk. Raises Refused, Malformed."""
        report = read_report(data, transfer_syntax)
        with self.database.durable.begin() as connection:
            found = asking.answer(connection, report, ae_title, self.database.now(connection))
        if found is None:
            raise Refused(
                status.INVALID_ARGUMENT_VALUE, f"{ae_title} was not asked in transaction {report.transaction}"
            )
        log.info(
            "%s committed %d instances and failed %d, transaction %s", ae_title, len(report.committed),
            len(report.failed), report.transaction,
        )  # fmt: skip
        self.wake.set()
