"""The `anonymize` step: PS3.15 Basic Profile with options and a site recipe, one instance at a time."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar

from node.certificate.account import Accounts
from node.certificate.keys import Keys
from node.dicom import deid_table
from node.errors import CannotSucceed
from node.model import Batch, Disclosure, Held, Item, Kind, Work
from node.steps.anonymize.instance import HoldError, anonymize
from node.steps.anonymize.plan import AVAILABLE, NO_RULES, UNAVAILABLE, Rules, compile_plan
from node.steps.anonymize.pseudonyms import LEAST_SECRET, Pseudonyms


@dataclass(frozen=True, slots=True, kw_only=True)
class Anonymize:
    """Remove what identifies the patient, or hold what cannot be de-identified with certainty."""

    name: ClassVar[str] = "anonymize"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    # A report too: the certificate, which run/ makes of what this step says that it did.
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM, Kind.REPORT})
    whole: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"secret"})
    deidentifies: ClassVar[bool] = True

    profile: str = "basic"
    """The profile of PS3.15 Annex E; there is one, `basic`."""
    options: tuple[str, ...] = ()
    """Options of PS3.15 E.3, such as retain_patient_characteristics. One that is not available is refused."""
    recipe: Path | None = None
    """A deid recipe (pydicom.github.io/deid) whose %header is applied on top of the profile."""

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the options, a sentence each; for a recipe with its file and line."""
        found = [] if self.profile == "basic" else [f'unknown profile "{self.profile}"; there is "basic"']
        found += [problem for name in self.options if (problem := _option_problem(name))]
        found += [
            f'option "{name}" is given twice' for name in sorted(set(self.options)) if self.options.count(name) > 1
        ]
        return (*found, *self._rules()[1])

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
        rules = self.rules()  # once: a recipe that is edited meanwhile is not the one that the account names
        plan_for = lru_cache(maxsize=None)(partial(compile_plan, frozenset(self.options), rules))
        pseudonyms, accounts, method = Pseudonyms(secret), Accounts(Keys(secret).value()), self.method(rules)
        items: list[Item] = []
        held = list(batch.held)
        for item in batch.items:
            target, recording = work.out / _file_name(item.path), accounts.begin()
            try:
                anonymize(item.path, target, plan_for, pseudonyms, recording)
            except HoldError as reason:
                target.unlink(missing_ok=True)  # of an earlier try, under other rules
                held.append(Held(sources=item.sources, reason=f"cannot be de-identified: {reason}"))
            else:
                account = recording.account(method)
                items.append(Item(path=target, kind=Kind.DICOM, sources=item.sources, account=account))
        work.note("{} de-identified", len(items))
        return Batch(items=tuple(items), held=tuple(held), dropped=batch.dropped, disclosure=Disclosure.DEIDENTIFIED)

    def rules(self) -> Rules:
        """What the recipe lays over the profile; of use when there are no `problems`."""
        return self._rules()[0]

    def method(self, rules: Rules) -> dict[str, Any]:
        """By what it de-identifies, for the certificate: nothing of a patient, and no path."""
        return {
            "options": sorted(self.options),
            "profile": self.profile,
            "recipe": rules.sha256,
            "table": f"PS3.15 {deid_table.edition()} Table E.1-1",
        }

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
