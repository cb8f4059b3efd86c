"""The schema of the records of finished work, such as those of a cohort's pairs."""

from typing import Any

SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
"""The schema of a SHA-256."""


def record_schema() -> dict[str, Any]:
    """The schema of a record: facts, files, and what the work adds to them."""
    file = {
        "type": "object",
        "properties": {"bytes": {"type": "integer", "minimum": 0}, "sha256": SHA256},
        "required": ["bytes", "sha256"],
        "additionalProperties": False,
    }
    return {
        "title": "Record of finished work",
        "type": "object",
        "properties": {
            "facts": {
                "description": "Everything that the work depends on: digests of its "
                "inputs, options, versions. It is missing while files are replaced.",
                "type": "object",
            },
            "content": {
                "description": "Size and SHA-256 of every file, by its path.",
                "type": "object",
                "additionalProperties": file,
            },
        },
        "required": ["content"],
    }
