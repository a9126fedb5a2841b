"""The watch itself: it finds a leak that is planted, and none where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from node.receive.association import Acceptance
from tests.hostile.attacker import converse
from tests.hostile.conversations import recorded
from tests.hostile.watch import BLOCKS, HEAP, Held, forget, watching
from tests.receive.station import station

ASSOCIATIONS, WARM = 150, 20
LARGE, SMALL = 20 << 10, 200
"""Bytes of the one planted leak, objects of the other, for each association."""


def test_associations_without_a_leak(tmp_path: Path) -> None:
    assert _found(tmp_path, lambda: None) == []


@pytest.mark.parametrize(
    ("what", "leaked"),
    [("heap", lambda: bytes(LARGE)), ("blocks", lambda: [str(number) * 5 for number in range(1, SMALL)])],
)
def test_a_leak_is_found_within_few_associations(
    what: str, leaked: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, run = list[object](), Acceptance.run

    def leaking(association: Acceptance) -> None:
        run(association)
        kept.append(leaked())

    def plant() -> None:
        monkeypatch.setattr(Acceptance, "run", leaking)

    (found,) = _found(tmp_path, plant)
    assert found.startswith(what)
    assert len(kept) == ASSOCIATIONS
    assert LARGE * ASSOCIATIONS > HEAP
    assert SMALL * ASSOCIATIONS > BLOCKS


def _found(data: Path, plant: Callable[[], None]) -> list[str]:
    """What the watch says of a node after as many associations as there are in a short run."""
    with watching(), station(data) as node:
        _, store, *_ = recorded(node.port)
        for _ in range(WARM):
            converse(node.port, store)
        node.until_nobody_is_here()
        before = Held.by(node)
        plant()
        for _ in range(ASSOCIATIONS):
            converse(node.port, store)
        node.until_nobody_is_here()
        forget(node)
        return before.leaks(node)
