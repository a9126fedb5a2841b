"""`dicom-node codecs`: what this installation decodes and encodes, found by trying."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict


def codecs(as_json: bool) -> int:
    """Print the table. Returns 1 when something is missing that the node could do with all of its libraries."""
    from node.imaging.capabilities import capabilities
    from node.imaging.codecs import DECODERS
    from node.imaging.targets import TARGETS

    table = capabilities(tried=True)
    names = {target.uid: target.name for target in TARGETS.values()}
    missing = [uid for uid in DECODERS if not table[uid].decode] + [uid for uid in names if not table[uid].encode]
    if as_json:
        rows = [{**asdict(one), "transcode": names.get(one.uid, "")} for one in table.values()]
        print(json.dumps({"syntaxes": rows, "missing": missing}))
        return 1 if missing else 0
    lines: list[tuple[str, ...]] = [("transfer syntax", "decoded by", "encoded by", "transcode")]
    for one in table.values():
        lines.append(
            (f"{one.name} ({one.uid})", one.decode or f"not: {one.reason}", one.encode, names.get(one.uid, ""))
        )
    _show(lines)
    for uid in missing:
        print(f"missing here: {table[uid].name}", file=sys.stderr)
    return 1 if missing else 0


def _show(lines: list[tuple[str, ...]]) -> None:
    if not sys.stdout.isatty():
        for line in lines[1:]:
            print("\t".join(line))
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, pad_edge=False)
    for head in lines[0]:
        shown.add_column(head, overflow="fold")
    for line in lines[1:]:
        shown.add_row(*line)
    Console().print(shown)
