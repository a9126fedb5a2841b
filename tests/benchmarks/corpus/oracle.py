"""A de-identifier that is told the answers: it does at each place what the key asks for, and nothing else.

That it scores 100 % shows that no two answers contradict each other; what is left out of it, the score must find.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pydicom import dcmread, dcmwrite
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ExplicitVRLittleEndian

from benchmarks.corpus import places
from benchmarks.corpus.key import Action, Answer, Instance

Skip = Callable[[Instance, Answer], bool]

_DUMMIES: dict[str, str | bytes] = {
    "OB": b"nobody",
    "DA": "19000101",
    "TM": "000000",
    "PN": "Anonymous",
    "DS": "0",
    "IS": "0",
    "DT": "19000101",
}


def obey(corpus: Path, instances: Sequence[Instance], out: Path, skip: Skip = lambda _instance, _answer: False) -> Path:
    """Write the results to a new folder; `skip` names answers that are not obeyed."""
    out.mkdir()
    for instance in instances:
        ds = dcmread(corpus / "files" / instance.file)
        answers = [answer for answer in instance.answers if not skip(instance, answer)]
        _pixels(ds, answers)
        _around(ds, answers)
        at: defaultdict[str, dict[Action, Answer]] = defaultdict(dict)
        for answer in answers:
            if places.is_attribute(answer.place):
                at[answer.place][answer.action] = answer
        for place in sorted(at, key=_is_creator):  # they go last: without one no element of its block is found
            _change(ds, instance, place, at[place])
        _drop_creators(ds)
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        kept = any(answer.place == "file name" for answer in answers)
        target = out / (f"{instance.number}.dcm" if kept else Path(instance.file).name)
        dcmwrite(target, ds, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return out


def _change(ds: FileDataset, instance: Instance, place: str, asked: dict[Action, Answer]) -> None:
    outer = place.partition("[")[0]
    if '"' in outer and outer != place:  # a private sequence; implicit VR gives it back as bytes: all of it goes
        if (whole := places.find(ds, outer)) is not None:
            _delete(ds, whole)
        return
    element = places.find(ds, place)
    assert element is not None, place
    old = "\\".join(next(iter(asked.values())).values)
    kept, filled = asked.get(Action.TEXT_RETAINED), asked.get(Action.TAG_RETAINED)
    if Action.UID_CHANGED in asked:
        element.value = [replaced(uid) for uid in asked[Action.UID_CHANGED].values]
    elif Action.DATE_SHIFTED in asked:
        element.value = shifted(old, instance.patient)
    elif Action.PATIENT_ID_CONSISTENT in asked:
        element.value = f"P{hashlib.sha256(instance.patient.encode()).hexdigest()[:8]}"
    elif Action.TEXT_REMOVED not in asked:
        return
    elif kept is not None:
        element.value = " ".join(kept.values)
    elif filled is not None:
        element.value = _DUMMIES.get(element.VR, "NOBODY") if filled.filled else None
    else:
        _delete(ds, element)


def _is_creator(place: str) -> bool:
    return re.search(r"\([0-9A-F]{3}[13579BDF],00[0-9A-F]{2}\)$", place) is not None


def replaced(uid: str) -> str:
    return f"2.25.{int.from_bytes(hashlib.sha256(uid.encode()).digest()[:12], 'big')}"


def shifted(value: str, patient: str) -> str:
    """By 20 to 83 days, as many for every date of a patient."""
    days = 20 + hashlib.sha256(patient.encode()).digest()[0] % 64
    return (datetime.strptime(value[:8], "%Y%m%d") - timedelta(days)).strftime("%Y%m%d") + value[8:]  # noqa: DTZ007


def _delete(ds: FileDataset, element: DataElement) -> None:
    """Wherever it is: the very element, not one that is equal to it."""
    for within in (ds.file_meta, ds, *_items(ds)):
        if element.tag in within and within[element.tag] is element:
            del within[element.tag]
            return
    raise AssertionError(f"{element.tag} is nowhere")


def _items(ds: Dataset) -> list[Dataset]:
    found = []
    for element in ds:
        for item in element.value if element.VR == "SQ" else ():
            found += [item, *_items(item)]
    return found


def _pixels(ds: FileDataset, answers: Sequence[Answer]) -> None:
    if ds.file_meta.TransferSyntaxUID.is_compressed and not ds.file_meta.TransferSyntaxUID.is_deflated:
        ds.decompress(generate_instance_uid=False)
    hidden = [answer for answer in answers if answer.action is Action.PIXELS_HIDDEN]
    if any(answer.place.startswith("overlay") for answer in hidden):
        del ds[0x60003000]
    below = next((answer.below for answer in answers if answer.action is Action.PIXELS_RETAINED), 0)
    if "PixelData" in ds and ds.BitsAllocated > 1:
        pixels = ds.pixel_array.copy()
        if any(answer.place == "pixels" for answer in hidden):
            frames = pixels if "NumberOfFrames" in ds and ds.NumberOfFrames > 1 else pixels[None]
            frames[:, :below] = 0
        ds.PixelData = pixels.astype(f"<u{ds.BitsAllocated // 8}").tobytes()


def _around(ds: FileDataset, answers: Sequence[Answer]) -> None:
    if any(answer.place == "preamble" for answer in answers):
        ds.preamble = bytes(128)


def _drop_creators(ds: Dataset) -> None:
    """Blocks without an element."""
    for within in (ds, *_items(ds)):
        for element in [one for one in within if one.tag.is_private_creator]:
            block = element.tag.group << 16 | element.tag.element << 8
            if not any(block <= other.tag < block + 0x100 for other in within):
                del within[element.tag]
