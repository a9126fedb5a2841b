"""What can be done to an attribute: the words of a plan."""

from __future__ import annotations

from enum import Enum, auto

PATIENT_NAME, PATIENT_ID = 0x00100010, 0x00100020
FEATURES = 0x00280302
"""Recognizable Visual Features."""


class Do(Enum):
    """What to do with an attribute that is there."""

    __hash__ = object.__hash__  # of Enum it is written in Python

    KEEP = auto()
    """Leave the value; clean the items of a sequence by this same plan."""
    REMOVE = auto()
    EMPTY = auto()
    """Zero length; a sequence without items."""
    DUMMY = auto()
    """A value that means nothing; of a sequence one item, in which all text is replaced too."""
    UID = auto()
    """The keyed UID of each value."""
    PATIENT = auto()
    """The patient's keyed pseudonym."""
    SHIFT = auto()
    """A date or time (DA, TM, DT) moved by the patient's amount, an offset from UTC (SH) as it is; what is none of
    them: `Plan.otherwise`."""
    CLEAN = auto()
    """Text without what identifies (cleaning.py), and `Plan.otherwise` when nothing is left of it; in the items of a
    sequence also the text that the plan does not name."""
    CONTENT = auto()
    """A sequence of content items: each by `Plan.content`, and the text around them as in CLEAN."""
    HASH = auto()
    """A keyed hash of each value: equal values stay equal and tell nothing."""


Action = Do | str
"""A text is the literal value that a recipe or a rule asks for."""
