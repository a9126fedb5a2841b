"""N-EVENT-REPORT on the association that asked, while it is still open (PS3.4 J.3.3.1).

The report is one message that its upper layer sends between two others, and the answer comes back as a message
like any other: whoever waits for it here keeps nobody from reading. A sender may go on storing meanwhile.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from node.dicom import command as dimse
from node.dicom.commitment import PUSH_MODEL, WELL_KNOWN, Report, write_report
from node.receive.pdata import message

_REMEMBERED = 1000
"""Requests whose association is known; the oldest is forgotten and reported on an association of our own."""


@dataclass(slots=True)
class _Waiting:
    over: threading.Event = field(default_factory=threading.Event)
    status: int | None = None


class Reports:
    """Where each request came from, and the reports that are on their way there. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: OrderedDict[int, tuple[Any, int]] = OrderedDict()
        self._waiting: dict[tuple[int, int], _Waiting] = {}
        self._numbers: dict[int, int] = {}
        """id of an association -> Message ID of our last request on it."""

    def remember(self, commitment: int, association: Any, context_id: int) -> None:
        """A request came on this association."""
        with self._lock:
            self._lines[commitment] = (association, context_id)
            self._lines.move_to_end(commitment)
            while len(self._lines) > _REMEMBERED:
                self._lines.popitem(last=False)

    def has(self, commitment: int) -> bool:
        """Whether the association that asked is still open in this process."""
        with self._lock:
            found = self._lines.get(commitment)
            return found is not None and bool(found[0].is_established)

    def send(self, commitment: int, report: Report, seconds: float) -> int | None:
        """Send a report where its request came from, and wait so long for the answer.

        Returns its status; None when that association is over, or ends or stays silent.
        """
        with self._lock:
            found = self._lines.pop(commitment, None)
            if found is None or not found[0].is_established:
                return None
            association, context_id = found
            number = self._numbers[id(association)] = self._numbers.get(id(association), 0) % 0xFFFF + 1
            waiting = self._waiting[id(association), number] = _Waiting()
        try:
            association.dul.say(_request(association, context_id, number, report))
            waiting.over.wait(seconds)
            return waiting.status
        finally:
            with self._lock:
                self._waiting.pop((id(association), number), None)

    def answered(self, association: Any, response: Any) -> None:
        """A response came; one that nobody waits for any more is forgotten."""
        with self._lock:
            waiting = self._waiting.get((id(association), response.MessageIDBeingRespondedTo))
        if waiting is not None:
            waiting.status = response.Status
            waiting.over.set()

    def over(self, association: Any) -> None:
        """The association has ended: nobody waits for an answer on it."""
        with self._lock:
            for commitment in [key for key, (line, _) in self._lines.items() if line is association]:
                del self._lines[commitment]
            ended = [one for (line, _), one in self._waiting.items() if line == id(association)]
            self._numbers.pop(id(association), None)
        for waiting in ended:
            waiting.over.set()


def _request(association: Any, context_id: int, number: int, report: Report) -> bytes:
    syntax = str(association._accepted_cx[context_id].transfer_syntax[0])
    command = dimse.encode_command(
        {
            dimse.AFFECTED_SOP_CLASS: PUSH_MODEL, dimse.COMMAND_FIELD: dimse.N_EVENT_REPORT_RQ,
            dimse.MESSAGE_ID: number, dimse.DATA_SET_TYPE: dimse.WITH_DATA_SET,
            dimse.AFFECTED_SOP_INSTANCE: WELL_KNOWN, dimse.EVENT_TYPE_ID: report.event,
        }
    )  # fmt: skip
    return message(context_id, command, write_report(report, syntax), association.requestor.maximum_length or 0)
