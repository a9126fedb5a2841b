"""Site rules of rules.yaml, laid over profile and recipe: compiled when it is loaded, or said what to change.

    rules:
      - keep: [StudyDescription, (0019,"SIEMENS MR HEADER",0C)]
      - replace: InstitutionName
        with: Trial 7
      - shift: vr:DA
      - hash: RequestAttributesSequence.RequestedProcedureID

A rule holds at every depth, and one with a path in that place only, whatever the others say. Of several rules for one
attribute the last counts. A private creator (creator:NAME) stands for those of its attributes that are published.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from node.dicom.attributes import VR_BY_TAG, PrivateTag, describe
from node.model import Placed
from node.steps.anonymize.actions import Action, Do
from node.steps.anonymize.fields import PROTECTED, FieldError
from node.steps.anonymize.permitted import check_kept, check_literal, check_representation, is_safe, weakens
from node.steps.anonymize.plan import NO_RULES, Rules
from node.steps.anonymize.profile import in_items
from node.steps.anonymize.selectors import Selected, parse_selector

Written = Mapping[str, str | Sequence[str]]

_ACTIONS: Mapping[str, Do | None] = {
    "keep": Do.KEEP,
    "remove": Do.REMOVE,
    "blank": Do.EMPTY,
    "replace": None,  # by the literal in `with`
    "shift": Do.SHIFT,
    "clean": Do.CLEAN,
    "hash": Do.HASH,
}


@dataclass(slots=True)
class _Laid:
    """What the rules read so far come to."""

    actions: dict[int, Action] = field(default_factory=dict)
    paths: dict[tuple[int, ...], Action] = field(default_factory=dict)
    private: dict[PrivateTag, Action] = field(default_factory=dict)
    weakens: bool = False
    places: dict[tuple[int, ...], tuple[str | int, ...]] = field(default_factory=dict)
    said: dict[int | tuple[int, ...] | PrivateTag, str] = field(default_factory=dict)
    """Which rule decides, for who asks."""


def compile_rules(
    written: Sequence[Written], options: frozenset[str], below: Rules = NO_RULES
) -> tuple[Rules, tuple[Placed, ...]]:
    """The rules as one action per attribute, and what is wrong with them, each with its place below the step.

    `below` is the recipe. The rules are of use only when nothing is wrong.
    """
    if not written:
        return NO_RULES, ()
    laid, problems = _Laid(), list[Placed]()
    for number, rule in enumerate(written):
        try:
            word, action = _action(rule)
        except FieldError as problem:
            problems.append(Placed(str(problem), ("rules", number)))
            continue
        for selector, place in _selectors(rule[word], ("rules", number, word)):
            try:
                _lay(laid, parse_selector(selector), action, options, place, f"rules[{number}]: {word} {selector}")
            except FieldError as problem:
                problems.append(Placed(str(problem), place))
    problems += _unreachable(laid, options, below)
    digest = hashlib.sha256(json.dumps(written, sort_keys=True, default=list).encode()).hexdigest()[:12]
    rules = Rules(
        actions=laid.actions, paths=laid.paths, private=laid.private, rules_digest=digest, weakens=laid.weakens,
        said=laid.said,
    )  # fmt: skip
    return rules, tuple(problems)


def _action(rule: Written) -> tuple[str, Action]:
    words = [word for word in rule if word in _ACTIONS]
    others = [word for word in rule if word not in _ACTIONS and word != "with"]
    if others:
        raise FieldError(f'unknown word "{others[0]}"; a rule has one of {", ".join(_ACTIONS)}')
    if len(words) != 1:
        raise FieldError(f"a rule has one of {', '.join(_ACTIONS)}" + (f", not {len(words)}" if words else ""))
    literal, do = rule.get("with"), _ACTIONS[words[0]]
    if do is not None and literal is not None:
        raise FieldError(f'"with" belongs to replace, not to {words[0]}')
    if do is None and not isinstance(literal, str):
        raise FieldError('replace needs "with": the text to write')
    return words[0], do if do is not None else str(literal)


def _selectors(value: str | Sequence[str], place: tuple[str | int, ...]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    if isinstance(value, str):
        yield value, place
    else:
        yield from ((one, (*place, number)) for number, one in enumerate(value))


def _lay(
    laid: _Laid, selected: Selected, action: Action, options: frozenset[str], place: tuple[str | int, ...], said: str
) -> None:
    """One selector of a rule. Raises FieldError where the action is not for that attribute, and then lays nothing."""
    for private in selected.private:
        _check_private(private, action)
    found = [(tag, _allowed(tag, action, options)) for tag in _changeable(selected)]
    for private in selected.private:
        laid.private[private], laid.said[private] = action, said
        laid.weakens |= action in (Do.KEEP, Do.CLEAN, Do.SHIFT) and not is_safe(private, options)
    for tag, allowed in found:
        laid.weakens |= weakens(tag, allowed, options)
        if selected.path:
            laid.paths[*selected.path, tag], laid.said[*selected.path, tag] = allowed, said
            laid.places[*selected.path, tag] = place
        else:
            laid.actions[tag], laid.said[tag] = allowed, said


def _changeable(selected: Selected) -> Iterator[int]:
    """What a selector by VR finds without what no rule may touch; a name of that is a mistake."""
    for tag in sorted(selected.tags):
        if tag not in PROTECTED:
            yield tag
        elif selected.exact:
            raise FieldError(f"{describe(tag)} is not for a rule to change: {PROTECTED[tag]}")


def _allowed(tag: int, action: Action, options: frozenset[str]) -> Action:
    if isinstance(action, str):
        check_literal(tag, action, instead_of_uid="hash")
        return action
    if action in (Do.SHIFT, Do.CLEAN, Do.HASH):
        check_representation(tag, action, options)
    if action in (Do.KEEP, Do.CLEAN):
        check_kept(tag, options)
    return Do.UID if action is Do.HASH and VR_BY_TAG[tag] == "UI" else action


def _check_private(tag: PrivateTag, action: Action) -> None:
    if isinstance(action, str) and not action.isascii():
        raise FieldError(f"{tag}: a literal must be ASCII, because data sets differ in their character set")


def _unreachable(laid: _Laid, options: frozenset[str], below: Rules) -> Iterator[Placed]:
    """Rules for a place within a sequence that is not there any more when they would be asked."""
    for path in laid.paths:
        for depth in range(1, len(path)):
            sequence = path[depth - 1]
            action = laid.paths.get(path[:depth]) or {**in_items(options), **below.actions, **laid.actions}.get(
                sequence
            )
            if action in (Do.REMOVE, Do.EMPTY):
                yield Placed(
                    f"{describe(sequence)} is removed, so nothing in it is left: keep or clean it by a rule before",
                    laid.places[path],
                )
                break
