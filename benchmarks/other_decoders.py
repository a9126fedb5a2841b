"""Decoders that are not ours: the plug-ins of pydicom, in another process and if need be another Python, and DCMTK."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
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


# A whole program, because the other Python need have nothing of ours. Some plug-ins abort the process: it says what it
# begins, and the caller starts another one behind that.
_PROGRAM = r"""
import json, sys, warnings
import numpy as np, pydicom
from pydicom.pixels import get_decoder
warnings.simplefilter("ignore")
tasks, rgb = json.load(sys.stdin)
for number, (path, plugin) in enumerate(tasks):
    print(json.dumps({"begun": number}), flush=True)
    try:
        ds = pydicom.dcmread(path)
        syntax = ds.file_meta.TransferSyntaxUID
        decoder = get_decoder(syntax)
        names = list(decoder.available_plugins) if syntax.is_encapsulated else ["pydicom"]
        if plugin is None:
            print(json.dumps({"plugins": names}), flush=True)
            continue
        how = {"decoding_plugin": plugin} if syntax.is_encapsulated else {}
        frames, _ = decoder.as_array(ds, raw=str(syntax) not in rgb, **how)
        np.save(sys.argv[1], frames)
        print(json.dumps({"done": number}), flush=True)
    except Exception as error:
        print(json.dumps({"failed": number, "why": type(error).__name__}), flush=True)
"""


def plug_ins(python: str, files: Mapping[Path, str], work: Path) -> Iterator[tuple[Path, list[Decoded]]]:
    """Each file, of which the transfer syntax is given, and what every plug-in there makes of it."""
    of_syntax: dict[str, list[str]] = {}
    for path, syntax in files.items():
        if syntax not in of_syntax:
            said = _run(python, [(path, None)], work / "plugin.npy")
            of_syntax[syntax] = next((list(line["plugins"]) for line in said if "plugins" in line), [])
        yield path, [_decoded(python, path, plugin, work / "plugin.npy") for plugin in of_syntax[syntax]]


def _decoded(python: str, path: Path, plugin: str, out: Path) -> Decoded:
    said = _run(python, [(path, plugin)], out)
    if any("done" in line for line in said):
        return Decoded(plugin, np.load(out))
    why = next((str(line["why"]) for line in said if "why" in line), "the process died")
    return Decoded(plugin, Refused(why))


def _run(python: str, tasks: list[tuple[Path, str | None]], out: Path) -> list[dict[str, object]]:
    given = json.dumps([[(str(path), plugin) for path, plugin in tasks], list(JPEG_LOSSY)])
    done = subprocess.run(
        [python, "-c", _PROGRAM, str(out)], input=given, capture_output=True, text=True, check=False, timeout=300
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def dcmtk(path: Path, syntax: str, work: Path) -> Iterator[Decoded]:
    """What the program of DCMTK for this syntax writes, read by us as uncompressed pixels."""
    programs = {**dict.fromkeys((*JPEG_LOSSY, *JPEG_LOSSLESS), "dcmdjpeg"), **dict.fromkeys(JPEG_LS, "dcmdjpls")}
    programs |= {**dict.fromkeys(RLE, "dcmdrle"), "1.2.840.10008.1.2.1.99": "dcmconv", "1.2.840.10008.1.2.2": "dcmconv"}
    program = programs.get(syntax)
    if program is None or shutil.which(program) is None:
        return
    out = work / "dcmtk.dcm"
    out.unlink(missing_ok=True)
    done = subprocess.run([program, "+te", str(path), str(out)], capture_output=True, check=False, timeout=300)
    if done.returncode or not out.exists():
        yield Decoded(program, Refused(f"exit {done.returncode}"))
        return
    try:
        pixels = read_header(out)[1]
        assert pixels is not None  # its input has some
        yield Decoded(program, np.stack(list(pixels.frames(rgb=False))))
    except CannotSucceed as error:
        yield Decoded(program, Refused(str(error)))
