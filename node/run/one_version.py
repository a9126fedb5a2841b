"""A unit is de-identified by one version of each file that a route names: recipe and pixel rules.

Its parts are made by several workers, one after the other, and each reads these files as they are then. By what each
did it stands in the account of every instance; where two differ, a file was edited meanwhile, and all is made again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from node.errors import TryAgain
from node.model import Batch

_DIGESTS = frozenset({"recipe", "rules", "bundled"})
"""Of a method in an account, at any depth: what files it was, by their digests."""


def of_one_version(made: Batch) -> Batch:
    """The batch. Raises TryAgain where its instances were de-identified by different versions of a file."""
    accounts = {item.account.partition("\n")[0] for item in made.items if item.account}
    if len({tuple(_versions(json.loads(method))) for method in accounts}) > 1:
        raise TryAgain("its recipe or pixel rules were edited while it was worked on, so that all is made again")
    return made


def _versions(method: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in sorted(method.items()):
        if isinstance(value, Mapping):
            yield from _versions(value)
        elif key in _DIGESTS:
            yield key, " ".join(map(str, value)) if _is_several(value) else str(value)


def _is_several(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str)
