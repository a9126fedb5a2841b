"""`dicom-node verify`: are certificates as they were issued, and is every chain of them whole?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.cli.opened import opened
from node.cli.tools import files_in
from node.errors import ConfigurationError

if TYPE_CHECKING:
    from node.certificate.keys import Keys
    from node.cli.opened import Opened
    from node.report.certificates import Absent, Verdict

_NAMES = "certificate-*.json"
"""What is looked at in a folder."""


def verify(paths: Sequence[Path], complete: bool, config: Path, as_json: bool) -> int:
    from node.report import certificates

    if complete and not paths:
        raise ConfigurationError("--complete: name the files or folders that should have every certificate")
    found: list[tuple[Path, Verdict]] = []
    chains: list[dict[str, Any]] = []
    absent = certificates.Absent(missing=[], nowhere=[])
    with opened(config) as node:
        keys = _keys(node)
        with node.database.reader.connect() as connection:
            for path in _certificates(paths):
                verdict = certificates.of_file(connection, keys, path.read_bytes())
                found.append((path, verdict))
                if not as_json:
                    print(_line(path, verdict), flush=True)
            register = certificates.of_register(connection, keys)
            for name in certificates.names(connection):
                count, flaws = certificates.of_chain(connection, keys, name)
                chains.append({"chain": name, "certificates": count, "flaws": [str(flaw) for flaw in flaws]})
            if complete:
                absent = certificates.absent(connection, {verdict.place for _, verdict in found if verdict.place})
    good = (
        not register
        and not absent.missing
        and not any(v.wrong for _, v in found)
        and not any(one["flaws"] for one in chains)
    )
    if as_json:
        print(json.dumps({**_facts(found, chains, absent), "register": register, "verified": good}))
    else:
        if register:
            print(register)
        _tell(chains, absent)
    return 0 if good else 1


def _certificates(paths: Sequence[Path]) -> Iterator[Path]:
    """Files that are named, whatever they are called, and those of folders that are called so."""
    for path in paths:
        yield from (one for one in files_in([path]) if one == path or one.match(_NAMES))


def _keys(node: Opened) -> Keys:
    """Those that the certificates were sealed with, also before a rotation; here none is made."""
    from node.certificate.keys import Keys
    from node.stores import open_keys

    path = node.config.node.data / "secret"
    if node.config.node.secret is None and not path.exists():
        raise ConfigurationError(f"{path} is not there: only the node that issued certificates can verify them")
    found = open_keys(node.config, node.database)
    return Keys(found.current, former=tuple(found.former.values()))


def _line(path: Path, verdict: Verdict) -> str:
    name = ascii(str(path))[1:-1]  # a stranger may have named it
    if verdict.place is None:
        return f"{name}: does not verify: {verdict.wrong}"
    chain, number = verdict.place
    return (
        f"{name}: verifies: certificate {number} of chain {chain}, {verdict.instances} instances, issued "
        f"{verdict.issued}"
    )


def _tell(chains: Sequence[dict[str, Any]], absent: Absent) -> None:
    for chain, number in absent.missing:
        print(f"certificate {number} of chain {chain} is not among the files")
    if absent.nowhere:
        print(
            f"not looked for: {len(absent.nowhere)} certificates of what went to an application entity, or to no "
            "folder yet; of those the ledger alone has the document"
        )
    for one in chains:
        for flaw in one["flaws"]:
            print(flaw)
    count, broken = sum(one["certificates"] for one in chains), sum(bool(one["flaws"]) for one in chains)
    whole = f"{broken} broken" if broken else "each whole"
    print(f"the ledger has {count} certificates in {len(chains)} chains, {whole}" if chains else "no certificate yet")


def _facts(
    found: Sequence[tuple[Path, Verdict]], chains: Sequence[dict[str, Any]], absent: Absent
) -> dict[str, Any]:  # fmt: skip
    return {
        "certificates": [
            {
                "path": str(path), "verifies": verdict.place is not None, "wrong": verdict.wrong,
                "chain": verdict.place[0] if verdict.place else None,
                "number": verdict.place[1] if verdict.place else None,
                "instances": verdict.instances, "issued": verdict.issued,
            }
            for path, verdict in found
        ],
        "chains": list(chains),
        "missing": [{"chain": chain, "number": number} for chain, number in absent.missing],
        "not_looked_for": [{"chain": chain, "number": number} for chain, number in absent.nowhere],
    }  # fmt: skip
