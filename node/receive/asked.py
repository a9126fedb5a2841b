"""A request of a normalized service (PS3.7 10), as it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from node.model import UID, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, and where its answer goes."""

    association: Any
    context_id: int
    transfer_syntax: UID
    origin: Origin
    message: Any
    """A DIMSE-N primitive of pynetdicom."""

    @property
    def kind(self) -> str:
        """`N-ACTION` and so on."""
        return str(self.message.msg_type)

    def data(self, name: str) -> bytes:
        """The data set of the message; its name differs per service (PS3.7 10.1)."""
        found = getattr(self.message, name)
        return found.getvalue() if found is not None else b""
