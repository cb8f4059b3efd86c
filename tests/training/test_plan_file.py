"""Plans: what is written is read, and faults are named with file and key."""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest

from voltween.errors import InputError
from voltween.networks import CascadeConfig
from voltween.preprocessing import Preprocessing
from voltween.training import (
    Augmentation,
    Objective,
    TrainConfig,
    read_plan,
    write_plan,
)
from voltween.training.plan_file import TrainingPlan

SHAPE = (32, 48, 16)
MINIMAL = """
manifest = "cases.csv"
[preprocessing]
shape = [32, 48, 16]
spacing_mm = [2, 2.5, 3]
"""


def some_plan(folder):
    """A plan in which hardly anything has its default."""
    return TrainingPlan(
        folder / "data" / "cases.csv",
        Preprocessing(
            SHAPE, (2.0, 2.5, 3.125), "foreground", (1.0, 99.0), (-10.0, 9.0)
        ),
        CascadeConfig("AD", SHAPE, channels=4, levels=2, flow_multiplier=0.1),
        TrainConfig(
            steps=7,
            learning_rate=1e-5,
            objective=Objective(
                last_similarity="mutual information", overlap=(2.0, 0.0)
            ),
            augmentation=Augmentation(rotation_degrees=15.0),
            recompute_features=True,
        ),
    )


def read_text(folder, text):
    (folder / "plan.toml").write_text(text)
    return read_plan(folder / "plan.toml")


def test_what_is_written_is_read(tmp_path):
    plan = some_plan(tmp_path)
    assert read_plan(write_plan(plan, tmp_path / "plan.toml")) == plan
    without = replace(
        plan, preprocessing=replace(plan.preprocessing, hounsfield_window=None)
    )
    path = write_plan(without, tmp_path / "plan.toml", heading=["Any", "", "thing"])
    assert read_plan(path) == without
    assert "\n# preprocessing.hounsfield_window =" in path.read_text("utf-8")


def test_every_setting_is_written_under_its_text_and_reason(tmp_path):
    notes = {
        "preprocessing.shape": "covers everything",
        "training.augmentation": "of MR",
    }
    path = write_plan(some_plan(tmp_path), tmp_path / "plan.toml", notes=notes)
    lines = path.read_text("utf-8").splitlines()
    row = lines.index("training.steps = 7")
    assert lines[row - 1] == "# Number of steps."
    row = lines.index("preprocessing.shape = [32, 48, 16]")
    assert lines[row - 2 : row] == [
        "# Voxels of the canonical grid.",
        "# -> covers everything",
    ]
    row = lines.index("# training.augmentation")
    assert "# -> of MR" in lines[row : row + 5]
    values = tomllib.loads(path.read_text("utf-8"))
    assert set(values) == {"manifest", "preprocessing", "cascade", "training"}
    assert "shape" not in values["cascade"]


def test_the_five_settings_that_matter_most_come_first(tmp_path):
    path = write_plan(some_plan(tmp_path), tmp_path / "plan.toml")
    rows = path.read_text("utf-8").splitlines()
    keys = [row.split(" = ")[0] for row in rows if row and not row.startswith("#")]
    assert keys[:6] == [
        "manifest",
        "preprocessing.shape",
        "preprocessing.spacing_mm",
        "training.steps",
        "training.learning_rate",
        "training.objective.overlap",
    ]
    assert len(keys) == len(set(keys))


def test_the_manifest_moves_with_the_plan(tmp_path):
    (tmp_path / "plans").mkdir()
    path = write_plan(some_plan(tmp_path), tmp_path / "plans" / "plan.toml")
    assert 'manifest = "../data/cases.csv"' in path.read_text("utf-8")
    tmp_path.joinpath("plans").rename(tmp_path / "others")
    moved = read_plan(tmp_path / "others" / "plan.toml")
    assert moved.manifest == (tmp_path / "data" / "cases.csv").resolve()


