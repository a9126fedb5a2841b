"""Two strengths of commit: where one does not wait for the disk, and why what it writes may be lost in a power cut.

Which of the two doors of `Database` a transaction goes through cannot be seen from outside before the power fails.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from tests.house.sources import MODULES

NOT_AWAITED = {
    ("node.index.intake", "record"): "rows follow files, and the sweep reads those again",
    ("node.collect.collector", "_set_back"): "whoever looks next sees again that the clock went back",
    ("node.evidence.asker", "_claim"): "a source is asked again",
    ("node.evidence.asker", "_read"): "as above",
    ("node.evidence.asker", "note"): "as above",
    ("node.evidence.asker", "_failed"): "as above",
    ("node.evidence.pull", "pull"): "what is still missing is pulled again",
    ("node.service", "_ground"): "the engine's own: a step is done again",
    ("node.cli.act", "act"): "the engine's own, as above",
    ("node.cli.copies", "restore"): "the engine's own, as above",
    ("node.index", "close"): "it is closed, as the other doors are",
}
"""(module, function) -> why what it writes can be made again. Everything else waits for the disk."""


def doors(path: Path, door: str) -> Counter[str]:
    """How often each function of a file, by its name, reaches for this door of a `Database`."""
    found: Counter[str] = Counter()

    def walk(node: ast.AST, inside: str) -> None:
        for each in ast.iter_child_nodes(node):
            if isinstance(each, ast.Attribute) and each.attr == door:
                found[inside] += 1
            walk(each, each.name if isinstance(each, ast.FunctionDef) else inside)

    walk(ast.parse(path.read_text()), "")
    return found


def test_only_what_can_be_made_again_is_committed_without_waiting_for_the_disk() -> None:
    found = {(name, function) for name, path in MODULES.items() for function in doors(path, "derived")}
    assert found == set(NOT_AWAITED)


def test_no_function_goes_through_both_doors() -> None:
    """Else one of its two transactions could change the door unseen."""
    written = {(name, function) for name, path in MODULES.items() for function in doors(path, "durable")}
    assert written & set(NOT_AWAITED) == {("node.index", "close")}
