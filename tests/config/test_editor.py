from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from node.config.editor import COMPLETED, json_schema
from node.config.elements import parse_element
from node.config.reader import read
from node.config.schema import Config
from node.config.section import Section
from tests.config.steps import STEPS

SCHEMA = json_schema(STEPS)


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """As much of JSON Schema as `json_schema` uses."""
    if "$ref" in schema:
        return fits(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    for word in ("anyOf", "oneOf"):
        if word in schema and not any(fits(value, one) for one in schema[word]):
            return False
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        return False
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "null": type(None),
    }
    wanted = schema.get("type", [])
    if wanted and not any(isinstance(value, kinds[k]) for k in ([wanted] if isinstance(wanted, str) else wanted)):
        return False
    if isinstance(value, list):
        return all(fits(item, schema.get("items", {})) for item in value)
    return not isinstance(value, dict) or (
        all(_key_fits(k, v, schema) for k, v in value.items()) and set(schema.get("required", ())) <= set(value)
    )


def _key_fits(key: str, value: Any, schema: dict[str, Any]) -> bool:
    shapes = [schema["properties"][key]] if key in schema.get("properties", {}) else []
    shapes += [s for pattern, s in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
    extra = schema.get("additionalProperties", True)
    shapes += [extra] if not shapes and isinstance(extra, dict) else []
    return all(fits(value, shape) for shape in shapes) and (bool(shapes) or extra is not False)


def refs(schema: Any) -> Iterator[str]:
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from refs(inner)
    if isinstance(schema, dict) and "$ref" in schema:
        yield schema["$ref"]


def test_the_shipped_example_and_the_design_fit_the_schema() -> None:
    from tests.config.test_load import DESIGN

    assert fits(read(DESIGN).data, SCHEMA)
    assert fits(read((Path(__file__).parents[2] / "rules.yaml").read_text()).data, SCHEMA)


def test_mistakes_that_an_editor_can_see_do_not_fit() -> None:
    for text in (
        "node: {ae_title: A, lissten: x}",
        "node: {ae_title: A}\nroutes: [{name: r, when: always, steps: [anonymise]}]",
        "node: {ae_title: A}\nroutes: [{name: r, when: always, steps: [{anonymize: {profil: basic}}]}]",
        "node: {ae_title: A}\nroutes: [{name: r, when: {Modality: {regx: a}}, steps: [drop]}]",
        "node: {ae_title: A}\nroutes: [{name: r, when: {any: CT}, steps: [drop]}]",
        "node: {ae_title: A}\nroutes: [{name: r, when: always, steps: [forward]}]",
        "routes: []",
    ):
        assert not fits(read(text).data, SCHEMA), text


def test_every_reference_leads_somewhere_and_the_whole_is_json() -> None:
    assert {ref.rpartition("/")[2] for ref in refs(SCHEMA)} <= set(SCHEMA["$defs"])
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_every_left_side_that_is_offered_is_an_element() -> None:
    for written in COMPLETED:
        assert parse_element(written).last


def test_step_options_carry_their_meaning() -> None:
    assert SCHEMA["$defs"]["step_anonymize"]["properties"]["profile"]["description"] == "The profile of PS3.15."


def test_every_key_of_every_section_has_a_meaning() -> None:
    def sections(cls: type[Section]) -> Iterator[type[Section]]:
        for sub in cls.__subclasses__():
            yield sub
            yield from sections(sub)

    assert Config in list(sections(Section))
    for section in sections(Section):
        if section.__module__.startswith("node."):
            assert [name for name, f in section.model_fields.items() if not f.description] == [], section
