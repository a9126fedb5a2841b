"""How node/dicom/iod_types.json was made: `python -m tests.dicom.iod_tables FOLDER > node/dicom/iod_types.json`.

FOLDER is `highdicom/_standard` of highdicom 0.28 (MIT), whose tables are those of PS3.3 and PS3.4.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydicom.datadict import tag_for_keyword

from node.dicom import deid_table
from node.dicom.attributes import tag_of

STORAGE = "1.2.840.10008.5.1.4.1.1."
STRICTNESS = ("1", "1C", "2", "2C", "3")
_ABOUT = (
    "What the IODs of DICOM PS3.3 ask of the attributes whose code in PS3.15 Table E.1-1 is Z or compound: Types of "
    "PS3.5 7.4, of several modules of one IOD the strictest. From the tables of highdicom 0.28 (MIT); the DICOM "
    "Standard is copyright of NEMA, whose work is acknowledged. iods: SOP Class UIDs below " + STORAGE + " or whole. "
    "top: attribute, then Type: IODs; `most` for all others that have it. items: sequence, then attribute: its "
    "strictest Type of any IOD. removed: of the attributes whose code is X alone, those of Type 1 or 2, as Type: IODs."
)


def made_from(folder: Path) -> dict[str, Any]:
    """The tables in our form."""
    classes, modules, attributes = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("sop_class_iod_map", "iod_module_map", "module_attribute_map")
    )
    iods = defaultdict(list)
    for uid, iod in sorted(classes.items()):
        iods[iod].append(uid.removeprefix(STORAGE))
    top: dict[int, dict[str, str]] = defaultdict(dict)
    items: dict[int, dict[int, str]] = defaultdict(dict)
    removed: dict[tuple[int, ...], dict[str, str]] = defaultdict(dict)
    for iod in sorted(iods):
        for module in modules[iod]:
            for tag, path, kind in _asked(attributes.get(module["key"], ())):
                if deid_table.rows()[tag].basic == "X":
                    place = ((tag_of(path[-1]) or 0), tag) if path else (tag,)
                    removed[place][iod] = _stricter(kind, removed[place].get(iod, "3"))
                elif path:
                    inside = items[tag_of(path[-1]) or 0]
                    inside[tag] = _stricter(kind, inside.get(tag, "3"))
                else:
                    top[tag][iod] = _stricter(kind, top[tag].get(iod, "3"))
    return {
        "about": _ABOUT,
        "iods": dict(iods),
        "top": {f"{tag:08X}": _grouped(found, sorted(iods)) for tag, found in sorted(top.items())},
        "items": {
            f"{sequence:08X}": {f"{tag:08X}": kind for tag, kind in sorted(found.items())}
            for sequence, found in sorted(items.items())
        },
        "removed": {
            " ".join(f"{tag:08X}" for tag in place): required
            for place, found in sorted(removed.items())
            if (required := _required(found))
        },
    }


def _asked(rows: list[dict[str, Any]]) -> Iterator[tuple[int, list[str], str]]:
    for row in rows:
        tag = tag_for_keyword(row["keyword"])  # None for repeating groups
        entry = None if tag is None else deid_table.rows().get(tag)
        if entry is not None and entry.basic not in ("U", "D"):
            yield entry.tag, row["path"], row["type"]


def _grouped(found: dict[str, str], iods: list[str]) -> dict[str, Any]:
    """Type -> IODs, the longest list left out as `most`; IODs without the attribute count as 3, for they may have it
    all the same in an extended SOP Class (PS3.4 B.4.1)."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for iod in iods:
        kinds[found.get(iod, "3")].append(iod)
    most = max(kinds, key=lambda kind: len(kinds[kind]))
    return {"most": most} | {kind: kinds[kind] for kind in STRICTNESS if kind in kinds and kind != most}


def _required(found: Mapping[str, str]) -> dict[str, list[str]]:
    """Type 1 or 2 -> IODs: what a Type 1C or 2C needs is not known here, and then X may be done."""
    kinds = {kind: sorted(iod for iod, asked in found.items() if asked == kind) for kind in ("1", "2")}
    return {kind: iods for kind, iods in kinds.items() if iods}


def _stricter(one: str, other: str) -> str:
    return min(one, other, key=STRICTNESS.index)


if __name__ == "__main__":
    made = made_from(Path(sys.argv[1]))
    blocks = []
    for name, block in made.items():
        if isinstance(block, str):
            blocks.append(f" {json.dumps(name)}: {json.dumps(block)}")
        else:
            lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in block.items())
            blocks.append(f" {json.dumps(name)}: {{\n{lines}\n }}")
    sys.stdout.write("{\n" + ",\n".join(blocks) + "\n}\n")
