"""The fourth dimension: which of the images at each position belong together, and in what order.

Volumes are in the order of time where the headers have it; what is certain goes first: the temporal position, then when
it was acquired, the delay after a trigger, the acquisition's number, the instance's number, and the b-value and
direction of its weighting. An order is only used when it tells all images at every position apart, and when the images
that it puts into one volume have one temporal position, one b-value and one direction: the same for every slice.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from node.errors import CannotSucceed
from node.imaging.attributes import Frame
from node.imaging.functional import number_of
from node.imaging.numbering import closed_up, without_image_numbers

Column = list[Frame]
"""The images at one position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arranged:
    """Positions with the same number of images each, in the order of volumes."""

    columns: tuple[tuple[Frame, ...], ...]
    by: str = ""
    """What decided the order of volumes; "" for one volume."""
    split: str = ""
    """Why these are apart from other images of the series."""
    where: tuple[int, ...] = ()
    """Which of the positions that were given these are."""


_Key = Callable[[Frame], Any]

_ORDERS: tuple[tuple[str, _Key, bool], ...] = (
    ("temporal position", lambda f: f.weighting.position, True),
    ("acquisition time", lambda f: f.weighting.time, False),
    ("trigger time", lambda f: f.weighting.trigger, False),
    ("acquisition number", lambda f: f.weighting.acquisition, True),
    ("instance number", lambda f: f.order, False),
    ("b-value", lambda f: _weight(f), True),
)
"""Name, key, and whether every position must have the same keys. Times differ from slice to slice."""

_TELLS: tuple[tuple[str, _Key], ...] = (
    ("temporal position", lambda f: f.weighting.position),
    ("acquisition number", lambda f: f.weighting.acquisition),
    ("b-value", lambda f: None if f.weighting.b_value is None else round(f.weighting.b_value)),
    ("trigger time", lambda f: f.weighting.trigger),
)
"""By what images are put apart where positions have different numbers of them."""


def arrange(columns: Sequence[Column]) -> list[Arranged]:
    """Put the images at each position in order; several results where positions have unequal numbers of images.

    Raises CannotSucceed, with the counts, where the headers do not tell.
    """
    columns = without_image_numbers(columns)
    if len({len(column) for column in columns}) > 1:
        return _apart(columns)
    try:
        ordered, by = in_order(columns)
    except CannotSucceed as error:
        apart = _settings_apart(columns)
        if apart:
            return apart
        if isinstance(error, Untold):
            return _by_instance(columns, str(error))
        raise
    return [Arranged(columns=ordered, by=by, where=tuple(range(len(columns))))]


def _settings_apart(columns: Sequence[Column]) -> list[Arranged]:
    """Each inversion time, flip angle, tube voltage or kernel by itself, where every position has as many images of
    each; else none."""
    found = [sorted(frame.weighting.setting for frame in column) for column in columns]
    settings = sorted(set(found[0]), key=_in_numbers)
    if len(settings) < 2 or any(other != found[0] for other in found):
        return []
    split = f"{len(settings)} inversion times, flip angles, tube voltages or kernels apart"
    where, parts = tuple(range(len(columns))), []
    for setting in settings:
        ordered, by = in_order([[f for f in column if f.weighting.setting == setting] for column in columns])
        parts.append(Arranged(columns=ordered, by=by, split=split, where=where))
    return parts


class Untold(CannotSucceed):
    """No attribute tells the images at one position apart."""


def _by_instance(columns: Sequence[Column], why: str) -> list[Arranged]:
    """Where every instance has an image at every position (a mosaic, an enhanced image, one slice alone), each is a
    volume of its own. Else it is unknown which images belong together. Raises CannotSucceed."""
    columns = [sorted(column, key=lambda f: f.instance) for column in columns]
    instances = [[frame.instance for frame in column] for column in columns]
    if any(found != instances[0] for found in instances) or len(set(instances[0])) < len(instances[0]):
        raise CannotSucceed(why)
    where = tuple(range(len(columns)))
    count = len(instances[0])
    return [
        Arranged(
            columns=tuple((column[t],) for column in columns), split=f"{why}: {count} instances apart", where=where
        )
        for t in range(count)
    ]


def in_order(columns: Sequence[Column]) -> tuple[tuple[tuple[Frame, ...], ...], str]:
    """Every column in the order of volumes, and what decided it. Raises CannotSucceed."""
    if len(columns[0]) == 1:
        return tuple(tuple(column) for column in columns), ""
    mixed = ""
    for name, key, same in _ORDERS:
        keys = [[key(frame) for frame in column] for column in columns]
        if any(value is None or len(set(found)) < len(found) for found in keys for value in found):
            continue
        if same and any(sorted(found) != sorted(keys[0]) for found in keys):
            continue
        ordered = tuple(tuple(sorted(column, key=key)) for column in columns)
        odd = mixed_volumes(ordered)
        if not odd:
            if not same and (reason := closed_up(ordered)):
                raise CannotSucceed(reason)
            return ordered, name
        if odd == _take_turns(ordered):
            raise CannotSucceed(odd)  # a later order might undo it against the times
        mixed = mixed or f"by {name}, {odd}"
    if mixed:
        raise CannotSucceed(mixed)
    raise Untold(f"{len(columns[0])} images at one position, and neither times nor instance numbers tell their order")


