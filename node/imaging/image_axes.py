"""Diffusion weighting of scanners that give its direction in the axes of the image, not of the patient.

GE: (0019,xxBB) to (0019,xxBD), along the rows, the columns and against the normal, where the phase was encoded along
the columns and the patient lay head first supine. One b-value stands in all images of a series, and a weaker weighting
is a shorter vector: b times the square of its length (dcm2niix issues 163 and 245). UIH: (0065,xx37), along the rows,
the columns and the normal (issue 225). Both are as dcm2niix has them, for slices that are nearer to axial than to any
other plane; it calls the others untested, so they have no direction here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from node.imaging.functional import numbers_of
from node.imaging.geometry import normal_of
from node.imaging.reading import Attributes, private, value

_GE_ELEMENTS = (0xBB, 0xBC, 0xBD)
_GE_ADDS = 1e9  # to b-values that were asked for as such
_NONE, _FULL = 0.03, 0.97
"""Below the first a vector is no direction; between both the weighting is weaker than the series' b-value."""
_STEP = 5
"""s/mm2: GE's b-values are whole multiples; the length of a vector has not enough digits to say so."""

Triple = tuple[float, float, float]


def ge_b_value(ds: Attributes) -> float | None:
    """s/mm2; None without one."""
    given = private(ds, 0x0043, "GEMS_PARM_01", 0x39)
    words = str(given, "ascii", "ignore").split("\\") if isinstance(given, bytes) else given
    found = numbers_of(words)
    if not found:
        return None
    b_value = found[0] % _GE_ADDS
    length = _length(_ge_vector(ds)) if b_value else 0.0
    if not _NONE < length < _FULL:
        return b_value
    return float(max(_STEP, _STEP * math.floor(b_value * length**2 / _STEP + 0.5)))


def ge_direction(get: Callable[[str, str], Any], ds: Attributes) -> Triple | None:
    """LPS, of any length; None where the header does not tell."""
    given, plane = _ge_vector(ds), _axial(get)
    if given is None or plane is None or _length(given) <= _NONE:
        return None
    phase = str(get("MRFOVGeometrySequence", "InPlanePhaseEncodingDirection") or "").strip().upper()
    if not phase.startswith("COL") or str(value(ds, "PatientPosition") or "").strip().upper() != "HFS":
        return None
    return _in_patient(plane, (given[0], given[1], -given[2]))


def uih_direction(get: Callable[[str, str], Any], ds: Attributes) -> Triple | None:
    """LPS, of any length; None where the header does not tell."""
    given, plane = numbers_of(private(ds, 0x0065, "Image Private Header", 0x37)), _axial(get)
    if len(given) != 3 or plane is None:
        return None
    return _in_patient(plane, (given[0], given[1], given[2]))


def _ge_vector(ds: Attributes) -> Triple | None:
    found = [numbers_of(private(ds, 0x0019, "GEMS_ACQU_01", element)) for element in _GE_ELEMENTS]
    return (found[0][0], found[1][0], found[2][0]) if all(len(one) == 1 for one in found) else None


def _axial(get: Callable[[str, str], Any]) -> tuple[float, ...] | None:
    """The cosines of a plane that is seen from the feet, the patient's left to the right of it."""
    found = numbers_of(get("PlaneOrientationSequence", "ImageOrientationPatient"))
    if len(found) != 6:
        return None
    axial = min(found[0], found[4]) > math.sqrt(0.5) and normal_of(found)[2] > math.sqrt(0.5)
    return found if axial else None


def _in_patient(plane: tuple[float, ...], along: Triple) -> Triple:
    axes = np.column_stack([plane[:3], plane[3:], normal_of(plane)])
    x, y, z = (float(v) for v in axes @ np.array(along))
    return x, y, z


def _length(vector: Triple | None) -> float:
    return 0.0 if vector is None else math.sqrt(sum(x * x for x in vector))
