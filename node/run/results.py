"""What a step left behind, on disk: so that a job goes on at the step it was interrupted in.

    work/<job>/<number>-<step>/          the files that the step wrote
    work/<job>/<number>.json             its batch, written when the step was over

Work files are not synced, because they can be made again from the spool. After kill -9 they are whole: the
kernel still has them. After a power cut they may be empty under the right name, so a batch that was written
before the machine last started is not believed, and the job starts from the spool again.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from node.model import Batch, Disclosure, Held, Item, Kind, ReceiptId


def boot() -> str:
    """Changes whenever the machine starts."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def job_folder(work: Path, job: str, tries: int) -> Path:
    """One for each time that a job is put in: a retry makes everything again. Named by a hash, since a route
    may have a name that no file system takes."""
    return work / f"{hashlib.sha256(job.encode()).hexdigest()[:24]}-{tries}"


def write(folder: Path, number: int, batch: Batch, notes: list[str]) -> None:
    """Record what step `number` gave."""
    content = {
        "boot": boot(),
        "disclosure": batch.disclosure.value,
        "items": [[str(i.path), i.kind.value, list(i.sources)] for i in batch.items],
        "held": [[list(h.sources), h.reason] for h in batch.held],
        "dropped": list(batch.dropped),
        "notes": notes,
    }
    path = folder / f"{number}.json"
    hidden = path.with_suffix(".part")
    hidden.write_text(json.dumps(content))
    hidden.rename(path)


def read(folder: Path, number: int) -> Batch | None:
    """What step `number` gave, or None when it has to be made again."""
    try:
        content = json.loads((folder / f"{number}.json").read_text())
    except (OSError, ValueError):
        return None
    if content["boot"] != boot():
        return None
    items = tuple(
        Item(path=Path(path), kind=Kind(kind), sources=tuple(ReceiptId(s) for s in sources))
        for path, kind, sources in content["items"]
    )
    if not all(os.access(item.path, os.R_OK) for item in items):
        return None
    return Batch(
        items=items,
        held=tuple(Held(sources=tuple(ReceiptId(s) for s in ids), reason=why) for ids, why in content["held"]),
        dropped=tuple(ReceiptId(r) for r in content["dropped"]),
        disclosure=Disclosure(content["disclosure"]),
    )
