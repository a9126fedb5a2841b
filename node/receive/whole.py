"""A PDU read as a whole, as the few that come while no association is established; and what it is that is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

CLOSED, UNKNOWN = "Evt17", "Evt19"
"""What it is to the state machine: the connection ended, or what came is no PDU (PS3.8 Table 9-10)."""

_HEAD = 6
_TYPES = range(0x01, 0x08)
"""Of PDUs (PS3.8 9.3)."""
_TLS = 0x16
"""First byte of a TLS handshake (RFC 8446 5.1)."""
_CUT = "it went away in the middle of its association request"


class Read(NamedTuple):
    """What came. Exactly one of `pdu` and `event` is empty."""

    pdu: bytes = b""
    event: str = ""
    why: str = ""
    """For the line about a peer that has not asked for an association; empty for a probe that only connects."""


def read_pdu(receive: Callable[[int], bytes]) -> Read:
    """One PDU from its first byte. `receive` gives so many bytes, fewer at the end of the connection, or raises
    OSError."""
    try:
        pdu = bytes(receive(_HEAD))
        if len(pdu) < _HEAD:
            return Read(event=CLOSED, why=_CUT if pdu else "")
        if pdu[0] not in _TYPES:
            why = "it speaks TLS, and this port does not" if pdu[0] == _TLS else "it speaks no DICOM"
            return Read(event=UNKNOWN, why=why)
        length = int.from_bytes(pdu[2:])
        pdu += receive(length)
    except TimeoutError:
        return Read(event=CLOSED, why="not the whole of its association request came in time")
    except OSError as error:
        return Read(event=CLOSED, why=f"its association request cannot be read: {error}")
    return Read(pdu) if len(pdu) == _HEAD + length else Read(event=CLOSED, why=_CUT)
