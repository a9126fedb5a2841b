"""One instance from file to file: read, decide whether it may go on, de-identify, write."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from pydicom.dataset import FileDataset

from node.certificate.actions import PIXELS, Again, Done, Recorder
from node.dicom import dataset
from node.dicom.alike import Alike
from node.dicom.attributes import VR_BY_TAG
from node.dicom.encoding import Malformed, Parse
from node.errors import CannotSucceed
from node.model import Whose
from node.steps.anonymize import by_value, evidence, output, pixels, recognizable, text
from node.steps.anonymize.answers import Decisions
from node.steps.anonymize.burned_in import burned_in, facts
from node.steps.anonymize.cleaning import Cleaner
from node.steps.anonymize.engine import rewritten
from node.steps.anonymize.header import CHARACTER_SET, Header
from node.steps.anonymize.identifying import Sequences, cleaner_of
from node.steps.anonymize.memory import Memory, Remembered
from node.steps.anonymize.patients import Patients, UnmappedError
from node.steps.anonymize.plan import PATIENT_ID, PATIENT_NAME, Plan
from node.steps.anonymize.refused import SOP_CLASS, SOP_INSTANCE, Looked, check_pixels, identity, one_uid
from node.steps.anonymize.reversible import ENCRYPTED_ATTRIBUTES, Seal
from node.steps.anonymize.reviewed import Reviewed
from node.steps.anonymize.scope import ISSUER, PIXEL_DATA, Scope, UndecidableError
from node.steps.anonymize.source import Source, UnreadableFileError, opened
from node.steps.anonymize.telling import UntilCleaned
from node.steps.anonymize.written import Written, overwritten

_MOST_PLANS = 256
_Treatment = pixels.Treatment | pixels.Refusal | None
_STUDY = 0x0020000D
_Named = tuple[tuple[str, ...], str, str, re.Pattern[str] | None]
"""Encodings, issuer, id and own words of who is named at the top of a data set."""


class HoldError(Exception):
    """The instance waits for a person; `str()` is the reason, without patient data."""


class Anonymizer:
    """What one run of the step does to each of its instances, and what it remembers from one to the next."""

    def __init__(
        self,
        plan_for: Callable[[str], Plan],
        patients: Patients,
        seal: Seal | None = None,
        cleaning: pixels.Cleaning | None = None,
        reviewed: Sequence[Reviewed] = (),
    ) -> None:
        """
        plan_for  gives the plan for a SOP Class UID
        seal      what holds the original attributes (Encrypted Attributes Sequence)
        cleaning  what is done to pixels; without it Pixel Data is not touched
        reviewed  what a site has looked at for faces; counts where a plan has the option of PS3.15 E.3.2
        """
        self._plan_for = lru_cache(maxsize=None)(plan_for)
        self._patients = patients
        self._seal, self._cleaning, self._reviewed = seal, cleaning, tuple(reviewed)
        self._named, self._looked = Decisions[_Named](), Looked()
        self._alike, self._memory, self._sequences = Alike(), Memory(), Sequences()
        # A treatment has a mask as large as its image, which costs more to clean than to decide on.
        self._treatments = Decisions[_Treatment](lambda one: not isinstance(one, pixels.Treatment))
        self._cleaners = Decisions[Cleaner]()
        self._features = Decisions[recognizable.Why | recognizable.Refusal]()
        self._plans: dict[tuple[int, by_value.Places, by_value.PrivatePlaces], Plan] = {}
        self._added: dict[tuple[int, Parse], tuple[dict[int, Remembered], tuple[int, ...]]] = {}
        self.whose: Whose | None = None
        """Of whom the last instance became."""
        self.shows_no_face: recognizable.Why | None = None
        """Why the last one is known to show no face; None without the option."""

    def anonymize(
        self, source: Path, target: Path, recorder: Recorder | None = None, *, charset: str = ""
    ) -> pixels.Cleaned | None:
        """Write the de-identified instance of `source` to `target`, or raise HoldError and write nothing.

        charset     the character set of the peer that sent it, a defined term; for text that its own does not read

        The transfer syntax stays, but where pixels are cleaned; then what was done to them is returned. Comments within
        compressed frames become zeros, and so does what follows their end. What `recorder` was told counts only when
        nothing is raised. Raises CannotSucceed and TryAgain as the crosswalk does, and
        OSError when the disk fails: neither says anything of the instance.
        """
        try:
            with opened(source, self._alike) as found:
                uids = identity(found, self._looked)
                plan = self._plan_for(one_uid(found, SOP_CLASS)).suited(found.top.keys())
                treatment = self._treatment(found, plan)
                self.shows_no_face = self._without_features(found, plan)
                unread = check_pixels(found, self._looked)
                until_cleaned = None
                if (treatment is not None or unread) and recorder is not None:
                    recorder = until_cleaned = UntilCleaned(recorder)
                elements = self._rewritten(found, self._scope(found, uids, plan, charset), recorder)
                if unread:
                    elements[PIXEL_DATA] = overwritten(elements[PIXEL_DATA], found.top[PIXEL_DATA][3:5], unread)
                uncleaned = target if treatment is None else target.with_name(f"{target.name}.pixels")
                output.write(uncleaned, _file_meta(elements, found), elements.values(), found)
        except (UndecidableError, UnmappedError, text.UnreadableTextError) as error:
            raise HoldError(str(error)) from None
        except (Malformed, UnreadableFileError) as error:
            why = str(error).removeprefix("not a readable data set: ")
            raise HoldError(f"its data set cannot be read with certainty: {why}") from None
        done = None
        if treatment is not None and self._cleaning is not None:
            done = _cleaned(uncleaned, target, treatment, self._cleaning)
        if until_cleaned is not None:
            if (done is None or not done.changed) and not unread:
                until_cleaned.as_it_was()
            else:
                cleared = bool(unread) or (done is not None and done.cleared)
                masked = done is not None and done.masked
                until_cleaned.cleaned(
                    _header(target), Done.MASKED if masked else Done.CLEANED if cleared else Done.KEPT
                )
        return done

    def _treatment(self, source: Source, plan: Plan) -> pixels.Treatment | None:
        """What is to be done to its pixels. Raises HoldError where they may show who the patient is."""
        syntax, content_cleaned = source.syntax.uid, "clean_structured_content" in plan.options

        def decide(header: Header) -> _Treatment:
            found = facts(header, syntax, content_cleaned=content_cleaned)
            if self._cleaning is not None:
                return pixels.decide(header, found, self._cleaning)
            reason = burned_in(found)
            return None if reason is None else pixels.Refusal(reason)

        treatment = self._treatments.of(source, (syntax, content_cleaned), decide)
        if isinstance(treatment, pixels.Refusal):
            raise HoldError(f"may show who the patient is: {treatment.reason}")
        return treatment

    def _without_features(self, source: Source, plan: Plan) -> recognizable.Why | None:
        """Raises HoldError where a face, or the like, may be recognized in it (PS3.15 E.3.2)."""
        if recognizable.OPTION not in plan.options:
            return None
        found = self._features.of(source, (), lambda header: recognizable.decide(header, self._reviewed))
        if isinstance(found, recognizable.Refusal):
            raise HoldError(
                f"may show a face: {found.reason}; where no face can be recognized in such images, or none any more, "
                f"say so under `reviewed`, else drop it"
            )
        return found

    def _rewritten(self, source: Source, scope: Scope, recorder: Recorder | None) -> dict[int, Written]:
        added, apart = self._added_by(scope.plan, source.parse)
        elements = rewritten(
            source.data, source.top, source.parse, scope, self._memory, recorder,
            shared=source.shared, apart=None if self._seal else apart,
        )  # fmt: skip
        for tag in evidence.WRITTEN:
            elements.pop(tag, None)
        if source.top.keys().isdisjoint(PIXELS):
            added = {tag: each for tag, each in added.items() if tag not in evidence.OF_IMAGES}
        if recorder is not None:
            recorder.did_all([told for tag, (_, told) in added.items() if not elements.get(tag)])
        elements |= {tag: encoded for tag, (encoded, _) in added.items()}
        if self._seal is not None:
            elements[ENCRYPTED_ATTRIBUTES] = self._seal(source, elements)
            if recorder is not None:
                recorder.did((ENCRYPTED_ATTRIBUTES,), Done.ADDED)
        return {tag: elements[tag] for tag in sorted(elements)}

    def _scope(self, source: Source, uids: Mapping[int, str], plan: Plan, charset: str) -> Scope:
        encodings, issuer, patient_id, own_words = self._named.of(source, charset, lambda of: _named(charset, of))
        patient = self._patients.find(issuer, patient_id, uids[_STUDY])
        study = patient.pseudonyms.uid(uids[_STUDY]) if plan.maps_uids else uids[_STUDY]
        self.whose = Whose(study, patient.name, bool(patient.patient_id))
        return Scope(
            plan=self._meant(plan, by_value.found_in(source.header, plan, encodings)) if plan.by_value else plan,
            patients=self._patients,
            encodings=encodings,
            patient=patient,
            days=patient.days,
            cleaner=self._cleaner(source, encodings, plan) if plan.cleans else None,
            own_uids=frozenset(uids.values()),
            own_words=own_words,
        )

    def _cleaner(self, source: Source, encodings: tuple[str, ...], plan: Plan) -> Cleaner:
        def decide(header: Header) -> Cleaner:
            return cleaner_of(header, encodings, plan, self._sequences.of(source))

        return self._cleaners.of(source, (encodings, plan.options, plan.keep_words), decide)

    def _meant(self, plan: Plan, found: by_value.Found) -> Plan:
        """The plan for one data set; instances in which the same is found have it in common, and what is remembered."""
        key = (id(plan), found.places, found.private)
        meant = self._plans.get(key)
        if meant is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            meant = self._plans[key] = by_value.laid_over(plan, found)
        return meant

    def _added_by(self, plan: Plan, parse: Parse) -> tuple[dict[int, Remembered], tuple[int, ...]]:
        """What is added, and all elements that somebody here asks for by their tags."""
        found = self._added.get((id(plan), parse))  # plans are kept by the cache, so an id stays that of one
        if found is None:
            added: dict[int, Remembered] = {
                tag: (encoded, Again([((tag,), Done.ADDED, None, _value(encoded, parse))]))
                for tag, encoded in evidence.added(plan, parse).items()
            }
            asked_for = {*added, *evidence.WRITTEN, SOP_CLASS, SOP_INSTANCE, PIXEL_DATA}
            found = self._added[id(plan), parse] = added, tuple(sorted(asked_for))
        return found


def _named(charset: str, header: Header) -> _Named:
    encodings = text.encodings(header.raw(CHARACTER_SET), text.fallback_of(charset))
    identifier = text.decode(header.raw(PATIENT_ID), encodings)
    own_words = text.words(text.decode(header.raw(PATIENT_NAME), encodings), identifier)
    return encodings, text.decode(header.raw(ISSUER), encodings), identifier, own_words


def _value(encoded: bytes, parse: Parse) -> bytes | None:
    """None of a sequence."""
    tag, vr, value, _ = parse(encoded, 0)
    return None if "SQ" in (vr, VR_BY_TAG.get(tag)) else encoded[value:]


def _file_meta(elements: dict[int, Written], source: Source) -> bytes:
    def written(tag: int) -> bytes:
        encoded = elements[tag]
        assert isinstance(encoded, bytes)  # a UID is no stretch
        return encoded[source.parse(encoded, 0)[2] :].strip(b" \0")

    return evidence.file_meta(written(SOP_CLASS), written(SOP_INSTANCE), source.syntax.uid)


def _header(path: Path) -> FileDataset:
    with path.open("rb") as file:
        return dataset.read(file, stop_before_pixels=True)


def _cleaned(uncleaned: Path, target: Path, treatment: pixels.Treatment, cleaning: pixels.Cleaning) -> pixels.Cleaned:
    """By way of a file that is not the output: what is in its pixels never has the output's name."""
    try:
        return pixels.clean(uncleaned, target, treatment, cleaning)
    except CannotSucceed as error:
        raise HoldError(f"its pixels cannot be cleaned: {error}") from None
    finally:
        uncleaned.unlink(missing_ok=True)
