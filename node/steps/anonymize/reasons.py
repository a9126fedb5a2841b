"""Which rule is behind what was done to an attribute: a row of the profile, an option, a line of the recipe, or a
precaution of this node that no table asks for."""

from __future__ import annotations

from dataclasses import dataclass

from node.certificate.actions import Done, Path
from node.dicom import deid_table
from node.dicom.attributes import VR_BY_TAG, PrivateTag, is_creator, is_private
from node.steps.anonymize import coding, evidence
from node.steps.anonymize.plan import BEYOND_THE_TABLE, Action, Do, Plan, Rules

_LETTER = {Do.KEEP: "K", Do.REMOVE: "X", Do.EMPTY: "Z", Do.DUMMY: "D", Do.UID: "U"}
"""As in PS3.15 Table E.1-1a."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What one instance was de-identified by."""

    plan: Plan
    rules: Rules
    recipe: str
    """The name of the recipe's file; empty where there is none."""
    sop_class: str

    def reason(self, path: Path, done: Done, creator: str = "") -> str:
        """In a few words, without a value. `creator`: of a private attribute's block, empty where it has none."""
        tag = path[-1]
        if tag >> 16 <= 7 or (tag & 0xFFFF == 0 and not is_private(tag)):
            return "no part of a data set"
        if tag in evidence.WRITTEN and done is Done.ADDED:
            return "says what was done, PS3.15 E.1.1"
        if is_private(tag):
            return self._private(tag, creator, done)
        if deid_table.is_repeating(tag):
            return _repeating(tag)
        meant = (self.plan.top if len(path) == 1 else self.plan.nested).get(tag)
        return self._precaution(path, meant, done) or self._rule(tag, meant, nested=len(path) > 1)

    def _private(self, tag: int, creator: str, done: Done) -> str:
        own = PrivateTag(tag >> 16, creator, tag & 0xFF) if not is_creator(tag) and creator else None
        if own in self.rules.private:
            return self._line(own)
        if done is Done.REMOVED:
            return "profile: row of private attributes, X"
        if is_creator(tag):
            return "names the block of what is kept, PS3.5 7.8.1"
        return "option retain_safe_private: Table E.3.10-1"

    def _line(self, of: int | PrivateTag | None) -> str:
        number = self.rules.lines.get(of) if of is not None else None
        return f"recipe: {self.recipe}:{number}" if number else f"recipe: {self.recipe}"

    def _precaution(self, path: Path, meant: Action | None, done: Done) -> str:
        """Why something else was done than the plan says."""
        if meant not in (None, Do.KEEP):
            local = path[-1] == coding.MEANING and done is Done.REPLACED and meant is not Do.DUMMY
            return "precaution: meaning of a code that no published scheme defines" if local else ""
        if done is Done.UID:
            return "" if meant is Do.KEEP else "precaution: one of the instance's own UIDs"
        if done is not Done.REPLACED:
            return ""
        if any(self.plan.nested.get(tag) is Do.DUMMY or self.plan.top.get(tag) is Do.DUMMY for tag in path[:-1]):
            return "precaution: text in an item that stands for a sequence"
        if path[-1] == coding.MEANING:
            return "precaution: meaning of a code that no published scheme defines, or it says the patient's name or id"
        return "precaution: it says the patient's name or id"

    def _rule(self, tag: int, meant: Action | None, *, nested: bool) -> str:
        if tag in self.rules.actions or tag in self.rules.add:
            return self._line(tag)
        row = deid_table.rows().get(tag)
        if row is not None:
            keeping = sorted(row.keeps & self.plan.options)
            if keeping:
                return f"option {keeping[0]}: K"
            if meant is Do.PATIENT:
                return f"profile: {row.basic}, by the patient's pseudonym"
            if meant is Do.KEEP:
                return f"profile: {row.basic}, kept for its keyed UIDs"
            letter = _LETTER[meant] if isinstance(meant, Do) else ""
            kind = deid_table.attribute_type(tag, self.sop_class, nested=nested)
            return f"profile: {row.basic}" + (f", {letter} by Type {kind}" if letter != row.basic else "")
        if tag in BEYOND_THE_TABLE:
            return "precaution: identifies, or says nothing any more; not in Table E.1-1"
        return "in no row of Table E.1-1" if tag in VR_BY_TAG else "not in PS3.6"


def _repeating(tag: int) -> str:
    if tag >> 24 == 0x50:
        return "profile: row (50xx,xxxx), X"
    element = tag & 0xFFFF
    if element in (0x3000, 0x4000):
        return f"profile: row (60xx,{element:04X}), X"
    return "precaution: what describes an overlay goes with it"
