"""Which series an instance was drawn on: RT structure sets and segmentations, from their headers.

A structure set names them in Referenced Frame of Reference Sequence (PS3.3 C.8.8.5), a segmentation in Referenced
Series Sequence (PS3.3 C.12.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from node.errors import CannotSucceed
from node.model import Header

RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"

REFERRING = frozenset({RT_STRUCTURE_SET, SEGMENTATION, LABEL_MAP_SEGMENTATION})
"""SOP classes whose series are found here."""

_SOP_CLASS, _INSTANCE, _SERIES = "00080016", "00081155", "0020000E"
_FRAMES, _STUDIES, _SERIES_OF_STUDY, _IMAGES = "30060010", "30060012", "30060014", "30060016"
_REFERENCED_SERIES, _REFERENCED_INSTANCES = "00081115", "0008114A"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One series that is referred to."""

    series: str
    study: str = ""
    """Empty where it is not said."""
    instances: frozenset[str] = frozenset()
    """Those of its instances that are named; there may be more."""


def references_of(header: Header) -> tuple[Reference, ...]:
    """The series that a structure set or a segmentation refers to, each once, in order; none for other objects.

    Raises CannotSucceed when the header does not keep them (it was too long, see node.dicom.header).
    """
    sop_class = _text(header, _SOP_CLASS)
    if sop_class not in REFERRING:
        return ()
    found: dict[str, Reference] = {}
    for one in _of_structures(header) if sop_class == RT_STRUCTURE_SET else _of_segmentation(header):
        before = found.get(one.series, one)
        found[one.series] = Reference(
            series=one.series, study=before.study or one.study, instances=before.instances | one.instances
        )
    return tuple(found.values())


def _of_structures(header: Header) -> Iterator[Reference]:
    for frame in _items(header, _FRAMES):
        for study in _items(frame, _STUDIES):
            for series in _items(study, _SERIES_OF_STUDY):
                yield from _reference(series, _IMAGES, _text(study, _INSTANCE))


def _of_segmentation(header: Header) -> Iterator[Reference]:
    for series in _items(header, _REFERENCED_SERIES):
        yield from _reference(series, _REFERENCED_INSTANCES, "")


def _reference(series: Header, listed: str, study: str) -> Iterator[Reference]:
    if uid := _text(series, _SERIES):
        named = frozenset(_text(item, _INSTANCE) for item in _items(series, listed)) - {""}
        yield Reference(series=uid, study=study, instances=named)


def _items(header: Header, tag: str) -> list[Header]:
    vr, values = header.get(tag) or ("SQ", [])
    if values is None:
        raise CannotSucceed("the series that it refers to are not in the index: its header is too long")
    return [item for item in values if isinstance(item, dict)] if vr == "SQ" else []


def _text(header: Header, tag: str) -> str:
    element: Any = header.get(tag)
    return str(element[1][0]) if element and element[1] and element[1][0] is not None else ""
