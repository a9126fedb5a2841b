"""The words of the outbox."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from node.model import Disclosure, Kind, ReceiptId

FILE_GONE = "its file is gone from the outbox"
"""The reason of a parcel that no further try can send: its job has to make the file again."""

NOT_MADE_AGAIN = "its job ran again, and did not make it again"
"""The reason of a parcel that waited when its job held, at another try, what it had sent before."""
REPLACED = "its job ran again, and made another one in its place"
BY_ITS_JOB = frozenset({FILE_GONE, NOT_MADE_AGAIN})
"""Reasons for which a delivery cannot be sent again by itself: its job has to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods:
    """One file that a job sends."""

    path: Path
    kind: Kind
    sop_class: str = ""
    sop_instance: str = ""
    transfer_syntax: str = ""
    fields: Mapping[str, str]
    """Header values by keyword, for the layout of a folder. May be patient data: never log them."""
    content: str
    """SHA-256 of what is sent: the data set for DICOM, the file otherwise."""
    sources: tuple[ReceiptId, ...]
    renamed: bool = False
    """Its SOP Instance UID was made here."""
    changed: bool = False
    """Its content differs from what was received under this UID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A parcel that is to be sent."""

    number: int
    path: Path
    name: str
    kind: Kind
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    fields: Mapping[str, str]
    content: str
    sources: tuple[ReceiptId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What one job sends to one destination."""

    id: str
    job: str
    destination: str
    disclosure: Disclosure
    unit: int
    route: str
    generation: int
    delta: bool
    """Earlier generations' files stay."""
    state: str
    reason: str
    tries: int
    failures: int
    """Tries that did not get through since the last one that brought something."""

    @property
    def owner(self) -> str:
        """Who owns what a folder publishes: the same for every generation."""
        return f"{self.unit}.{self.route}"


def delivery_id(job_id: str, destination: str) -> str:
    return f"{job_id}>{destination}"


def folder_name(key: str) -> str:
    """Of a delivery, in the outbox. A hash: a route or destination may have a name that no file system takes."""
    return hashlib.sha256(key.encode()).hexdigest()[:24]
