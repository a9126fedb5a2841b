"""The answer key: what PS3.15 asks for at every place of an object, read from the table and from PS3.3 alone.

A place is asked about when the table names it, when it holds text that identifies, or when it holds what an image is
useless without. The kinds of answers are those of the MIDI-B challenge. Where the standard leaves a choice the key
asks for what every choice has in common: nothing is kept within a sequence that may go as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from benchmarks.corpus.font import Drawn

OPTIONS = (
    "clean_pixel_data", "clean_descriptors", "clean_structured_content", "clean_graphics",
    "retain_long_modified_dates", "retain_patient_characteristics", "retain_safe_private",
)  # fmt: skip
"""Of PS3.15 E.3, by the house's names: what the key is written for, on top of the Basic Profile."""


class Action(StrEnum):
    """What a de-identifier has to do, in the words of MIDI-B."""

    TAG_RETAINED = "tag retained"
    """The attribute is there; `filled`: with a value."""
    TEXT_RETAINED = "text retained"
    """All of `values` are in it; `filled`: and nothing else."""
    TEXT_REMOVED = "text removed"
    """None of `values` is in it; it may be gone."""
    DATE_SHIFTED = "date shifted"
    """By as many days as every other date of the patient, or one more or less, and not by none."""
    UID_CHANGED = "uid changed"
    UID_CONSISTENT = "uid consistent"
    """The new UID is the one that this UID has everywhere, and no other UID has it."""
    PATIENT_ID_CONSISTENT = "patient id consistent"
    """The same for the patient's identifier."""
    PIXELS_HIDDEN = "pixels hidden"
    """No letter of what was drawn can be read."""
    PIXELS_RETAINED = "pixels retained"
    """From the row in `below` on every pixel is as it was."""


REMOVAL = frozenset({Action.TEXT_REMOVED, Action.DATE_SHIFTED, Action.UID_CHANGED, Action.PIXELS_HIDDEN})
RETENTION = frozenset({Action.TAG_RETAINED, Action.TEXT_RETAINED, Action.PIXELS_RETAINED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One required action."""

    action: Action
    place: str
    values: tuple[str, ...] = ()
    """What to look for; of a date or UID, the original value."""
    filled: bool = False
    optional: bool = False
    """An absent attribute is right as well: the standard lets what it is in go."""
    drawn: Drawn | None = None
    below: int = 0
    source: str
    """Where the standard says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An object of the corpus, and all that has to be done to it."""

    number: int
    """Instance Number (0020,0013), its only one in the corpus; no profile touches it."""
    file: str
    """Below the corpus's folder."""
    patient: str
    """Patient ID as it was."""
    kind: str
    """Modality, or what it is."""
    withheld: bool
    """To pass nothing on at all is right: an encapsulated document cannot be cleaned (PS3.15 E.1.1)."""
    tokens: tuple[str, ...]
    """What identifies, in any place of it."""
    codecs: tuple[str, ...]
    answers: tuple[Answer, ...]


def save(instances: Sequence[Instance], path: Path) -> None:
    path.write_text(json.dumps([asdict(one) for one in instances], ensure_ascii=False, indent=1), encoding="utf-8")


def load(path: Path) -> tuple[Instance, ...]:
    """Raises KeyError, TypeError or ValueError for a file that is no answer key."""
    return tuple(_instance(row) for row in json.loads(path.read_text(encoding="utf-8")))


def _instance(row: dict[str, object]) -> Instance:
    answers = row.pop("answers")
    assert isinstance(answers, list)
    lists = {name: tuple(value) for name, value in row.items() if isinstance(value, list)}
    return Instance(**{**row, **lists}, answers=tuple(map(_answer, answers)))  # type: ignore[arg-type]


def _answer(row: dict[str, object]) -> Answer:
    drawn = row["drawn"]
    made = Answer(**{**row, "action": Action(str(row["action"])), "values": tuple(row["values"])})  # type: ignore[arg-type]
    return replace(made, drawn=Drawn(**drawn)) if isinstance(drawn, dict) else made


def of_kind(instances: Sequence[Instance], action: Action) -> Iterator[tuple[Instance, Answer]]:
    for instance in instances:
        for answer in instance.answers:
            if answer.action is action:
                yield instance, answer
