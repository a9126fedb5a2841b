"""The steps there are, by the name they have in rules.yaml."""

from __future__ import annotations

from collections.abc import Mapping

from node.model import Step
from node.steps.anonymize import Anonymize
from node.steps.check import Check
from node.steps.decompress import Decompress
from node.steps.drop import Drop
from node.steps.forward import Forward
from node.steps.jpeg import Jpeg
from node.steps.masks import Masks
from node.steps.nifti import Nifti
from node.steps.png import Png
from node.steps.set import Set
from node.steps.transcode import Transcode

STEPS: Mapping[str, type[Step]] = {
    step.name: step for step in (Anonymize, Check, Decompress, Drop, Forward, Jpeg, Masks, Nifti, Png, Set, Transcode)
}
