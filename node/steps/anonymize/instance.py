"""One instance from file to file: read, decide whether it may go on, de-identify, write."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

from node.dicom.attributes import describe
from node.dicom.encoding import Parse
from node.dicom.uids import MEDIA_STORAGE_DIRECTORY
from node.dicom.wholeness import native_length
from node.errors import CannotSucceed
from node.steps.anonymize import evidence, output, text
from node.steps.anonymize.burned_in import Facts, burned_in
from node.steps.anonymize.decision import CHARACTER_SET, IDENTITY_UIDS, ISSUER, Scope, UndecidableError
from node.steps.anonymize.engine import Memory, Written, rewritten
from node.steps.anonymize.plan import PATIENT_ID, PATIENT_NAME, Plan
from node.steps.anonymize.pseudonyms import STANDARD_ROOT, Pseudonyms
from node.steps.anonymize.source import Source, opened

_SOP_CLASS, _SOP_INSTANCE, _STUDY = 0x00080016, 0x00080018, 0x0020000D
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_PLANE, _OVERLAY_BIT, _OVERLAY_DATA = 0x0010, 0x0102, 0x3000
_CHUNK = 1 << 20
_LONGEST_UID = 128
"""Bytes: twice what PS3.5 9.1 allows, for devices that do not keep to it."""


class HoldError(Exception):
    """The instance waits for a person; `str()` is the reason, without patient data."""


class Anonymizer:
    """What one run of the step does to each of its instances, and what it remembers from one to the next."""

    def __init__(self, plan_for: Callable[[str], Plan], pseudonyms: Pseudonyms) -> None:
        """`plan_for` gives the plan for a SOP Class UID."""
        self._plan_for = lru_cache(maxsize=None)(plan_for)
        self._pseudonyms = pseudonyms
        self._patient = lru_cache(maxsize=64)(partial(_patient, pseudonyms))
        self._memory = Memory()
        self._added: dict[tuple[int, Parse], dict[int, bytes]] = {}

    def anonymize(self, source: Path, target: Path) -> None:
        """Write the de-identified instance of `source` to `target`, or raise HoldError and write nothing.

        The transfer syntax stays and Pixel Data is not touched. Raises OSError when the disk fails, which says
        nothing of the instance.
        """
        try:
            with opened(source) as found:
                reason = burned_in(facts(found))
                if reason is None:
                    check_pixels(found)
                    elements = self._rewritten(found)
                    meta = _file_meta(elements, found)
                    output.write(target, meta, elements.values(), found)
        except (UndecidableError, text.UnreadableTextError) as error:
            raise HoldError(str(error)) from None
        except CannotSucceed as error:
            why = str(error).removeprefix("not a readable data set: ")
            raise HoldError(f"its data set cannot be read with certainty: {why}") from None
        if reason is not None:
            raise HoldError(f"may show who the patient is: {reason}")

    def _rewritten(self, source: Source) -> dict[int, Written]:
        plan = self._plan_for(_uid(source, _SOP_CLASS))
        elements = rewritten(source.data, source.top, source.parse, self._scope(source, plan), self._memory)
        for tag in evidence.OWN:
            elements.pop(tag, None)
        elements |= self._added_by(plan, source.parse)
        return {tag: elements[tag] for tag in sorted(elements)}

    def _scope(self, source: Source, plan: Plan) -> Scope:
        uids = identity(source)
        encodings, patient, own_words = self._patient(
            *map(source.raw, (CHARACTER_SET, PATIENT_ID, ISSUER, PATIENT_NAME))
        )
        return Scope(
            plan=plan,
            pseudonyms=self._pseudonyms,
            encodings=encodings,
            patient=patient or self._pseudonyms.patient_of_study(uids[_STUDY]),
            own_uids=frozenset(uids.values()),
            own_words=own_words,
        )

    def _added_by(self, plan: Plan, parse: Parse) -> dict[int, bytes]:
        found = self._added.get((id(plan), parse))  # plans are kept by the cache, so an id stays that of one
        if found is None:
            found = self._added[id(plan), parse] = evidence.added(plan, parse)
        return found


def _patient(
    pseudonyms: Pseudonyms, character_set: bytes, patient_id: bytes, issuer: bytes, name: bytes
) -> tuple[tuple[str, ...], str, re.Pattern[str] | None]:
    """Encodings, pseudonym and own words of who is named at the top of a data set; no pseudonym without Patient ID."""
    encodings = text.encodings(character_set)
    identifier = text.decode(patient_id, encodings)
    patient = pseudonyms.patient(text.decode(issuer, encodings), identifier) if identifier else ""
    return encodings, patient, text.words(text.decode(name, encodings), identifier)


def facts(source: Source) -> Facts:
    """What burned_in looks at."""
    tags, words = source.top.keys(), source.text
    planes = {tag & 0xFFFF0000 for tag in tags if 0x60000000 <= tag < 0x61000000 and not tag & 0x10000}
    return Facts(
        sop_class=words(_SOP_CLASS),
        transfer_syntax=source.syntax.uid,
        modality=words(0x00080060).upper(),
        burned_in_annotation=words(0x00280301).upper(),
        image_type=tuple(word.strip().upper() for word in words(0x00080008).split("\\")),
        has_pixels=any(tag in tags for tag in _PIXELS),
        has_document=0x00420011 in tags,
        has_content=0x0040A730 in tags,
        label_in_image=words(0x00480010).upper() == "YES",
        overlay_in_pixels=any(plane | _OVERLAY_DATA not in tags and plane | _PLANE in tags for plane in planes),
    )


def check_pixels(source: Source) -> None:
    """Raise UndecidableError where pixel data are not what their transfer syntax says, or where pixels that are not
    compressed are followed by bytes that no pixel uses.

    Pixel Data goes on as it came, so what stands there would too. Zeros say nothing, and some devices fill up with
    them.
    """
    tag = next((tag for tag in _PIXELS if tag in source.top), None)
    if tag is None:
        return
    encapsulated = source.encapsulated(tag)
    if source.syntax.known and encapsulated != (source.syntax.encapsulated and tag == _PIXELS[-1]):
        raise UndecidableError("its pixel data are not encoded as its transfer syntax says")
    if encapsulated:
        return

    def number(tag: int) -> int:
        value = source.raw(tag)
        return int.from_bytes(value, "little") if len(value) == 2 else 0

    frames = source.text(0x00280008)
    expected = native_length(
        rows=number(0x00280010), columns=number(0x00280011), frames=int(frames) if frames.isdecimal() else 1,
        samples=number(0x00280002) or 1, allocated=number(0x00280100), photometric=source.text(0x00280004),
    )  # fmt: skip
    _, _, _, value, end, _ = source.top[tag]
    behind = value + expected + expected % 2
    if any(source.data[at : min(at + _CHUNK, end)].strip(b"\0") for at in range(behind, end, _CHUNK)):
        raise UndecidableError(f"its pixel data have {end - behind} bytes more than an image of its size")


def identity(source: Source) -> dict[int, str]:
    """The instance's own UIDs by tag. Raises UndecidableError where one is missing or is not its own."""
    found = {tag: _uid(source, tag) for tag in (_SOP_CLASS, *IDENTITY_UIDS)}
    if found[_SOP_CLASS].startswith(MEDIA_STORAGE_DIRECTORY) or 0x00041220 in source.top:
        raise UndecidableError("it is a DICOMDIR, which lists patients")
    for tag in (_SOP_CLASS, *IDENTITY_UIDS[:3]):
        if not found[tag]:
            raise UndecidableError(f"it has no {describe(tag)}")
        if tag != _SOP_CLASS and found[tag].startswith(STANDARD_ROOT):
            raise UndecidableError(f"{describe(tag)} is one of the standard's own UIDs")
    return {tag: uid for tag, uid in found.items() if uid and tag != _SOP_CLASS}


def _uid(source: Source, tag: int) -> str:
    value = source.raw(tag)
    if not value.isascii() or b"\\" in value or len(value) > _LONGEST_UID:
        raise UndecidableError(f"{describe(tag)} is not one UID")
    return value.decode("ascii").strip(" \0")


def _file_meta(elements: dict[int, Written], source: Source) -> bytes:
    def written(tag: int) -> str:
        encoded = elements[tag]
        assert isinstance(encoded, bytes)  # a UID is no stretch
        _, _, value, _ = source.parse(encoded, 0)
        return encoded[value:].decode("ascii").strip(" \0")

    return evidence.file_meta(written(_SOP_CLASS), written(_SOP_INSTANCE), source.syntax.uid)
