"""The answers of the key held against what a de-identifier made.

As in MIDI-B an object that did not come out is right where something had to be removed, and wrong where something had
to be kept or changed; so a gateway that holds everything leaks nothing and is still of no use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from benchmarks.corpus.font import legible
from benchmarks.corpus.key import REMOVAL, Action, Answer, Instance
from benchmarks.corpus.outputs import Consistency, Output, consistency, is_uid, read, read_all, shifted

_SHORT = 4
"""Characters: a shorter value counts as kept only where it is all that is there, because it may stand in any word."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A required action that was not done. Names the place, never a value."""

    file: str
    kind: str
    action: Action
    place: str
    source: str


@dataclass(slots=True)
class Score:
    """Required actions and those that were done, by kind of action."""

    required: Counter[Action] = field(default_factory=Counter)
    right: Counter[Action] = field(default_factory=Counter)
    misses: list[Miss] = field(default_factory=list)
    came: int = 0
    withheld: int = 0
    """Objects that did not come out and had to."""

    def percent(self, *actions: Action) -> float | None:
        """Of these kinds, or of all; None where none is required."""
        chosen = actions or tuple(Action)
        required = sum(self.required[action] for action in chosen)
        return 100 * sum(self.right[action] for action in chosen) / required if required else None


@dataclass(frozen=True, slots=True)
class _Case:
    """One object before and after."""

    before: Path
    after: Output
    patient: str
    all: Consistency


def score(corpus: Path, instances: Sequence[Instance], results: Path) -> Score:
    """`results` is a folder of files with any names. Raises ValueError where two are of the same object."""
    outputs = read_all(results)
    agreed = consistency(instances, outputs)
    made = Score()
    for instance in instances:
        output = outputs.get(instance.number)
        case = None if output is None else _Case(corpus / "files" / instance.file, output, instance.patient, agreed)
        made.came += output is not None
        made.withheld += output is None and not instance.withheld
        for answer in instance.answers:
            if case is None and instance.withheld and answer.action is not Action.TEXT_REMOVED:
                continue
            made.required[answer.action] += 1
            if _without(answer) if case is None else CHECKS[answer.action](case, answer):
                made.right[answer.action] += 1
            else:
                made.misses.append(Miss(instance.file, instance.kind, answer.action, answer.place, answer.source))
    return made


def _without(answer: Answer) -> bool:
    """Whether an answer is right where nothing came out."""
    return answer.action in REMOVAL - {Action.DATE_SHIFTED}


def _text_removed(case: _Case, answer: Answer) -> bool:
    match answer.place:
        case "anywhere":
            return not any(value.casefold() in case.after.all_text for value in answer.values)
        case "file name":
            text: str | None = case.after.path
        case "preamble":
            text = (case.after.ds.preamble or b"").decode("latin_1")
        case place:
            text = case.after.text(place)
    return text is None or not any(_holds(text, value) for value in answer.values)


def _text_retained(case: _Case, answer: Answer) -> bool:
    text = case.after.text(answer.place)
    if text is None:
        return False
    if answer.filled:
        return text.strip() == answer.values[0].strip()
    return all(value.casefold() in text.casefold() for value in answer.values)


def _tag_retained(case: _Case, answer: Answer) -> bool:
    text = case.after.text(answer.place)
    return text is not None and (not answer.filled or text.strip() not in ("", "[]", "<Sequence, length 0>"))


def _date_shifted(case: _Case, answer: Answer) -> bool:
    text = case.after.text(answer.place)
    days = shifted(answer.values[0], text) if text else None
    usual = case.all.days(case.patient)
    if not days or usual is None:
        return False
    # A shift that is no whole number of days takes some dates over midnight, and keeps every interval all the same.
    return abs(days - int(usual)) <= 1


def _uid_changed(case: _Case, answer: Answer) -> bool:
    text = case.after.text(answer.place)
    if not text:
        return True  # it is gone; whether it had to be there uid_consistent says
    return all(is_uid(uid) and uid not in answer.values for uid in text.split("\\"))


def _uid_consistent(case: _Case, answer: Answer) -> bool:
    text = case.after.text(answer.place)
    if not text:
        return answer.optional
    new = text.split("\\")
    return len(new) == len(answer.values) and all(
        case.all.is_right("uid", old, uid) for old, uid in zip(answer.values, new, strict=True)
    )


def _patient_consistent(case: _Case, answer: Answer) -> bool:
    return case.all.is_right("patient", answer.values[0], case.after.text(answer.place) or "")


def _pixels_hidden(case: _Case, answer: Answer) -> bool:
    if answer.place == "pixels" and "PixelData" in case.after.ds and case.after.pixels is None:
        return False  # what cannot be decoded here may be somewhere else
    return answer.drawn is None or not any(legible(plane, answer.drawn) for plane in case.after.planes(answer.place))


def _pixels_retained(case: _Case, answer: Answer) -> bool:
    before = read(case.before, "")
    was, now = [] if before is None else before.planes(answer.place), case.after.planes(answer.place)
    return len(was) == len(now) > 0 and all(
        old.shape == new.shape and bool((old[answer.below :] == new[answer.below :]).all())
        for old, new in zip(was, now, strict=True)
    )


def _holds(text: str, value: str) -> bool:
    if len(value) < _SHORT:
        return text.strip() == value.strip()
    return value.casefold() in text.casefold()


CHECKS: Mapping[Action, Callable[[_Case, Answer], bool]] = MappingProxyType(
    {
        Action.TAG_RETAINED: _tag_retained, Action.TEXT_RETAINED: _text_retained, Action.TEXT_REMOVED: _text_removed,
        Action.DATE_SHIFTED: _date_shifted, Action.UID_CHANGED: _uid_changed, Action.UID_CONSISTENT: _uid_consistent,
        Action.PATIENT_ID_CONSISTENT: _patient_consistent, Action.PIXELS_HIDDEN: _pixels_hidden,
        Action.PIXELS_RETAINED: _pixels_retained,
    }
)  # fmt: skip
