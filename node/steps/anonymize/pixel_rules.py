"""Pixel rules: for devices that a condition names, which rectangles of the image are made black, or the image is held.

They come from files of two kinds, read by deid_filter.py and ctp_script.py; the ones that deid ships are there by
default. Within a file all rules that mean an image lay their areas over each other in order, as deid does it, and of
several files every one takes its own: more is blacked then, never less.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache, lru_cache, partial
from importlib.util import find_spec
from pathlib import Path

from node.imaging.mask import Cut, Rectangle
from node.steps.anonymize.device import Condition, Texts, holds, paths_of
from node.steps.anonymize.device import Path as TagPath

_SIZE = ((0x00280010,), (0x00280011,))
"""Rows and Columns."""


class Area(Enum):
    ALL = auto()
    """The whole image."""
    REGIONS = auto()
    """Those of Sequence of Ultrasound Regions (0018,6011)."""


@dataclass(frozen=True, slots=True)
class RuleCut:
    """An area that a rule blacks, or gives back."""

    area: Rectangle | Area
    keep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelRule:
    """What one label, or one signature, says."""

    name: str
    where: str
    """File and line, for the operator."""
    condition: Condition
    cuts: tuple[RuleCut, ...]
    """Empty for a rule that holds what it means."""

    @property
    def releases(self) -> bool:
        """Whether it says in so many words that nothing of the image has to go."""
        return RuleCut(Area.ALL, keep=True) in self.cuts


@dataclass(frozen=True, slots=True)
class RuleFile:
    rules: tuple[PixelRule, ...]
    digest: str = ""
    """The first 12 digits of the file's SHA-256; "" for rules that come with the program."""
    bundled: str = ""
    """The SHA-256 of those that come with deid: another version has others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """What rules say about one image."""

    layers: tuple[tuple[Cut, ...], ...] = ()
    """For each file, its cuts in order."""
    rules: tuple[PixelRule, ...] = ()
    """The rules that mean the image, but for those that hold it."""
    digests: tuple[str, ...] = ()
    """Of a site's files that have such rules."""
    held_by: PixelRule | None = None
    sized: bool = False
    """One of the rules means images of this size alone: without Rows and Columns it would not have been meant."""

    @property
    def releases(self) -> bool:
        return any(rule.releases for rule in self.rules)


def match(files: Sequence[RuleFile], texts: Texts, regions: Sequence[Rectangle]) -> Matched:
    """The rules that mean an image. Pure.

    regions  its ultrasound regions, for rules that speak of them
    """
    layers: list[tuple[Cut, ...]] = []
    rules: list[PixelRule] = []
    digests: list[str] = []
    for file in files:
        meant = [rule for rule in file.rules if holds(rule.condition, texts)]
        held_by = next((rule for rule in meant if not rule.cuts), None)
        if held_by is not None:
            return Matched(held_by=held_by)
        if meant:
            layers.append(tuple(cut for rule in meant for one in rule.cuts for cut in _cuts(one, regions)))
            rules += meant
            digests += [file.digest] if file.digest else []
    sized = any(not holds(rule.condition, partial(_without_size, texts)) for rule in rules)
    return Matched(layers=tuple(layers), rules=tuple(rules), digests=tuple(digests), sized=sized)


def _without_size(texts: Texts, path: TagPath) -> tuple[str, ...] | None:
    return None if path in _SIZE else texts(path)


class RuleBook:
    """Rules with what they were asked before: the images of a series have in common all that rules look at."""

    _MOST = 1024

    def __init__(self, files: tuple[RuleFile, ...]) -> None:
        self._files = files
        self._paths = sorted({path for file in files for rule in file.rules for path in paths_of(rule.condition)})
        self._known: dict[tuple[object, ...], Matched] = {}

    def match(self, texts: Texts, regions: tuple[Rectangle, ...]) -> Matched:
        """`match`, once for each set of answers."""
        key = (regions, *map(texts, self._paths))
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= self._MOST:
                self._known.clear()
            found = self._known[key] = match(self._files, texts, regions)
        return found


@lru_cache(maxsize=8)
def rule_book(files: tuple[RuleFile, ...]) -> RuleBook:
    return RuleBook(files)


def _cuts(cut: RuleCut, regions: Sequence[Rectangle]) -> list[Cut]:
    if isinstance(cut.area, Rectangle):
        return [Cut(cut.area, cut.keep)]
    if cut.area is Area.REGIONS:
        return [Cut(region, cut.keep) for region in regions]
    return [Cut(None, cut.keep)]


def load(path: Path) -> tuple[RuleFile, tuple[str, ...]]:
    """The rules of a file, and what is wrong with it, each with file and line; of use only when nothing is."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return RuleFile(()), (f"{path}: the pixel rules cannot be read ({type(error).__name__})",)
    return _load(path, text)


@lru_cache(maxsize=32)
def _load(path: Path, text: str) -> tuple[RuleFile, tuple[str, ...]]:
    from node.steps.anonymize import ctp_script, deid_filter

    if deid_filter.is_one(text):
        rules, problems = deid_filter.parse(text, path.name)
    elif ctp_script.is_one(text):
        rules, problems = ctp_script.parse(text, path.name)
    else:
        return RuleFile(()), (f"{path}:1: neither a deid filter (FORMAT dicom) nor a CTP pixel script ({{...}} (...))",)
    if not rules and not problems:
        return RuleFile(()), (f"{path}:1: there is no rule in this file",)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return RuleFile(rules, digest), tuple(f"{path}:{line}: {problem}" for line, problem in problems)


def of_recipe(path: Path) -> tuple[RuleFile, tuple[str, ...]]:
    """The %filter sections of a recipe; no rules where it has none. That it cannot be read recipe.py says."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return RuleFile(()), ()
    return _of_recipe(path, text)


@lru_cache(maxsize=32)
def _of_recipe(path: Path, text: str) -> tuple[RuleFile, tuple[str, ...]]:
    from node.steps.anonymize import deid_filter

    rules, problems = deid_filter.parse(text, path.name)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return RuleFile(rules, digest), tuple(f"{path}:{line}: {problem}" for line, problem in problems)


@cache
def bundled() -> RuleFile:
    """The rectangles of deid's own `deid.dicom` (MIT; most of them are RSNA CTP's).

    Only labels with coordinates: the others say that an image is suspicious, which burned_in.py decides here. Labels
    that name no attribute of PS3.6 (there are three, with typing errors) mean nothing.
    """
    from node.steps.anonymize import deid_filter

    spec = find_spec("deid")  # imports nothing of it
    if spec is None or not spec.submodule_search_locations:
        return RuleFile(())
    path = Path(spec.submodule_search_locations[0]) / "data" / "deid.dicom"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return RuleFile(())
    rules, _ = deid_filter.parse(text, "deid.dicom")
    return RuleFile(tuple(rule for rule in rules if rule.cuts), bundled=hashlib.sha256(text.encode()).hexdigest())
