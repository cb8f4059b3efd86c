"""Paths in plans: relative to the plan's folder, wherever a command runs."""

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from support.scans import tiny_model
from support.training import CASCADE, PREPROCESSING
from voltween.errors import InputError
from voltween.models import save_model
from voltween.training import (
    Objective,
    Recipe,
    Synthesis,
    TrainConfig,
    TrainingOptions,
    read_plan,
    read_recipe,
    recipe_facts,
    write_plan,
)
from voltween.training.model_references import reference_of
from voltween.training.plan_file import TrainingPlan

HEAD = """
manifest = "cases.csv"
preprocessing.shape = [16, 16, 16]
preprocessing.spacing_mm = [2, 2, 2]
"""
SYNTHESIZED = """
[training.objective]
affine_similarity = 0
dense_similarity = []
overlap = [1.0]
end_point_error = 1.0
[training.synthesis]
share = 1.0
"""
SETTINGS = {
    "manifest": HEAD.replace("cases.csv", "FILE"),
    "training.start_from": HEAD + 'training.start_from = "FILE"',
    "training.teacher": HEAD
    + 'training.teacher = "FILE+fast"\ntraining.objective.end_point_error = 1.0',
    "training.synthesis.tissues": HEAD
    + f'{SYNTHESIZED}tissues = "FILE"\nteacher = "brain"',
    "training.synthesis.teacher": HEAD + f'{SYNTHESIZED}teacher = "FILE"',
}
"""Plans with a file, by the key that names it."""