def mixed_volumes(columns: Sequence[Sequence[Frame]]) -> str:
    """The first volume that mixes images of several temporal positions or weightings, in words; "" for none."""
    for t, first in enumerate(columns[0]):
        odd = sum(column[t].weighting.label != first.weighting.label for column in columns)
        if odd:
            return (
                f"image {t + 1} of {odd} of {len(columns)} positions is of another temporal position or diffusion "
                "weighting than at the first position"
            )
    return _take_turns(columns)


def _take_turns(columns: Sequence[Sequence[Frame]]) -> str:
    """That volumes mix settings of which every position has the same, in words; "" where they do not."""
    settings = [[frame.weighting.setting for frame in column] for column in columns]
    # What differs between positions is how the scanner went; what every position has of each makes volumes of its own.
    if any(sorted(found) != sorted(settings[0]) for found in settings):
        return ""
    odd = sum(found != settings[0] for found in settings)
    if odd:
        return (
            f"{odd} of {len(columns)} positions have inversion times, flip angles, tube voltages or kernels in another "
            "order than the first position"
        )
    return ""


def _apart(columns: Sequence[Column]) -> list[Arranged]:
    counts = [len(column) for column in columns]
    why = f"{len(columns)} positions have {min(counts)} to {max(counts)} images each"
    for name, key in _TELLS:
        found = _by_label(columns, key)
        if found is not None:
            return [_arranged(columns, part, f"{why}: apart by {name}") for part in found]
    lacking = sum(count < max(counts) for count in counts)
    if 2 * lacking < len(counts):
        # Images are missing rather than there twice: to close up would put later ones into earlier volumes.
        raise CannotSucceed(f"{why}: {lacking} lack some, and no label tells which volumes those are missing from")
    ordered = []
    for column in columns:
        orders = [frame.order for frame in column]
        if None in orders or len(set(orders)) < len(orders):
            raise CannotSucceed(f"{why}, and neither labels nor instance numbers tell which belong together")
        ordered.append(sorted(column, key=lambda f: f.order or (0, 0)))
    least = min(counts)
    parts = [{k: column[:least] for k, column in enumerate(ordered)}]
    surplus = {k: column[least:] for k, column in enumerate(ordered) if len(column) > least}
    for count in sorted({len(column) for column in surplus.values()}):
        parts.append({k: column for k, column in surplus.items() if len(column) == count})
    numbers = sorted({frame.order[0] for column in surplus.values() for frame in column if frame.order})
    named = ", ".join(map(str, numbers[:10])) + (f" and {len(numbers) - 10} more" if len(numbers) > 10 else "")
    return [
        _arranged(columns, part, f"{why}" if n == 0 else f"{why}: duplicates, instance numbers {named}")
        for n, part in enumerate(parts)
    ]


def _by_label(columns: Sequence[Column], key: _Key) -> list[dict[int, Column]] | None:
    """Images by label, then labels of the same positions together; None where that leaves unequal numbers."""
    by_label: dict[Hashable, dict[int, Column]] = {}
    for k, column in enumerate(columns):
        for frame in column:
            label = key(frame)
            if label is None:
                return None
            by_label.setdefault(label, {}).setdefault(k, []).append(frame)
    if len(by_label) < 2 or any(len({len(c) for c in part.values()}) > 1 for part in by_label.values()):
        return None
    labels = sorted(by_label.items(), key=lambda pair: (-len(pair[1]), sorted(pair[1]), pair[0]))
    found = []
    for _, group in groupby(labels, key=lambda pair: sorted(pair[1])):
        parts = [part for _, part in group]
        found.append({k: [frame for part in parts for frame in part[k]] for k in parts[0]})
    return found


def _arranged(columns: Sequence[Column], part: dict[int, Column], split: str) -> Arranged:
    where = sorted(part)
    ordered, by = in_order([part[k] for k in where])
    return Arranged(columns=ordered, by=by, split=split, where=tuple(where))


def _weight(frame: Frame) -> Any:
    """None without a b-value; images without direction before those with one."""
    b_value, gradient = frame.weighting.b_value, frame.weighting.gradient
    return None if b_value is None else (round(b_value), tuple(round(x, 2) for x in gradient or ()))


def _in_numbers(setting: tuple[str, ...]) -> tuple[tuple[float, str], ...]:
    """To be sorted: 500 before 2000, and what is no number by its letters."""
    return tuple((number_of(word) or 0.0, word) for word in setting)
