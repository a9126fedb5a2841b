"""Modality Performed Procedure Steps as they arrive (PS3.4 F.7.2): what a modality says that it has made.

Kept is what completion asks for: which instances each series has. Nothing is passed on to an information system.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from node.dicom import status
from node.dicom.procedure_step import MAY_NO_LONGER_BE_UPDATED, Attributes, read_attributes
from node.dicom.uids import tolerable_uid
from node.errors import Refused
from node.index import Database, procedure_steps
from node.index.procedure_steps import COMPLETED, DISCONTINUED, IN_PROGRESS, Step
from node.model import UID
from node.receive.asked import Asked

log = logging.getLogger("node.receive")


class NotUpdatable(Refused):
    """The step is over (PS3.4 F.7.2.2.3)."""

    error_id = MAY_NO_LONGER_BE_UPDATED


@dataclass(slots=True)
class ProcedureSteps:
    """Serves the Modality Performed Procedure Step SOP class."""

    database: Database
    accepted: Callable[[], bool]
    new_uid: Callable[[], UID]
    told: Callable[[], None] = lambda: None
    """Called when something is known that completion may have waited for."""

    def create(self, asked: Asked) -> Mapping[str, object]:
        """N-CREATE. Raises Refused, Malformed."""
        said = self._read(asked, "AttributeList")
        if said.status is None:
            raise Refused(status.MISSING_ATTRIBUTE, "(0040,0252) Performed Procedure Step Status is missing")
        if said.status != IN_PROGRESS:
            raise Refused(status.INVALID_ATTRIBUTE_VALUE, "a procedure step begins IN PROGRESS")
        given = asked.message.AffectedSOPInstanceUID
        uid = UID(str(given)) if given else self.new_uid()
        if not tolerable_uid(uid):
            raise Refused(status.INVALID_INSTANCE, "the SOP Instance UID of the procedure step is no UID")
        step = Step(
            sop_instance=uid, origin=asked.origin, study=_one(said), state=IN_PROGRESS, series=said.series or ()
        )
        with self.database.durable.begin() as connection:
            made = procedure_steps.create(connection, step, self.database.now(connection))
        if not made:
            raise Refused(status.DUPLICATE_INSTANCE, f"there is a procedure step {uid} already")
        return {"AffectedSOPInstanceUID": uid}

    def change(self, asked: Asked) -> Mapping[str, object]:
        """N-SET: what it does not name stays as it was. Raises Refused, Malformed."""
        said, uid = self._read(asked, "ModificationList"), str(asked.message.RequestedSOPInstanceUID or "")
        with self.database.durable.begin() as connection:
            before = procedure_steps.read(connection, uid)
            if before is None or before.origin.calling_ae != asked.origin.calling_ae:
                raise Refused(status.NO_SUCH_INSTANCE, "no such procedure step was created by this sender")
            if before.final:
                raise NotUpdatable(status.PROCESSING_FAILURE, f"procedure step {uid} is {before.state}")
            after = replace(
                before,
                study=_one(said) or before.study,
                state=said.status or before.state,
                series=before.series if said.series is None else said.series,
            )
            procedure_steps.change(connection, after, self.database.now(connection))
        if after.final:
            log.info(
                "procedure step %s of %s is %s: %d series, %d instances", uid, before.origin.calling_ae, after.state,
                len(after.series), sum(len(instances) for _, instances in after.series),
            )  # fmt: skip
            self.told()
        return {}

    def _read(self, asked: Asked, name: str) -> Attributes:
        if not self.accepted():  # switched off since the association was negotiated
            raise Refused(status.NOT_AUTHORIZED, "node: mpps is not set")
        said = read_attributes(asked.data(name), asked.transfer_syntax)
        if said.status not in (None, IN_PROGRESS, COMPLETED, DISCONTINUED):
            raise Refused(status.INVALID_ATTRIBUTE_VALUE, "(0040,0252) is IN PROGRESS, COMPLETED or DISCONTINUED")
        return said


def _one(said: Attributes) -> UID:
    """A step of several studies says of no series which one it belongs to."""
    return said.studies[0] if len(said.studies) == 1 else UID("")
