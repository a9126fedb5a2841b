"""The instances of a batch as the nifti step sees them: what is kept of each header, and its decoded frames."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from pydicom.dataset import Dataset

from node.dicom.damage import UNREADABLE
from node.errors import CannotSucceed
from node.imaging.attributes import Frame, frames_of
from node.imaging.encoded import Encoded
from node.imaging.layout import Array
from node.imaging.pixels import Pixels, of_header
from node.imaging.places import Unusual
from node.imaging.reading import Attributes
from node.imaging.volumes import Volume
from node.model import Item

NO_PIXELS = "no pixel data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One instance of the batch: what is kept of its header."""

    item: Item
    series: str
    series_number: int
    modality: str
    sop_instance: str
    sop_class: str
    number: int
    pixels: Pixels | None
    frames: tuple[Frame, ...]
    fields: Mapping[str, str] = field(default_factory=dict)
    """What a pattern of file names wants, by keyword."""


def read_members(items: Sequence[Item], keywords: Sequence[str] = ()) -> tuple[list[Member], dict[int, str]]:
    """Read the headers; members in order of series, instance number and UID, so that any order of the batch gives the
    same files. Returns them, and by index the reason why a member cannot be converted.

    keywords  attributes to keep as text for file names
    """
    read = sorted((_member(item, keywords) for item in items), key=lambda pair: _sort_key(pair[0]))
    members: list[Member] = []
    reasons: dict[int, str] = {}
    for n, (member, reason) in enumerate(read):
        if reason:
            reasons[n] = reason
        members.append(replace(member, frames=tuple(replace(frame, instance=n) for frame in member.frames)))
    return members, reasons


def decode(volume: Volume, members: Sequence[Member], reasons: dict[int, str]) -> list[Array]:
    """The pixels of the volume's frames, in their order; each file is opened once, each of its frames decoded once.

    An instance that cannot be decoded gets its own entry in `reasons`; then CannotSucceed is raised for the others.
    """
    places: dict[int, dict[int, list[int]]] = {}
    for n, frame in enumerate(volume.frames):
        places.setdefault(frame.instance, {}).setdefault(frame.number, []).append(n)
    pixels: list[Array] = [np.empty(0)] * len(volume.frames)
    broken = 0
    for instance, wanted in places.items():
        source = members[instance].pixels
        assert source is not None  # a member without pixels has no frames
        numbers = sorted(wanted)
        try:
            for number, decoded in zip(numbers, source.frames(numbers), strict=True):
                for n in wanted[number]:
                    pixels[n] = volume.frames[n].part(decoded)
        except CannotSucceed as error:
            reasons[instance] = str(error)
            broken += 1
    if broken:
        raise CannotSucceed(f"its volume lacks {broken} of {len(places)} instances, which cannot be decoded")
    return pixels


def decoded_in_turn(volume: Volume, members: Sequence[Member], kept: list[Array]) -> Iterator[Array]:
    """The pixels of the volume's frames one after the other, each put into `kept` as well, so that what is decoded is
    written while the next is. For single-frame instances; others are decoded by `decode`. Raises CannotSucceed."""
    for frame in volume.frames:
        source = members[frame.instance].pixels
        assert source is not None  # a member without pixels has no frames
        (decoded,) = source.frames([frame.number])
        kept.append(decoded)
        yield decoded


def single_frames(volume: Volume) -> bool:
    """Whether every frame is an instance of its own."""
    return len({frame.instance for frame in volume.frames}) == len(volume.frames)


def _member(item: Item, keywords: Sequence[str]) -> tuple[Member, str]:
    """The member, and why it cannot be converted or ''."""
    try:
        return of_header(item.path, lambda ds, pixels: _read(item, ds, pixels, keywords))
    except CannotSucceed as error:
        return _described(item, Dataset(), None, (), ()), str(error)


def _read(item: Item, ds: Attributes, pixels: Pixels | None, keywords: Sequence[str]) -> tuple[Member, str]:
    if pixels is None:
        return _described(item, ds, None, (), keywords), NO_PIXELS
    if text_of(ds, "ModalityLUTSequence"):
        # Its table gives the values (PS3.3 C.11.1.1.1), of which a volume has a slope and an intercept only.
        return _described(item, ds, pixels, (), keywords), "values by a 'Modality LUT Sequence', not by a rescale"
    try:
        return _described(item, ds, pixels, tuple(frames_of(ds, pixels.layout, 0)), keywords), ""
    except CannotSucceed as error:
        return _described(item, ds, pixels, (), keywords), str(error)


def _described(
    item: Item, ds: Attributes, pixels: Pixels | None, frames: tuple[Frame, ...], keywords: Sequence[str]
) -> Member:
    return Member(
        item=item,
        series=text_of(ds, "SeriesInstanceUID"),
        series_number=_integer(ds, "SeriesNumber"),
        # Goes into a file name: nothing but what a code string may have.
        modality=re.sub(r"[^A-Z0-9]", "", text_of(ds, "Modality").upper())[:16] or "OT",
        sop_instance=text_of(ds, "SOPInstanceUID"),
        sop_class=text_of(ds, "SOPClassUID"),
        number=_integer(ds, "InstanceNumber"),
        pixels=pixels,
        frames=frames,
        fields={keyword: text_of(ds, keyword) for keyword in keywords},
    )


def text_of(ds: Attributes, keyword: str) -> str:
    """A value as text; "" where there is none, or it cannot be read."""
    try:
        value = ds.get(keyword)
    except UNREADABLE:
        return ""
    if isinstance(value, list) and isinstance(ds, Encoded):
        raise Unusual  # how a sequence looks as text is for pydicom to say
    if value is None or isinstance(value, Dataset | bytes):
        return ""
    return str(value)


def _sort_key(member: Member) -> tuple[str, int, str, str]:
    return member.series, member.number, member.sop_instance, member.item.path.name


def _integer(ds: Attributes, keyword: str) -> int:
    try:
        return max(int(ds.get(keyword) or 0), 0)
    except UNREADABLE:
        return 0
