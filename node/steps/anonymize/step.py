"""The `anonymize` step: PS3.15 Basic Profile with options and a site recipe, one instance at a time."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import ClassVar

from node.errors import CannotSucceed
from node.model import Batch, Disclosure, Held, Item, Kind, Work
from node.steps.anonymize.instance import HoldError, anonymize
from node.steps.anonymize.pixel_options import AS_USUAL, CLEAN_PIXELS, PixelOptions, cleaning_of, pixel_problems
from node.steps.anonymize.pixels import Cleaning
from node.steps.anonymize.plan import AVAILABLE, NO_RULES, UNAVAILABLE, Plan, Rules, compile_plan
from node.steps.anonymize.pseudonyms import LEAST_SECRET, Pseudonyms


@dataclass(frozen=True, slots=True, kw_only=True)
class Anonymize:
    """Remove what identifies the patient, or hold what cannot be de-identified with certainty."""

    name: ClassVar[str] = "anonymize"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    whole: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"secret"})
    deidentifies: ClassVar[bool] = True

    profile: str = "basic"
    """The profile of PS3.15 Annex E; there is one, `basic`."""
    options: tuple[str, ...] = ()
    """Options of PS3.15 E.3, such as retain_patient_characteristics. One that is not available is refused."""
    recipe: Path | None = None
    """A deid recipe (pydicom.github.io/deid) whose %header is applied on top of the profile."""
    pixels: PixelOptions = AS_USUAL
    """How pixels are cleaned, where clean_pixel_data is among the options."""

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the options, a sentence each; for a recipe with its file and line."""
        found = [] if self.profile == "basic" else [f'unknown profile "{self.profile}"; there is "basic"']
        found += [problem for name in self.options if (problem := _option_problem(name))]
        found += [
            f'option "{name}" is given twice' for name in sorted(set(self.options)) if self.options.count(name) > 1
        ]
        return (*found, *self._rules()[1], *pixel_problems(self.options, self.pixels))

    def run(self, batch: Batch, work: Work) -> Batch:
        """De-identify each instance; hold, with a reason, what could identify all the same.

        Raises CannotSucceed when an option, the recipe or the secret is unusable: nothing is then passed on.
        """
        problems = self.problems()
        if problems:
            raise CannotSucceed("; ".join(problems))
        secret = work.given["secret"]
        if not isinstance(secret, bytes) or len(secret) < LEAST_SECRET:
            raise CannotSucceed(f"anonymize needs a secret of at least {LEAST_SECRET} bytes")
        _check_names(batch)
        plan_for, cleaning = self.plan_for(), self.cleaning()
        masked = 0
        pseudonyms = Pseudonyms(secret)
        items: list[Item] = []
        held = list(batch.held)
        for item in batch.items:
            target = work.out / _file_name(item.path)
            try:
                cleaned = anonymize(item.path, target, plan_for, pseudonyms, cleaning)
            except HoldError as reason:
                target.unlink(missing_ok=True)  # of an earlier try, under other rules
                held.append(Held(sources=item.sources, reason=f"cannot be de-identified: {reason}"))
            else:
                masked += cleaned is not None
                items.append(Item(path=target, kind=Kind.DICOM, sources=item.sources))
        work.note("{} de-identified", len(items))
        if masked:
            work.note("{} with pixels cleaned", masked)
        return Batch(items=tuple(items), held=tuple(held), dropped=batch.dropped, disclosure=Disclosure.DEIDENTIFIED)

    def plan_for(self) -> Callable[[str], Plan]:
        """SOP Class UID -> plan, each compiled once; of use only without problems.

        What is done to pixels differs from image to image, and is claimed by those alone to which it was done: no plan
        has that option.
        """
        return lru_cache(maxsize=None)(
            partial(compile_plan, frozenset(self.options) - {CLEAN_PIXELS}, self._rules()[0])
        )

    def cleaning(self) -> Cleaning | None:
        """What is done to pixels; None without the option. Of use only without problems."""
        return cleaning_of(self.options, self.pixels)

    def _rules(self) -> tuple[Rules, tuple[str, ...]]:
        if self.recipe is None:
            return NO_RULES, ()
        from node.steps.anonymize.recipe import load  # only where there is a recipe: deid imports matplotlib

        return load(self.recipe, frozenset(self.options))


def _option_problem(name: str) -> str | None:
    if name in AVAILABLE:
        return None
    if name in UNAVAILABLE:
        return f'option "{name}" is not available: {UNAVAILABLE[name]}'
    near = difflib.get_close_matches(name, [*AVAILABLE, *UNAVAILABLE], n=1, cutoff=0.6)
    return f'unknown option "{name}"' + (f'. Did you mean "{near[0]}"?' if near else "")


def _file_name(source: Path) -> str:
    return source.name.removesuffix(".dcm") + ".dcm"


def _check_names(batch: Batch) -> None:
    names = {_file_name(item.path) for item in batch.items}
    if len(names) != len(batch.items):
        raise CannotSucceed("two files of the batch have the same name; one output would replace the other")
