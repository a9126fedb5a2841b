"""The masks step: structure sets and segmentations as masks on the slices of the images that they were drawn on."""

from __future__ import annotations

from node.steps.masks.step import Masks

__all__ = ["Masks"]
