"""What the `png` and `jpeg` steps have in common: pictures of every frame, or one of each series."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from node.errors import CannotSucceed
from node.imaging.capabilities import cannot_decode
from node.imaging.layout import Array
from node.imaging.lookup import Floats
from node.imaging.ordering import main_stack
from node.imaging.picture_files import write_animation
from node.imaging.pictures import Look, Named, Shown, stays
from node.imaging.pixels import read_header
from node.imaging.planes import planes_of
from node.imaging.resize import columns_of, montage
from node.imaging.window import Function, Window, percentile_window
from node.model import Batch, Held, Item, Kind, ReceiptId, Work
from node.steps.picture_names import Pictured, frame_name

Show = Literal["frames", "middle", "montage"]
Encode = Callable[[Array], bytes]
_Refused = dict[int, tuple[Item, str]]
"""What is held and why, by id() of its item."""
_SHEET = 1536
"""Pixels of the longer side of a montage where the route does not say."""


@dataclass(frozen=True, slots=True)
class Order:
    """Which pictures, of what kind."""

    show: Show
    look: Look
    tiles: int
    suffix: str
    encode: Encode
    animated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures(ABC):
    """The options that both steps have, and what follows from them. Each adds what its files can be."""

    short: ClassVar[str] = "show"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM, Kind.IMAGE})
    needs: ClassVar[frozenset[str]] = frozenset()

    show: Show = "frames"
    """`frames`: a file for each frame, numbered where an instance has several. `middle`: the middle slice of each
    series. `montage`: slices of each series, evenly spread, on one sheet."""
    window: Named | tuple[float, float] = "header"
    """`header`: its VOI LUT, else its window, else 8-bit pixels as they are and others between their `percentiles`.
    `lung`, `bone`, `brain`, `soft_tissue`: of CT in Hounsfield units; other grey images are held. `percentile`: between
    `percentiles`. `full`: all values that the pixels can have. Or `[center, width]`. Colour is not windowed."""
    function: Function = "LINEAR"
    """What `[center, width]` means, PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    percentiles: tuple[float, float] = (1.0, 99.0)
    """Of the values of an instance, or of all slices of a preview, padding left out."""
    aspect: Literal["square", "stored"] = "square"
    """`square`: where pixels are longer than wide, or wider than long, the picture grows until they are square."""
    overlays: bool = False
    """Draw the overlay planes of an image (groups 60xx) in white, as it came; they may have text in them."""
    longest: int = 0
    """Pixels of the longer side; larger pictures are reduced. 0: as stored, and 1536 for a montage."""
    tiles: int = 20
    """Most slices on a montage."""

    @property
    def whole(self) -> bool:
        """Previews need all of a series; pictures of frames are made instance by instance."""
        return self.show != "frames"

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the options, and what this installation cannot decode: a sentence each."""
        return (*self._wrong(), *(f"this installation cannot decode {name}" for name in cannot_decode()))

    def _wrong(self) -> Iterator[str]:
        given = self._window()
        if isinstance(given, Window) and (problem := given.problem()):
            yield f"window: {problem}; a LINEAR one is at least 1 wide, the others more than 0"
        if not isinstance(given, Window) and self.function != "LINEAR":
            yield "function is for a window of two numbers; the named ones and that of the header have their own"
        if not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            yield "percentiles are two numbers from 0 to 100, the lower one first"
        if self.longest < 0:
            yield "longest is a number of pixels; 0 for no limit"
        if not 1 <= self.tiles <= 400:
            yield "tiles is a number from 1 to 400"

    def run(self, batch: Batch, work: Work) -> Batch:
        """The batch with its pictures. Raises CannotSucceed for options that mean nothing."""
        if problems := self.problems():
            raise CannotSucceed("; ".join(problems))
        return draw(batch, work, self._order())

    @abstractmethod
    def _order(self) -> Order: ...

    def _look(self, bits: Literal[8, 16] = 8) -> Look:
        return Look(
            window=self._window(), percentiles=self.percentiles, bits=bits, square=self.aspect == "square",
            longest=self.longest, overlays=self.overlays,
        )  # fmt: skip

    def _window(self) -> Named | Window:
        """The option as the rest of the node takes it."""
        if isinstance(self.window, str):
            return self.window
        center, width = self.window
        return Window(center=center, width=width, function=self.function)


def draw(batch: Batch, work: Work, order: Order) -> Batch:
    """The batch with its pictures; what cannot be shown is held with the reason."""
    members: list[Pictured] = []
    held: _Refused = {}
    for item in batch.items:
        try:
            member = _read(item)
        except CannotSucceed as error:
            held[id(item)] = item, str(error)
        else:
            members += [member] if member else []
    # pydicom parses on first use and warns with the value in the text, which no log may carry.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make = _every_frame if order.show == "frames" else _previews
        made = list(make(members, work, order, held))
    kept = tuple(item for item in batch.items if id(item) not in held)
    reasons = tuple(Held(sources=item.sources, reason=reason) for item, reason in held.values())
    work.note("{} pictures", len(made))
    return replace(batch, items=(*kept, *made), held=(*batch.held, *reasons))


def _read(item: Item) -> Pictured | None:
    """None for what is no image: a report, a structure set."""
    ds, pixels = read_header(item.path)
    if pixels is not None:
        return Pictured(item=item, ds=ds, pixels=pixels)
    if "Rows" in ds or "Columns" in ds:
        raise CannotSucceed("no pixel data")
    return None


def _every_frame(members: Sequence[Pictured], work: Work, order: Order, held: _Refused) -> Iterator[Item]:
    """One file for each frame, or for each instance where they are animated."""
    names: set[str] = set()
    for member in members:
        if member.instance in names:
            held[id(member.item)] = member.item, "another instance of the batch has its SOP Instance UID"
            continue
        names.add(member.instance)
        paths: list[Path] = []
        try:
            shown = Shown(member.ds, member.pixels, order.look)
            for path in _files(member, shown, work, order):
                paths.append(path)
        except CannotSucceed as error:
            for path in work.out.glob(f"{member.instance}*{order.suffix}"):
                path.unlink()
            held[id(member.item)] = member.item, str(error)
            continue
        _say(shown, work)
        yield from (Item(path=path, kind=Kind.IMAGE, sources=member.item.sources) for path in paths)


def _files(member: Pictured, shown: Shown, work: Work, order: Order) -> Iterator[Path]:
    frames = shown.layout.frames
    if order.animated and frames > 1:
        path = work.out / f"{member.instance}{order.suffix}"
        times, said = stays(member.ds, frames)
        if not said:
            # Counts of equal notes are added up, so that no count can be a time.
            work.note(f"{{}} instances: no frame time in the header: frames of the animation stay {times[0]:g} ms", 1)
        write_animation(path, shown.pictures(), times, frames)
        yield path
        return
    for number, picture in enumerate(shown.pictures()):
        path = work.out / f"{member.instance}{frame_name(number, frames)}{order.suffix}"
        path.write_bytes(order.encode(picture))
        yield path


def _previews(members: Sequence[Pictured], work: Work, order: Order, held: _Refused) -> Iterator[Item]:
    """One file for each series, of all instances of it that are not held."""
    series: dict[str, list[Pictured]] = {}
    for member in members:
        series.setdefault(member.series_uid, []).append(member)
    for group in series.values():
        # The same for any order of the batch.
        group.sort(key=lambda member: member.instance)
        picture = _preview(group, work, order, held)
        if picture is not None:
            path = work.out / f"{group[0].series}_{order.show}{order.suffix}"
            path.write_bytes(order.encode(picture))
            sources = _receipts(member.item for member in group if id(member.item) not in held)
            yield Item(path=path, kind=Kind.IMAGE, sources=sources)


def _preview(group: Sequence[Pictured], work: Work, order: Order, held: _Refused) -> Array | None:
    """The picture of one series, or None when no frame of it can be shown."""
    planes = [planes_of(member.ds, member.pixels.layout, n) for n, member in enumerate(group)]
    while able := [n for n, member in enumerate(group) if id(member.item) not in held]:
        frames = [(plane.member, plane.frame) for plane in main_stack([p for n in able for p in planes[n]])]
        frames = frames or [(n, frame) for n in able for frame in range(group[n].pixels.layout.frames)]
        chosen = [frames[len(frames) // 2]] if order.show == "middle" else spread(frames, order.tiles)
        pictures = _drawn(group, chosen, work, order, held)
        if pictures is not None:  # else the instance of one is held now, and its place is another's
            return pictures[0] if order.show == "middle" else montage(pictures)
    return None


def spread(frames: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """At most so many of them, evenly spread, each in the middle of its stretch."""
    count = min(most, len(frames))
    return [frames[(2 * n + 1) * len(frames) // (2 * count)] for n in range(count)]


def _drawn(
    group: Sequence[Pictured], chosen: Sequence[tuple[int, int]], work: Work, order: Order, held: _Refused
) -> list[Array] | None:
    """The chosen frames, those without a window of their own under one that is made from all of them."""
    look, now = order.look, chosen[0][0]
    if order.show == "montage":
        look = replace(look, longest=max((look.longest or _SHEET) // columns_of(len(chosen)), 1))
    shown: dict[int, Shown] = {}

    def values() -> Iterator[Floats]:
        nonlocal now
        for now, frame in without:
            yield from shown[now].values([frame])

    try:
        for now, _ in chosen:
            if now not in shown:
                shown[now] = Shown(group[now].ds, group[now].pixels, look)
        without = [(now, frame) for now, frame in chosen if shown[now].automatic(frame)]
        window = percentile_window(values(), look.percentiles)
        pictures: list[Array] = []
        for now, frame in chosen:
            pictures += shown[now].pictures([frame], window)
    except CannotSucceed as error:
        held[id(group[now].item)] = group[now].item, str(error)
        return None
    for each in shown.values():
        _say(each, work)
    return pictures


def _say(shown: Shown, work: Work) -> None:
    for note in shown.notes:
        work.note(f"{{}} instances: {note}", 1)


def _receipts(items: Iterable[Item]) -> tuple[ReceiptId, ...]:
    """Each receipt once, in order of first mention."""
    return tuple(dict.fromkeys(receipt for item in items for receipt in item.sources))
