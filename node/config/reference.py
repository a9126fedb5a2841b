"""docs/CONFIGURATION.md, written from the models and the steps themselves: what is documented is what is read.

The meaning of a key is the string literal below its field, in the sections as in the steps.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from node.config.destinations import Destination, Retry
from node.config.identity import Identity
from node.config.options import options_of
from node.config.peers import Completion, Peer, PeerCompletion, Query, Quiet
from node.config.schema import Config, Route, RouteTest
from node.config.section import Section
from node.config.this_node import Commitment, Database, Keep, Limits, Listen, Node, Watch
from node.config.tls import DestinationTls, ListenTls
from node.config.units import format_duration, format_size
from node.config.values import Shown

_SECTIONS: tuple[tuple[str, type[Section]], ...] = (
    ("The file", Config),
    ("node", Node),
    ("node.listen[]", Listen),
    ("node.listen[].tls", ListenTls),
    ("node.database", Database),
    ("node.limits", Limits),
    ("node.keep", Keep),
    ("node.commitment", Commitment),
    ("node.watch[]", Watch),
    ("peers.NAME", Peer),
    ("peers.NAME.identity", Identity),
    ("peers.NAME.complete", PeerCompletion),
    ("peers.NAME.query", Query),
    ("complete", Completion),
    ("destinations.NAME", Destination),
    ("destinations.NAME.retry", Retry),
    ("destinations.NAME.tls", DestinationTls),
    ("destinations.NAME.identity", Identity),
    ("routes[]", Route),
    ("tests[]", RouteTest),
)

_INTRODUCTION = """\
# rules.yaml

Written by `dicom-node` from its own source; do not edit. `dicom-node check` says what is wrong in a file, with line
and column; `dicom-node schema` prints the JSON Schema for your editor.

- Durations: a number and a unit: `250ms`, `60s`, `5m`, `1h30m`, `7d`.
- Sizes: `512MB` (1000s), `5GiB` (1024s), or a number of bytes.
- Relative paths start at the folder of rules.yaml.
- Secrets are never written here: `{env: NAME}` or `{file: path}`.
- Only `true`, `false`, `null` and decimal numbers are typed. `no`, `0010`, `12:30:00` stay text.
"""

_CONDITIONS = """\
## Conditions: `when:`

`always`, `otherwise` (what no other route on the same kind of unit took), or a mapping.

| left side | example |
|---|---|
| keyword | `Modality: CT` |
| tag | `"(0008,0060)": CT` |
| private element, by its creator | `'(0019,"SIEMENS MR HEADER",0c)': {exists: true}` |
| path into sequences, any item | `RequestAttributesSequence.ScheduledProcedureStepID: "A*"` |
| who sent it, and to whom | `calling_ae: CT1`, `called_ae: RESEARCH`, `sender: 10.1.2.0/24` |

| right side | holds when a value |
|---|---|
| `CT` | is the same text without case, the same number, date, time or age |
| `"*chest*"` | fits the pattern: `*` any text, `?` one character |
| `[CT, PT]` | is any of these |
| `{regex: "^CT (chest\\|abdomen)"}` | has it anywhere, without case |
| `{gt: 1, le: 5}` | is within all of `gt`, `ge`, `lt`, `le`: numbers, dates, times, ages (`18Y`) |
| `{exists: true}` | is there and not empty; `false`: in no instance |
| `{not: "*scout*"}` | is this in no instance of the unit |

A UID may be written by its keyword (`SOPClassUID: CTImageStorage`). Of several values of one element, any counts.

Keys beside each other speak of one and the same instance, and any instance of the unit will do. `any: [..]`,
`all: [..]` and `not: {..}` combine conditions, each on the whole unit; `not` holds when no instance satisfies it.
`every: {..}` asks for each instance. So `all: [{Modality: CT}, {Modality: PT}]` is a study with both.

The index keeps values up to 64 bytes. A condition on a longer one cannot be decided; the route is then not taken, and
neither is an `otherwise` that depends on it: the unit is held, with the reason.
"""


def reference(steps: Mapping[str, type[Any]]) -> str:
    """The whole page as Markdown. `steps` is the registry."""
    parts = [_INTRODUCTION]
    for title, section in _SECTIONS:
        heading = title if section is Config else f"`{title}`"
        parts.append(f"## {heading}\n\n{_about(section)}\n\n{_table(section)}")
    parts.append(_CONDITIONS)
    parts.append("## Steps\n\nA step is written `name`, `name: {option: value}`, or `name: value` where it says so.\n")
    parts += [_step(name, step) for name, step in steps.items()]
    return "\n".join(parts).rstrip() + "\n"


def _step(name: str, step: type[Any]) -> str:
    model = options_of(step)
    takes = f"Takes {_kinds(step.accepts)}; gives {_kinds(step.gives) or 'nothing'}."
    short = getattr(step, "short", None)
    form = f" `{name}: value` fills `{short}`." if short else ""
    options = _table(model) if model.model_fields else "No options.\n"
    parts = [f"### `{name}`\n\n{inspect.getdoc(step) or ''}\n\n{takes}{form}\n\n{options}"]
    for option, field in model.model_fields.items():
        inner = field.annotation
        if inspect.isclass(inner) and issubclass(inner, Section):
            parts.append(f"#### `{name}.{option}`\n\n{_about(inner)}\n\n{_table(inner)}")
    return "\n".join(parts)


def _kinds(kinds: Any) -> str:
    return ", ".join(sorted(kind.value for kind in kinds))


def _about(section: type[Section]) -> str:
    return inspect.getdoc(section) or ""


def _table(section: type[Section]) -> str:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in section.model_fields.items():
        cells = (f"`{field.alias or name}`", type_text(field), _default(field), field.description or "")
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def type_text(field: FieldInfo) -> str:
    """The type of a key in the words of the page."""
    shown = [item.text for item in field.metadata if isinstance(item, Shown)]
    return shown[-1] if shown else _hint_text(field.annotation)


def _hint_text(hint: Any) -> str:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        shown = [item.text for item in args[1:] if isinstance(item, Shown)]
        return shown[-1] if shown else _hint_text(args[0])
    if origin is Literal:
        return ", ".join(f"`{arg}`" for arg in args)
    if origin in (Union, types.UnionType):
        return " or ".join(_hint_text(arg) for arg in args if arg is not type(None))
    if origin in (tuple, list, set, frozenset):
        return f"list of {_hint_text(args[0])}"
    if origin in (dict, Mapping):
        return "mapping"
    if inspect.isclass(hint) and issubclass(hint, Enum):
        return ", ".join(f"`{member.value}`" for member in hint)
    if inspect.isclass(hint) and issubclass(hint, Section):
        return "mapping"
    words = {bool: "`true`, `false`", int: "whole number", float: "number", str: "text", Path: "path"}
    return words.get(hint, getattr(hint, "__name__", str(hint)))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or value is None or value == () or value == {}:
        return ""
    if isinstance(value, Quiet):
        return f"`{{quiet: {format_duration(value.quiet)}}}`"
    if isinstance(value, Section):
        return ""  # it has a table of its own
    return f"`{_value_text(value, field)}`"


def _value_text(value: Any, field: FieldInfo) -> str:
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, int) and type_text(field) == "size":
        return format_size(value)
    if isinstance(value, tuple | list | frozenset | set):
        texts = [str(getattr(v, "address", _value_text(v, field))) for v in value]
        return (
            texts[0] if len(texts) == 1 else f"[{', '.join(sorted(texts) if isinstance(value, frozenset) else texts)}]"
        )
    return str(value)
