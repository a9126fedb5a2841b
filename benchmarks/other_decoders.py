"""Decoders that are not ours: the plug-ins of pydicom, in another process and if need be another Python, and DCMTK."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from node.errors import CannotSucceed
from node.imaging.codecs import JPEG_LOSSLESS, JPEG_LOSSY, JPEG_LS, RLE
from node.imaging.layout import Array
from node.imaging.pixels import read_header


@dataclass(frozen=True, slots=True)
class Refused:
    """It gave no pixels."""

    why: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """All frames of a file by one decoder, colour as it was coded; JPEG with loss as RGB."""

    decoder: str
    frames: Array | Refused


# A whole program, because the other Python need have nothing of ours. Some plug-ins abort the process, so it says what
# it has done, and the caller starts another one behind the file that ended it.
_PROGRAM = r"""
import json, sys, warnings
import numpy as np, pydicom
from pydicom.pixels import get_decoder
warnings.simplefilter("ignore")
paths, plugin, lossy, out = json.load(sys.stdin)
for number, path in enumerate(paths):
    try:
        ds = pydicom.dcmread(path)
        syntax = ds.file_meta.TransferSyntaxUID
        decoder = get_decoder(syntax)
        if plugin is None:
            print(json.dumps(list(decoder.available_plugins) if syntax.is_encapsulated else ["pydicom"]))
            break
        how = {"decoding_plugin": plugin} if syntax.is_encapsulated else {}
        frames, _ = decoder.as_array(ds, raw=str(syntax) not in lossy, **how)
        np.save(f"{out}/{number}.npy", frames)
        print(json.dumps([number, ""]), flush=True)
    except Exception as error:
        print(json.dumps([number, type(error).__name__]), flush=True)
"""


def plug_ins(python: str, files: Mapping[Path, str], work: Path) -> Iterator[tuple[Path, Decoded]]:
    """What every plug-in there makes of each file, of which the transfer syntax is given."""
    of_syntax: dict[str, list[Path]] = {}
    for path, syntax in files.items():
        of_syntax.setdefault(syntax, []).append(path)
    for paths in of_syntax.values():
        for said in _run(python, paths[:1], None, work):
            if not isinstance(said[0], str):
                continue  # pydicom knows no such syntax
            for plugin in map(str, said):
                yield from _decoded(python, paths, plugin, work)


def _decoded(python: str, paths: Sequence[Path], plugin: str, work: Path) -> Iterator[tuple[Path, Decoded]]:
    left = list(paths)
    while left:
        said = _run(python, left, plugin, work)
        for number, why in said:
            array = work / f"{number}.npy"
            yield left[int(str(number))], Decoded(plugin, Refused(str(why)) if why else np.load(array))
            array.unlink(missing_ok=True)
        if len(said) < len(left):
            yield left[len(said)], Decoded(plugin, Refused("the process died"))
        left = left[len(said) + 1 :]


def _run(python: str, paths: Sequence[Path], plugin: str | None, work: Path) -> list[list[object]]:
    given = json.dumps([[str(path) for path in paths], plugin, list(JPEG_LOSSY), str(work)])
    done = subprocess.run(
        [python, "-c", _PROGRAM], input=given, capture_output=True, text=True, check=False, timeout=600
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


def dcmtk(path: Path, syntax: str, work: Path) -> Iterator[Decoded]:
    """What the program of DCMTK for this syntax writes, read by us as uncompressed pixels."""
    programs = {**dict.fromkeys((*JPEG_LOSSY, *JPEG_LOSSLESS), "dcmdjpeg"), **dict.fromkeys(JPEG_LS, "dcmdjpls")}
    programs |= {**dict.fromkeys(RLE, "dcmdrle"), "1.2.840.10008.1.2.1.99": "dcmconv", "1.2.840.10008.1.2.2": "dcmconv"}
    program = programs.get(syntax)
    if program is None or shutil.which(program) is None:
        return
    out = work / "dcmtk.dcm"
    out.unlink(missing_ok=True)
    as_coded = ["+cn"] if syntax in JPEG_LOSSLESS else []  # else YBR becomes RGB
    done = subprocess.run(
        [program, *as_coded, "+te", str(path), str(out)], capture_output=True, check=False, timeout=300
    )
    if done.returncode or not out.exists():
        yield Decoded(program, Refused(f"exit {done.returncode}"))
        return
    try:
        pixels = read_header(out)[1]
        assert pixels is not None  # its input has some
        yield Decoded(program, np.stack(list(pixels.frames(rgb=False))))
    except CannotSucceed as error:
        yield Decoded(program, Refused(str(error)))
