"""What became of an element, told from what was there before and after: what was done, not what was meant to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

from node.certificate.actions import PIXELS, Again, Done, Path, Recorder, Told
from node.dicom.attributes import VR_BY_TAG, tag_of
from node.dicom.deid_table import is_repeating
from node.steps.anonymize import evidence, values
from node.steps.anonymize.decision import Change
from node.steps.anonymize.plan import Action, Do
from node.steps.anonymize.scope import Scope

Element = DataElement | RawDataElement


WITH_PIXELS = frozenset(
    {
        *evidence.WRITTEN, *filter(None, map(tag_of, (
            "BurnedInAnnotation", "PhotometricInterpretation", "PlanarConfiguration", "LossyImageCompression",
            "LossyImageCompressionMethod", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
        )))
    }
)  # fmt: skip
"""What the cleaning of pixels may change besides them."""

_CHANGED = {Do.SHIFT: Done.SHIFTED, Do.CLEAN: Done.CLEANED, Do.HASH: Done.HASHED}


def became(before: Element, after: Element | None, done: Action | None) -> tuple[Done, bytes | None, bytes | None]:
    """(what was done, the encoded value before, and after); no values of a sequence.

    done  the action that was carried out, in the end
    """
    if after is None:
        return Done.REMOVED, value_of(before), None
    if is_sequence(after):
        empty = isinstance(after, DataElement) and not after.value
        return of_sequence(done, empty=empty), None, None
    old, new = value_of(before), value_of(after)
    same = after is before or old == new
    return of_value(done, same=same, empty=not new, uid=is_uid(after)), old, new


def of_sequence(done: Action | None, *, empty: bool) -> Done:
    """What became of a sequence that is still there."""
    if done is Do.EMPTY and empty:
        return Done.EMPTIED
    return Done.REPLACED if done is Do.DUMMY else Done.KEPT


def of_value(done: Action | None, *, same: bool, empty: bool, uid: bool) -> Done:
    """What became of an attribute that is still there and is no sequence.

    same, empty  whether the new value is the old one, and whether it has no bytes
    uid          whether its representation is UI

    Where the value happens to be the same afterwards, what was to be done decides: a Patient's Birth Date that was
    empty is emptied, and none was kept.
    """
    if done is Do.EMPTY and empty:
        return Done.EMPTIED
    if (isinstance(done, str) or done in (Do.DUMMY, Do.PATIENT)) and not uid:
        return Done.REPLACED
    if same:
        return Done.KEPT
    if uid:
        return Done.UID
    return _CHANGED.get(done, Done.REPLACED) if isinstance(done, Do) else Done.REPLACED


def value_of(element: Element) -> bytes | None:
    """The encoded value; None of a sequence, whose items are told of by themselves."""
    if is_sequence(element):
        return None
    if isinstance(element, RawDataElement):
        return element.value or b""
    # Decoded, so written by us (a recipe's literal) or by pydicom (the character set): ASCII both.
    value = element.value
    if value is None:
        return b""
    several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    said = "\\".join(map(str, value if several else [value])).encode("ascii", "replace")
    return values.padded(said, str(element.VR))


def _value_in(ds: Dataset, tag: int) -> bytes | None:
    element = ds.get_item(tag)
    return None if element is None else value_of(element)


def is_sequence(element: Element) -> bool:
    known = VR_BY_TAG.get(int(element.tag))
    return (known or element.VR if element.VR in (None, "UN") else element.VR) == "SQ"


def is_uid(element: Element) -> bool:
    return (element.VR or VR_BY_TAG.get(int(element.tag))) == "UI"


def _is_of_pixels(path: Path) -> bool:
    return path[0] in WITH_PIXELS or path[0] in PIXELS or is_repeating(path[0])


@dataclass(slots=True)
class Account:
    """What was done to one data set, until all of it is done."""

    told: list[tuple[Told, ...]] = field(default_factory=list)

    def did(self, scope: Scope, tag: int, done: Done, before: bytes | None = None, after: bytes | None = None) -> None:
        self.told.append((((*scope.path, tag), done, before, after),))

    def value(self, scope: Scope, tag: int, vr: str, before: bytes | None, change: Change, done: Action | None) -> None:
        """Of an element of `vr` that stays and is no sequence."""
        vr, after = (vr, before) if change is None else change
        what = of_value(done, same=before == after, empty=not after, uid=vr == "UI")
        self.did(scope, tag, what, before, after)

    def in_runs(self, since: int) -> tuple[tuple[Told, ...], ...]:
        """What was told last, in few parts that are remembered; what waits for the pixels stands alone."""
        parts: list[tuple[Told, ...]] = []
        run: list[Told] = []
        for told in self.told[since:]:
            if not _is_of_pixels(told[0][0]):
                run += told
                continue
            parts += [Again(run)] if run else []
            parts.append(Again(told))
            run = []
        self.told[since:] = parts = [*parts, Again(run)] if run else parts
        return tuple(parts)

    def together(self, since: int) -> tuple[Told, ...]:
        """What was told last, which from now on is remembered as one."""
        if len(self.told) - since != 1:
            self.told[since:] = [tuple(each for one in self.told[since:] for each in one)]
        return self.told[since]


@dataclass(frozen=True, slots=True)
class UntilCleaned(Recorder):
    """A Recorder that keeps back what is told of pixels, and of all that says something of them, until they are
    cleaned: only then it is known."""

    recorder: Recorder
    waiting: list[tuple[Path, Done, bytes | None, bytes | None]] = field(default_factory=list)

    def did(self, path: Path, action: Done, before: bytes | None = None, after: bytes | None = None) -> None:
        if len(path) == 1 and _is_of_pixels(path):
            self.waiting.append((path, action, before, after))
        else:
            self.recorder.did(path, action, before, after)

    def did_all(self, told: Sequence[tuple[Told, ...]]) -> None:
        self.recorder.did_all([one for one in told if not _is_of_pixels(one[0][0])])
        for one in told:
            for each in one if _is_of_pixels(one[0][0]) else ():
                self.did(*each)

    def as_it_was(self) -> None:
        """Tell it: nothing was done to the pixels in the end."""
        for path, done, before, after in self.waiting:
            self.recorder.did(path, done, before, after)

    def cleaned(self, header: Dataset, of_pixels: Done) -> None:
        """Tell it. `header`: of the output; `of_pixels`: what became of the pixels themselves."""
        told = {path[0] for path, *_ in self.waiting}
        for path, done, before, after in self.waiting:
            tag = path[0]
            if tag in PIXELS:
                self.recorder.did(path, of_pixels)
            elif tag not in header:
                self.recorder.did(path, Done.REMOVED, before)
            else:
                new = _value_in(header, tag)
                if is_repeating(tag):  # an overlay, which was removed and is back
                    done = Done.KEPT if new == before else Done.CLEANED
                elif new != after and done is not Done.ADDED:
                    done = Done.REPLACED
                self.recorder.did(path, done, before, new)
        for tag in sorted(WITH_PIXELS - told):
            if tag in header:
                self.recorder.did((tag,), Done.ADDED, None, _value_in(header, tag))