@pytest.fixture(name="folder")
def folder_fixture(tmp_path, monkeypatch):
    """The folder of a plan; the working folder is another one beside it."""
    for name in ("plans", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("VOLTWEEN_MODELS", str(tmp_path / "own"))
    return tmp_path / "plans"


def plan_with(folder, key, file):
    (folder / "plan.toml").write_text(SETTINGS[key].replace("FILE", file), "utf-8")
    return read_plan(folder / "plan.toml")


def value_of(plan, key):
    for name in key.split("."):
        plan = getattr(plan, name)
    return str(plan).removesuffix("+fast")


def fields_of_text(kind, key=""):
    """Dotted keys of all settings that are a path or any text."""
    for name, hint in get_type_hints(kind).items():
        if is_dataclass(hint):
            yield from fields_of_text(hint, f"{key}{name}.")
        elif {hint, *get_args(hint)} & {Path, str} and name in names_of(kind):
            yield f"{key}{name}"


def names_of(kind):
    return {item.name for item in fields(kind)}


def test_these_are_all_settings_that_can_name_a_file():
    names = {"cascade.stages", "preprocessing.axes"}  # texts that name no file
    assert set(fields_of_text(TrainingPlan)) - names == SETTINGS.keys()


@pytest.mark.parametrize("key", SETTINGS)
def test_a_relative_path_starts_at_the_folder_of_the_plan(key, folder):
    (folder / "own.file").touch()
    assert value_of(plan_with(folder, key, "own.file"), key) == str(folder / "own.file")
    above = folder.parent / "above.file"
    assert value_of(plan_with(folder, key, "../above.file"), key) == str(above)
    whole = str(folder.parent / "any.file")
    assert value_of(plan_with(folder, key, whole), key) == whole


@pytest.mark.parametrize("key", SETTINGS)
def test_the_plan_comes_before_the_working_folder(key, folder):
    for place in (folder, Path.cwd()):
        (place / "own.file").touch()
    assert value_of(plan_with(folder, key, "own.file"), key) == str(folder / "own.file")


@pytest.mark.parametrize("key", SETTINGS)
def test_a_file_in_the_working_folder_alone_is_refused(key, folder):
    Path("own.file").touch()
    with pytest.raises(InputError) as caught:
        plan_with(folder, key, "own.file")
    text = str(caught.value)
    assert text.startswith(f"{folder / 'plan.toml'}: {key}: expected ")
    for part in (folder / "own.file", Path.cwd() / "own.file"):
        assert str(part) in text
    assert text.endswith("write ../elsewhere/own.file")
    assert value_of(plan_with(folder, key, "../elsewhere/own.file"), key) == str(
        Path("own.file").resolve()
    )


@pytest.mark.parametrize("key", SETTINGS)
def test_a_path_that_no_file_can_have_is_refused(key, folder):
    with pytest.raises(InputError, match=f"{key}: expected a path"):
        plan_with(folder, key, r"a\u0000b")


@pytest.mark.parametrize(
    "key", ["training.start_from", "training.teacher", "training.synthesis.teacher"]
)
def test_names_of_models_stay_names(key, folder):
    save_model(tiny_model(), folder_of_own_models(folder) / "mouse.safetensors")
    for name in ("brain", "mouse"):
        (folder / name).touch()
        plan = plan_with(folder, key, name)
        assert value_of(plan, key) == name
        again = read_plan(write_plan(plan, folder / "again.toml"))
        assert value_of(again, key) == name
        plan = plan_with(folder, key, f"./{name}")
        assert value_of(plan, key) == str(folder / name)
        again = read_plan(write_plan(plan, folder / "again.toml"))
        assert value_of(again, key) == str(folder / name)


def folder_of_own_models(folder):
    own = folder.parent / "own"
    own.mkdir()
    return own


def test_tools_as_teachers_stay_names(folder):
    (folder / "ants").touch()
    text = SETTINGS["training.teacher"].replace("FILE+fast", "ants-syn")
    (folder / "plan.toml").write_text(text, "utf-8")
    assert read_plan(folder / "plan.toml").training.teacher == "ants-syn"


def test_all_paths_of_a_plan_move_with_it(folder):
    for key in SETTINGS:
        plan = plan_with(folder, key, "data/own.file")
        path = write_plan(plan, folder / "written.toml")
        assert "own.file" in path.read_text("utf-8")
        assert str(folder) not in path.read_text("utf-8"), key
        moved = folder.parent / "moved"
        folder.rename(moved)
        wanted = str(moved / "data" / "own.file")
        assert value_of(read_plan(moved / "written.toml"), key) == wanted
        moved.rename(folder)


def test_an_option_that_overrides_a_plan_is_relative_to_the_working_folder(folder):
    for place in (folder, Path.cwd()):
        (place / "own.file").touch()
    plan_with(folder, "training.start_from", "own.file")
    _, recipe = read_recipe(
        folder / "plan.toml",
        TrainingOptions(),
        TrainConfig(start_from="own.file"),
        named={"start_from"},
    )
    started = Path(recipe.training.start_from).resolve()
    assert started == Path("own.file").resolve()


def test_remarks_which_cards_repeat_name_files_without_folders(folder):
    """Folders may tell who was scanned."""
    for place in (folder, Path.cwd() / "anna smith"):
        place.mkdir(exist_ok=True)
        for name in ("own.file", "tissues.csv"):
            (place / name).touch()
    plan_with(folder, "training.start_from", "own.file")
    here = Path.cwd() / "anna smith"
    _, recipe = read_recipe(
        folder / "plan.toml",
        TrainingOptions(),
        TrainConfig(
            start_from=str(here / "own.file"),
            synthesis=Synthesis(tissues=here / "tissues.csv"),
        ),
        named={"start_from", "synthesis.tissues"},
    )
    assert set(recipe.remarks) == {
        "command line: training.synthesis.tissues tissues.csv, not none as planned",
        "command line: training.start_from in another folder than planned",
    }


def test_a_model_is_named_so_that_every_folder_finds_it(folder):
    assert reference_of("brain") == "brain"
    own = str(Path.cwd() / "own.safetensors")
    assert reference_of("own.safetensors") == own


@pytest.mark.parametrize("key", ["start_from", "teacher"])
def test_the_weights_of_a_model_count_in_a_recipe_and_not_their_place(key, tmp_path):
    """A run whose folder was moved is resumed; not one with other weights."""
    ending = "+fast" if key == "teacher" else ""
    facts = []
    for folder, strength in (("a", 0.1), ("b", 0.1), ("c", 0.2)):
        (tmp_path / folder).mkdir()
        model = tiny_model("D", PREPROCESSING.shape, strength=strength)
        path = save_model(model, tmp_path / folder / "pupil.safetensors")
        config = replace(
            TrainConfig(objective=Objective(end_point_error=1.0)),
            **{key: f"{path}{ending}"},
        )
        facts.append(recipe_facts((), Recipe(PREPROCESSING, CASCADE, config)))
    assert facts[0] == facts[1] != facts[2]
    assert str(tmp_path) not in str(facts)
    config = TrainConfig(synthesis=Synthesis(), start_from="brain")
    stated = recipe_facts((), Recipe(PREPROCESSING, CASCADE, config))
    assert stated["training"]["start_from"] == "brain"
