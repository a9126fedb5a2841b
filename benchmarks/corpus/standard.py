"""From an object to its answers: Table E.1-1, the options and the Types, attribute by attribute, at every depth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset

from benchmarks.corpus import places, required
from benchmarks.corpus.key import OPTIONS, Action, Answer
from node.dicom import deid_table

TABLE, SAFE, TYPE, TEXT = "PS3.15 Table E.1-1", "PS3.15 Table E.3.10-1", "PS3.3 Type", "PS3.15 E.1.1 step 2"

_WORDS = "abdomen axial breast chest contrast fracture follow head lesion liver pelvis plan report routine stable t1"
CLINICAL = frozenset(_WORDS.split())
"""Words that a descriptor keeps when it is cleaned: they say what an image shows, and of nobody."""

_WRITTEN = frozenset({
    0x00080005, 0x00120062, 0x00120063, 0x00120064, 0x00280004, 0x00280006, 0x00280301, 0x00280302, 0x00280303,
    0x00102298, 0x7FE00010,
})  # fmt: skip
"""What a de-identifier writes itself, how pixels are laid out (cleaned ones are encoded anew), Responsible Person Role,
which may not stay without the person (PS3.3 C.7.1.1), and the pixels, which have kinds of their own."""
_CONTENT_MAY_GO = frozenset({"121008", "121009", "121018", "121030", "121080"})
"""Content items of the corpus that Table E.3.4-1 removes or replaces, and that no option of the key keeps."""
_CONTENT = 0x0040A730
_PATIENT_ID, _PATIENT_AGE, _TEXT_VALUE = 0x00100020, 0x00101010, 0x0040A160
_HIPAA_AGE = 89


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is known of the object that is read."""

    tokens: Sequence[str]
    surname: str
    modality: str


@dataclass(frozen=True, slots=True)
class _Within:
    """What holds for the items of a sequence."""

    may_go: bool = False
    """The standard lets all of it go, so nothing has to be kept."""
    nested: bool = True


def answers(ds: FileDataset, about: About) -> list[Answer]:
    """Of all attributes and of the file meta information; what has no attribute is added by who planted it."""
    found = list(_data_set(ds, "", _Within(nested=False), about))
    for element in ds.file_meta:
        if said := _said(element, about):
            found.append(_removed(places.META + places.attribute(element.tag), said, TEXT))
    return found


def text_of(element: DataElement) -> str:
    """A value as text; of bytes one letter per byte, so that what is ASCII in them is found."""
    value = element.value
    if isinstance(value, bytes):
        return value.decode("latin_1")
    if element.VM > 1 and not isinstance(value, str):
        return "\\".join(map(str, value))
    return "" if value is None else str(value)


@cache
def row(tag: int) -> deid_table.Row | None:
    return deid_table.rows().get(tag)


def _data_set(ds: Dataset, before: str, within: _Within, about: About) -> Iterator[Answer]:
    for element in ds:
        if element.tag.is_private:
            yield from _private(ds, element, before, within, about)
        elif element.VR == "SQ":
            yield from _sequence(element, before + places.attribute(element.tag), within, about)
        elif element.tag not in _WRITTEN:
            yield from _attribute(element, before + places.attribute(element.tag), within, about)


def _sequence(element: DataElement, place: str, within: _Within, about: About) -> Iterator[Answer]:
    found = row(element.tag)
    may_go = within.may_go
    if found is not None and not found.keeps & set(OPTIONS):
        may_go = may_go or element.tag != _CONTENT  # an item without a concept cannot be cleaned, and may go
    if not within.nested and _type(element, within, about) == "1":
        yield Answer(action=Action.TAG_RETAINED, place=place, filled=True, source=f"{TYPE} 1")
    for index, item in enumerate(element.value):
        inner = _Within(may_go=may_go or places.concept_of(item) in _CONTENT_MAY_GO)
        yield from _data_set(item, places.of_item(place, index, item), inner, about)


def _private(ds: Dataset, element: DataElement, before: str, within: _Within, about: About) -> Iterator[Answer]:
    group, low = element.tag.group, element.tag.element & 0xFF
    owner = ds.get((group, element.tag.element >> 8))
    if element.tag.is_private_creator or owner is None or _said(owner, about):
        # By its tag also where the creator names somebody: a place is shown to people, and an identifier is not.
        place = before + places.attribute(element.tag)
        if said := _said(element, about):
            yield _removed(place, said, f"{TABLE}: private, X")
        return
    creator = str(owner.value)
    place = before + places.private(group, creator, low)
    if element.VR == "SQ":
        for index, item in enumerate(element.value):
            yield from _data_set(item, f"{place}[{index}]", _Within(may_go=True), about)
    elif (group, creator, low) in deid_table.safe_private() and not within.may_go:
        yield Answer(action=Action.TEXT_RETAINED, place=place, values=(text_of(element),), filled=True, source=SAFE)
    elif not element.is_empty:
        yield _removed(place, _said(element, about) or (text_of(element),), f"{TABLE}: private, X")


