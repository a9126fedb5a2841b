"""Says of a series, once, that its UIDs were let through though a component begins with zero (PS3.5 9.1)."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, field

from node.dicom.identity import irregular
from node.model import UID, Identity, Origin

log = logging.getLogger("node.receive")

_REMEMBERED = 500
"""Series; what sends for days forgets the oldest, and hears of it again."""


@dataclass(slots=True)
class Irregular:
    """What was said already. For one association, or one folder: used by one thread."""

    _told: OrderedDict[UID, None] = field(default_factory=OrderedDict)

    def tell(self, identity: Identity, origin: Origin) -> None:
        """Warn of an instance that was kept, unless its series was warned of before."""
        named = irregular(identity)
        if not named or identity.series in self._told:
            return
        self._told[identity.series] = None
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        log.warning(
            "series %s of %s at %s is taken, and other systems may refuse it: a component of %s begins with zero",
            identity.series, origin.calling_ae or "a folder", origin.sender, ", ".join(named),
        )  # fmt: skip
