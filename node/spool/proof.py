"""Whether a file of the spool still is what was acknowledged: what it says of itself is its row's, its bytes are its
hash's."""

from __future__ import annotations

import hashlib
from pathlib import Path

from node.dicom.part10 import read_meta
from node.errors import CannotSucceed
from node.model import Identity, Origin


def flaw(
    path: Path, receipt: str, sha256: str, origin: Origin | None = None, identity: Identity | None = None
) -> str:  # fmt: skip
    """What is wrong with the file of a receipt; empty when nothing is. Reads all of it.

    sha256      of the data set, as the row says
    origin      as the row says; None: not compared
    identity    as the row says; None: not compared. The hash is of the data set alone, and how that is to be read says
                the Transfer Syntax UID before it

    Raises FileNotFoundError.
    """
    try:
        meta = read_meta(path)
        found = dataset_hash(path, meta.dataset_offset)
    except FileNotFoundError:
        raise
    except CannotSucceed as error:
        return str(error)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if found != sha256:
        return "its bytes are not those that were received"
    if identity is not None and (meta.sop_class, meta.sop_instance, meta.transfer_syntax) != (
        identity.sop_class, identity.sop_instance, identity.transfer_syntax
    ):  # fmt: skip
        return "its file meta information names another instance, class or transfer syntax than its row"
    provenance = meta.provenance
    if provenance is None:
        return "its provenance is gone"
    if provenance.receipt != receipt or provenance.sha256 != sha256:
        return "its provenance is that of another receipt"
    if origin is not None and provenance.origin != origin:
        return "its provenance names another sender or receiver than its row"
    return ""


def dataset_hash(path: Path, offset: int) -> str:
    """SHA-256 of the data set, which begins at `offset`. Raises OSError."""
    with path.open("rb") as file:
        file.seek(offset)
        return hashlib.file_digest(file, "sha256").hexdigest()