def test_keys_that_are_missing_have_their_defaults(tmp_path):
    plan = read_text(tmp_path, MINIMAL)
    assert plan == TrainingPlan(
        tmp_path.resolve() / "cases.csv",
        Preprocessing(SHAPE, (2.0, 2.5, 3.0)),
        CascadeConfig(shape=SHAPE),
    )
    assert [type(mm) for mm in plan.preprocessing.spacing_mm] == [float] * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("manifest = ", "expected a plan in TOML, got something else .Invalid"),
        ("manifest = 'a.csv'", "plan.toml: preprocessing: expected a value, as"),
        (
            MINIMAL.replace("manifest", "manifst"),
            "manifst: expected one of the keys manifest, pre",
        ),
        (MINIMAL.replace('"cases.csv"', "3"), "manifest: expected text, got 3"),
        (
            MINIMAL.replace("shape =", "# shape ="),
            "preprocessing.shape: expected a value, as there is",
        ),
        (
            MINIMAL.replace("[32, 48, 16]", "[32, 48]"),
            r"preprocessing.shape: expected a list of 3 \(each a whole number\), got "
            r"\[32, 48\]",
        ),
        (
            MINIMAL.replace("48", "48.5"),
            r"preprocessing.shape\[1\]: expected a whole number, got 48.5",
        ),
        (MINIMAL.replace("48", "30"), r"\[cascade\]: shape: expected"),
        (
            MINIMAL.replace("2.5", "0"),
            r"\[preprocessing\]: spacing_mm: expected positive values",
        ),
        (
            MINIMAL + "placement = 'heart'",
            "preprocessing.placement: expected one of 'grid centre', .*got 'heart'",
        ),
        (
            MINIMAL + "hounsfield_window = false",
            "hounsfield_window: expected a list of 2 .*got False",
        ),
        (MINIMAL + "[cascade]\nshape = [32, 48, 16]", "cascade.shape: .*remove it"),
        (MINIMAL + "[cascade]\nstages = 'DA'", r"\[cascade\]: stages: expected"),
        (MINIMAL + "[cascde]", "cascde: expected one of the keys"),
        ("cascade = 3\n" + MINIMAL, "cascade: expected a section, got 3"),
        (MINIMAL + "[training]\nsteps = true", "steps: expected a whole number, got T"),
        (MINIMAL + "[training]\nsteps = 10.0", "steps: expected a whole number"),
        (
            MINIMAL + "[training]\nsteps = 0",
            r"\[training\]: steps: expected at least 1",
        ),
        (MINIMAL + "[training]\nlearning_rate = '1e-4'", "rate: expected a number"),
        (MINIMAL + "[training]\nlearning_rate = nan", "rate: .* a finite number"),
        (MINIMAL + "[training]\nlearning_rate = 1e400", "rate: .* a finite number"),
        (MINIMAL + "[training]\nlearning_rate = 1e300", "rate: expected at most 1000"),
        (MINIMAL + f"[training]\nsteps = {10**400}", "steps: .* a whole number from"),
        (MINIMAL + f"[training]\nsteps = {2**62}", r"steps: expected at most 1e\+09"),
        (MINIMAL + "[training]\nseed = -1", "seed: expected at least 0"),
        (MINIMAL + f"[training]\nsteps = {5000 * '9'}", "plan in TOML, got something"),
        (MINIMAL + "a = " + 9999 * "[", "plan in TOML, got something"),
        (MINIMAL + "[training.augmentation]\nnoise = -1", "noise: expected at least 0"),
        (
            MINIMAL + "[training.objective]\ndense_similarity = [1e300]",
            "dense_similarity: expected at most",
        ),
        (MINIMAL + "[training]\nrecompute_features = 1", "expected true or false"),
        (
            MINIMAL + "[training.objective]\noverlaps = 1",
            r"training.objective.overlaps: expected one of the keys affine_similarity,",
        ),
        (
            MINIMAL + "[training.objective]\noverlap = [1, 'a']",
            r"training.objective.overlap\[1\]: expected a number, got 'a'",
        ),
    ],
)
def test_faults_are_named_with_file_key_and_expectation(text, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        read_text(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'plan.toml'}: ")
    assert "\n" not in str(caught.value)


def test_missing_and_binary_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected a file, got none of this name"):
        read_plan(tmp_path / "none.toml")
    (tmp_path / "plan.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="expected a plan in TOML"):
        read_plan(tmp_path / "plan.toml")


def test_a_network_on_another_grid_than_the_scans_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected that of the canonical grid"):
        replace(some_plan(tmp_path), cascade=CascadeConfig(shape=(16, 16, 16)))


@dataclass(frozen=True)
class Newer(TrainConfig):
    """Training with fields that TrainConfig does not have."""

    device: Literal["auto", "cpu"] = "auto"
    """Where."""
    cache: Path | None = None
    patience: int | float | None = None


@dataclass(frozen=True)
class NewerPlan(TrainingPlan):
    training: Newer = Newer()


def test_new_fields_need_no_new_code(tmp_path, monkeypatch):
    monkeypatch.setattr("voltween.training.plan_file.TrainingPlan", NewerPlan)
    plan = read_text(tmp_path, MINIMAL)
    training = Newer(device="cpu", cache=Path("there"), patience=2.5)
    newer = NewerPlan(plan.manifest, plan.preprocessing, plan.cascade, training)
    path = write_plan(newer, tmp_path / "plan.toml")
    assert read_plan(path) == newer
    assert '# Where.\ntraining.device = "cpu"' in path.read_text("utf-8")
