"""`dicom-node reidentify`: the way back for who has the private key. Files to files, with no node and no database."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from node.cli.crosswalk import who
from node.cli.tools import files_in
from node.errors import CannotSucceed, ConfigurationError

if TYPE_CHECKING:
    from node.dicom.envelope import Owner

log = logging.getLogger("node.reidentify")


def reidentify(
    paths: Sequence[Path], certificate: Path, key: Path, out: Path, password_file: Path | None, as_json: bool
) -> int:
    """Each instance under the number of its place in the input: its own UIDs identify."""
    from node.dicom.envelope import EnvelopeError, read_certificate, read_private_key

    at = certificate
    try:
        recipient = read_certificate(certificate)
        at = key
        password = None if password_file is None else password_file.read_bytes().rstrip(b"\r\n")
        owner = read_private_key(key, recipient, password)
    except EnvelopeError as error:
        raise ConfigurationError(f"{at}: {error}") from None
    if out.exists() and any(out.iterdir()):
        raise ConfigurationError(f"{out} is not empty: name a new folder")
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    done: list[str] = []
    failed: list[tuple[str, str]] = []
    for number, path in enumerate(files_in(paths), 1):
        target = out / f"{number:06}.dcm"
        try:
            _one(path, target, owner)
        except CannotSucceed as error:
            failed.append((str(path), str(error)))
        else:
            done.append(target.name)
    log.warning("reidentify by %s: %d instances", who(), len(done))
    if as_json:
        print(json.dumps({"files": done, "failed": failed}))
    else:
        for name, reason in failed:
            print(f"{name}: {reason}", file=sys.stderr)
        print(f"{len(done)} instances identified in {out}")
    return 0 if done and not failed else 1


def _one(path: Path, target: Path, owner: Owner) -> None:
    """Raises CannotSucceed; then nothing is written."""
    from node.dicom.damage import DAMAGE
    from node.dicom.dataset import read, write
    from node.dicom.encoding import Malformed
    from node.steps.anonymize.reversible import NotReversibleError, restore

    try:
        with path.open("rb") as file:
            ds = read(file)
            restore(ds, owner)
        write(ds, target)
    except NotReversibleError as error:
        raise CannotSucceed(str(error)) from None
    except (*DAMAGE, Malformed) as error:
        # The error's text may quote what is in the data set.
        target.unlink(missing_ok=True)
        raise CannotSucceed(f"it cannot be read or written ({type(error).__name__})") from None
