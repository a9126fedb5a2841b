"""What steps may ask for in `needs`, and where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from node.crosswalk import Crosswalk
from node.errors import CannotSucceed
from node.model import Step

Supplier = Callable[[], Any]


class Supply:
    """Named things that a step cannot make itself: it knows no database and no configuration.

    secret      bytes, the key of the pseudonyms and UIDs of patients to come (`node.secret`)
    crosswalk   `node.crosswalk.Crosswalk`, a patient's own key and name; opens its database in the worker that asks
    """

    def __init__(self, suppliers: Mapping[str, Supplier]) -> None:
        self._suppliers = dict(suppliers)

    def for_step(self, step: Step) -> dict[str, Any]:
        """Raises CannotSucceed when a step needs what this node does not have."""
        missing = sorted(step.needs - self._suppliers.keys())
        if missing:
            raise CannotSucceed(f"{step.name} needs {', '.join(missing)}, which this node does not supply")
        return {name: self._suppliers[name]() for name in sorted(step.needs)}


def supply_of(crosswalk: Crosswalk) -> Supply:
    """All that a node has."""
    return Supply({"secret": lambda: crosswalk.keys.current, "crosswalk": lambda: crosswalk})
