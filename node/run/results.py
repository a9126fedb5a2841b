"""What a step left behind, on disk: so that a job goes on at the step it was interrupted in.

    work/<job>/<number>-<step>/          the files that the step wrote
    work/<job>/<number>.json             its batch, written when the step was over, and of whose work it is

Work files are not synced, because they can be made again from the spool. After kill -9 they are whole: the
kernel still has them. After a power cut they may be empty under the right name, so a batch that was written
before the machine last started is not believed, and the job starts from the spool again.

Nor is what another job left under the same name: after a restore the numbers of units, and so the ids of jobs,
are given once more. A record says which receipts it was made from, and by which plan.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from node.model import Batch, Disclosure, Held, Item, Kind, Plan, ReceiptId, Whose

_ITEM = ("path", "kind", "sources", "account", "whose")


def boot() -> str:
    """Changes whenever the machine starts."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def ahead_folder(work: Path, process: str) -> Path:
    """Where one process keeps what it made ahead; of no use to any other."""
    return work / f"ahead-{process}"


def job_folder(work: Path, job: str, tries: int) -> Path:
    """One for each time that a job is put in: a retry makes everything again. Named by a hash, since a route
    may have a name that no file system takes."""
    return work / f"{hashlib.sha256(job.encode()).hexdigest()[:24]}-{tries}"


def mark(receipts: Iterable[ReceiptId], plan: Plan) -> str:
    """What a job works on and how, as one word.

    receipts    all that the job was made for, also those it has held or dropped since
    """
    whole = json.dumps([sorted(receipts), plan.fingerprint, [[name, dict(given)] for name, given in plan.steps]])
    return hashlib.sha256(whole.encode()).hexdigest()


def write(folder: Path, number: int | str, batch: Batch, notes: list[str], of: str) -> None:
    """Record what step `number` gave, or what was made beside the steps under a name. `of`: the job's `mark`."""
    content = {
        "boot": boot(),
        "of": of,
        "disclosure": batch.disclosure.value,
        "items": [[str(i.path), i.kind.value, list(i.sources), i.account, i.whose] for i in batch.items],
        "held": [[list(h.sources), h.reason] for h in batch.held],
        "dropped": list(batch.dropped),
        "notes": notes,
    }
    path = folder / f"{number}.json"
    hidden = path.with_suffix(".part")
    hidden.write_text(json.dumps(content))
    hidden.rename(path)


def read(folder: Path, number: int | str, of: str) -> Batch | None:
    """What step `number` gave, or None when it has to be made again. `of`: as for `write`."""
    try:
        content = json.loads((folder / f"{number}.json").read_text())
    except (OSError, ValueError):
        return None
    if (content.get("boot"), content.get("of")) != (boot(), of):
        return None
    if any(len(item) != len(_ITEM) for item in content["items"]):
        return None  # of an older program, which kept no accounts
    items = tuple(
        Item(
            path=Path(path),
            kind=Kind(kind),
            sources=tuple(ReceiptId(s) for s in sources),
            account=account,
            whose=None if whose is None else Whose(*whose),
        )
        for path, kind, sources, account, whose in content["items"]
    )
    if not all(os.access(item.path, os.R_OK) for item in items):
        return None
    return Batch(
        items=items,
        held=tuple(Held(sources=tuple(ReceiptId(s) for s in ids), reason=why) for ids, why in content["held"]),
        dropped=tuple(ReceiptId(r) for r in content["dropped"]),
        disclosure=Disclosure(content["disclosure"]),
    )
