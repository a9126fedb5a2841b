"""Which rule is behind what was done to an attribute: a row of a table, an option, a line of the recipe, a rule of the
site, or a precaution of this node that no table asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from node.certificate.actions import PIXELS, Done, Path
from node.dicom import deid_table, iod_types
from node.dicom.attributes import VR_BY_TAG, PrivateTag, describe, is_creator, is_private
from node.steps.anonymize import coding, content, evidence, recognizable, values
from node.steps.anonymize.actions import PATIENT_ID, PATIENT_NAME, Action, Do
from node.steps.anonymize.changes import CLEANED
from node.steps.anonymize.conditions import BESIDE
from node.steps.anonymize.plan import Plan, Rules
from node.steps.anonymize.profile import DESCRIPTORS, UNFORMATTED_TEXT, beyond
from node.steps.anonymize.reversible import ENCRYPTED_ATTRIBUTES
from node.steps.anonymize.telling import WITH_PIXELS

_LETTER = {Do.KEEP: "K", Do.REMOVE: "X", Do.EMPTY: "Z", Do.DUMMY: "D", Do.UID: "U"}
"""As in PS3.15 Table E.1-1a."""
_CLEANING = (Do.SHIFT, Do.CLEAN, Do.CONTENT, Do.HASH)
_BY_CONCEPT = frozenset(content.VALUES.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What one instance was de-identified by."""

    plan: Plan
    rules: Rules
    sop_class: str
    pixels: tuple[str, ...] = ()
    """The rules behind what was done to its pixels."""
    by_value: Mapping[Path, str] = field(default_factory=dict)
    """Places that a line of the recipe means by what they say."""

    def reason(self, path: Path, done: Done, creator: str = "") -> str:
        """In a few words, without a value. `creator`: of a private attribute's block, empty where it has none."""
        tag = path[-1]
        if tag >> 16 <= 7 or (tag & 0xFFFF == 0 and not is_private(tag)):
            return "no part of a data set"
        if len(path) == 1 and (said := self._written(tag, done)):
            return said
        if path in self.by_value:
            return self.by_value[path]
        if is_private(tag):
            return self._private(tag, creator, done)
        if deid_table.is_repeating(tag):
            return _repeating(tag)
        meant = self._meant(path)
        return self._precaution(path, meant, done) or self._rule(path, meant, done)

    def _written(self, tag: int, done: Done) -> str:
        """What the node writes itself, or changes when it cleans pixels; "" for everything else."""
        if done is Done.ADDED and tag in evidence.WRITTEN:
            return "says what was done, PS3.15 E.1.1"
        if tag in evidence.WRITTEN:
            return "says what was done before, and is said anew, PS3.15 E.1.1"
        if tag in evidence.OF_IMAGES and recognizable.OPTION in self.plan.options:
            return "option clean_recognizable_visual_features: known to show none, PS3.15 E.3.2"
        if done is Done.ADDED and tag == ENCRYPTED_ATTRIBUTES:
            return "reversible: the original attributes for the owner of the certificate, PS3.15 E.1.1"
        if done in (Done.MASKED, Done.CLEANED) and tag in PIXELS:
            return f"option clean_pixel_data: {', '.join(self.pixels) or 'overlays in bits that no value uses'}"
        if deid_table.is_repeating(tag) and done is not Done.REMOVED:
            return "option clean_graphics: text was looked for in it"
        if self.pixels and tag in WITH_PIXELS and done is not Done.KEPT:
            return "option clean_pixel_data: says how the pixels are now"
        return ""

    def _meant(self, path: Path) -> Action | None:
        """What the plan says of a place, as `walk.Scope.action` finds it; not of the value of a content item."""
        tag, plan = path[-1], self.plan
        if len(path) == 1:
            return plan.top.get(tag)
        found = plan.paths.get(path, plan.items.get((path[-2], tag)))
        return plan.nested.get(tag) if found is None else found

    def _private(self, tag: int, creator: str, done: Done) -> str:
        own = PrivateTag(tag >> 16, creator, tag & 0xFF) if not is_creator(tag) and creator else None
        if own is not None and own in self.rules.private:
            return self.rules.said.get(own, "recipe or site rule")
        listed = own is not None and (own.group, own.creator, own.element) in self.plan.private
        if done is Done.REMOVED and not listed:
            return "profile: row of private attributes, X"
        if done is Done.REMOVED:
            return "precaution: not as its row of Table E.3.10-1 has it, or it says who somebody is"
        if is_creator(tag):
            return "names the block of what is kept, PS3.5 7.8.1"
        return "option retain_safe_private: Table E.3.10-1"

    def _precaution(self, path: Path, meant: Action | None, done: Done) -> str:
        """Why something else was done than the plan says."""
        if meant not in (None, Do.KEEP):
            local = path[-1] == coding.MEANING and done is Done.REPLACED and meant is not Do.DUMMY
            return "precaution: meaning of a code that no published scheme defines" if local else ""
        if done is Done.UID:
            return "" if meant is Do.KEEP else "precaution: one of the instance's own UIDs"
        if done is Done.CLEANED and meant is None and self.plan.cleans and len(path) == 1:
            return "precaution: it says a name, a number or a place of the data set, or has a contact or a title in it"
        if done is not Done.REPLACED or self._by_concept(path):
            return ""
        vr = VR_BY_TAG.get(path[-1])
        if vr == "AS":
            return "precaution: an age over 89"
        if any(self.plan.nested.get(tag) is Do.DUMMY or self.plan.top.get(tag) is Do.DUMMY for tag in path[:-1]):
            return "precaution: text in an item that stands for a sequence"
        if path[-1] == coding.MEANING:
            return "precaution: meaning of a code that no published scheme defines, or it says who somebody is"
        if vr in values.CODES:
            return "precaution: it says the patient's name or id, or is no code"
        return "precaution: it says the patient's name or id"

    def _by_concept(self, path: Path) -> bool:
        return path[-1] in _BY_CONCEPT and len(path) > 1 and self._meant(path[:-1]) is Do.CONTENT

    def _rule(self, path: Path, meant: Action | None, done: Done) -> str:
        tag = path[-1]
        site = self.rules.said.get(path) if len(path) > 1 else None
        if site is None and (tag in self.rules.actions or tag in self.rules.add):
            site = self.rules.said.get(tag, "recipe or site rule")
        if site is not None:
            return site if _was_done(meant, done) else f"{site}; nothing of it could stay, so the profile's code"
        if self._by_concept(path):
            return "option clean_structured_content: Table E.3.4-1, by its concept name and value type"
        row = deid_table.rows().get(tag)
        if row is not None:
            return self._of_row(row, path, meant, done)
        if beside := _beside(tag, meant):
            return beside
        if tag in DESCRIPTORS and "clean_descriptors" in self.plan.options:
            return "option clean_descriptors: text that somebody writes, in no row of Table E.1-1"
        if done is Done.CLEANED and VR_BY_TAG.get(tag) in CLEANED:
            return "text within a sequence that is cleaned"
        if tag in beyond(self.plan.options):
            return "precaution: identifies, or says nothing any more; not in Table E.1-1"
        return "in no row of Table E.1-1" if tag in VR_BY_TAG else "not in PS3.6"

    def _of_row(self, row: deid_table.Row, path: Path, meant: Action | None, done: Done) -> str:
        options = self.plan.options
        if meant in _CLEANING:
            asks = sorted(row.cleans & options) or (["clean_graphics"] if row.tag == UNFORMATTED_TEXT else [])
            left = "" if _was_done(meant, done) else f"; nothing of it could stay, so the profile's {row.basic}"
            return f"option {asks[0]}: C{left}" if asks else f"profile: {row.basic}"
        keeping = sorted(row.keeps & options)
        if keeping and meant is Do.KEEP:
            return f"option {keeping[0]}: K"
        if meant is Do.PATIENT or row.tag in (PATIENT_NAME, PATIENT_ID):
            return f"profile: {row.basic}, by the patient's pseudonym"
        if meant is Do.KEEP:
            return f"profile: {row.basic}, kept for its keyed UIDs"
        if beside := _beside(row.tag, meant):
            return beside
        letter = _LETTER[meant] if isinstance(meant, Do) else ""
        return f"profile: {row.basic}" + (f", {letter} by Type {self._type(path)}" if letter != row.basic else "")

    def _type(self, path: Path) -> str:
        required = iod_types.of_removed(self.sop_class).get(path[-2:])
        if required is not None:
            return required
        if len(path) == 1:
            return iod_types.type_at_top(path[0], self.sop_class)
        known = iod_types.in_items().get((path[-2], path[-1]))
        return iod_types.type_in_any_item(path[-1]) if known is None else known


def _beside(tag: int, meant: Action | None) -> str:
    """Where a condition of PS3.3 decided, and not the row."""
    if tag in BESIDE and meant is Do.REMOVE:
        return f"precaution: it may not stay without {describe(BESIDE[tag])}, PS3.3"
    for one, other in BESIDE.items():
        if tag == other and meant is Do.DUMMY:
            return f"precaution: {describe(one)} stays, and may not without it, PS3.3"
    return ""


def _was_done(meant: Action | None, done: Done) -> bool:
    """False where a value could not be moved or cleaned."""
    return meant not in _CLEANING or done in (Done.KEPT, Done.SHIFTED, Done.CLEANED, Done.HASHED, Done.UID)


def _repeating(tag: int) -> str:
    if tag >> 24 == 0x50:
        return "profile: row (50xx,xxxx), X"
    element = tag & 0xFFFF
    if element in (0x3000, 0x4000):
        return f"profile: row (60xx,{element:04X}), X"
    return "precaution: what describes an overlay goes with it"
