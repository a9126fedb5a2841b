"""The `anonymize` step: PS3.15 Basic Profile with options and a site recipe, one instance at a time."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar

from pydicom.dataset import FileDataset

from node.certificate.account import Accounts
from node.certificate.keys import Keys
from node.dicom import deid_table
from node.errors import CannotSucceed
from node.imaging import ocr
from node.imaging.layout import Array
from node.model import Batch, Disclosure, Held, Item, Kind, ReceiptId, Work
from node.steps.anonymize import recognizable, reversible, vocabulary
from node.steps.anonymize.burned_in import burned_in, facts
from node.steps.anonymize.instance import Anonymizer, HoldError
from node.steps.anonymize.lookup import load as load_lookup
from node.steps.anonymize.options import problems_with
from node.steps.anonymize.patients import Naming, Patients
from node.steps.anonymize.pixel_options import AS_USUAL, CLEAN_PIXELS, PixelOptions, cleaning_of, pixel_problems
from node.steps.anonymize.pixels import Cleaning
from node.steps.anonymize.plain import Plain
from node.steps.anonymize.plan import NO_RULES, Do, Plan, Rules, compile_plan, laid_over
from node.steps.anonymize.pseudonyms import LEAST_SECRET
from node.steps.anonymize.reversible import Seal
from node.steps.anonymize.reviewed import Reviewed, compile_reviewed
from node.steps.anonymize.reviewed import digest as reviewed_digest
from node.steps.anonymize.rules import compile_rules

_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anonymize:
    """Remove what identifies the patient, or hold what cannot be de-identified with certainty."""

    name: ClassVar[str] = "anonymize"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    # A report too: the certificate, which run/ makes of what this step says that it did.
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM, Kind.REPORT})
    whole: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"secret", "crosswalk"})
    deidentifies: ClassVar[bool] = True

    profile: str = "basic"
    """The profile of PS3.15 Annex E; there is one, `basic`."""
    options: tuple[str, ...] = ()
    """Options of PS3.15 E.3, such as retain_patient_characteristics. One that is not available is refused."""
    recipe: Path | None = None
    """A deid recipe (pydicom.github.io/deid), applied on top of the profile: %header, %fields, %values, and with
    clean_pixel_data %filter."""
    rules: tuple[Mapping[str, str | tuple[str, ...]], ...] = ()
    """A site's own rules, laid over the recipe: `keep`, `remove`, `blank`, `replace` (`with:`), `shift`, `clean` or
    `hash`, then attributes by keyword, (gggg,eeee), path.into.a.sequence, (gggg,"CREATOR",ee), creator:NAME or vr:XX.
    Of several rules for one attribute the last counts."""
    keep_words: tuple[str, ...] = ()
    """Words that cleaning leaves in texts, besides those that ship: names of protocols, of sequences, of a trial."""
    lookup: Path | None = None
    """A CSV of patient_id,pseudonym (and issuer, where ids are of several): each patient's pseudonym. Who is not in it
    is held. Default: a keyed pseudonym."""
    trial: str = ""
    """The name of what the lookup table is for: a patient may have another pseudonym in each trial's table. Without a
    name, all tables of the node must say the same of a patient."""
    numbers: str = ""
    """Patients are numbered from the crosswalk, with this before the number: `SITE-` gives SITE-0001."""
    reversible: Path | None = None
    """An X.509 certificate with an RSA key: the original attributes go along, encrypted so that only its owner can
    read them (`dicom-node reidentify`)."""
    second_reader: bool = True
    """Before anything of the unit goes on, read every file for names, ids, dates and UIDs of its originals; one that
    is found holds the unit."""
    pixels: PixelOptions = AS_USUAL
    """How pixels are cleaned, where clean_pixel_data is among the options."""
    reviewed: tuple[Mapping[str, str | tuple[str, ...]], ...] = ()
    """Classes of instances in which no face can be recognized, for somebody looked or removed it: attributes by keyword
    with what they say (`*` and `?` stand for anything), Modality or SOPClassUID among them. For
    clean_recognizable_visual_features, which holds all that is not known to show none."""

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the options, a sentence each; for a recipe with its file and line."""
        found = [] if self.profile == "basic" else [f'unknown profile "{self.profile}"; there is "basic"']
        found += [*problems_with(self.options), *vocabulary.unusable(self.keep_words)]
        return (
            *found,
            *self._naming_problems(),
            *self._rules()[1],
            *pixel_problems(self.options, self.pixels, self.recipe),
            *self._reviewed_problems(),
        )

    def _naming_problems(self) -> tuple[str, ...]:
        found = []
        if self.lookup is not None and self.numbers:
            found.append("a patient has one pseudonym: from lookup, or from numbers")
        if self.trial and self.lookup is None:
            found.append("trial is the name of what a lookup table is for, and there is none")
        if self.trial and not _PREFIX.fullmatch(self.trial):
            found.append("a trial is letters, digits, - and _ of ASCII, at most 40")
        if self.numbers and not _PREFIX.fullmatch(self.numbers):
            found.append("numbers are letters, digits, - and _ of ASCII, at most 40")
        if self.lookup is not None:
            found += load_lookup(self.lookup)[1]
        if self.reversible is not None:
            found += reversible.problems(self.reversible)
        return tuple(found)

    def _reviewed_problems(self) -> tuple[str, ...]:
        if self.reviewed and recognizable.OPTION not in self.options:
            return (f'reviewed: is of use only with the option "{recognizable.OPTION}"',)
        return compile_reviewed(self.reviewed)[1]

    def reviewed_classes(self) -> tuple[Reviewed, ...]:
        """Of which the site says that they show no face. Of use only without problems."""
        return compile_reviewed(self.reviewed)[0]

    @property
    def gives_numbers(self) -> bool:
        """Whether a run gives away what is never given again, and so is for jobs alone."""
        return bool(self.numbers)

    def naming(self) -> Naming:
        """Where the patients' names come from; of use only without problems."""
        if self.lookup is not None:
            return Naming(load_lookup(self.lookup)[0], f"table:{self.trial}" if self.trial else "table")
        return Naming(scheme=f"number:{self.numbers}") if self.numbers else Naming()

    def run(self, batch: Batch, work: Work) -> Batch:
        """De-identify each instance; hold, with a reason, what could identify all the same.

        Raises CannotSucceed when an option, the recipe, the lookup table, the certificate or the secret is unusable,
        and TryAgain when the crosswalk does not answer: nothing is then passed on.
        """
        problems = self.problems()
        if problems:
            raise CannotSucceed("; ".join(problems))
        patients, seal = self.patients(work.given), self.seal()
        _check_names(batch)
        rules = self.laid_over()  # once: a recipe that is edited meanwhile is not the one that the account names
        cleaning = self.cleaning()
        anonymizer = Anonymizer(self._plan_for(rules), patients, seal, cleaning, self.reviewed_classes())
        accounts, method = Accounts(Keys(work.given["secret"]).value()), self.method(rules, cleaning)
        charsets: Mapping[ReceiptId, str] = work.given.get("charsets", {})
        read = {**method, "pixels": {**method.get("pixels", {}), "text": "looked for"}}
        methods = {
            (looked, why): _with_features(read if looked else method, why)
            for looked in (False, True)
            for why in (None, *recognizable.Why)
        }
        masked = 0
        items: list[Item] = []
        held = list(batch.held)
        for item in batch.items:
            target, recording = work.out / _file_name(item.path), accounts.begin()
            try:
                charset = next((charsets[source] for source in item.sources if source in charsets), "")
                cleaned = anonymizer.anonymize(item.path, target, recording, charset=charset)
            except HoldError as reason:
                target.unlink(missing_ok=True)  # of an earlier try, under other rules
                held.append(Held(sources=item.sources, reason=f"cannot be de-identified: {reason}"))
            else:
                masked += cleaned is not None and cleaned.of_pixels
                looked = cleaned is not None and cleaned.looked
                account = recording.account(methods[looked, anonymizer.shows_no_face])
                whose = anonymizer.whose
                items.append(Item(path=target, kind=Kind.DICOM, sources=item.sources, account=account, whose=whose))
        work.note("{} de-identified", len(items))
        if masked:
            work.note("{} with pixels cleaned", masked)
        return Batch(items=tuple(items), held=tuple(held), dropped=batch.dropped, disclosure=Disclosure.DEIDENTIFIED)

    def patients(self, given: Mapping[str, Any]) -> Patients:
        """Who patients become. Raises CannotSucceed for a secret that is too short. Of use only without problems."""
        secret = given["secret"]
        if not isinstance(secret, bytes) or len(secret) < LEAST_SECRET:
            raise CannotSucceed(f"anonymize needs a secret of at least {LEAST_SECRET} bytes")
        return Patients(secret, given.get("crosswalk"), self.naming())

    def seal(self) -> Seal | None:
        """What holds the original attributes; None without the option. Raises CannotSucceed."""
        return reversible.seal_for(self.reversible) if self.reversible is not None else None

    def keeps(self) -> frozenset[int]:
        """Attributes that the recipe leaves as they are: the second reader takes their values for meant."""
        return frozenset(tag for tag, action in self.laid_over().actions.items() if action is Do.KEEP)

    def keeps_at(self) -> frozenset[tuple[int, ...]]:
        """The same of single places: the sequences from the top, then the attribute."""
        return frozenset(place for place, action in self.laid_over().paths.items() if action is Do.KEEP)

    def texts_of(self) -> Callable[[Array], list[str]] | None:
        """What the second reader recognises characters in pixels by; None unless `pixels: ocr` is chosen."""
        return ocr.texts_of if CLEAN_PIXELS in self.options and self.pixels.ocr != "off" else None

    def looks_at(self, header: FileDataset) -> bool:
        """Whether the second reader looks at the pixels of an image, whose header it is: at those in which this step
        looked for text."""
        found = facts(Plain(header), str(header.file_meta.get("TransferSyntaxUID", "")))
        # What says how pixels are laid out was decoded by who found them.
        grey = str(header.get("PhotometricInterpretation", "")) in ("MONOCHROME1", "MONOCHROME2")
        found = replace(found, has_pixels=True, grey=grey, stored=header.get("BitsStored") or 0)
        cleaning = self.cleaning()
        return cleaning is not None and cleaning.looks_for_text(found, suspected=burned_in(found) is not None)

    def plan_for(self) -> Callable[[str], Plan]:
        """SOP Class UID -> plan, each compiled once; of use only without problems.

        What is done to pixels differs from image to image, and is claimed by those alone to which it was done: no plan
        has that option.
        """
        return self._plan_for(self.laid_over())

    def _plan_for(self, rules: Rules) -> Callable[[str], Plan]:
        options, words = frozenset(self.options) - {CLEAN_PIXELS}, frozenset(self.keep_words)
        if rules == NO_RULES:
            return _of_profile(options, words)
        return lru_cache(maxsize=None)(partial(compile_plan, options, rules, keep_words=words))

    def cleaning(self) -> Cleaning | None:
        """What is done to pixels; None without the option. Of use only without problems."""
        return cleaning_of(self.options, self.pixels, self.recipe)

    def laid_over(self) -> Rules:
        """What the recipe and the site's rules lay over the profile; of use when there are no `problems`."""
        return self._rules()[0]

    def method(self, rules: Rules, cleaning: Cleaning | None) -> dict[str, Any]:
        """By what it de-identifies, for the certificate: nothing of a patient, and no path."""
        said: dict[str, Any] = {
            "keep_words": _digest(sorted({word.casefold() for word in self.keep_words})),
            "options": sorted(self.options),
            "profile": self.profile,
            "pseudonyms": self.naming().kind,
            "recipe": rules.sha256,
            "reversible": self.reversible is not None,
            "rules": rules.rules_digest,
            "table": f"PS3.15 {deid_table.edition()} Table E.1-1",
        }
        if recognizable.OPTION in self.options:
            said["visual_features"] = {"decided": "by headers", "reviewed": reviewed_digest(self.reviewed)}
        return said if cleaning is None else {**said, "pixels": cleaning.method()}

    def _rules(self) -> tuple[Rules, tuple[str, ...]]:
        chosen = frozenset(self.options)
        recipe, problems = self._recipe(chosen)
        site, mistakes = compile_rules(self.rules, chosen, recipe)
        return laid_over(recipe, site), (*problems, *mistakes)

    def _recipe(self, chosen: frozenset[str]) -> tuple[Rules, tuple[str, ...]]:
        if self.recipe is None:
            return NO_RULES, ()
        from node.steps.anonymize.recipe import load  # only where there is a recipe: deid imports matplotlib

        return load(self.recipe, chosen)


def _with_features(method: dict[str, Any], why: recognizable.Why | None) -> dict[str, Any]:
    if why is None:
        return method
    return {**method, "visual_features": {**method.get("visual_features", {}), "shows_no_face": why.value}}


def _digest(words: list[str]) -> str:
    """SHA-256 of a list; "" for an empty one."""
    return hashlib.sha256(json.dumps(words).encode()).hexdigest() if words else ""


def _file_name(source: Path) -> str:
    return source.name.removesuffix(".dcm") + ".dcm"


def _check_names(batch: Batch) -> None:
    names = {_file_name(item.path) for item in batch.items}
    if len(names) != len(batch.items):
        raise CannotSucceed("two files of the batch have the same name; one output would replace the other")


@lru_cache(maxsize=16)
def _of_profile(options: frozenset[str], words: frozenset[str]) -> Callable[[str], Plan]:
    """Plans that a worker has once for all parts that it is given: they depend on nothing that is edited."""
    return lru_cache(maxsize=64)(partial(compile_plan, options, NO_RULES, keep_words=words))
