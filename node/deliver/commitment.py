"""Storage commitment on associations of our own (PS3.4 J.3): reports to who asked us, requests to who has it now."""

from __future__ import annotations

import logging
from collections.abc import Callable
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from node.deliver.contexts import Context
from node.deliver.dicom import DicomTarget
from node.deliver.entity import Hearing
from node.dicom.commitment import (
    PUSH_MODEL,
    REQUEST,
    WELL_KNOWN,
    Report,
    Request,
    write_report,
    write_request,
)
from node.dicom.status import PROCESSING_FAILURE, SUCCESS, describe
from node.dicom.uids import IMPLICIT_VR_LITTLE_ENDIAN
from node.errors import NodeError, Refused, TryAgain

log = logging.getLogger("node.deliver")

_CONTEXT = Context(PUSH_MODEL, IMPLICIT_VR_LITTLE_ENDIAN)
_STAY = 5.0
"""Seconds that an association stays open for a destination that reports on it at once."""


def send_report(target: DicomTarget, report: Report) -> None:
    """N-EVENT-REPORT: on this association we are the SCP, and say so. Raises TryAgain when it is not taken."""
    with target.associated([_CONTEXT], scp_of=[PUSH_MODEL]) as association:
        _accepted(target, association)
        data = write_report(report, IMPLICIT_VR_LITTLE_ENDIAN)
        answer, _ = _said(
            target, lambda: association.send_n_event_report(_parsed(data), report.event, PUSH_MODEL, WELL_KNOWN)
        )
        _succeeded(target, answer, "N-EVENT-REPORT")


def send_request(target: DicomTarget, request: Request, heard: Callable[[bytes, str], None]) -> None:
    """N-ACTION. Returns when the destination took the request. Raises TryAgain when it did not.

    heard    takes its N-EVENT-REPORT, should it come on this association: (Event Information, transfer syntax);
             raises NodeError to refuse it
    """

    def take(data: bytes, transfer_syntax: str) -> int:
        try:
            heard(data, transfer_syntax)
        except Refused as error:
            log.warning("N-EVENT-REPORT of %s refused: %s", target, error)
            return error.status
        except NodeError as error:
            log.warning("N-EVENT-REPORT of %s cannot be read: %s", target, error)
            return PROCESSING_FAILURE
        except Exception:  # in a thread of pynetdicom's, where nobody would hear of it
            log.exception("N-EVENT-REPORT of %s could not be taken", target)
            return PROCESSING_FAILURE
        return SUCCESS

    hearing = Hearing(take)
    with target.associated([_CONTEXT], hearing=hearing) as association:
        _accepted(target, association)
        data = write_request(request, IMPLICIT_VR_LITTLE_ENDIAN)
        answer, _ = _said(target, lambda: association.send_n_action(_parsed(data), REQUEST, PUSH_MODEL, WELL_KNOWN))
        _succeeded(target, answer, "N-ACTION")
        hearing.over.wait(_STAY)


def _accepted(target: DicomTarget, association: Any) -> None:
    if not association.accepted_contexts:
        raise TryAgain(f"{target} does not accept the Storage Commitment Push Model ({PUSH_MODEL})")


def _said(target: DicomTarget, send: Callable[[], tuple[Any, Any]]) -> tuple[Any, Any]:
    try:
        return send()
    except RuntimeError:  # the peer ended the association between its acceptance and our request
        raise TryAgain(f"{target} ended the association") from None


def _succeeded(target: DicomTarget, answer: Any, what: str) -> None:
    found = answer.get("Status")
    if found is None:
        raise TryAgain(f"{target} did not answer the {what}")
    if found != SUCCESS:
        raise TryAgain(f"{target} answered the {what} with {describe(int(found))}")


def _parsed(data: bytes) -> Dataset:
    return read_dataset(BytesIO(data), True, True)
