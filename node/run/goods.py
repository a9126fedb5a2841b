"""From the items of a batch to what the outbox takes.

Every byte that is sent is hashed for it, so that is done part by part in all workers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from node.model import UID, Item, Kind, ReceiptId
from node.outbox import Goods
from node.pool import Pool
from node.run.contents import Content, of_files, of_instances
from node.run.known import Known

_PART = 12
"""Instances given to a worker at once; the first of them are in the outbox while the last are hashed."""


def goods_of(
    pool: Pool, items: Sequence[Item], kinds: Collection[Kind], received: Mapping[ReceiptId, tuple[UID, str]],
    known: Known | None = None,
) -> Iterator[Goods]:  # fmt: skip
    """The items of these kinds as goods, DICOM first, each given out while the next ones are still worked on.

    received    for each receipt its SOP Instance UID and the SHA-256 of its data set
    known       what needs no reading

    A file that is not DICOM has no header of its own: it takes the layout fields of the first DICOM item that
    was made from the same receipts, so that a volume lies beside its series. Raises what `Pool.call` raises.
    """
    dicom = [item for item in items if item.kind is Kind.DICOM]
    others = [item for item in items if item.kind is not Kind.DICOM and item.kind in kinds]
    fields: dict[ReceiptId, Mapping[str, str]] = {}
    # Read even when DICOM is not sent: their headers place the other files.
    wanted = dicom if others or Kind.DICOM in kinds else []
    parts = [wanted[begin : begin + _PART] for begin in range(0, len(wanted), _PART)]
    with ThreadPoolExecutor(max_workers=pool.size) as threads:
        read = threads.map(lambda part: _read(pool, [item.path for item in part], known), parts)
        for part, contents in zip(parts, read, strict=True):
            for item, content in zip(part, contents, strict=True):
                for source in item.sources:
                    fields.setdefault(source, content.fields)
                if Kind.DICOM in kinds:
                    yield _instance(item, content, received)
    if others:
        for item, content in zip(others, pool.call(of_files, [item.path for item in others]), strict=True):
            yield Goods(
                path=item.path, kind=item.kind, content=content.sha256, sources=item.sources,
                fields=next((fields[s] for s in item.sources if s in fields), {}),
            )  # fmt: skip


def _read(pool: Pool, paths: list[Path], known: Known | None) -> list[Content]:
    contents = known.of(paths) if known is not None else None
    return contents if contents is not None else pool.call(of_instances, paths)


def _instance(item: Item, content: Content, received: Mapping[ReceiptId, tuple[UID, str]]) -> Goods:
    origins = [received[s] for s in item.sources if s in received]
    return Goods(
        path=item.path, kind=item.kind, sop_class=content.sop_class, sop_instance=content.sop_instance,
        transfer_syntax=content.transfer_syntax, fields=content.fields, content=content.sha256, sources=item.sources,
        # Not whenever it is de-identified: with retain_uids the UID is the sender's, who may send it again.
        renamed=all(uid != content.sop_instance for uid, _ in origins),
        changed=all(sha256 != content.sha256 for _, sha256 in origins),
    )  # fmt: skip
