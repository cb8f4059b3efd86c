"""The schema of registration.json, the record of a registration."""

from typing import Any

from voltween.refinement import Refinement
from voltween.registration import Verdict
from voltween.schemas.dataclass_schema import schema_of
from voltween.schemas.record import SHA256

_NUMBER, _TEXT = {"type": "number"}, {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_TEXTS = {"type": "array", "items": _TEXT}
_NUMBERS = {"type": "object", "additionalProperties": _NUMBER}
_OPTIONAL = {"mean_dice", "landmark_error_mm", "dice"}


def registration_schema() -> dict[str, Any]:
    """The schema of registration.json; further keys may come with later versions."""
    properties = _properties()
    return {
        "title": "Registration",
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in _OPTIONAL],
    }


def _properties() -> dict[str, Any]:
    return {
        "verdict": schema_of(Verdict),
        "correlation": _described(
            "Correlation of the images before, with aligned centers, and after.",
            _object({"before": _NUMBER, "after": _NUMBER}),
        ),
        "mean_dice": _described("Mean Dice over structures by stage.", _NUMBERS),
        "landmark_error_mm": _described(
            "Mean distance of landmarks in the moving scan by stage, mm.", _NUMBERS
        ),
        "folding_percent": _described(
            "Percentage of the fixed scan's voxels that fold.", _NUMBER
        ),
        "round_trip_error_mm": _described(
            "Error of the inverse over the fixed scan's foreground, mm; null if there "
            "is no inverse.",
            {
                "anyOf": [
                    _object(
                        dict.fromkeys(("median", "percentile_95", "largest"), _NUMBER)
                    ),
                    {"type": "null"},
                ]
            },
        ),
        "warnings": _TEXTS,
        "model": _described("Name of the model, or none.", _TEXT),
        "model_reason": _described("The reason for the model.", _TEXT_OR_NULL),
        "model_sha256": {"anyOf": [SHA256, {"type": "null"}]},
        "refinement": {"anyOf": [schema_of(Refinement), {"type": "null"}]},
        "features": _described(
            "The learned features that were compared; null if none were.",
            {"anyOf": [_object({"name": _TEXT, "sha256": SHA256}), {"type": "null"}]},
        ),
        "cut": _described(
            "The scan that was cut like the other one; null if neither was.",
            {"enum": ["fixed", "moving", None]},
        ),
        "inputs": _described("The files that were read, by their roles.", _inputs()),
        "command": _described("The command; null for a call in Python.", _TEXT_OR_NULL),
        "date": _described("End of the registration, in UTC.", _TEXT),
        "outputs": _described("The files beside registration.json.", _TEXTS),
        "seconds": _described(
            "Seconds of every part by two clocks.",
            _object({"wall": _NUMBERS, "processor": _NUMBERS}),
        ),
        "versions": {"type": "object", "additionalProperties": _TEXT},
        "dice": _described(
            "Dice of every structure by stage.",
            {"type": "object", "additionalProperties": _NUMBERS},
        ),
    }


def _inputs() -> dict[str, Any]:
    file = _object({"path": _TEXT, "sha256": SHA256})
    files = {"type": "array", "items": file}
    return {"type": "object", "additionalProperties": files}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object with exactly these keys."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _described(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, **schema}
