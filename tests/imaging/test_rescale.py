"""A rescale that gives no values is named by its attribute, never by what it is."""

from __future__ import annotations

import pytest

from node.imaging.rescale import fault_of
from tests import make


@pytest.mark.parametrize(
    ("slope", "intercept", "sop_class", "fault"),
    [
        (1.0, -1024.0, make.CT_IMAGE, ""),
        (-2.5, 0.0, make.MR_IMAGE, ""),
        (None, None, make.MR_IMAGE, ""),
        (None, None, make.CT_IMAGE, "no 'Rescale Slope', which images of this kind always have"),
        (None, -1024.0, make.MR_IMAGE, "'Rescale Intercept' without 'Rescale Slope'"),
        (1.0, None, make.MR_IMAGE, "'Rescale Slope' without 'Rescale Intercept'"),
        (0.0, 0.0, make.CT_IMAGE, "'Rescale Slope' is 0"),
        (float("nan"), 0.0, make.CT_IMAGE, "'Rescale Slope' is no finite number"),
        (float("inf"), 0.0, make.CT_IMAGE, "'Rescale Slope' is no finite number"),
        (1.0, float("nan"), make.CT_IMAGE, "'Rescale Intercept' is no finite number"),
        ("one", 0.0, make.CT_IMAGE, "'Rescale Slope' is no finite number"),
    ],
)
def test_a_rescale_is_usable_or_says_why_not(slope: object, intercept: object, sop_class: str, fault: str) -> None:
    assert fault_of(slope, intercept, sop_class) == fault
