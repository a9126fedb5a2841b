"""The repository as the house tests see it: its modules and what each imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


def files(*folders: str) -> Iterator[Path]:
    """Python files below these folders of the repository, in order."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def module(path: Path) -> str:
    """The dotted name of a file; a package for its `__init__.py`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in files("node")}


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module that a file imports, wherever in it: also in functions and below TYPE_CHECKING."""
    found: set[str] = set()
    for each in ast.walk(ast.parse(path.read_text())):
        if isinstance(each, ast.Import):
            found |= {alias.name for alias in each.names}
        elif isinstance(each, ast.ImportFrom):
            assert each.level == 0, f"{path}: relative imports are not used here"
            assert each.module
            for alias in each.names:
                name = f"{each.module}.{alias.name}"
                found.add(name if name in MODULES else each.module)
    return frozenset(found)
