"""Our decoder against others, file by file: do independent decoders see the same pixels?

python -m benchmarks.agreement [FOLDER ...] [--python PYTHON]

FOLDER    files or folders of DICOM files, by default the real images of the tests
PYTHON    a Python with pydicom, python-gdcm, pylibjpeg (-libjpeg, -openjpeg, -rle) and pyjpegls, which need not be
          installed beside the node; by default the one that runs this

Each plug-in of pydicom is a decoder of its own, and so are dcmdjpeg, dcmdjpls, dcmdrle and dcmconv of DCMTK where they
are installed. Exits 1 when a lossless file has pixels that no other decoder sees, sample by sample, as ours does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.figures import table
from benchmarks.other_decoders import Decoded, Refused, dcmtk, plug_ins
from node.dicom.uids import TRANSFER_SYNTAXES
from node.errors import CannotSucceed
from node.imaging.layout import Array
from node.imaging.pixels import read_header
from tests.data import real_folders


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One file and one other decoder."""

    path: Path
    syntax: str
    decoder: str
    distance: int | None
    """The greatest difference of a sample; None where the other one gave nothing."""
    said: str = ""


def ours(path: Path) -> tuple[str, Array] | None:
    """The transfer syntax and all frames as they were coded; None for a file without pixels. Raises CannotSucceed."""
    pixels = read_header(path)[1]
    if pixels is None:
        return None
    return pixels.layout.transfer_syntax, np.stack(list(pixels.frames(rgb=False)))


def compare(path: Path, syntax: str, expected: Array, others: Iterable[Decoded]) -> Iterator[Verdict]:
    for other in others:
        distance, said = None, ""
        if isinstance(other.frames, Refused):
            said = other.frames.why
        elif other.frames.size != expected.size:
            said = f"shape {other.frames.shape}, ours {expected.shape}"
        else:
            distance = _distance(expected.ravel(), np.asarray(other.frames).ravel())
        yield Verdict(path=path, syntax=syntax, decoder=other.decoder, distance=distance, said=said)


def _distance(one: Array, other: Array) -> int:
    if np.array_equal(one, other):
        return 0
    wide = np.float64 if one.dtype.kind == "f" else np.int64
    return max(int(np.ceil(np.abs(one.astype(wide) - other.astype(wide)).max())), 1)


def agreed(verdicts: Sequence[Verdict]) -> str:
    """One cell of the table: of how many files the decoder saw the same, how far it was off, what it did not decode."""
    seen = [v.distance for v in verdicts if v.distance is not None]
    same = sum(distance == 0 for distance in seen)
    parts = [f"{same} of {len(seen)} exact"] if seen else []
    if len(seen) > same:
        parts.append(f"±{max(seen)}")
    if len(verdicts) > len(seen):
        parts.append(f"{len(verdicts) - len(seen)} refused")
    return ", ".join(parts)


def lines(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, ...]]:
    decoders = sorted({v.decoder for v in verdicts})
    for syntax in dict.fromkeys(
        v.syntax for v in sorted(verdicts, key=lambda v: list(TRANSFER_SYNTAXES).index(v.syntax))
    ):
        mine = [v for v in verdicts if v.syntax == syntax]
        cells = [agreed([v for v in mine if v.decoder == decoder]) for decoder in decoders]
        yield (f"{TRANSFER_SYNTAXES[syntax].name} ({len({v.path for v in mine})})", *cells)


def unconfirmed(verdicts: Sequence[Verdict], known: Mapping[Path, str]) -> list[Path]:
    """Lossless files of which no other decoder sees the same samples. `known`: the syntax of each that ours decoded."""
    confirmed = {path: False for path, syntax in known.items() if TRANSFER_SYNTAXES[syntax].lossless}
    for verdict in verdicts:
        if TRANSFER_SYNTAXES[verdict.syntax].lossless:
            confirmed[verdict.path] |= verdict.distance == 0
    return sorted(path for path, good in confirmed.items() if not good)


def files(given: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in given or real_folders():
        found += [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    return found


def judge(paths: Sequence[Path], python: str) -> tuple[list[Verdict], dict[Path, str], list[str]]:
    """Every verdict, the syntax of every file that ours decoded, and what it did not decode."""
    verdicts: list[Verdict] = []
    refused: list[str] = []
    known: dict[Path, tuple[str, Array]] = {}
    for path in paths:
        try:
            if (mine := ours(path)) is not None:
                known[path] = mine
        except CannotSucceed as error:
            refused.append(f"{path.parent.name}/{path.name}: {error}")
    with tempfile.TemporaryDirectory() as work:
        for path, other in plug_ins(python, {path: syntax for path, (syntax, _) in known.items()}, Path(work)):
            verdicts += compare(path, *known[path], [other])
        for path, (syntax, expected) in known.items():
            verdicts += compare(path, syntax, expected, dcmtk(path, syntax, Path(work)))
    return verdicts, {path: syntax for path, (syntax, _) in known.items()}, refused


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()
    verdicts, known, refused = judge(files(options.folders), options.python)
    decoders = sorted({v.decoder for v in verdicts})
    print(table(("transfer syntax (files)", *decoders), lines(verdicts)))
    for verdict in verdicts:
        if verdict.distance != 0 and TRANSFER_SYNTAXES[verdict.syntax].lossless:
            said = verdict.said or f"differs by up to {verdict.distance}"
            print(f"{verdict.path.parent.name}/{verdict.path.name}, {verdict.decoder}: {said}")
    for text in refused:
        print(f"not decoded by ours: {text}")
    alone = unconfirmed(verdicts, known)
    for path in alone:
        print(f"seen so by ours alone: {path.parent.name}/{path.name}")
    lossless = [path for path, syntax in known.items() if TRANSFER_SYNTAXES[syntax].lossless]
    print(f"{len(lossless) - len(alone)} of {len(lossless)} lossless files are the same to a second decoder")
    return 1 if alone else 0


if __name__ == "__main__":
    sys.exit(main())
