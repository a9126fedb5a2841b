"""One instance from file to file: read, decide whether it may go on, de-identify, write."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError

from node.certificate.actions import Done, Recorder
from node.dicom.attributes import describe
from node.dicom.dataset import read
from node.dicom.encoding import Malformed
from node.dicom.uids import MEDIA_STORAGE_DIRECTORY
from node.dicom.wholeness import native_length
from node.errors import CannotSucceed
from node.steps.anonymize import by_value, evidence, pixels, text, values, vocabulary
from node.steps.anonymize.burned_in import Facts, burned_in
from node.steps.anonymize.cleaning import Cleaner, cleaner_for
from node.steps.anonymize.identifying import identifying
from node.steps.anonymize.known import known
from node.steps.anonymize.patients import Patients, UnmappedError
from node.steps.anonymize.plan import PATIENT_ID, PATIENT_NAME, Plan
from node.steps.anonymize.pseudonyms import STANDARD_ROOT
from node.steps.anonymize.reversible import ENCRYPTED_ATTRIBUTES, Seal
from node.steps.anonymize.telling import UntilCleaned, value_of
from node.steps.anonymize.walk import (
    IDENTITY_UIDS,
    ISSUER,
    Scope,
    UndecidableError,
    element_of,
    raw_bytes,
    walk,
)
from node.steps.anonymize.write import write

_DEFLATED = "1.2.840.10008.1.2.1.99"
_UNDEFINED = 0xFFFFFFFF
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_PLANE, _OVERLAY_BIT, _OVERLAY_DATA = 0x0010, 0x0102, 0x3000

# What pydicom 3.0 was seen to raise on damaged data sets. A Warning is raised only where the process turns
# warnings into errors; RecursionError by sequences nested beyond any sense.
_DAMAGED = (
    AttributeError, EOFError, InvalidDicomError, KeyError, Malformed, NotImplementedError, RecursionError, TypeError,
    ValueError, Warning, struct.error, zlib.error,
)  # fmt: skip


class HoldError(Exception):
    """The instance waits for a person; `str()` is the reason, without patient data."""


def anonymize(
    source: Path,
    target: Path,
    plan_for: Callable[[str], Plan],
    patients: Patients,
    seal: Seal | None = None,
    cleaning: pixels.Cleaning | None = None,
    recorder: Recorder | None = None,
) -> pixels.Cleaned | None:
    """Write the de-identified instance of `source` to `target`, or raise HoldError and write nothing.

    The transfer syntax stays and Pixel Data is not touched, but where `cleaning` is given and cleans it; then what was
    done is returned. `plan_for` gives the plan for a SOP Class UID, `seal` what holds the original attributes
    (Encrypted Attributes Sequence). What `recorder` was told counts only when nothing is raised. Raises CannotSucceed
    and TryAgain as the crosswalk does. Raises OSError when the disk fails, which says nothing of the instance.
    """
    treatment: pixels.Treatment | None = None
    try:
        ds, transfer_syntax = _read(source)
        plan = plan_for(raw_bytes(ds, 0x00080016).decode("ascii").strip(" \0"))
        found = facts(ds, transfer_syntax, content_cleaned="clean_structured_content" in plan.options)
        if cleaning is None:
            reason = burned_in(found)
        else:
            decided = pixels.decide(ds, found, cleaning)
            reason = decided.reason if isinstance(decided, pixels.Refusal) else None
            treatment = None if isinstance(decided, pixels.Refusal) else decided
        if reason is None:
            _check_end_of_pixels(ds)
            if treatment is not None and recorder is not None:
                recorder = UntilCleaned(recorder)
            _deidentify(ds, transfer_syntax, plan, patients, recorder)
            if seal is not None:
                ds[ENCRYPTED_ATTRIBUTES] = seal(source, ds)
                if recorder is not None:
                    recorder.did((ENCRYPTED_ATTRIBUTES,), Done.ADDED)
    except (UndecidableError, UnmappedError, text.UnreadableTextError) as error:
        raise HoldError(str(error)) from None
    except _DAMAGED as error:
        raise HoldError(f"its data set cannot be read with certainty ({type(error).__name__})") from None
    if reason is not None:
        raise HoldError(f"may show who the patient is: {reason}")
    if treatment is None or cleaning is None:
        _write(ds, target)
        return None
    done = _cleaned(ds, target, treatment, cleaning)
    if isinstance(recorder, UntilCleaned):
        if done is None:
            recorder.as_it_was()
        else:
            of_pixels = Done.MASKED if done.masked else Done.CLEANED if done.cleared else Done.KEPT
            recorder.cleaned(_header(target), of_pixels)
    return done


def _cleaned(
    ds: FileDataset, target: Path, treatment: pixels.Treatment, cleaning: pixels.Cleaning
) -> pixels.Cleaned | None:
    """By way of a file that is not the output: what is in its pixels never has the output's name."""
    uncleaned = target.with_name(f"{target.name}.pixels")
    _write(ds, uncleaned)
    try:
        return pixels.clean(uncleaned, target, treatment, cleaning)
    except CannotSucceed as error:
        raise HoldError(f"its pixels cannot be cleaned: {error}") from None
    finally:
        uncleaned.unlink(missing_ok=True)


