"""A volume that passed the gate, and the files that belong to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A volume that passed the gate, and what is beside it."""

    files: tuple[Path, ...]
    """The volume first; sidecar, .bval, .bvec."""
    report: Path
    instances: tuple[int, ...]
    """Indices of the members whose frames are in it."""
    what: str

    def remove(self) -> None:
        for path in (*self.files, self.report):
            path.unlink()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Indented, in the order of `content`, with a line's end: same content, same bytes."""
    path.write_text(json.dumps(content, indent=2) + "\n")
