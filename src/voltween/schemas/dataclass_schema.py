"""The JSON schema of a type: dataclasses, named tuples, unions, literals, numbers."""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from voltween.field_texts import field_texts

_PLAIN: dict[Any, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    Path: "string",
    NoneType: "null",
}


def schema_of(kind: Any, *, may_lack: bool = False) -> dict[str, Any]:
    """The schema of the values of a type, as JSON and TOML hold them.

    Args:
        kind: The type.
        may_lack: Whether fields with a default may be left out, as in plans; what the
            program writes has all of them.

    Raises:
        TypeError: If the type has none.
    """
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if is_dataclass(kind):
        return _schema_of_dataclass(kind, may_lack)
    if hasattr(kind, "_fields"):
        hints = get_type_hints(kind)
        return _schema_of_items([hints[name] for name in kind._fields], may_lack)
    return _schema_of_generic(kind, may_lack)


def _schema_of_generic(kind: Any, may_lack: bool) -> dict[str, Any]:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(part, may_lack=may_lack) for part in inner]}
    if origin is tuple and inner[-1] is Ellipsis:
        return {"type": "array", "items": schema_of(inner[0], may_lack=may_lack)}
    if origin is tuple:
        return _schema_of_items(inner, may_lack)
    if origin is Callable:  # a function of the user, of which records hold the name
        return {"type": "string"}
    if origin in (dict, Mapping):
        value = schema_of(inner[1], may_lack=may_lack)
        return {"type": "object", "additionalProperties": value}
    raise TypeError(f"no schema for {kind}")


def _schema_of_items(kinds: Any, may_lack: bool) -> dict[str, Any]:
    """The schema of a list with a type for every place."""
    return {
        "type": "array",
        "prefixItems": [schema_of(kind, may_lack=may_lack) for kind in kinds],
        "minItems": len(kinds),
        "maxItems": len(kinds),
    }


def _schema_of_dataclass(kind: Any, may_lack: bool) -> dict[str, Any]:
    hints, texts = get_type_hints(kind), field_texts(kind)
    properties = {}
    for field in fields(kind):
        schema = schema_of(hints[field.name], may_lack=may_lack)
        text = " ".join(texts.get(field.name, "").split())
        properties[field.name] = {**({"description": text} if text else {}), **schema}
    required = [
        field.name
        for field in fields(kind)
        if not may_lack or field.default is field.default_factory is MISSING
    ]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
