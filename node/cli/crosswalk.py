"""`dicom-node crosswalk find | export | import | rotate | begin-anew | uses`. What is shown is printed;
each use is recorded."""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from node.cli.opened import is_stopped
from node.cli.table import columns
from node.errors import ConfigurationError, TryAgain

if TYPE_CHECKING:
    from node.crosswalk import Crosswalk
    from node.crosswalk.table import Entry


def find(value: str, path: Path, as_json: bool) -> int:
    from node.crosswalk import records

    entries = records.find(_crosswalk(path), value, who())
    _show(entries, as_json)
    return 0 if entries else 1


def export(out: Path, path: Path) -> int:
    from node.crosswalk import records
    from node.crosswalk.table import text_of

    crosswalk = _crosswalk(path)
    try:
        # First: what cannot be written is not looked at.
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{out} exists already: name a new file") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            entries = records.export(crosswalk, who())
            file.write(text_of(entries))
    except (TryAgain, OSError):
        out.unlink()  # half of it would be taken for all
        raise
    print(f"{len(entries)} entries in {out}")
    return 0


def read_in(source: Path, path: Path, replace: bool) -> int:
    from node.crosswalk import records

    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{source} cannot be read ({type(error).__name__})") from None
    print(f"{records.read_in(_crosswalk(path), text, str(source), who(), replace=replace)} entries")
    return 0


def rotate(path: Path) -> int:
    from node.cli.opened import opened
    from node.crosswalk import rotation
    from node.stores import crosswalk_with, read_keys

    with opened(path) as node:
        if not is_stopped(node.config.node.data):
            return 1
        own = node.config.node.data / "secret" if node.config.node.secret is None else None
        crosswalk = crosswalk_with(node.config, read_keys(node.config))
        try:
            keys, count = rotation.rotate(node.database, crosswalk, own, who())
        finally:
            crosswalk.close()
    print(f"patients to come are mapped with the secret {keys.id[:8]}...; {count} patients keep the one that they have")
    return 0


def begin_anew(path: Path) -> int:
    from node.cli.opened import opened
    from node.crosswalk import mark
    from node.stores import crosswalk_with, open_keys

    with opened(path) as node:
        if not is_stopped(node.config.node.data):
            return 1
        crosswalk = crosswalk_with(node.config, open_keys(node.config, node.database))
        try:
            begun = mark.begin_anew(node.database, crosswalk, who())
        finally:
            crosswalk.close()
    print(f"another crosswalk is begun, with {begun.patients} patients; who was mapped before gets another pseudonym")
    return 0


def uses(path: Path, as_json: bool) -> int:
    from node.crosswalk import records

    rows = records.uses(_crosswalk(path))
    if as_json:
        names = ("when", "who", "act", "entries")
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
    else:
        columns(("when", "who", "act", "entries"), [(at, by, act, str(count)) for at, by, act, count in rows])
    return 0


def who() -> str:
    """The person at the command line, as the record names them: the one before sudo, too."""
    before = os.environ.get("SUDO_USER", "")
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        user = f"uid {os.getuid()}"
    return f"{user}{f' (sudo by {before})' if before else ''}@{socket.gethostname()}"


def _crosswalk(path: Path) -> Crosswalk:
    """With the node's keys, which must be those that it knows. Raises ConfigurationError."""
    from node.cli.opened import opened
    from node.config import load
    from node.steps import STEPS
    from node.stores import open_crosswalk, open_keys

    config = load(path, STEPS)
    if not (config.node.data / "secret").exists() and config.node.secret is None:
        raise ConfigurationError(f"there is no crosswalk in {config.node.data} yet: no node has run there")
    with opened(path) as node:
        return open_crosswalk(node.config, open_keys(node.config, node.database), node.database)


def _show(entries: Sequence[Entry], as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(entry) for entry in entries], ensure_ascii=False))
    elif entries:
        rows = [(e.issuer, e.patient_id or e.study, e.scheme, e.pseudonym, e.key[:8], e.since) for e in entries]
        columns(("issuer", "patient or study", "scheme", "pseudonym", "key", "since"), rows)
    else:
        print("no such entry", file=sys.stderr)
