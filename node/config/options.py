"""Steps as they stand in rules.yaml -> the steps themselves; and back, as the frozen plan of a job.

A step class is a frozen dataclass: its fields are its options, the string literal below a field says what the option
means (read from the source by `ast`), and `short` may name the one field that `name: value` fills. Its method
`problems`, where it has one, says what is wrong with the options together. This module knows no step: it is given
the registry.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import types
import warnings
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import Field, ValidationError, create_model

from node.config.section import ON_KEY, Fault, Section, Surroundings, suggestion, wrong
from node.config.values import Duration, FilePath
from node.errors import CannotSucceed
from node.model import Placed, Plan, Step


def field_docs(step: type[Any]) -> Mapping[str, str]:
    """The string literal below each field of a class, on one line. Empty where the source is not at hand."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(step)))
    except (OSError, TypeError, SyntaxError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found: dict[str, str] = {}
    for statement, after in pairwise(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            match after:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    found[statement.target.id] = " ".join(text.split())
    return found


def options_of(step: type[Any]) -> type[Section]:
    """The options of a step as a section of rules.yaml: its fields, types, defaults and meanings."""
    return _options_of(step)  # type: ignore[arg-type]  # mypy takes a class for unhashable


@cache
def _options_of(step: type[Any]) -> type[Section]:
    hints = get_type_hints(step, include_extras=True)
    docs = {name: text for kind in reversed(step.__mro__) for name, text in field_docs(kind).items()}
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(step):
        about: dict[str, Any] = {"description": docs.get(field.name)}
        if field.default is not dataclasses.MISSING:
            about["default"] = _section(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            about["default_factory"] = field.default_factory
        fields[field.name] = (_as_written(hints[field.name]), Field(**about))
    with warnings.catch_warnings():
        # An option may be called `copy`, as pydantic's own method is; nothing here calls that method.
        warnings.filterwarnings("ignore", message="Field name .* shadows an attribute")
        made = create_model(step.__name__, __base__=Section, __module__=step.__module__, **fields)
    made.__doc__ = inspect.getdoc(step)
    return made


def _as_written(hint: Any) -> Any:
    """A step writes `timedelta` and `Path`; in rules.yaml these are `5m` and a path beside the file."""
    if hint is timedelta:
        return Duration
    if hint is Path:
        return FilePath
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return Union[tuple(_as_written(a) for a in args)]  # noqa: UP007  built at run time
    if origin in (tuple, list, frozenset, set):
        return origin[tuple(a if a is Ellipsis else _as_written(a) for a in args)]
    if origin is Annotated:
        return Annotated[(_as_written(args[0]), *args[1:])]
    if dataclasses.is_dataclass(hint):
        return options_of(hint)  # type: ignore[arg-type]  # a class, as a hint is
    return hint


def _section(value: Any) -> Any:
    """An option that is a dataclass, as the section that rules.yaml has for it; anything else as it is."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    own = {field.name: _section(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return options_of(type(value)).model_construct(**own)


def _valued(kind: type[Any], section: Section) -> Any:
    """The dataclass, or the step, that a section stands for. Raises ValueError, from its own __post_init__."""
    hints = get_type_hints(kind)
    values = {name: getattr(section, name) for name in type(section).model_fields}
    return kind(**{
        name: _valued(hints[name], value) if isinstance(value, Section) else value for name, value in values.items()
    })  # fmt: skip


def build_step(written: Any, around: Surroundings) -> Step:
    """`name`, `{name: {options}}` or `{name: value}` -> a step. Raises ValidationError; places count from the entry."""
    given: Any
    if isinstance(written, str):
        name, given, plain = written, {}, True
    elif isinstance(written, dict) and len(written) == 1:
        (name, given), plain = next(iter(written.items())), False
    else:
        raise ValueError("a step is a name, or one name with its options, such as {anonymize: {profile: basic}}")
    kind = around.steps.get(name)
    if kind is None:
        hint = suggestion(name, around.steps) or f" There are: {', '.join(sorted(around.steps))}."
        raise wrong([Fault((), f'unknown step "{name}".{hint}')])
    if not plain and not isinstance(given, dict):
        short = getattr(kind, "short", None)
        if given is None:
            given = {}
        elif short is None:
            raise wrong([Fault((name,), f'the options of "{name}" must be a mapping (option: value)')])
        else:
            given = {short: given}
    # The place of `{name: ...}` says the name already.
    here, before = ((), f"{name}: ") if plain else ((name,), "")
    try:
        step = _made(kind, given, around)
    except ValidationError as error:
        raise wrong(
            Fault(
                (*(() if plain else (name,)), *e["loc"]), (f"{name}: " if plain else "") + e["msg"], e["type"] == ON_KEY
            )
            for e in error.errors()
        ) from None
    own = getattr(step, "problems", None)
    if own is not None and (said := list(own())):
        raise wrong(Fault((*here, *(text.loc if isinstance(text, Placed) else ())), before + text) for text in said)
    return step


def _made(kind: type[Any], given: Mapping[str, Any], around: Surroundings | None) -> Step:
    model = options_of(kind).model_validate(dict(given), context=around)
    try:
        made: Step = _valued(kind, model)
    except ValueError as error:  # the step's own __post_init__
        raise wrong([Fault((), str(error))]) from None
    return made


def freeze_step(step: Step) -> tuple[str, Mapping[str, Any]]:
    """Name and options as plain JSON values, defaults written out: a later default does not change an old job."""
    kind = type(step)
    values = {field.name: _section(getattr(step, field.name)) for field in dataclasses.fields(step)}  # type: ignore[arg-type]  # every Step is a dataclass; a Protocol cannot say so
    dumped = options_of(kind).model_construct(**values).model_dump(mode="json")
    return step.name, {key: _steady(values[key], dumped[key]) for key in dumped}


def _steady(value: Any, dumped: Any) -> Any:
    # A set has no order of its own, and equal plans must be equal text.
    return sorted(dumped) if isinstance(value, set | frozenset) else dumped


def thaw(plan: Plan, steps: Mapping[str, type[Any]]) -> tuple[Step, ...]:
    """The steps of a plan again. Raises CannotSucceed when this version has no such step or option."""
    thawed: list[Step] = []
    for name, options in plan.steps:
        kind = steps.get(name)
        if kind is None:
            raise CannotSucceed(f'this version has no step "{name}", which the job was made with')
        try:
            thawed.append(_made(kind, options, None))
        except ValidationError as error:
            said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise CannotSucceed(f'this version does not take the options of step "{name}": {said}') from None
    return tuple(thawed)
