"""What flows through the steps of one route, followed at load: kinds of files, and whether they identify anyone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from node.config.destinations import Destination
from node.config.section import Fault, suggestion
from node.model import Disclosure, Kind, Step

FORWARD = "forward"
"""The step whose `to` names a destination and whose `what` (kinds, or None) says what goes there."""


def deidentifies(step: Step) -> bool:
    """True for a step after which a batch counts as de-identified."""
    return bool(getattr(step, "deidentifies", False))


def check_flow(steps: Sequence[Step], destinations: Mapping[str, Destination]) -> Iterator[Fault]:
    """Faults in the order of the steps; places count from the list of steps."""
    kinds = frozenset({Kind.DICOM})
    disclosure = Disclosure.IDENTIFIED
    for place, step in enumerate(steps):
        if step.name == FORWARD:
            later = any(deidentifies(s) for s in steps[place + 1 :])
            yield from _forward(step, place, kinds, disclosure, later, destinations)
            continue
        if not step.accepts & kinds:
            yield Fault((place,), f'"{step.name}" takes {_words(step.accepts)}, and here {_there(kinds)}')
        kinds = (kinds - step.accepts) | step.gives
        if deidentifies(step):
            disclosure = Disclosure.DEIDENTIFIED


def _forward(
    step: Any,
    place: int,
    kinds: frozenset[Kind],
    disclosure: Disclosure,
    later: bool,
    destinations: Mapping[str, Destination],
) -> Iterator[Fault]:
    """`later`: an anonymize step follows, so the order is what is wrong."""
    destination = destinations.get(step.to)
    if destination is None:
        yield Fault((place,), f'unknown destination "{step.to}".{suggestion(step.to, destinations)}')
        return
    what = frozenset(Kind(kind) for kind in step.what or ())
    if destination.dicom is not None:
        other = what - {Kind.DICOM}
        if other:
            yield Fault((place,), f'"{step.to}" is an application entity and takes dicom, not {_words(other)}')
        what = what or frozenset({Kind.DICOM})
    wanted = (what & frozenset({Kind.DICOM}) if destination.dicom is not None else what) or kinds
    if missing := wanted - kinds:
        yield Fault(
            (place,), f'nothing to send to "{step.to}": it is to get {_words(missing)}, and here {_there(kinds)}'
        )
    elif not kinds:
        yield Fault((place,), f'nothing to send to "{step.to}": {_there(kinds)}')
    if destination.accepts is None or destination.accepts is disclosure:
        return
    if disclosure is Disclosure.DEIDENTIFIED:
        text = "accepts only identified data, and an anonymize step comes before: forward first, or change `accepts`"
    elif later:
        text = "accepts only deidentified data: move this forward after the anonymize step"
    else:
        text = "accepts only deidentified data, and this route does not anonymize: add an anonymize step before"
    yield Fault((place,), f'"{step.to}" {text}')


def _words(kinds: frozenset[Kind]) -> str:
    return ", ".join(kind.value for kind in Kind if kind in kinds)


def _there(kinds: frozenset[Kind]) -> str:
    return f"there is only {_words(kinds)}" if kinds else "nothing is left"
