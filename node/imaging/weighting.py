"""What tells images at one position apart: time and diffusion weighting, by the standard and by private elements.

Standard: PS3.3 C.8.13.5.9 (MR Diffusion), C.7.6.16.2.2.1 (Frame Content), C.7.6.18 (Temporal Position). Private ones
are read only from a block of their creator. Directions are unit vectors of the patient's axes (LPS), as they stand in
the header; those that a vendor gives in the image's axes are turned (image_axes.py) or left out, never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from node.imaging.image_axes import ge_b_value, ge_direction, uih_direction
from node.imaging.reading import Attributes, private, value

Get = Callable[[str, str], Any]
"""(functional group, keyword) -> the value for one frame, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighting:
    """None where the header does not say."""

    position: int | None = None
    """Temporal Position Index or Identifier."""
    time: float | None = None
    """Seconds: when it was acquired, on a clock of its own; of the day, where the header has no date."""
    trigger: float | None = None
    """ms: Trigger Time, or the delay after it."""
    acquisition: int | None = None
    """Acquisition Number."""
    b_value: float | None = None
    """s/mm2."""
    gradient: tuple[float, float, float] | None = None
    """Unit vector, LPS; None for an image without a direction."""

    setting: tuple[str, ...] = ()
    """Inversion time and flip angle, or tube voltage and kernel, as they stand: what else makes another image."""

    @property
    def label(self) -> tuple[object, ...]:
        """What all slices of one volume have in common, free of rounding noise."""
        direction = None if self.gradient is None else tuple(round(x, 2) + 0.0 for x in self.gradient)
        return self.position, None if self.b_value is None else round(self.b_value), direction


def weighting_of(get: Get, ds: Attributes) -> Weighting:
    """Of one frame; `get` looks into its functional groups, or into the data set for a classic image."""
    b_value, gradient = _diffusion(get, ds)
    position = get("FrameContentSequence", "TemporalPositionIndex") or get(
        "FrameContentSequence", "TemporalPositionIdentifier"
    )
    acquisition = get("FrameContentSequence", "FrameAcquisitionNumber") or value(ds, "AcquisitionNumber")
    trigger = get("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime")
    return Weighting(
        position=_integer(position),
        time=_seconds(get, ds),
        trigger=_number(trigger if trigger is not None else value(ds, "TriggerTime")),
        acquisition=_integer(acquisition),
        b_value=b_value,
        gradient=gradient,
        setting=_setting(get, ds),
    )


_SETTINGS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "MR": (
        ("", "InversionTime"),
        ("MRModifierSequence", "InversionTimes"),
        ("MRTimingAndRelatedParametersSequence", "FlipAngle"),
    ),
    "CT": (("CTXRayDetailsSequence", "KVP"), ("CTReconstructionSequence", "ConvolutionKernel")),
}
"""By modality: functional group of an enhanced image, and keyword."""


def _setting(get: Get, ds: Attributes) -> tuple[str, ...]:
    wanted = _SETTINGS.get(str(value(ds, "Modality")), ())
    found = [get(group, keyword) if group else value(ds, keyword) for group, keyword in wanted]
    return tuple("" if x is None else str(x) for x in found)


def _diffusion(get: Get, ds: Attributes) -> tuple[float | None, tuple[float, float, float] | None]:
    b_value = _number(get("MRDiffusionSequence", "DiffusionBValue"))
    if b_value is None and value(ds, "Modality") == "MR":
        b_value = _private_b_value(ds)
    return b_value, _gradient(get, ds) if b_value else None


_B_VALUES: Mapping[tuple[int, str, int], str] = {
    (0x0019, "SIEMENS MR HEADER", 0x0C): "Siemens",
    (0x2001, "Philips Imaging DD 001", 0x03): "Philips",
    (0x0065, "Image Private Header", 0x09): "UIH",
}
_PHILIPS = (0xB0, 0xB1, 0xB2)  # right-left, anterior-posterior, feet-head: L, P, S


def _private_b_value(ds: Attributes) -> float | None:
    for place in _B_VALUES:
        found = _number(private(ds, *place))
        if found is not None:
            return found
    return ge_b_value(ds)


def _gradient(get: Get, ds: Attributes) -> tuple[float, float, float] | None:
    items = get("MRDiffusionSequence", "DiffusionGradientDirectionSequence")
    candidates = [
        items[0].get("DiffusionGradientOrientation") if items else None,
        get("MRDiffusionSequence", "DiffusionGradientOrientation"),
        private(ds, 0x0019, "SIEMENS MR HEADER", 0x0E),
        [private(ds, 0x2005, "Philips MR Imaging DD 001", element) for element in _PHILIPS],
        ge_direction(get, ds),
        uih_direction(get, ds),
    ]
    return next((found for found in map(_unit, candidates) if found is not None), None)


def _unit(given: Any) -> tuple[float, float, float] | None:
    try:
        x, y, z = (float(v) for v in given)
    except (TypeError, ValueError):
        return None
    length = math.sqrt(x * x + y * y + z * z)
    if not 0.5 < length < 2:  # no direction (0, 0, 0), or not one
        return None
    return x / length, y / length, z / length


def _seconds(get: Get, ds: Attributes) -> float | None:
    moment = get("FrameContentSequence", "FrameAcquisitionDateTime") or value(ds, "AcquisitionDateTime")
    if not moment:
        time = value(ds, "AcquisitionTime")
        moment = f"{ds.get('AcquisitionDate') or ds.get('ContentDate') or '20000101'}{time}" if time else None
    return None if moment is None else _clock(str(moment))


def _clock(text: str) -> float | None:
    """YYYYMMDDHHMMSS.FFFFFF as seconds; a zone behind it is the same for a whole series."""
    digits = text[:26].split("+")[0].split("-")[0].strip()
    whole, _, fraction = digits.partition(".")
    try:
        found = datetime.strptime(whole.ljust(14, "0"), "%Y%m%d%H%M%S")  # noqa: DTZ007 - only differences count
        return (found - datetime(2000, 1, 1)).total_seconds() + float(f"0.{fraction or 0}")  # noqa: DTZ001
    except ValueError:
        return None


def _number(given: Any) -> float | None:
    try:
        found = float(given)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _integer(given: Any) -> int | None:
    found = _number(given)
    return None if found is None else int(found)
