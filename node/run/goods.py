"""From the items of a batch to what the outbox takes: names, content hash and the fields of a layout.

Every byte that is sent is hashed here, so it is done part by part in all workers.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from node.dicom.attributes import keyword_of
from node.dicom.header import read_header_of
from node.dicom.part10 import read_meta
from node.model import UID, Header, Item, Kind, ReceiptId
from node.outbox import Goods
from node.pool import Pool

_PART = 12
"""Instances given to a worker at once; the first of them are in the outbox while the last are hashed."""

_LAYOUT_VRS = frozenset({"AE", "AS", "CS", "DA", "DT", "DS", "IS", "LO", "PN", "SH", "ST", "TM", "UI", "US", "UL"})


def goods_of(
    pool: Pool, items: Sequence[Item], kinds: Collection[Kind], received: Mapping[ReceiptId, tuple[UID, str]]
) -> Iterator[Goods]:
    """The items of these kinds as goods, DICOM first, each given out while the next ones are still worked on.

    received    for each receipt its SOP Instance UID and the SHA-256 of its data set

    A file that is not DICOM has no header of its own: it takes the layout fields of the first DICOM item that
    was made from the same receipts, so that a volume lies beside its series. Raises what `Pool.call` raises.
    """
    dicom = [item for item in items if item.kind is Kind.DICOM]
    others = [item for item in items if item.kind is not Kind.DICOM and item.kind in kinds]
    fields: dict[ReceiptId, Mapping[str, str]] = {}
    # Read even when DICOM is not sent: their headers place the other files.
    parts = _parts(dicom) if others or Kind.DICOM in kinds else []
    with ThreadPoolExecutor(max_workers=pool.size) as threads:
        for made in threads.map(lambda part: pool.call(instances, part, _of(part, received)), parts):
            for one in made:
                for source in one.sources:
                    fields.setdefault(source, one.fields)
                if Kind.DICOM in kinds:
                    yield one
    if others:
        yield from pool.call(files, others, fields)


def _parts(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[begin : begin + _PART] for begin in range(0, len(items), _PART)]


def _of(items: Sequence[Item], received: Mapping[ReceiptId, tuple[UID, str]]) -> dict[ReceiptId, tuple[UID, str]]:
    return {source: received[source] for item in items for source in item.sources if source in received}


def instances(items: Sequence[Item], received: Mapping[ReceiptId, tuple[UID, str]]) -> list[Goods]:
    """DICOM items as goods, in a worker."""
    return [_instance(item, received) for item in items]


def files(items: Sequence[Item], fields: Mapping[ReceiptId, Mapping[str, str]]) -> list[Goods]:
    """Other items as goods, in a worker."""
    return [_file(item, fields) for item in items]


def _instance(item: Item, received: Mapping[ReceiptId, tuple[UID, str]]) -> Goods:
    meta = read_meta(item.path)
    with item.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        content = hashlib.sha256(memoryview(view)[meta.dataset_offset :]).hexdigest()
    header = read_header_of(item.path, meta.transfer_syntax, meta.dataset_offset).header
    origins = [received[s] for s in item.sources if s in received]
    return Goods(
        path=item.path, kind=item.kind, sop_class=meta.sop_class or "", sop_instance=meta.sop_instance or "",
        transfer_syntax=meta.transfer_syntax, fields=layout_fields(header), content=content, sources=item.sources,
        # Not whenever it is de-identified: with retain_uids the UID is the sender's, who may send it again.
        renamed=all(uid != meta.sop_instance for uid, _ in origins),
        changed=all(sha256 != content for _, sha256 in origins),
    )  # fmt: skip


def _file(item: Item, fields: Mapping[ReceiptId, Mapping[str, str]]) -> Goods:
    return Goods(
        path=item.path, kind=item.kind, content=_hash(item.path), sources=item.sources,
        fields=next((fields[s] for s in item.sources if s in fields), {}),
    )  # fmt: skip


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def layout_fields(header: Header) -> dict[str, str]:
    """Keyword -> first value as text, for the top-level elements that a path may be made of."""
    return dict(_fields(header.items()))


def _fields(elements: Iterable[tuple[str, object]]) -> Iterable[tuple[str, str]]:
    for tag, element in elements:
        if not isinstance(element, list | tuple) or len(element) != 2:
            continue
        vr, values = element
        keyword = keyword_of(int(tag, 16))
        if keyword and vr in _LAYOUT_VRS and values:
            yield keyword, str(values[0])
