"""A study that is de-identified is of one patient, or waits for a person (PS3.3 A.1.2.1).

Each instance is de-identified by itself, and becomes who it says. One that lacks the Patient ID, or has another id or
issuer than the rest, would become somebody else in the same study. Which of them is right nobody can say here: they are
taken for one patient neither, because two would be merged if they are not.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from node.model import Batch, Held, Item

LACKS_ID = "it has no Patient ID, and others of its study have one"
SEVERAL = "instances of its study have {} different Patient IDs, or Issuers of Patient ID"
_WHAT_TO_DO = "; correct it where it comes from, or by a step set before this one"


def of_one_patient(made: Batch) -> Batch:
    """The batch with those instances held, with the reason, by which a study would be of more than one patient.

    Those without a Patient ID go where others have one; and where these are of several patients, all of them.
    """
    studies: dict[str, list[Item]] = defaultdict(list)
    for item in made.items:
        if item.whose is not None:
            studies[item.whose.study].append(item)
    reasons: dict[int, str] = {}
    for items in studies.values():
        reasons.update({id(item): reason for item, reason in _contradicting(items)})
    if not reasons:
        return made
    held = [Held(sources=i.sources, reason=reasons[id(i)] + _WHAT_TO_DO) for i in made.items if id(i) in reasons]
    return replace(made, items=tuple(i for i in made.items if id(i) not in reasons), held=(*made.held, *held))


def _contradicting(items: list[Item]) -> list[tuple[Item, str]]:
    """Of one study."""
    known = [(item, item.whose.patient) for item in items if item.whose is not None and item.whose.identified]
    unknown = [item for item in items if item.whose is not None and not item.whose.identified]
    patients = len({patient for _, patient in known})
    found = [(item, LACKS_ID) for item in unknown] if known else []
    if patients > 1:
        found += [(item, SEVERAL.format(patients)) for item, _ in known]
    return found
