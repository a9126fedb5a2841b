"""C-STORE status codes by name (PS3.4 B.2.3, PS3.7 Annex C and 9.1.1.1.9), and what each means for a sender.

Values are class codes: 0xA7xx is all of 0xA700 to 0xA7FF. Answer the first of a class, accept any of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Status:
    """One row of the table: codes `first` to `last`, as the standard words it, and where."""

    first: int
    last: int
    outcome: Outcome
    retry: bool
    """Whether the peer may take the same object at another time."""
    name: str
    source: str


SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
DOES_NOT_MATCH: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000
PROCESSING_FAILURE: Final = 0x0110
INVALID_INSTANCE: Final = 0x0117
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
NOT_AUTHORIZED: Final = 0x0124

# Of the normalized services, which only answer with them (PS3.7 Annex C and 10.1).
INVALID_ATTRIBUTE_VALUE: Final = 0x0106
DUPLICATE_INSTANCE: Final = 0x0111
NO_SUCH_INSTANCE: Final = 0x0112
NO_SUCH_EVENT_TYPE: Final = 0x0113
INVALID_ARGUMENT_VALUE: Final = 0x0115
MISSING_ATTRIBUTE: Final = 0x0120
NO_SUCH_ACTION: Final = 0x0123
UNRECOGNIZED_OPERATION: Final = 0x0211

_OK, _WARN, _FAIL = Outcome

TABLE: Final = (
    Status(0x0000, 0x0000, _OK, False, "success", "PS3.4 Table B.2-1"),
    Status(0x0001, 0x0001, _WARN, False, "requested optional attributes are not supported", "PS3.7 Table C-1"),
    Status(0x0105, 0x0105, _FAIL, False, "no such attribute", "PS3.7 C.5.1"),
    Status(0x0106, 0x0106, _FAIL, False, "invalid attribute value", "PS3.7 C.5.2"),
    Status(0x0107, 0x0107, _WARN, False, "attribute list error", "PS3.7 C.4.2"),
    # A peer's own trouble while it processed: what went wrong may be over the next time.
    Status(0x0110, 0x0110, _FAIL, True, "processing failure", "PS3.7 C.5.3"),
    Status(0x0111, 0x0111, _FAIL, False, "duplicate SOP instance", "PS3.7 C.5.4"),
    Status(0x0112, 0x0112, _FAIL, False, "no such SOP instance", "PS3.7 C.5.5"),
    Status(0x0115, 0x0115, _FAIL, False, "invalid argument value", "PS3.7 C.5.8"),
    Status(0x0116, 0x0116, _WARN, False, "attribute value out of range", "PS3.7 C.4.3"),
    Status(0x0117, 0x0117, _FAIL, False, "invalid SOP instance", "PS3.7 C.5.9"),
    Status(0x0118, 0x0118, _FAIL, False, "no such SOP class", "PS3.7 C.5.10"),
    Status(0x0120, 0x0120, _FAIL, False, "missing attribute", "PS3.7 C.5.12"),
    Status(0x0121, 0x0121, _FAIL, False, "missing attribute value", "PS3.7 C.5.13"),
    Status(0x0122, 0x0122, _FAIL, False, "SOP class not supported", "PS3.7 C.5.14"),
    # A person has to let us in: until then every try is the same.
    Status(0x0124, 0x0124, _FAIL, False, "refused: not authorized", "PS3.7 C.5.16"),
    # Our Message ID is new in every association, so the clash is gone in the next.
    Status(0x0210, 0x0210, _FAIL, True, "duplicate invocation", "PS3.7 C.5.6"),
    Status(0x0211, 0x0211, _FAIL, False, "unrecognized operation", "PS3.7 C.5.15"),
    Status(0x0212, 0x0212, _FAIL, False, "mistyped argument", "PS3.7 C.5.11"),
    Status(0x0213, 0x0213, _FAIL, True, "resource limitation", "PS3.7 C.5.7"),
    Status(0xA700, 0xA7FF, _FAIL, True, "refused: out of resources", "PS3.4 Table B.2-1"),
    Status(0xA900, 0xA9FF, _FAIL, False, "error: data set does not match SOP class", "PS3.4 Table B.2-1"),
    Status(0xB000, 0xB000, _WARN, False, "coercion of data elements", "PS3.4 Table B.2-1"),
    Status(0xB006, 0xB006, _WARN, False, "elements discarded", "PS3.4 Table B.2-1"),
    Status(0xB007, 0xB007, _WARN, False, "data set does not match SOP class", "PS3.4 Table B.2-1"),
    # The standard says the object is at fault; archives answer it for a locked database too. Sending it again
    # harms nothing and `give_up` ends it, but a held instance waits for a person: so it counts as permanent.
    Status(0xC000, 0xCFFF, _FAIL, False, "error: cannot understand", "PS3.4 Table B.2-1"),
)
"""In ascending order of code, without overlap."""


def meaning(status: int) -> Status:
    """The row of the table for a code; for one outside it, by its class alone (PS3.7 C)."""
    for row in TABLE:
        if row.first <= status <= row.last:
            return row
    if status >> 12 == 0xB:
        return Status(status, status, _WARN, False, "warning of the peer's own", "PS3.7 C.1")
    # 0xAxxx: refused, e.g. a vendor's 0xA801 for a destination of its own: it says nothing about the object.
    return Status(status, status, _FAIL, status >> 12 == 0xA, "failure of the peer's own", "PS3.7 C.1")


def is_success(status: int) -> bool:
    """The peer has it, and says so without reserve."""
    return meaning(status).outcome is Outcome.SUCCESS


def is_warning(status: int) -> bool:
    """The peer has it, changed or with a remark: it counts as delivered (PS3.4 B.2.3)."""
    return meaning(status).outcome is Outcome.WARNING


def worth_retrying(status: int) -> bool:
    """Whether a delivery that was answered so may succeed later with the same object."""
    return meaning(status).retry


def describe(status: int) -> str:
    """`0xA700 refused: out of resources`."""
    return f"0x{status:04X} {meaning(status).name}"
