"""What every part of rules.yaml has in common: frozen, no unknown key, every mistake said at its place.

pydantic collects the mistakes and their places; `wrong` is how our own checks add to them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

Loc = tuple[str | int, ...]
"""Where something stands in the document: keys and list positions from the root."""

ON_KEY = "wrong_key"
"""Error type of a mistake in a key; every other mistake is in a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the parts of the file are read against; pydantic hands it to every validator."""

    folder: Path
    """Folder of rules.yaml: relative paths start here."""
    steps: Mapping[str, type[Any]]
    """The steps there are, by their name in rules.yaml."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """` Did you mean "anonymize"?`, or nothing when no known word is near."""
    words = {w.casefold(): w for w in known}
    near = difflib.get_close_matches(word.casefold(), words, n=1, cutoff=0.7)
    return f' Did you mean "{words[near[0]]}"?' if near else ""


class Fault(NamedTuple):
    """One mistake; the place counts from the value that is being validated."""

    loc: Loc
    text: str
    on_key: bool = False


def wrong(faults: Iterable[Fault]) -> ValidationError:
    """Several mistakes as one error, for a validator to raise."""
    return ValidationError.from_exception_data("rules", [_detail(fault) for fault in faults])


def _detail(fault: Fault) -> InitErrorDetails:
    kind = ON_KEY if fault.on_key else "wrong"
    return InitErrorDetails(type=PydanticCustomError(kind, _literal(fault.text)), loc=fault.loc, input=None)


def _literal(text: str) -> Any:
    # pydantic_core asks for a literal string type; a message that names what the operator wrote cannot be one.
    return text


class Section(BaseModel):
    """Base of every mapping in rules.yaml."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )

    @model_validator(mode="wrap")
    @classmethod
    def _say_what_was_expected(cls, data: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        """Name the nearest key for an unknown one, which pydantic does not do."""
        if data is None:
            raise ValueError("is empty: remove it or fill it in")
        try:
            return handler(data)
        except ValidationError as error:
            known = {field.alias or name for name, field in cls.model_fields.items()}
            raise ValidationError.from_exception_data("rules", [_reworded(e, known) for e in error.errors()]) from None


def _reworded(error: Any, known: set[str]) -> InitErrorDetails:
    loc: Loc = error["loc"]
    if error["type"] == "extra_forbidden" and len(loc) == 1:
        key = str(loc[0])
        hint = suggestion(key, known) or f" Known here: {', '.join(sorted(known))}."
        text = f'unknown key "{key}".{hint}'
        return _detail(Fault(loc, text, on_key=True))
    return _detail(Fault(loc, sentence(error), on_key=error["type"] == ON_KEY))


def sentence(error: Any) -> str:
    """pydantic's message in the words of rules.yaml."""
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return f'"{error["loc"][-1]}" is missing'
        case "value_error":
            return str(context.get("error", error["msg"]))
        case "literal_error" | "enum":
            words = [w.strip("'") for w in str(context["expected"]).replace(" or ", ", ").split(", ")]
            hint = suggestion(str(error["input"]), words)
            return f"must be {' or '.join(words)}" + (f".{hint}" if hint else "")
        case "model_type" | "model_attributes_type" | "dict_type" | "mapping_type" | "dataclass_type":
            return "must be a mapping (key: value)"
        case "tuple_type" | "list_type":
            return "must be a list"
        case "too_short":
            return "must not be empty"
        case "string_type":
            return "must be text: write it in quotes"
        case "bool_parsing" | "bool_type":
            return "must be true or false"
        case "int_parsing" | "int_type" | "int_from_float":
            return "must be a whole number"
        case "float_parsing" | "float_type":
            return "must be a number"
    message = str(error["msg"])
    return message if error["type"] in ("wrong", ON_KEY) else message[:1].lower() + message[1:]
