"""What a site may choose of the step, one of each kind: what the engine and its reference are held equal under."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from hypothesis import settings

from node.steps.anonymize import Anonymize
from node.steps.anonymize.options import AVAILABLE
from node.steps.anonymize.plan import Plan
from tests import make

_RECIPE = Path(__file__).with_name("choices.dicom")
_RULES = (
    {"keep": ["SeriesDescription", '(0009,"SOMEBODY",0B)', '(0019,"SIEMENS MR HEADER",0C)']},
    {"replace": ["InstitutionName", "RequestAttributesSequence.RequestedProcedureID"], "with": "Trial 7"},
    {"hash": ["StudyID", "RequestAttributesSequence.ScheduledProcedureStepID", "ReferencedStudySequence.CodeValue"]},
    {"clean": ["StudyDescription", "ProtocolName", "AnatomicRegionSequence.CodeMeaning"]},
    {"remove": ["AnatomicRegionSequence.ConceptNameCodeSequence.CodeValue", "creator:GEMS_PARM_01"]},
    {"blank": ["SourceImageSequence.PurposeOfReferenceCodeSequence.CodeMeaning", '(0043,"GEMS_PARM_01",2A)']},
    {"keep": ["RequestAttributesSequence"]},
)
_BY_VR = ({"shift": ["vr:DA", "vr:DT"]}, {"hash": ["vr:SH"]}, {"shift": '(0019,"SIEMENS MR HEADER",15)'})
_TEXTS = ("clean_descriptors", "clean_structured_content", "clean_graphics")
_BY_INSTANCE = ("clean_pixel_data", "clean_recognizable_visual_features")
"""What holds instances beside the plan, and is no part of what the two are equal in."""
_TOGETHER = tuple(name for name in AVAILABLE if name not in (*_BY_INSTANCE, "retain_long_full_dates"))


CHOICES: Mapping[str, Anonymize] = {
    "basic": Anonymize(),
    "dates kept": Anonymize(options=("retain_long_full_dates",)),
    "dates moved": Anonymize(options=("retain_long_modified_dates",)),
    "descriptors": Anonymize(options=("clean_descriptors",), keep_words=("helix",)),
    "content": Anonymize(options=("clean_structured_content",)),
    "content, dates moved": Anonymize(options=("clean_structured_content", "retain_long_modified_dates")),
    "graphics": Anonymize(options=("clean_graphics",)),
    "texts": Anonymize(options=(*_TEXTS, "retain_long_full_dates", "retain_patient_characteristics")),
    "safe private": Anonymize(options=("retain_safe_private",)),
    "characteristics": Anonymize(options=("retain_patient_characteristics",)),
    "all": Anonymize(options=_TOGETHER),
    "all, other UIDs": Anonymize(options=tuple(name for name in _TOGETHER if name != "retain_uids")),
    "rules": Anonymize(rules=_RULES, options=("retain_safe_private",)),
    "rules by VR": Anonymize(rules=_BY_VR, options=("clean_descriptors",)),
    "rules over all": Anonymize(rules=(*_RULES, *_BY_VR), options=(*_TEXTS, "retain_long_modified_dates")),
    "recipe": Anonymize(recipe=_RECIPE),
    "recipe and rules": Anonymize(recipe=_RECIPE, rules=_RULES, options=_TEXTS),
}


@cache
def plan_of(name: str, sop_class: str = make.MR_IMAGE) -> Plan:
    step = CHOICES[name]
    assert not step.problems(), step.problems()
    return step.plan_for()(sop_class)


def examples(count: int) -> settings:
    """As many examples of a property that compares the two, and in `.ci/full` ten times as many."""
    return settings(max_examples=10 * count if os.environ.get("DICOM_NODE_FULL") == "1" else count, deadline=None)
