"""The `set` step: assign, copy or remove attributes at the top of each data set, and nothing else.

- set:
    assign: {ClinicalTrialProtocolID: "TRIAL-7", BodyPartExamined: HEAD}
    copy: {StudyDescription: SeriesDescription}     # to: from, as received
    remove: [ImageComments, (0019,"SIEMENS MR HEADER",0C)]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pydicom.config import RAISE
from pydicom.dataelem import DataElement
from pydicom.dataset import FileDataset
from pydicom.valuerep import validate_value

from node.certificate.actions import written
from node.dicom.attributes import VR_BY_TAG, PrivateTag, describe, parse_tag, suggestions
from node.dicom.damage import DAMAGE
from node.dicom.dataset import read, write
from node.dicom.encoding import Malformed
from node.errors import CannotSucceed
from node.model import Batch, Held, Item, Kind, Work
from node.steps.anonymize import text
from node.steps.anonymize.fields import PROTECTED, SAID_OF_PIXELS
from node.steps.anonymize.plain import character_set, raw_bytes
from node.steps.anonymize.values import OPAQUE, fits, put


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """Assign, copy or remove attributes of each instance; pixels and UIDs stay."""

    name: ClassVar[str] = "set"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    whole: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()

    assign: Mapping[str, str] = field(default_factory=dict)
    """Attribute -> value. ASCII; several values with a backslash between them; "" for an empty one."""
    copy: Mapping[str, str] = field(default_factory=dict)
    """Attribute -> the attribute to take the value from, as it was before this step. Absent there, nothing is done."""
    remove: tuple[str, ...] = ()
    """Attributes to remove: keywords, (gggg,eeee) or (gggg,"CREATOR",ee)."""

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the options, a sentence each."""
        found = [problem for to, value in self.assign.items() if (problem := _assign_problem(to, value))]
        found += [problem for to, source in self.copy.items() for problem in _copy_problems(to, source)]
        found += [problem for name in self.remove if (problem := _target_problem(name, removing=True))]
        named = [*self.assign, *self.copy, *self.remove]
        twice = sorted({name for name in named if [parse_tag(n) for n in named].count(parse_tag(name)) > 1})
        return (*found, *(f'"{name}" is changed more than once' for name in twice))

    def changes(self) -> dict[str, str]:
        """What it does to attributes, for the certificate of what it is given de-identified: no value, no creator."""
        done = {"assigned": self.assign, "copied": self.copy, "removed": self.remove}
        return {_told(parse_tag(name)): word for word, names in done.items() for name in names}

    def run(self, batch: Batch, work: Work) -> Batch:
        """Write each instance with the changes; hold one that cannot be read, or that a value does not fit."""
        problems = self.problems()
        if problems:
            raise CannotSucceed("; ".join(problems))
        items: list[Item] = []
        held = list(batch.held)
        for item in batch.items:
            target = work.out / (item.path.name.removesuffix(".dcm") + ".dcm")
            reason = self._change(item.path, target)
            if reason is None:
                items.append(Item(path=target, kind=Kind.DICOM, sources=item.sources))
            else:
                target.unlink(missing_ok=True)
                held.append(Held(sources=item.sources, reason=f"attributes cannot be set: {reason}"))
        work.note("{} changed", len(items))
        return Batch(items=tuple(items), held=tuple(held), dropped=batch.dropped, disclosure=batch.disclosure)

    def _change(self, source: Path, target: Path) -> str | None:
        try:
            with source.open("rb") as file:
                ds = read(file)
            copied = list(self._copied(ds))
            for element in copied:
                ds[element.tag] = element
            for name, value in self.assign.items():
                put(ds, _tag(name), value)
            for name in self.remove:
                _remove(ds, parse_tag(name))
            write(ds, target)
        except _Misfit as misfit:
            return str(misfit)
        except (*DAMAGE, Malformed, Warning) as error:
            return f"its data set cannot be read and written with certainty ({type(error).__name__})"
        return None

    def _copied(self, ds: FileDataset) -> Iterator[DataElement]:
        encodings = text.encodings(character_set(ds))
        for to, source in self.copy.items():
            if _tag(source) not in ds:
                continue
            text.decode(raw_bytes(ds, _tag(source)), encodings)
            value = ds[_tag(source)].value
            vr = VR_BY_TAG[_tag(to)]
            try:
                for one in value if isinstance(value, list) else [value]:
                    validate_value(vr, one, RAISE)
            except (TypeError, ValueError):
                raise _Misfit(f"the value of {describe(_tag(source))} does not fit {describe(_tag(to))}") from None
            yield DataElement(_tag(to), vr, value)


