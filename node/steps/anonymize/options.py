"""The options of PS3.15 E.3 as declarations: what each is for, what it excludes, and which are not built.

Which attributes an option keeps or cleans is its column in Table E.1-1 (deid_table); its code is that of CID 7050.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from node.dicom.deid_table import METHOD_CODES


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of the Basic Application Level Confidentiality Profile."""

    name: str
    clause: str
    """Where PS3.15 describes it."""
    excludes: Mapping[str, str] = field(default_factory=dict)
    """Options that the standard does not allow beside it -> the reason."""
    unavailable: str = ""
    """Why it is refused. To claim an option without doing all of it would leak."""

    @property
    def code(self) -> str:
        """Its code value in CID 7050, scheme DCM."""
        return METHOD_CODES[self.name][0]


_ONE_KIND_OF_DATES = "dates are either as they were or moved, and (0028,0303) says one of the two"

_ALL = (
    Option(name="clean_pixel_data", clause="E.3.1"),
    Option(name="clean_recognizable_visual_features", clause="E.3.2"),
    Option(name="clean_graphics", clause="E.3.3"),
    Option(name="clean_structured_content", clause="E.3.4"),
    Option(name="clean_descriptors", clause="E.3.5"),
    Option(
        name="retain_long_full_dates",
        clause="E.3.6",
        excludes={"retain_long_modified_dates": _ONE_KIND_OF_DATES},
    ),
    Option(
        name="retain_long_modified_dates",
        clause="E.3.6",
        excludes={"retain_long_full_dates": _ONE_KIND_OF_DATES},
    ),
    Option(name="retain_patient_characteristics", clause="E.3.7"),
    Option(name="retain_device_identity", clause="E.3.8"),
    Option(name="retain_uids", clause="E.3.9"),
    Option(name="retain_safe_private", clause="E.3.10"),
    Option(name="retain_institution_identity", clause="E.3.11"),
)

OPTIONS: Mapping[str, Option] = MappingProxyType({option.name: option for option in _ALL})
"""Every option of PS3.15 E.3, by our name."""

UNAVAILABLE: Mapping[str, str] = MappingProxyType(
    {option.name: option.unavailable for option in _ALL if option.unavailable}
)
"""Options that are refused when rules.yaml is loaded, and why."""

AVAILABLE: tuple[str, ...] = tuple(option.name for option in _ALL if not option.unavailable)


def problems_with(names: Sequence[str]) -> tuple[str, ...]:
    """What is wrong with a choice of options, a sentence each: unknown, not available, twice, or not together."""
    found = [problem for name in names if (problem := _problem(name))]
    found += [f'option "{name}" is given twice' for name in sorted(set(names)) if names.count(name) > 1]
    chosen = sorted({name for name in names if name in OPTIONS})
    for at, name in enumerate(chosen):
        for other in chosen[at + 1 :]:
            why = OPTIONS[name].excludes.get(other)
            if why:
                clause = OPTIONS[name].clause
                found.append(f'options "{name}" and "{other}" exclude each other (PS3.15 {clause}): {why}; remove one')
    return tuple(found)


def _problem(name: str) -> str | None:
    if name in AVAILABLE:
        return None
    if name in UNAVAILABLE:
        return f'option "{name}" is not available: {UNAVAILABLE[name]}'
    near = difflib.get_close_matches(name, OPTIONS, n=1, cutoff=0.6)
    return f'unknown option "{name}"' + (f'. Did you mean "{near[0]}"?' if near else "")