def _attribute(element: DataElement, place: str, within: _Within, about: About) -> Iterator[Answer]:
    if element.is_empty:
        if not within.may_go and _type(element, within, about):
            yield Answer(action=Action.TAG_RETAINED, place=place, source=TYPE)
        return
    found = row(element.tag)
    if element.tag == _PATIENT_ID and not within.nested:
        yield Answer(action=Action.PATIENT_ID_CONSISTENT, place=place, values=(text_of(element),), source=TABLE)
    if element.tag == _PATIENT_AGE and int(text_of(element)[:3]) == _HIPAA_AGE + 1:
        return  # what all greater ages become: nobody can tell whether it was done
    if element.tag == _PATIENT_AGE and int(text_of(element)[:3]) > _HIPAA_AGE:
        yield _removed(place, (text_of(element),), "HIPAA 164.514(b)(2)(i)(C)")
    elif found is not None and found.keeps & set(OPTIONS):
        yield from _kept(element, place, within, about, TABLE + ", K")
    elif found is not None and "U" in found.basic.split("/"):
        yield from _uid(element, place, within)
    elif found is not None and "retain_long_modified_dates" in found.cleans:
        yield from _date(element, place, within, about)
    elif found is not None and "clean_descriptors" in found.cleans:
        yield from _descriptor(element, place, within, about)
    elif found is not None:
        yield _removed(place, (*_said(element, about), text_of(element)), f"{TABLE}: {found.basic}")
        yield from _there(element, place, within, about)
    elif said := _said(element, about):
        yield _removed(place, said, TEXT)
        yield from _there(element, place, within, about)
        if element.tag == _TEXT_VALUE:
            yield from _words(element, place, within, about)
    elif element.VR != "UI" or text_of(element).startswith("1.2.840.10008."):
        yield from _kept(element, place, within, about, "not in " + TABLE)


def _kept(element: DataElement, place: str, within: _Within, about: About, source: str) -> Iterator[Answer]:
    bulk = element.VR in ("OB", "OW", "OF", "OD", "OL", "UN") or element.tag >> 24 in (0x50, 0x60)
    if not within.may_go and not bulk:
        yield Answer(action=Action.TEXT_RETAINED, place=place, values=(text_of(element),), filled=True, source=source)


def _uid(element: DataElement, place: str, within: _Within) -> Iterator[Answer]:
    for action in (Action.UID_CHANGED, Action.UID_CONSISTENT):
        yield Answer(
            action=action, place=place, values=tuple(text_of(element).split("\\")), optional=within.may_go,
            source=f"{TABLE}: U",
        )  # fmt: skip


def _date(element: DataElement, place: str, within: _Within, about: About) -> Iterator[Answer]:
    source = TABLE + ", C of Retain Longitudinal Temporal Information with Modified Dates"
    if element.VR in ("DA", "DT") and within.may_go:
        yield _removed(place, (text_of(element),), source)
    elif element.VR in ("DA", "DT"):
        yield Answer(action=Action.DATE_SHIFTED, place=place, values=(text_of(element),), source=source)
    elif element.VR == "TM" and not within.may_go:
        yield Answer(action=Action.TAG_RETAINED, place=place, filled=True, source=source)
    elif said := _said(element, about):  # a timestamp in bytes
        yield _removed(place, said, source)


def _descriptor(element: DataElement, place: str, within: _Within, about: About) -> Iterator[Answer]:
    if said := _said(element, about):
        yield _removed(place, said, TABLE + ", C of Clean Descriptors")
    yield from _words(element, place, within, about)
    yield from _there(element, place, within, about)


def _words(element: DataElement, place: str, within: _Within, about: About) -> Iterator[Answer]:
    spoken = {word.strip(".,()").casefold() for word in text_of(element).split()} - {about.surname.casefold()}
    words = tuple(sorted(spoken & CLINICAL))
    if words and not within.may_go:
        yield Answer(action=Action.TEXT_RETAINED, place=place, values=words, source="PS3.15 E.3.5")


def _there(element: DataElement, place: str, within: _Within, about: About) -> Iterator[Answer]:
    kind = None if within.may_go else _type(element, within, about)
    if kind:
        yield Answer(action=Action.TAG_RETAINED, place=place, filled=kind == "1", source=f"{TYPE} {kind}")


def _type(element: DataElement, within: _Within, about: About) -> str | None:
    return required.types(about.modality, nested=within.nested).get(element.keyword)


def _said(element: DataElement, about: About) -> tuple[str, ...]:
    text = text_of(element).casefold()
    return tuple(token for token in about.tokens if token.casefold() in text)


def _removed(place: str, values: Sequence[str], source: str) -> Answer:
    return Answer(action=Action.TEXT_REMOVED, place=place, values=tuple(dict.fromkeys(values)), source=source)
