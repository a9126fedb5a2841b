"""Commands that need no node: show, echo, send."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.cli.progress import progress
from node.errors import CannotSucceed, ConfigurationError, TryAgain

if TYPE_CHECKING:
    from node.config import Destination
    from node.deliver.base import Parcel, Result, Target
    from node.dicom.sniff import NotAnInstance, Sniffed
    from node.model import Disclosure


def show(path: Path, tag: str | None, as_json: bool) -> int:
    from node.dicom.encoding import Malformed
    from node.dicom.header import read_header_of
    from node.dicom.sniff import NotAnInstance, sniff

    try:
        found = sniff(path)
        if isinstance(found, NotAnInstance):
            print(f"{path}: {found.reason}", file=sys.stderr)
            return 1
        header = read_header_of(path, found.transfer_syntax, found.dataset_offset).header
    except (OSError, Malformed) as error:
        print(f"{path}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
        return 1
    if tag is None:
        if as_json:
            print(json.dumps(header, ensure_ascii=False, indent=2))
        else:
            for line in _lines(header, 0):
                print(line)
        return 0
    values = _values(header, tag)
    print(json.dumps(values, ensure_ascii=False) if as_json else "\\".join(_text(v) for v in values))
    return 0 if values else 1


def _lines(header: Any, depth: int) -> Iterator[str]:
    from node.dicom.attributes import describe

    for key, (vr, values) in sorted(header.items()):
        indent = "  " * depth
        if vr == "SQ":
            yield f"{indent}{describe(int(key, 16))} {vr}: {len(values or [])} items"
            for item in values or []:
                yield from _lines(item, depth + 1)
        else:
            text = "(not shown: long or binary)" if values is None else "\\".join(_text(v) for v in values)
            yield f"{indent}{describe(int(key, 16))} {vr}: {text}"


def _text(value: object) -> str:
    return "(long)" if value is None else str(value)


def _values(header: Any, path: str) -> list[Any]:
    """The values at a keyword, a tag or a dotted path, as `when:` has them; of every item on the way.

    Raises ConfigurationError.
    """
    from node.config.elements import parse_element

    if re.fullmatch("[0-9A-Fa-f]{8}", path):
        path = f"({path[:4]},{path[4:]})"
    try:
        element = parse_element(path)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    return [value for _, values in element.entries(header) for value in values or []]


def echo(name: str, config: Path, as_json: bool) -> int:
    target, _, _ = _target(name, config, peers=True)
    try:
        text, good = target.check(), True
    except TryAgain as error:
        text, good = str(error), False
    if as_json:
        print(json.dumps({"destination": name, "answers": good, "text": text}))
    else:
        print(text, file=sys.stdout if good else sys.stderr)
    return 0 if good else 1


def send(name: str, paths: Sequence[Path], config: Path, as_json: bool) -> int:
    from node.deliver.base import Outcome

    target, destination, accepts = _target(name, config)
    parcels, left_out, withheld, broken = _parcels(paths, accepts)
    results: dict[int, tuple[Parcel, Result]] = {}
    why = ""
    try:
        with progress(f"to {destination or name}", len(parcels), quiet=as_json) as one_more:

            def record(parcel: Parcel, result: Result) -> None:
                results[parcel.number] = (parcel, result)
                one_more()

            if parcels:
                target.deliver(parcels, record, lambda: False)
    except (TryAgain, CannotSucceed) as error:
        why = str(error)
    except OSError as error:  # a file went away since it was looked at
        why = error.strerror or type(error).__name__
    good = sum(1 for _, r in results.values() if r.outcome is Outcome.DELIVERED)
    failed = [
        (str(p.path), r.text or r.outcome.value) for p, r in results.values() if r.outcome is not Outcome.DELIVERED
    ]
    failed += [(str(p.path), why or "not sent") for p in parcels if p.number not in results]
    failed += [(path, f"not sent: {destination} {reason}") for path, reason in withheld]
    failed += [(path, f"not sent: {reason}") for path, reason in broken]
    asked = len(parcels) + len(withheld) + len(broken)
    if as_json:
        print(json.dumps({"delivered": good, "failed": failed, "left_out": left_out}))
    else:
        for path, reason in (*failed, *left_out):
            print(f"{path}: {reason}", file=sys.stderr)
        print(f"{good} of {asked} instances delivered to {destination or name}")
    return 0 if good == asked and parcels else 1


def _target(name: str, path: Path, *, peers: bool = False) -> tuple[Target, str, Disclosure | None]:
    """A destination of rules.yaml, or AE@host:port; and what it accepts, None for anything.

    peers   whether a peer that has a port is one too: to be asked, not to be sent to

    Raises ConfigurationError.
    """
    from node.config import Destination, Remote, load
    from node.config.values import Address
    from node.deliver.targets import open_target
    from node.steps import STEPS

    if "@" in name:
        try:
            return open_target(name, Destination(dicom=Remote.parse(name)), "DICOM-NODE", None), name, None
        except ValueError as error:
            raise ConfigurationError(f'"{name}": {error}') from None
    config = load(path, STEPS)
    own = config.node.ae_title[0]
    found: Destination | None = config.destinations.get(name)
    answering = {key: peer for key, peer in config.peers.items() if peers and peer.port is not None}
    peer = answering.get(name)
    if found is None and peer is not None and peer.port is not None:
        host = str(peer.host[0].network_address)
        found = Destination(dicom=Remote(ae_title=peer.ae_title, address=Address(host, peer.port)))
    if found is None:
        known = ", ".join([*config.destinations, *answering]) or "none"
        raise ConfigurationError(f'no destination "{name}" in {path}; there are: {known}')
    return open_target(name, found, own, None), name, found.accepts


def files_in(paths: Sequence[Path]) -> Iterator[Path]:
    """Files named, and every file below folders named, in order. Raises ConfigurationError for what is not there."""
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"{path} does not exist")
        yield from sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


_Reasons = list[tuple[str, str]]
"""(path, why)"""


def _parcels(
    paths: Sequence[Path], accepts: Disclosure | None
) -> tuple[list[Parcel], _Reasons, _Reasons, _Reasons]:  # fmt: skip
    """What to send; what is nothing to send; what must not go to a destination that `accepts` something else; what
    should be an instance and is damaged."""
    from node.deliver.base import Parcel
    from node.dicom.sniff import NotAnInstance
    from node.model import Kind

    parcels: list[Parcel] = []
    left_out: _Reasons = []
    withheld: _Reasons = []
    broken: _Reasons = []
    for path in files_in(paths):
        found = _whole(path)
        if isinstance(found, str):
            broken.append((str(path), found))
        elif isinstance(found, NotAnInstance):
            left_out.append((str(path), found.reason))
        elif not found.part10:
            left_out.append((str(path), "it has no file meta information; the node's `watch` takes such files"))
        elif why := _forbidden(path, found, accepts):
            withheld.append((str(path), why))
        else:
            parcels.append(
                Parcel(
                    number=len(parcels), path=path, kind=Kind.DICOM, sop_class=found.sop_class,
                    sop_instance=found.sop_instance, transfer_syntax=found.transfer_syntax,
                )
            )  # fmt: skip
    return parcels, left_out, withheld, broken


def _whole(path: Path) -> Sniffed | NotAnInstance | str:
    """What a file is; in words what is wrong with one that should be an instance, or cannot be read.

    A peer may take what is cut off as if it were all, or end the association with all the others on it.
    """
    from mmap import ACCESS_READ, mmap

    from node.dicom.sniff import NotAnInstance, sniff
    from node.dicom.wholeness import cut_off

    try:
        found = sniff(path)
        with path.open("rb") as file:
            if isinstance(found, NotAnInstance):
                head = file.read(132)
                meant = not head or head[128:] == b"DICM"
                return found.reason if meant and not found.dicomdir else found
            # Mapped: it may be larger than memory. Not closed by hand, what reads it may still hold a view of it.
            mapped = mmap(file.fileno(), 0, access=ACCESS_READ)
            return cut_off(mapped, found.transfer_syntax, found.dataset_offset) or found
    except OSError as error:
        return f"it cannot be read: {error.strerror}"


def _forbidden(path: Path, found: Sniffed, accepts: Disclosure | None) -> str:
    """Why the file must not go where only `accepts` goes; empty when it may.

    Patient Identity Removed (0012,0062) decides (PS3.3 C.7.1.1): what does not say YES counts as identified.
    """
    from node.dicom.encoding import Malformed
    from node.dicom.header import read_header_of
    from node.model import Disclosure

    if accepts is None:
        return ""
    try:
        header = read_header_of(path, found.transfer_syntax, found.dataset_offset).header
    except (OSError, Malformed):
        return f"accepts only {accepts} data, and the header of this file cannot be read"
    removed = _values(header, "PatientIdentityRemoved") == ["YES"]
    if removed == (accepts is Disclosure.DEIDENTIFIED):
        return ""
    if removed:
        return "accepts only identified data, and this file says Patient Identity Removed (0012,0062) YES"
    return (
        "accepts only deidentified data, and this file does not say Patient Identity Removed (0012,0062) YES; "
        "`dicom-node process` it through a route that anonymizes first"
    )
