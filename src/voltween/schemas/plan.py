"""The schema of training plans, which are TOML files."""

from typing import Any

from voltween.schemas.dataclass_schema import schema_of
from voltween.training import TrainingPlan

_SHAPE = "shape"  # of the network: that of the preprocessing, and written once


def plan_schema() -> dict[str, Any]:
    """The schema of a plan, as a TOML reader returns it."""
    schema = schema_of(TrainingPlan, may_lack=True)
    del schema["properties"]["cascade"]["properties"][_SHAPE]
    schema["required"].remove("cascade")  # all that it needs is the shape
    return {"title": "Training plan", **schema}
