"""A plan applied by pydicom to a data set and to all it nests: the plain way, and the reference for engine.py.

pydicom finds the elements, decision.py says what becomes of each. The node itself goes the way of engine.py; that both
come to the same is held by tests/steps/anonymize/test_engine.py.
"""

from __future__ import annotations

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from node.certificate.actions import Done, Recorder
from node.dicom.attributes import VR_BY_TAG, describe, is_creator, is_private
from node.steps.anonymize import coding, decision
from node.steps.anonymize.decision import REMOVED, Change
from node.steps.anonymize.plain import Plain, check_complete, element_of, raw_bytes, vr_of
from node.steps.anonymize.plan import Action, Do
from node.steps.anonymize.private import kept_value, may_be_sequence
from node.steps.anonymize.scope import (
    Scope,
    UndecidableError,
    check_no_image,
    counted,
    entered,
    goes_out,
    is_dummy,
    may_be_empty,
    within,
)
from node.steps.anonymize.telling import became, value_of


def walk(ds: Dataset, scope: Scope, recorder: Recorder | None = None) -> None:
    """De-identify `ds` in place. Raises UndecidableError or UnreadableTextError; `ds` is then of no use."""
    header = Plain(ds)
    scope = entered(scope, header)
    private = decision.kept_private(header.tags, header.raw, scope.plan)
    meanings_stay = coding.is_standard(header.raw(coding.SCHEME))
    for tag in header.tags:
        before, done = element_of(ds, tag), scope.action(tag)
        check_complete(before)
        if is_private(tag):
            if tag not in private:
                del ds[tag]
            elif not is_creator(tag):
                done = _private(ds, tag, *private[tag], scope, recorder)
        elif decision.always_goes(tag):
            del ds[tag]
        elif tag == coding.MEANING and not meanings_stay:
            _write(ds, tag, ("LO", decision.dummy(tag, "LO")))
        else:
            done = _public(ds, tag, scope, recorder)
        if recorder is not None:
            recorder.did((*scope.path, tag), *became(before, ds.get_item(tag), done))


# What follows returns what was done in the end.


def _private(ds: Dataset, tag: int, vr: str, action: Action, scope: Scope, recorder: Recorder | None) -> Action | None:
    """A private element on the list: its sequences are walked, its UIDs replaced (PS3.15 E.3.10)."""
    found = vr_of(ds, tag)
    if action is not Do.KEEP:
        read_as = vr if found in ("", "UN") else found
        _write(ds, tag, decision.new_private_value(read_as, raw_bytes(ds, tag), action, scope))
    elif "SQ" in (vr, found):
        if may_be_sequence(vr, found) and ds[tag].VR == "SQ":
            _items(ds, tag, within(tag, Do.KEEP, scope), recorder)
        else:
            del ds[tag]  # listed as a sequence, but not readable as one
    else:
        change, done = kept_value(tag, vr, found, raw_bytes(ds, tag), scope)
        _write(ds, tag, change)
        return done
    return action


def _public(ds: Dataset, tag: int, scope: Scope, recorder: Recorder | None) -> Action | None:
    action, known = scope.action(tag), VR_BY_TAG.get(tag)
    if decision.goes(tag, action):
        del ds[tag]
        return action
    vr = vr_of(ds, tag)
    if vr == "SQ":
        if known not in (None, "SQ"):
            raise UndecidableError(f"{describe(tag)} is encoded as SQ, not {known}")
        _sequence(ds, tag, action, scope, recorder)
    elif known is None and vr in ("", "UN"):
        del ds[tag]  # newer than our PS3.6 and of unknown representation: no dummy would be valid
    else:
        change, action = decision.new_value(tag, vr, raw_bytes(ds, tag), action, scope)
        _write(ds, tag, change)
    return action


def _sequence(ds: Dataset, tag: int, action: Action | None, scope: Scope, recorder: Recorder | None) -> None:
    if action is Do.EMPTY:
        ds[tag] = DataElement(tag, "SQ", [])
        return
    inner, items = within(tag, action, scope), ds[tag].value
    if action is Do.CONTENT:
        inner = counted(inner, [Plain(item) for item in items])
        for at in reversed(range(len(items))):
            if goes_out(Plain(items[at]), inner):
                _tell_removed(items[at], inner, recorder)
                del items[at]
        if not items and not may_be_empty(tag, scope):
            del ds[tag]
            return
    elif is_dummy(action):
        del items[1:]
    _items(ds, tag, inner, recorder)


def _items(ds: Dataset, tag: int, inner: Scope, recorder: Recorder | None) -> None:
    for item in ds[tag].value:
        check_no_image(tag, Plain(item).tags)
        walk(item, inner, recorder)


def _tell_removed(item: Dataset, scope: Scope, recorder: Recorder | None) -> None:
    """An item that goes out of a sequence that stays: each of its attributes does."""
    if recorder is not None:
        for tag in map(int, item.keys()):
            recorder.did((*scope.path, tag), Done.REMOVED, value_of(element_of(item, tag)), None)


def _write(ds: Dataset, tag: int, change: Change) -> None:
    if change is None:
        return
    if change is REMOVED:
        del ds[tag]
        return
    vr, value = change
    old = element_of(ds, tag)
    implicit = isinstance(old, RawDataElement) and old.is_implicit_VR
    little = not isinstance(old, RawDataElement) or old.is_little_endian
    ds[tag] = RawDataElement(Tag(tag), vr, len(value), value, 0, implicit, little)
