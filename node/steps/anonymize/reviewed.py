"""Classes of instances of which a site says that no face can be recognized in them: looked at, or defaced before.

    reviewed:
      - {Modality: CT, StationName: CT-ABDOMEN}
      - {Modality: MR, SeriesDescription: "*defaced*", RecognizableVisualFeatures: "NO"}

What a sender says in Recognizable Visual Features (0028,0302) counts only where a class names it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from node.dicom.attributes import VR_BY_TAG, describe, suggestions, tag_of
from node.model import Placed
from node.steps.anonymize.actions import FEATURES
from node.steps.anonymize.device import Texts
from node.steps.anonymize.values import OPAQUE

Written = Mapping[str, str | Sequence[str]]

_KINDS = frozenset({0x00080016, 0x00080060})
"""SOP Class UID and Modality: a class says of which kind it is."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """One class: attributes at the top of a data set, and the patterns that each of their values is of."""

    conditions: tuple[tuple[int, tuple[str, ...]], ...]

    def means(self, texts: Texts) -> bool:
        """Whether an instance is of it: of every attribute there is a value, and all are as a pattern says. One that
        says itself that it shows a face is, where the class says so too."""
        said = {word.strip().upper() for word in texts((FEATURES,)) or ()}
        if "YES" in said and FEATURES not in dict(self.conditions):
            return False
        return all(_is_of(texts((tag,)), patterns) for tag, patterns in self.conditions)


def _is_of(values: tuple[str, ...] | None, patterns: tuple[str, ...]) -> bool:
    found = [value.strip().upper() for value in values or ()]
    return bool(found) and all(any(fnmatchcase(value, pattern) for pattern in patterns) for value in found)


def compile_reviewed(written: Sequence[Written]) -> tuple[tuple[Reviewed, ...], tuple[Placed, ...]]:
    """The classes, and what is wrong with them, each with its place below the step; of use only when nothing is."""
    classes, problems = list[Reviewed](), list[Placed]()
    for number, each in enumerate(written):
        conditions: dict[int, tuple[str, ...]] = {}
        for keyword, patterns in each.items():
            several = (patterns,) if isinstance(patterns, str) else tuple(patterns)
            tag = tag_of(keyword)
            if (problem := _problem(keyword, tag, several)) or tag is None:
                problems.append(Placed(problem, ("reviewed", number, keyword)))
            else:
                conditions[tag] = tuple(pattern.upper() for pattern in several)
        if _KINDS.isdisjoint(filter(None, map(tag_of, each))):
            problems.append(Placed("a class that was reviewed names Modality or SOPClassUID", ("reviewed", number)))
        classes.append(Reviewed(tuple(conditions.items())))
    return tuple(classes), tuple(problems)


def _problem(keyword: str, tag: int | None, patterns: tuple[str, ...]) -> str:
    if tag is None:
        near = suggestions(keyword)
        return f'unknown attribute "{keyword}"' + (f'. Did you mean "{near[0]}"?' if near else "")
    if VR_BY_TAG.get(tag) in ("SQ", *OPAQUE):
        return f"{describe(tag)} is no text or number that a pattern can be held against"
    if not patterns or any(not pattern.strip("*? ") for pattern in patterns):
        return f"a pattern for {keyword} has to name something: * alone means all there are"
    if tag == FEATURES and not {pattern.upper() for pattern in patterns} <= {"YES", "NO"}:
        return f"{describe(tag)} is YES or NO; in quotes, for YAML has another meaning of these"
    return ""


def digest(written: Sequence[Written]) -> str:
    """The first 12 digits of the SHA-256 of the classes, for the certificate; "" for none."""
    return (
        hashlib.sha256(json.dumps(written, sort_keys=True, default=list).encode()).hexdigest()[:12] if written else ""
    )