def _header(path: Path) -> FileDataset:
    with path.open("rb") as file:
        return read(file, stop_before_pixels=True)


def _read(source: Path) -> tuple[FileDataset, str]:
    with source.open("rb") as file:
        ds = read(file)
        rest = source.stat().st_size - file.tell()
    transfer_syntax = str(ds.file_meta.get("TransferSyntaxUID", ""))
    if not transfer_syntax:
        raise UndecidableError("its file meta information has no Transfer Syntax UID (0002,0010)")
    if transfer_syntax != _DEFLATED and (rest or not _ends_at(ds, source.stat().st_size)):
        raise UndecidableError("its data set ends in the middle of an element")
    return ds, transfer_syntax


def _ends_at(ds: FileDataset, size: int) -> bool:
    """Whether the last element ends where the file does: pydicom passes over up to 7 bytes of a next one."""
    if not ds:
        return False
    last = element_of(ds, max(ds.keys()))
    if not isinstance(last, RawDataElement) or last.length == _UNDEFINED:
        return True  # ended by its delimiter, without which pydicom does not return it
    return bool(last.value_tell + len(last.value or b"") == size)


def facts(ds: FileDataset, transfer_syntax: str, *, content_cleaned: bool = False) -> Facts:
    """What burned_in looks at, read without decoding anything else."""

    def words(tag: int) -> str:
        return raw_bytes(ds, tag).decode("ascii", "replace").strip(" \0")

    planes = {tag & 0xFFFF0000 for tag in map(int, ds.keys()) if tag >> 24 == 0x60 and not tag & 0x10000}
    return Facts(
        sop_class=words(0x00080016),
        transfer_syntax=transfer_syntax,
        modality=words(0x00080060).upper(),
        burned_in_annotation=words(0x00280301).upper(),
        image_type=tuple(word.strip().upper() for word in words(0x00080008).split("\\")),
        has_pixels=any(tag in ds for tag in _PIXELS),
        has_document=0x00420011 in ds,
        has_content=0x0040A730 in ds,
        content_cleaned=content_cleaned,
        label_in_image=words(0x00480010).upper() == "YES",
        overlay_in_pixels=any(plane | _OVERLAY_DATA not in ds and plane | _PLANE in ds for plane in planes),
    )


