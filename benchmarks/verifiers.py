"""What dciodvfy and dcentvfy (dicom3tools, by D. Clunie) find wrong with objects, as kinds: messages without values.

A kind names the attribute with its way through sequences, the module, and what is wrong: two objects of which it is
said are wrong alike, whatever their values, their item numbers and their lengths.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from node.dicom.encoding import inflate
from node.dicom.part10 import parse_meta
from node.dicom.uids import transfer_syntax

Kinds = frozenset[str]

_PATIENCE = 300
_MOST_INFLATED = 1 << 30
_EXPLICIT_LE = b"1.2.840.10008.1.2.1"

_PART = re.compile(
    r"(?P<name></[^>]*[)\]]>|(?:Module|Element|IE)=<[^>]*>|\(0x[0-9a-f]{4},0x[0-9a-f]{4}\)|Type \dC?\b)"
    r"|(?P<value><[^>]*>|'[^']*')"
    r"|(?P<index>\[\d+\])"
    r"|(?<![\w.])-?(?:0x[0-9a-f]+|\d+(?:\.\d+)*(?:e[+-]?\d+)?)(?![\w.])"
)
_INDEX = re.compile(r"\[\d+\]")
_ERROR = re.compile(r"\b(?:Error|Abort) - ")


def installed() -> bool:
    """Whether both programs are here (Debian: dicom3tools)."""
    return all(map(shutil.which, ("dciodvfy", "dcentvfy")))


def kind(message: str) -> str:
    """A message without its values, item numbers and numbers."""

    def bare(part: re.Match[str]) -> str:
        if part["name"]:
            return _INDEX.sub("", part["name"])
        if part["index"]:
            return ""
        return part["value"][0] + part["value"][-1] if part["value"] else "#"

    return " ".join(_PART.sub(bare, message).split())


def errors(output: str) -> Kinds:
    """The kinds of errors in what a verifier printed; a warning is none."""
    return frozenset(kind(line) for line in output.splitlines() if _ERROR.search(line))


def of_instance(path: Path) -> Kinds:
    """What dciodvfy finds in one file."""
    with _readable([path]) as (readable,):
        return errors(_said("dciodvfy", "-new", str(readable)))


def of_study(paths: Sequence[Path]) -> Kinds:
    """What dcentvfy finds over the files of one study: attributes of one patient, study or series that differ."""
    with _readable(paths) as readable, tempfile.NamedTemporaryFile("w", suffix=".txt") as names:
        names.writelines(f"{path}\n" for path in readable)
        names.flush()
        return errors(_said("dcentvfy", "-filelist", names.name))


def _said(*command: str) -> str:
    # They end with 1 where anything is wrong, and say it on the standard error.
    done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False)
    if done.returncode < 0:
        return f"Abort - {command[0]} ended by signal {-done.returncode}"
    return done.stderr.decode("latin_1")


@contextmanager
def _readable(paths: Iterable[Path]) -> Iterator[list[Path]]:
    """The files, with inflated copies in the place of those that neither program can inflate (PS3.5 A.5)."""
    with tempfile.TemporaryDirectory(prefix="inflated-") as folder:
        found = []
        for number, path in enumerate(paths):
            with path.open("rb") as file:
                meta = parse_meta(file.read(1 << 16))
                if transfer_syntax(meta.transfer_syntax).deflated:
                    file.seek(0)
                    path = Path(folder) / f"{number}.dcm"
                    path.write_bytes(_inflated(file.read(), meta.dataset_offset, meta.transfer_syntax.encode()))
            found.append(path.resolve())
        yield found


def _inflated(data: bytes, offset: int, syntax: bytes) -> bytes:
    shorter = _EXPLICIT_LE.ljust(len(syntax), b"\0")
    return data[:offset].replace(syntax, shorter) + inflate(data[offset:], _MOST_INFLATED)
