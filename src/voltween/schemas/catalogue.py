"""The schemas by the names of what they describe."""

from collections.abc import Callable
from typing import Any

from voltween.schemas.plan import plan_schema
from voltween.schemas.record import record_schema
from voltween.schemas.registration import registration_schema

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "registration": registration_schema,
    "plan": plan_schema,
    "record": record_schema,
}
"""The functions that make the schemas, by name."""


def schema_named(name: str) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of one of `SCHEMAS`."""
    return {"$schema": _DIALECT, **SCHEMAS[name]()}
