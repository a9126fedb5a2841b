"""The JSON Schema of rules.yaml, so that editors complete and mark it (`dicom-node schema`).

Wider than `load` where JSON Schema cannot follow: keywords are checked against the dictionary only at load, and
what must fit together is `node.config.checks`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from node.config.options import options_of
from node.config.schema import Config
from node.config.when import COMBINE, OPERATORS, ORIGIN

COMPLETED = (
    "Modality", "SOPClassUID", "StudyDescription", "SeriesDescription", "SeriesNumber", "ImageType", "BodyPartExamined",
    "ProtocolName", "Manufacturer", "ManufacturerModelName", "StationName", "InstitutionName", "PatientID",
    "PatientAge", "PatientSex", "StudyDate", "SeriesDate", "AcquisitionDate", "AccessionNumber", "StudyInstanceUID",
    "SeriesInstanceUID", "SliceThickness", "PixelSpacing", "ConvolutionKernel", "ContrastBolusAgent", "SequenceName",
    "MagneticFieldStrength", "EchoTime", "RepetitionTime", "NumberOfFrames", "Rows", "Columns", "BitsAllocated",
    "PhotometricInterpretation", "PresentationIntentType", "BurnedInAnnotation", "PatientIdentityRemoved",
    "PerformedProcedureStepDescription", "RequestAttributesSequence.ScheduledProcedureStepID", "FrameOfReferenceUID",
)  # fmt: skip
"""Left sides that an editor offers; any other keyword is taken too."""

_VALUE: dict[str, Any] = {"type": ["string", "number"]}
_LEFT = r"^(?:[A-Za-z0-9]+|\([0-9A-Fa-f]{4},.*\))(?:\..+)?$"


class _Generate(GenerateJsonSchema):
    """Models show the names that rules.yaml has; what only our own code reads gets an open schema."""

    def encode_default(self, dft: Any) -> Any:
        # A default that is a section or an address of ours is said by its text in the reference, not here.
        return (
            None if not isinstance(dft, str | int | float | bool | list | type(None)) else super().encode_default(dft)
        )


def json_schema(steps: Mapping[str, type[Any]]) -> dict[str, Any]:
    """The schema (2020-12) with the options of every step in `steps`."""
    schema = Config.model_json_schema(by_alias=True, schema_generator=_Generate, mode="validation")
    defs: dict[str, Any] = schema["$defs"]
    route = defs["Route"]["properties"]
    route["when"] = {"description": route["when"].get("description"), "$ref": "#/$defs/When"}
    route["steps"] |= {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Step"}}
    defs |= _conditions()
    defs["Step"] = _steps(steps, defs)
    _shorter_forms(defs)
    _without_empty_defaults(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "dicom-node rules.yaml"}


def _conditions() -> dict[str, Any]:
    several = {"oneOf": [{"type": "array", "items": {"$ref": "#/$defs/Condition"}}, {"$ref": "#/$defs/Condition"}]}
    inner = {"$ref": "#/$defs/Condition"}
    right = {"$ref": "#/$defs/RightSide"}
    operators: dict[str, Any] = dict.fromkeys(OPERATORS, _VALUE)
    operators |= {"not": right, "exists": {"type": "boolean"}, "regex": {"type": "string", "format": "regex"}}
    combine = {name: several if name in ("any", "all") else inner for name in COMBINE}
    return {
        "When": {"anyOf": [{"enum": ["always", "otherwise"]}, inner]},
        "Condition": {
            "type": "object",
            "minProperties": 1,
            "properties": {**combine, **dict.fromkeys((*ORIGIN, *COMPLETED), right)},
            "patternProperties": {_LEFT.replace("^", "^(?!(?:" + "|".join(COMBINE) + ")$)", 1): right},
            "additionalProperties": False,
        },
        "RightSide": {
            "anyOf": [
                _VALUE,
                {"type": "array", "items": _VALUE, "minItems": 1},
                {"type": "object", "properties": operators, "additionalProperties": False, "minProperties": 1},
            ]
        },
    }


def _steps(steps: Mapping[str, type[Any]], defs: dict[str, Any]) -> dict[str, Any]:
    """Each step by its name, and by its options; `short` adds the form `name: value`."""
    plain: list[str] = []
    forms: list[dict[str, Any]] = []
    for name, step in steps.items():
        model = options_of(step)
        options = model.model_json_schema(
            by_alias=True, schema_generator=_Generate, ref_template=f"#/$defs/step_{name}_{{model}}"
        )
        for inner, shape in options.pop("$defs", {}).items():
            defs[f"step_{name}_{inner}"] = shape
        defs[f"step_{name}"] = options
        shapes: list[dict[str, Any]] = [{"$ref": f"#/$defs/step_{name}"}]
        short = getattr(step, "short", None)
        if short is not None:
            shapes.append({key: v for key, v in options["properties"][short].items() if key != "title"})
        about = (inspect.getdoc(step) or "").partition("\n")[0]
        forms.append({
            "type": "object", "properties": {name: {"description": about, "anyOf": shapes}},
            "required": [name], "additionalProperties": False,
        })  # fmt: skip
        if not options.get("required"):
            plain.append(name)
    return {"anyOf": [{"enum": plain}, *forms]}


def _shorter_forms(defs: dict[str, Any]) -> None:
    """Where rules.yaml takes a single value for a list, or a text for a mapping."""
    node, peer, test = defs["Node"]["properties"], defs["Peer"]["properties"], defs["RouteTest"]["properties"]
    for properties, names in ((node, ("ae_title", "listen")), (peer, ("host",)), (test, ("given", "expect"))):
        for name in names:
            whole = properties[name]
            items = whole.get("items", {})
            if name == "host":
                items = {"type": "string"}
                whole["items"] = items
            if name == "listen":
                items = {"anyOf": [{"type": "string"}, items]}
                whole["items"] = items
            about = whole.pop("description", "")
            whole.pop("title", None)
            properties[name] = {"description": about, "anyOf": [items, whole]}
    node["database"] = {"description": node["database"].get("description", ""),
                        "anyOf": [{"type": "string"}, {"$ref": "#/$defs/Database"}]}  # fmt: skip
    node["status"] = {"description": node["status"].get("description", ""), "type": ["string", "boolean"]}


def _without_empty_defaults(schema: Any) -> None:
    """`default: null` would tell an editor that null may be written, which load refuses."""
    if isinstance(schema, dict):
        if "default" in schema and schema["default"] is None:
            del schema["default"]
        for inner in schema.values():
            _without_empty_defaults(inner)
    elif isinstance(schema, list):
        for inner in schema:
            _without_empty_defaults(inner)