def _check_end_of_pixels(ds: FileDataset) -> None:
    """Raise UndecidableError where pixels that are not compressed are followed by bytes that no pixel uses.

    Pixel Data goes on as it came, so what stands there would too. Zeros say nothing, and some devices fill up with
    them.
    """
    element = next((element_of(ds, tag) for tag in _PIXELS if tag in ds), None)
    if not isinstance(element, RawDataElement) or element.length == _UNDEFINED:
        return  # none, or encapsulated

    def number(tag: int) -> int:
        value = raw_bytes(ds, tag)
        return int.from_bytes(value, "little" if element.is_little_endian else "big") if len(value) == 2 else 0

    frames = raw_bytes(ds, 0x00280008).strip(b" \0").decode("ascii", "replace")
    expected = native_length(
        rows=number(0x00280010), columns=number(0x00280011), frames=int(frames) if frames.isdecimal() else 1,
        samples=number(0x00280002) or 1, allocated=number(0x00280100),
        photometric=raw_bytes(ds, 0x00280004).decode("ascii", "replace").strip(" \0"),
    )  # fmt: skip
    behind = (element.value or b"")[expected + expected % 2 :]
    if any(behind):
        raise UndecidableError(f"its pixel data have {len(behind)} bytes more than an image of its size")


def _deidentify(
    ds: FileDataset, transfer_syntax: str, plan: Plan, patients: Patients, recorder: Recorder | None
) -> None:
    uids = _identity(ds)
    encodings = text.declared(ds)
    plan, _ = by_value.found_in(ds, plan, encodings)
    patient_id = text.decode(raw_bytes(ds, PATIENT_ID), encodings)
    issuer = text.decode(raw_bytes(ds, ISSUER), encodings)
    patient = patients.find(issuer, patient_id, uids[0x0020000D])
    walk(
        ds,
        Scope(
            plan=plan,
            patients=patients,
            encodings=encodings,
            patient=patient,
            days=patient.days,
            cleaner=_cleaner(ds, plan, encodings) if plan.cleans else None,
            own_uids=frozenset(uids.values()),
            own_words=text.words(text.decode(raw_bytes(ds, PATIENT_NAME), encodings), patient_id),
            recorder=recorder,
        ),
    )
    added = [tag for tag in plan.add if tag not in ds]
    for tag, value in plan.add.items():
        values.put(ds, tag, value)
    evidence.mark(ds, plan)
    if recorder is not None:
        for tag in (*added, *(tag for tag in evidence.WRITTEN if tag in ds)):
            recorder.did((tag,), Done.ADDED, None, value_of(ds[tag]))
    ds.file_meta = evidence.file_meta(ds, transfer_syntax)
    ds.preamble = bytes(128)


def _cleaner(ds: FileDataset, plan: Plan, encodings: Sequence[str]) -> Cleaner:
    return cleaner_for(
        known(identifying(ds, encodings), plan.options),
        vocabulary.with_words(plan.keep_words),
        keep_dates="retain_long_full_dates" in plan.options,
        keep_characteristics="retain_patient_characteristics" in plan.options,
    )


def _identity(ds: FileDataset) -> dict[int, str]:
    """The instance's own UIDs by tag. Raises UndecidableError where one is missing or is not its own."""
    found = {tag: raw_bytes(ds, tag).decode("ascii").strip(" \0") for tag in IDENTITY_UIDS}
    if raw_bytes(ds, 0x00080016).startswith(MEDIA_STORAGE_DIRECTORY.encode()) or 0x00041220 in ds:
        raise UndecidableError("it is a DICOMDIR, which lists patients")
    for tag in (0x00080016, *IDENTITY_UIDS[:3]):
        if not raw_bytes(ds, tag).strip(b" \0"):
            raise UndecidableError(f"it has no {describe(tag)}")
        if tag in found and found[tag].startswith(STANDARD_ROOT):
            raise UndecidableError(f"{describe(tag)} is one of the standard's own UIDs")
    return {tag: uid for tag, uid in found.items() if uid}


def _write(ds: FileDataset, target: Path) -> None:
    try:
        write(ds, target)
    except _DAMAGED as error:
        target.unlink(missing_ok=True)
        raise HoldError(f"its data set cannot be written again ({type(error).__name__})") from None
