"""What in docs/ is written from the code. `python -m tests.house.pages` writes it; test_docs.py compares."""

from __future__ import annotations

import re
from pathlib import Path

from node.config.reference import reference
from node.dicom.status import TABLE
from node.dicom.uids import STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES, TransferSyntax, name_of
from node.imaging.codecs import DECODERS, NATIVE, NATIVE_FRAMES
from node.imaging.consistency import FINDINGS
from node.imaging.targets import TARGETS
from node.steps import STEPS
from node.steps.anonymize.options import OPTIONS
from tests.flow.matrix import Cell, Fault, Point, cells
from tests.house.sources import ROOT

CONFIGURATION = ROOT / "docs" / "CONFIGURATION.md"
CONFORMANCE = ROOT / "docs" / "CONFORMANCE.md"
CONVERSION = ROOT / "docs" / "CONVERSION.md"
RELIABILITY = ROOT / "docs" / "RELIABILITY.md"

_PART = "<!-- from the code: {} -->"
_END = "<!-- end -->"


def parts() -> dict[Path, dict[str, str]]:
    """The generated tables by page and name."""
    return {
        CONFORMANCE: {
            "SOP classes": _sop_classes(), "transfer syntaxes": _transfer_syntaxes(), "statuses": _statuses(),
            "options": _options(),
        },
        CONVERSION: {"findings": _findings()},
        RELIABILITY: {"what is tried": _tried(), "what is promised": _promised(), "what says nothing": _says_nothing()},
    }  # fmt: skip


def _sop_classes() -> str:
    rows = sorted((name_of(uid), uid) for uid in STORAGE_SOP_CLASSES)
    return _table(("SOP class", "UID"), [(name, f"`{uid}`") for name, uid in rows])


def _transfer_syntaxes() -> str:
    decoded = {*NATIVE, *NATIVE_FRAMES, *DECODERS}
    written = {target.uid: f"`{target.name}`" for target in TARGETS.values()}
    rows = [
        (t.name, f"`{t.uid}`", _pixels(t), "yes" if t.uid in decoded else "no: held", written.get(t.uid, ""))
        for t in TRANSFER_SYNTAXES.values()
    ]
    return _table(("transfer syntax", "UID", "pixels", "decoded", "written by `transcode`"), rows)


def _options() -> str:
    rows = [
        (
            f"`{option.name}`",
            option.code,
            option.clause,
            f"no: {option.unavailable}" if option.unavailable else "yes",
            ", ".join(f"`{other}`" for other in option.excludes),
        )
        for option in OPTIONS.values()
    ]
    return _table(("option", "CID 7050", "PS3.15", "supported", "not beside"), rows)


def _pixels(syntax: TransferSyntax) -> str:
    if syntax.referenced:
        return "not in the data set"
    if syntax.video:
        return "video"
    if syntax.native:
        return "uncompressed"
    return "encapsulated, lossless" if syntax.lossless else "encapsulated, may be lossy"


def _statuses() -> str:
    codes = [(f"0x{s.first:04X}" + (f" to 0x{s.last:04X}" if s.last != s.first else ""), s) for s in TABLE]
    rows = [(code, s.name, s.outcome.value, "yes" if s.retry else "no", s.source) for code, s in codes]
    return _table(("status", "meaning", "counts as", "tried again", "source"), rows)


def _findings() -> str:
    return _table(("finding", "meaning"), [(f"`{name}`", meaning) for name, meaning in FINDINGS.items()])


def _tried() -> str:
    """Points by faults: how often each cell is tried."""

    def mark(cell: Cell) -> str:
        return "–" if cell.meaningless else "each" if cell.sampled else "full"

    rows = [(point.words, *(mark(c) for c in cells() if c.point is point)) for point in Point]
    return _table(("", *Fault), rows)


def _promised() -> str:
    """Per fault: the points in order, those with the same words together."""
    rows: list[tuple[str, ...]] = []
    for fault in Fault:
        points: dict[str, list[str]] = {}
        for cell in cells():
            if cell.fault is fault and cell.expected:
                points.setdefault(cell.expected, []).append(cell.point.words)
        rows += [(fault, _listed(where), words) for words, where in points.items()]
    return _table(("fault", "where", "then"), rows)


def _says_nothing() -> str:
    faults: dict[tuple[str, str], list[str]] = {}
    for cell in cells():
        if cell.meaningless:
            faults.setdefault((cell.point.words, cell.meaningless), []).append(cell.fault)
    return _table(("where", "fault", "why not"), [(where, _listed(of), why) for (where, why), of in faults.items()])


def _listed(names: list[str]) -> str:
    """Points that begin with the same words, said once."""
    short = [
        name.removeprefix("in the step ") if n and name.startswith("in the step ") else name
        for n, name in enumerate(names)
    ]
    return ", ".join(short)


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_parts(path: Path) -> str:
    """The page with its generated tables as the code has them now."""
    page = path.read_text()
    for name, table in parts()[path].items():
        begin = re.escape(_PART.format(name))
        page, found = re.subn(f"(?s){begin}\n.*?{_END}", f"{_PART.format(name)}\n\n{table}\n\n{_END}", page)
        assert found == 1, f"{_PART.format(name)} is not in the page once"
    return page


def write() -> list[Path]:
    """Write what the code says; returns the pages that changed."""
    pages = {CONFIGURATION: reference(STEPS), **{path: with_parts(path) for path in parts()}}
    changed = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
    for path in changed:
        path.write_text(pages[path])
    return changed


if __name__ == "__main__":
    for path in write():
        print(f"written: {path.relative_to(ROOT)}")
