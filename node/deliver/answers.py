"""What the status of a C-STORE-RSP makes of a parcel. Pure."""

from __future__ import annotations

from node.deliver.base import Outcome, Result
from node.dicom import status


def answer(code: int, destination: str) -> Result:
    """The Result for a status (PS3.4 Table B.2-1, PS3.7 Annex C).

    Success and warnings: the peer has the instance. What is worth a retry comes again, all else is held.
    The peer's (0000,0902) Error Comment is not used: some quote the patient in it.
    """
    said = f"{destination} answered {status.describe(code)}"
    if status.is_success(code):
        return Result(outcome=Outcome.DELIVERED, status=code)
    if status.is_warning(code):
        return Result(outcome=Outcome.DELIVERED, status=code, text=said)
    outcome = Outcome.AGAIN if status.worth_retrying(code) else Outcome.REFUSED
    return Result(outcome=outcome, status=code, text=said)
