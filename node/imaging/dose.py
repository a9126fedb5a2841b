"""Where the planes of an RT Dose are: many frames without functional groups, placed by one vector of offsets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from node.errors import CannotSucceed
from node.imaging.geometry import Floats, normal_of

RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"

_SAME = 0.01
"""How far, in mm, two spellings of one coordinate may be apart; and a cosine from 1."""


def plane_positions(offsets: Sequence[float], position: Sequence[float], orientation: Sequence[float]) -> list[Floats]:
    """(3,) LPS mm of the first pixel of each plane, by Grid Frame Offset Vector (PS3.3 C.8.8.3.2).

    offsets   mm: from the first plane along the normal where the first is 0; else the z of transverse planes
    position  Image Position (Patient), of the first plane

    Raises CannotSucceed when the offsets are neither.
    """
    first, normal = np.array(position, np.float64), normal_of(orientation)
    if offsets[0] == 0:
        return [np.asarray(first + normal * offset) for offset in offsets]
    if abs(offsets[0] - first[2]) > _SAME or abs(normal[2]) < 1 - _SAME:
        raise CannotSucceed("'Grid Frame Offset Vector' begins neither with 0 nor with the z of transverse planes")
    return [np.asarray(first + np.array([0.0, 0.0, offset - offsets[0]])) for offset in offsets]
