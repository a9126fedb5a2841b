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

    secret        bytes, the key of the pseudonyms and UIDs of patients to come (`node.secret`)
    crosswalk     `node.crosswalk.Crosswalk`, a patient's own key and name; opens its database in the worker that asks
    announced     tuple of node.complete.Announced, of the job's series; empty where there is no index
    referenced    node.model.Referenced, the instances that those of the batch refer to; see run/referenced.py
    """

    def __init__(self, suppliers: Mapping[str, Supplier]) -> None:
        self._suppliers = {"announced": tuple, **suppliers}

    def for_step(self, step: Step, own: Mapping[str, Supplier] | None = None) -> dict[str, Any]:
        """What a step needs. `own`: what depends on the batch it is for.

        Raises CannotSucceed when a step needs what this node does not have, and what a supplier raises.
        """
        suppliers = {**self._suppliers, **(own or {})}
        missing = sorted(step.needs - suppliers.keys())
        if missing:
            raise CannotSucceed(f"{step.name} needs {', '.join(missing)}, which this node does not supply")
        return {name: suppliers[name]() for name in sorted(step.needs)}


def supply_of(crosswalk: Crosswalk) -> Supply:
    """All that a node has for every step and batch."""
    return Supply({"secret": lambda: crosswalk.keys.current, "crosswalk": lambda: crosswalk})