class _Misfit(Exception):  # a finding about one instance, which run() turns into a reason
    """A value to copy does not fit where it should go. Names attributes, never values."""


def _told(tag: int | PrivateTag | None) -> str:
    if isinstance(tag, PrivateTag):
        return f"({tag.group:04X},xx{tag.element:02X})"
    return written((tag,)) if tag is not None else ""


def _tag(name: str) -> int:
    tag = parse_tag(name)
    if not isinstance(tag, int):
        raise CannotSucceed(f'"{name}" is not an attribute')  # problems() has said so before
    return tag


def _remove(ds: FileDataset, tag: int | PrivateTag | None) -> None:
    if isinstance(tag, PrivateTag):
        if tag.creator in ds.private_creators(tag.group):
            block = ds.private_block(tag.group, tag.creator)
            if tag.element in block:
                del block[tag.element]
    elif tag is not None and tag in ds:
        del ds[tag]


def _target_problem(name: str, *, removing: bool) -> str | None:
    tag = parse_tag(name)
    if tag is None:
        near = suggestions(name)
        return f'unknown attribute "{name}"' + (f'. Did you mean "{near[0]}"?' if near else "")
    if isinstance(tag, PrivateTag):
        return None if removing else f"{name} is private; a value cannot be given to it, only removed"
    if tag in PROTECTED:
        return f"{describe(tag)} may not be changed: {PROTECTED[tag]}"
    if tag >> 16 <= 7:
        return f"{describe(tag)} is not part of the data set"
    if removing:
        return None
    vr = VR_BY_TAG.get(tag)
    if vr is None:
        return f"{name} is not in the data dictionary"
    if vr == "UI":
        return f"{describe(tag)} is a UID; a UID set by hand would break the references to it"
    if vr == "SQ" or vr in OPAQUE:
        return f"{describe(tag)} is {vr}, which cannot be given as text"
    return None


def _assign_problem(name: str, value: str) -> str | None:
    problem = _target_problem(name, removing=False)
    if problem:
        return problem
    if _tag(name) in SAID_OF_PIXELS and value.upper() != "YES":
        return f"{describe(_tag(name))} may only be set to YES: NO is for who looked at the pixels or cleaned them"
    wrong = next(filter(None, (fits(VR_BY_TAG[_tag(name)], one) for one in _values(name, value))), None)
    return f"{describe(_tag(name))}: {wrong}" if wrong else None


def _values(name: str, value: str) -> list[str]:
    one = VR_BY_TAG[_tag(name)] in ("LT", "ST", "UR", "UT")  # a backslash is part of these (PS3.5 6.2)
    return [value] if one or not value else value.split("\\")


def _copy_problems(to: str, source: str) -> list[str]:
    found = [problem for name in (to, source) if (problem := _target_problem(name, removing=False))]
    if not found and _tag(to) in SAID_OF_PIXELS:
        found.append(f"{describe(_tag(to))} may only be set to YES")
    if not found and _family(to) != _family(source):
        found.append(f"{describe(_tag(source))} does not fit {describe(_tag(to))}: {_family(source)} and {_family(to)}")
    return found


def _family(name: str) -> str:
    vr = VR_BY_TAG[_tag(name)]
    return "text" if vr in ("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT") else vr
