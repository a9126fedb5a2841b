"""What arrives on an association beside C-STORE and C-ECHO: storage commitment and performed procedure steps.

One table says which message of which SOP class is whose. Success is answered when what the message said is on the
disk; what cannot be taken gets a status by name, and its line in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from node.dicom import status
from node.dicom.commitment import PUSH_MODEL, TRANSFER_SYNTAXES
from node.dicom.encoding import Malformed
from node.dicom.negotiation import choose
from node.dicom.procedure_step import PERFORMED_PROCEDURE_STEP
from node.dicom.uids import name_of, valid_uid
from node.errors import Refused
from node.model import UID, Origin
from node.receive.asked import Asked
from node.receive.commitment import Commitments
from node.receive.procedure_steps import NotUpdatable, ProcedureSteps

log = logging.getLogger("node.receive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Which roles the requestor of an association may have (PS3.7 D.3.3.4). Both None: SCU, the default."""

    scu: bool | None = None
    scp: bool | None = None


Serve = Callable[[Asked], Mapping[str, object]]
"""Take a message. Returns what its response says beside the status. Raises Refused, Malformed."""


@dataclass(slots=True)
class Services:
    """Serves the messages of every association; used by many threads."""

    commitments: Commitments
    procedure_steps: ProcedureSteps
    _served: Mapping[tuple[str, str], Serve] = field(init=False)

    def __post_init__(self) -> None:
        self._served = {
            (PUSH_MODEL, "N-ACTION"): self.commitments.requested,
            (PUSH_MODEL, "N-EVENT-REPORT"): self.commitments.reported,
            (PERFORMED_PROCEDURE_STEP, "N-CREATE"): self.procedure_steps.create,
            (PERFORMED_PROCEDURE_STEP, "N-SET"): self.procedure_steps.change,
        }

    # ---- negotiation ----------------------------------------------------------------------------------

    def roles(self, sop_class: str) -> Roles | None:
        """The roles in which a SOP class is accepted; None when it is not."""
        if sop_class == PUSH_MODEL and self.commitments.accepted:
            # An archive that reports to us opens the association and is the SCP on it (PS3.4 J.3.3.1).
            return Roles(scu=True, scp=self.commitments.asks)
        if sop_class == PERFORMED_PROCEDURE_STEP and self.procedure_steps.accepted():
            return Roles()
        return None

    def why_not(self, sop_class: str) -> str:
        """What to change, where a SOP class is not accepted."""
        if sop_class == PUSH_MODEL:
            return "node: commitment is off"
        if sop_class == PERFORMED_PROCEDURE_STEP:
            return "node: mpps is not set"
        return "it is no storage class, and nothing that this node answers; take it out there"

    # ---- messages -------------------------------------------------------------------------------------

    def serve(self, association: Any, origin: Origin, message: Any, context_id: int) -> bool:
        """Answer a message. False: it is none of these services'."""
        context = association._accepted_cx.get(context_id)
        if context is None or str(context.abstract_syntax) not in (PUSH_MODEL, PERFORMED_PROCEDURE_STEP):
            return False
        if message.MessageIDBeingRespondedTo is not None:
            self.commitments.reports.answered(association, message)
            return True
        if message.MessageID is None:  # it cannot be answered
            association.abort(block=False)
            return True
        asked = Asked(
            association=association, context_id=context_id, transfer_syntax=UID(str(context.transfer_syntax[0])),
            origin=origin, message=message,
        )  # fmt: skip
        _respond(asked, self._status(asked, str(context.abstract_syntax)))
        return True

    def over(self, association: Any) -> None:
        """The association has ended."""
        self.commitments.reports.over(association)

    def _status(self, asked: Asked, abstract_syntax: str) -> Mapping[str, object]:
        """The response: `Status`, and what goes with it."""
        origin = asked.origin
        try:
            serve = self._served.get((abstract_syntax, asked.kind))
            if serve is None:
                raise Refused(status.UNRECOGNIZED_OPERATION, f"{name_of(abstract_syntax)} has no such operation here")
            return {"Status": status.SUCCESS, **serve(asked)}
        except NotUpdatable as error:
            said = {"Status": error.status, "ErrorID": error.error_id}
        except Refused as error:
            said, why = {"Status": error.status}, str(error)
            log.warning("%s of %s at %s refused: %s", asked.kind, origin.calling_ae, origin.sender, why)
        except Malformed as error:
            said = {"Status": status.INVALID_ARGUMENT_VALUE}
            log.warning("%s of %s at %s cannot be read: %s", asked.kind, origin.calling_ae, origin.sender, error)
        except sa.exc.OperationalError as error:
            said = {"Status": status.PROCESSING_FAILURE}
            log.warning("%s of %s is refused, the database is away: %s", asked.kind, origin.calling_ae,
                        type(error.orig).__name__)  # fmt: skip
        except Exception:  # worker loop: one bad message must not end the association
            said = {"Status": status.PROCESSING_FAILURE}
            log.exception("%s of %s could not be served", asked.kind, origin.calling_ae)
        return said


def choose_syntax(proposed: list[UID]) -> UID | None:
    """The transfer syntax for these services; None when none of theirs is proposed."""
    return choose([uid for uid in proposed if uid in TRANSFER_SYNTAXES])


def _respond(asked: Asked, said: Mapping[str, object]) -> None:
    """Send the response. The UIDs in it are optional (PS3.7 10.3); bad ones are not sent back."""
    request = asked.message
    response = type(request)()
    response.MessageID = response.MessageIDBeingRespondedTo = request.MessageID
    for affected in ("SOPClassUID", "SOPInstanceUID"):
        uid = getattr(request, f"Requested{affected}", None) or getattr(request, f"Affected{affected}", None)
        if uid and valid_uid(uid):
            setattr(response, f"Affected{affected}", uid)
    for name, value in said.items():
        setattr(response, name, value)
    asked.association.dimse.send_msg(response, asked.context_id)
