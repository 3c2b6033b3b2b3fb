"""JSON Schemas: of the config with every spelling it takes, and of every message on the bus."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import inspect

from libs.common.config import names, units
from libs.common.config.schema import Config, Mode
from libs.common.messages import SUBJECT_TYPES

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REF: Final = "#/$defs/{name}"


def config_schema() -> dict[str, Any]:
    """For editors: our names and the blueprint's, with bounds and units; comments are not JSON's business."""
    (top,), definitions = msgspec.json.schema_components([Config], ref_template=_REF)
    mode = definitions["Mode"]
    mode["enum"] = [word for word in mode["enum"] if word != Mode.DEMO]
    for pattern, shape in _sections(names.root(), ()):
        properties = definitions[shape.cls.__name__]["properties"]
        for field in shape.fields:
            _describe(*_inmost(properties[field.name], field.type, ".".join((*pattern, field.name))))
        for written, meaning in names.spellings(pattern, shape).items():
            if written != meaning.field:
                properties[written] = _alias(properties[meaning.field], meaning)
    return {"$schema": DIALECT, "title": "fundarb config", **top, "$defs": definitions}


def message_schema() -> dict[str, Any]:
    """`subjects`: pattern -> reference to the schema of what it carries; `$defs`: the schemas."""
    kinds = list(dict.fromkeys(SUBJECT_TYPES.values()))
    tops, definitions = msgspec.json.schema_components(kinds, ref_template=_REF)
    refs = dict(zip(kinds, tops, strict=True))
    subjects = {pattern: refs[kind] for pattern, kind in SUBJECT_TYPES.items()}
    return {"$schema": DIALECT, "title": "fundarb messages", "subjects": subjects, "$defs": definitions}


def _sections(
    shape: inspect.Type, pattern: tuple[str, ...]
) -> list[tuple[tuple[str, ...], inspect.StructType]]:
    """Every section of the schema with its path, chosen names as `*`."""
    match shape:
        case inspect.StructType():
            inner = [
                found for field in shape.fields for found in _sections(field.type, (*pattern, field.name))
            ]
            return [(pattern, shape), *inner]
        case inspect.DictType():
            return _sections(shape.value_type, (*pattern, names.ANY))
        case inspect.VarTupleType():
            return _sections(shape.item_type, pattern)
    return []


def _inmost(schema: dict[str, Any], shape: inspect.Type, key: str) -> tuple[dict[str, Any], str]:
    """Below maps of chosen names: where the number stands, and its path with `*` for the names."""
    while isinstance(shape, inspect.DictType):
        schema, shape, key = schema["additionalProperties"], shape.value_type, f"{key}.{names.ANY}"
    return schema, key


def _describe(schema: dict[str, Any], key: str) -> None:
    bound = units.BOUNDS.get(key)
    if bound is None:
        return
    schema["description"] = (
        f"in {bound.unit.value}" if bound.unit is not units.Unit.COUNT else bound.unit.value
    )
    target = schema["anyOf"][0] if "anyOf" in schema else schema
    target["exclusiveMinimum" if bound.above else "minimum"] = bound.low
    target["maximum"] = bound.high


def _alias(schema: dict[str, Any], meaning: names.Spelling) -> dict[str, Any]:
    if meaning.file:
        return {"type": "string", "description": f"path of a file that holds {meaning.field}"}
    if meaning.bps:
        return {"type": "number", "description": f"{meaning.field} in basis points (1/10,000)"}
    return {**schema, "description": f"the same as {meaning.field}"}
