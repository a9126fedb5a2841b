"""File names of volumes: by default from the series, or by a pattern with dcm2niix's letters and header keywords.

Header values come from the network: whatever they hold, a name has letters, digits, `.`, `_` and `-` only, is one part
of a path, and does not start with a dot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydicom.datadict import tag_for_keyword

from node.dicom.uids import mark_of

LETTERS: Mapping[str, tuple[str, ...]] = {
    "a": ("ReceiveCoilName",),
    "c": ("ImageComments",),
    "d": ("SeriesDescription",),
    "e": ("EchoNumbers",),
    "g": ("AccessionNumber",),
    "i": ("PatientID",),
    "j": ("SeriesInstanceUID",),
    "k": ("StudyInstanceUID",),
    "l": ("PerformedProcedureStepDescription",),
    "m": ("Manufacturer",),
    "n": ("PatientName",),
    "o": ("SOPInstanceUID",),
    "p": ("ProtocolName",),
    "r": ("InstanceNumber",),
    "s": ("SeriesNumber",),
    "t": ("StudyDate", "StudyTime"),
    "u": ("AcquisitionNumber",),
    "v": ("Manufacturer",),
    "x": ("StudyID",),
    "z": ("SequenceName",),
}
"""What each of dcm2niix's letters stands for. %b and %f, names of files and folders, are not ours to give."""

LONGEST = 120
"""Characters of a name before its suffixes and extension."""

_PIECE = re.compile(r"%([A-Za-z%])|\{([^{}]*)\}")
_VENDORS = {"SIEMENS": "SI", "GE": "GE", "PHILIPS": "PH", "TOSHIBA": "TO", "CANON": "CA", "UIH": "UI", "HITACHI": "HI"}


def problems(pattern: str) -> tuple[str, ...]:
    """What is wrong with a pattern, a sentence each."""
    found = []
    for letter, keyword in _PIECE.findall(pattern):
        if letter and letter != "%" and letter not in LETTERS:
            found.append(f'names: "%{letter}" is none of %{" %".join(LETTERS)}')
        if not letter and tag_for_keyword(keyword) is None:
            found.append(f'names: "{{{keyword}}}" is no attribute keyword; write it like {{SeriesNumber}}')
    rest = _PIECE.sub("", pattern)
    if "/" in rest or "\\" in rest:
        found.append("names: a name is one part of a path; folders are made by the destination's layout")
    if re.search(r"[%{}]", rest):
        found.append("names: a single % or brace; %% stands for one %")
    return tuple(found)


def keywords(pattern: str) -> tuple[str, ...]:
    """The attributes that a pattern wants."""
    found: list[str] = []
    for letter, keyword in _PIECE.findall(pattern):
        found += LETTERS.get(letter, ()) if letter else [keyword]
    return tuple(dict.fromkeys(found))


def by_pattern(pattern: str, fields: Mapping[str, str]) -> str:
    """The name for these header values, safe, without extension; never empty."""

    def value(match: re.Match[str]) -> str:
        letter, keyword = match.groups()
        if letter == "%":
            return "%"
        if letter == "v":
            return vendor(fields.get("Manufacturer", ""))
        if letter == "t":
            return "".join(re.sub(r"\D", "", fields.get(k, "").split(".")[0]) for k in LETTERS["t"])
        return "".join(fields.get(k, "") for k in (LETTERS[letter] if letter else (keyword,)))

    return safe(_PIECE.sub(value, pattern))


def by_series(number: int, modality: str, series: str, volume: int) -> str:
    """Series number, modality, a hash of the series UID and the volume's number (from 1) in the series."""
    return f"{number:03d}_{modality}_{mark_of(series)}_{volume:02d}"


def safe(text: str) -> str:
    """Letters, digits, `.`, `_`, `-`; no dot in front, at most 120 characters; a longer one ends in a hash."""
    name = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9._-]", "_", text)).lstrip("._").rstrip("_") or "volume"
    # The report of `x` is x.report.json, as would be the sidecar of a volume `x.report`.
    name = re.sub(r"\.(report)$", r"_\1", name, flags=re.IGNORECASE)
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 9]}_{mark_of(text)}"


def vendor(manufacturer: str) -> str:
    """Two letters, as dcm2niix has them; NA for one that is not known."""
    upper = manufacturer.upper()
    return next((short for name, short in _VENDORS.items() if upper.startswith(name)), "NA")


def free(name: str, taken: set[str]) -> str:
    """`name`, or with the first number from 2 that makes it a new one; it is then taken. Case does not count."""
    found, n = name, 1
    while found.lower() in taken:
        n += 1
        found = f"{name}_{n}"
    taken.add(found.lower())
    return found
