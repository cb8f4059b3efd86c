"""The schemas hold for real files, and refuse files that are not such ones."""

import json
import tomllib
from copy import deepcopy
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

from support.commands import register, run_here, write_pair
from voltween.networks import CascadeConfig
from voltween.preprocessing import Preprocessing
from voltween.schemas import SCHEMAS, schema_named, schema_of
from voltween.training import TrainConfig, TrainingPlan, write_plan

PLAN = TrainingPlan(
    Path("cases.csv"),
    Preprocessing((32, 48, 16), (2.0, 2.5, 3.0), hounsfield_window=(-10.0, 9.0)),
    CascadeConfig("AD", (32, 48, 16), channels=4, levels=2),
    TrainConfig(steps=7, patience=3),
)
WITHOUT_LABELS = {
    *("features", "cut"),
    *("verdict", "correlation", "folding_percent", "round_trip_error_mm", "warnings"),
    *("model", "model_reason", "model_sha256", "refinement", "inputs", "command"),
    *("date", "outputs", "seconds", "versions"),
}


def validator(name):
    schema = schema_named(name)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.fixture(name="folder", scope="module")
def folder_fixture(tmp_path_factory):
    """Two scans, their labels and a model."""
    return write_pair(tmp_path_factory.mktemp("pair"))


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas_and_say_what_they_are_for(name):
    assert validator(name).schema["title"]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("refine", ["none", "6"])
def test_records_of_registrations_are_valid(folder, refine):
    options = ["--refine", refine, "--outputs", "moved,inverse"]
    labels = {"fixed_labels": "fixed_labels.nii.gz"} if refine == "6" else {}
    if labels:
        labels["moving_labels"] = "moving_labels.nii.gz"
    out = register(folder, *options, out=refine, **labels)
    record = json.loads((out / "registration.json").read_text("utf-8"))
    validator("registration").validate(record)
    properties = set(schema_named("registration")["properties"])
    assert set(record) <= properties, "a key that the schema does not describe"
    assert set(schema_named("registration")["required"]) == WITHOUT_LABELS
    for key in WITHOUT_LABELS:
        other = {name: value for name, value in record.items() if name != key}
        with pytest.raises(ValidationError, match=key):
            validator("registration").validate(other)
    record["verdict"]["grade"] = "fair"
    with pytest.raises(ValidationError, match="fair"):
        validator("registration").validate(record)


def test_plans_that_are_written_are_valid(tmp_path):
    path = write_plan(PLAN, tmp_path / "plan.toml")
    plan = tomllib.loads(path.read_text("utf-8"))
    validator("plan").validate(plan)
    for key, value in (("steps", "many"), ("precision", "fp8"), ("stepps", 3)):
        wrong = deepcopy(plan)
        wrong["training"][key] = value
        with pytest.raises(ValidationError):
            validator("plan").validate(wrong)


def test_a_plan_needs_little():
    grid = {"shape": [32, 48, 16], "spacing_mm": [2, 2.5, 3]}
    validator("plan").validate({"manifest": "cases.csv", "preprocessing": grid})
    with pytest.raises(ValidationError, match="manifest"):
        validator("plan").validate({"preprocessing": grid})


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_records_of_a_cohort_are_valid(folder, tmp_path):
    pairs = f"fixed,moving\n{folder / 'fixed.nii.gz'},{folder / 'moving.nrrd'}\n"
    (tmp_path / "pairs.csv").write_text(pairs, "utf-8")
    model = ["--model", folder / "tiny.safetensors", "--refine", "none"]
    out = tmp_path / "out"
    words = ["cohort", tmp_path / "pairs.csv", "--out", out, "--outputs", "moved"]
    assert run_here(*words, *model) == 0
    (path,) = (out / "records").glob("*.json")
    record = json.loads(path.read_text("utf-8"))
    validator("record").validate(record)
    del next(iter(record["content"].values()))["sha256"]
    with pytest.raises(ValidationError, match="sha256"):
        validator("record").validate(record)


def test_types_without_a_schema_are_refused():
    with pytest.raises(TypeError, match="bytes"):
        schema_of(bytes)


def test_the_command_writes_what_the_package_has(tmp_path, capsys):
    assert run_here("schema", "record") == 0
    assert json.loads(capsys.readouterr().out) == schema_named("record")
    path = tmp_path / "plan.json"
    assert run_here("schema", "plan", "--out", path) == 0
    assert json.loads(path.read_text("utf-8")) == schema_named("plan")
