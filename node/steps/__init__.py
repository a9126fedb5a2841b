"""The steps there are, by the name they have in rules.yaml."""

from __future__ import annotations

from collections.abc import Mapping

from node.model import Step
from node.steps.anonymize import Anonymize
from node.steps.decompress import Decompress
from node.steps.drop import Drop
from node.steps.forward import Forward
from node.steps.masks import Masks
from node.steps.nifti import Nifti
from node.steps.set import Set

STEPS: Mapping[str, type[Step]] = {
    step.name: step for step in (Anonymize, Decompress, Drop, Forward, Masks, Nifti, Set)
}
