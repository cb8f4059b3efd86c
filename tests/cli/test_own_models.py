"""Own models by commands: fine-tuned, carded, listed, taken by their names."""

import shlex
import signal
from pathlib import Path

import pytest

from support.cohorts import write_cohort, write_label_maps
from support.commands import run_here
from support.processes import no_signals_ignored
from voltween.cli import card, main
from voltween.cli import train as command
from voltween.models import Model, load_model, save_model
from voltween.networks import CascadeConfig, build
from voltween.preprocessing import Preprocessing
from voltween.training import read_plan

SHAPE = (16, 16, 16)


@pytest.fixture(scope="module", name="manifest")
def manifest_fixture(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(name="folder")
def folder_fixture(monkeypatch, tmp_path):
    """The folder of the user's models, with one model of a small network."""
    folder = tmp_path / "models"
    monkeypatch.setenv("VOLTWEEN_MODELS", str(folder))
    monkeypatch.setenv("COLUMNS", "200")
    folder.mkdir()
    network = build(CascadeConfig("AD", SHAPE, channels=2))
    model = Model("small", network, Preprocessing(SHAPE, (2.5, 2.5, 2.5)), {})
    save_model(model, folder / "small.safetensors")
    return folder


def words(*parts):
    return list(map(str, parts))


def test_from_a_manifest_to_an_own_model(manifest, folder, tmp_path, capsys):
    """Fine-tune, card, list: what each says and leaves."""
    run = tmp_path / "run"
    line = ("train", manifest, "--fine-tune", "small", "--out", run)
    main(words(*line, "--steps", 2, "--validate-every", 1))
    shown = capsys.readouterr().out
    for text in (
        "preprocessing.spacing_mm: ",
        "training.start_from: weights before the first step",
        "command line: training.steps 2, not ",
        "before registration, ",
        "by the model that training started from",
        "doing nothing",
    ):
        assert text in shown
    assert load_model(run / "best.safetensors").network.config.shape == SHAPE

    main(words("card", run, "--name", "blobs", "--purpose", "soft blobs"))
    assert "take it with --model blobs" in capsys.readouterr().out
    assert "For soft blobs." in (folder / "blobs.md").read_text("utf-8")
    assert "command line: training.steps 2" in (run / "card.md").read_text("utf-8")
    again = ("--name", "blobs", "--purpose", "very soft blobs", "--overwrite")
    main(words("card", run, *again))
    assert "For very soft blobs." in (run / "card.md").read_text("utf-8")

    main(["models"])
    shown = capsys.readouterr().out
    assert "soft blobs" in shown
    assert "4 scans, " in shown
    assert f"Your own models: 2 in {folder}" in shown
    assert "hippocampus" in shown


def test_a_plan_like_a_model_is_used_as_it_is(manifest, folder, tmp_path, monkeypatch):
    path = tmp_path / "plan.toml"
    main(words("plan", manifest, "--like", "small", "--out", path))
    plan = read_plan(path)
    assert plan.training.start_from == "small"
    assert plan.cascade == CascadeConfig("AD", SHAPE, channels=2)
    text = path.read_text("utf-8")
    assert "# -> weights before the first step" in text
    assert "without a GPU" not in text
    recipes = []
    monkeypatch.setattr(
        command, "train", lambda cases, recipe, **_: recipes.append(recipe)
    )
    monkeypatch.setattr(command, "read_outcome", lambda run: NoOutcome)
    path.write_text(text.replace("training.seed = 0", "training.seed = 9"))
    main(words("train", path, "--out", tmp_path / "run"))
    main(words("train", path, "--fine-tune", "small", "--out", tmp_path / "run"))
    assert recipes[0] == recipes[1]
    assert recipes[0].training.seed == 9
    assert "used as it is" in recipes[1].remarks[0]


def test_a_plan_like_a_file_says_its_name_without_folders(
    manifest, folder, tmp_path, monkeypatch
):
    """The card of the run repeats it."""
    path, model = tmp_path / "plan.toml", folder / "small.safetensors"
    main(words("plan", manifest, "--like", model, "--out", path))
    recipes = []
    monkeypatch.setattr(
        command, "train", lambda cases, recipe, **_: recipes.append(recipe)
    )
    monkeypatch.setattr(command, "read_outcome", lambda run: NoOutcome)
    main(words("train", path, "--fine-tune", model, "--out", tmp_path / "run"))
    expected = "plan: made for a fine-tuning of small.safetensors; used as it is"
    assert recipes[0].remarks == (expected,)


class NoOutcome:
    """Of a training that did not take place."""

    sentences = ()
    model = Path("best.safetensors")


def test_a_dry_run_of_a_fine_tuning_trains_nothing(manifest, folder, tmp_path, capsys):
    run = tmp_path / "run"
    line = ("train", manifest, "--fine-tune", "small", "--out", run, "--dry-run")
    main(words(*line))
    shown = capsys.readouterr().out
    assert "6 scans can be used." in shown
    assert "preprocessing.shape: that of small" in shown
    assert not (run / "best.safetensors").exists()


def test_weights_of_another_network_are_refused_in_words(
    manifest, folder, tmp_path, capsys
):
    line = ("train", manifest, "--start-from", "small", "--out", tmp_path / "run")
    with pytest.raises(SystemExit) as caught:
        main(words(*line))
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert "small: expected a model with the network of this training" in error
    assert "shape [16, 16, 16], not [32, 32, 32]; channels 2, not 16" in error
    assert "give --fine-tune small in place of --start-from" in error
    assert "CascadeConfig" not in error
    assert "flow_multiplier" not in error


@pytest.mark.parametrize("given", [["--fine-tune", "small"], []])
def test_options_for_another_network_than_the_models_are_named(
    given, manifest, folder, tmp_path, capsys
):
    """The advice is no option that was given, be it for a manifest or for a plan."""
    path = tmp_path / "plan.toml"
    main(words("plan", manifest, "--like", "small", "--out", path))
    source = manifest if given else path
    line = words("train", source, "--out", tmp_path / "run", *given)
    with pytest.raises(SystemExit) as caught:
        main([*line, "--shape", "32", "32", "32"])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert "--shape: expected the network of small" in error
    assert "got shape [32, 32, 32], not [16, 16, 16]: leave the options out" in error
    assert "give --fine-tune" not in error
    assert not (tmp_path / "run").exists()


def test_an_option_that_weights_make_up_for_is_not_blamed(
    manifest, folder, tmp_path, capsys
):
    """Flows of another multiplier are the same flows."""
    line = words("train", manifest, "--fine-tune", "small", "--out", tmp_path / "run")
    with pytest.raises(SystemExit):
        main([*line, "--channels", "4", "--flow-multiplier", "3"])
    error = capsys.readouterr().err
    assert "--channels: expected the network of small" in error
    assert "got channels 4, not 2: leave" in error


def test_options_are_not_blamed_for_an_edited_plan(manifest, folder, tmp_path, capsys):
    path = tmp_path / "plan.toml"
    main(words("plan", manifest, "--like", "small", "--out", path))
    text = path.read_text("utf-8")
    path.write_text(text.replace("cascade.channels = 2", "cascade.channels = 4"))
    with pytest.raises(SystemExit):
        main(words("train", path, "--out", tmp_path / "run", "--shape", 16, 16, 16))
    error = capsys.readouterr().err
    assert "small: expected a model with the network of this training" in error
    assert "channels 2, not 4" in error
    assert "--network, --shape and options of the cascade" in error


def test_a_plan_whose_network_was_edited_gets_that_of_the_model_again(
    manifest, folder, tmp_path, monkeypatch
):
    path = tmp_path / "plan.toml"
    main(words("plan", manifest, "--like", "small", "--out", path))
    text = path.read_text("utf-8")
    path.write_text(text.replace("cascade.channels = 2", "cascade.channels = 4"))
    recipes = []
    monkeypatch.setattr(
        command, "train", lambda cases, recipe, **_: recipes.append(recipe)
    )
    monkeypatch.setattr(command, "read_outcome", lambda run: NoOutcome)
    main(words("train", path, "--fine-tune", "small", "--out", tmp_path / "run"))
    assert recipes[0].network.channels == 2


def test_a_model_is_fine_tuned_on_label_maps_alone(folder, tmp_path, monkeypatch):
    recipes = []
    monkeypatch.setattr(
        command, "train", lambda cases, recipe, **_: recipes.append(recipe)
    )
    monkeypatch.setattr(command, "read_outcome", lambda run: NoOutcome)
    maps = write_label_maps(tmp_path)
    main(words("train", maps, "--fine-tune", "small", "--out", tmp_path / "run"))
    assert recipes[0].training.synthesis.share == 1


def test_training_that_stops_early_says_so(manifest, folder, tmp_path, capsys):
    line = ("train", manifest, "--fine-tune", "small", "--out", tmp_path / "run")
    still = ("--learning-rate", 1e-12, "--validate-every", 1, "--steps", 12)
    main(words(*line, *still, "--patience", 2))
    shown = " ".join(capsys.readouterr().out.split())
    assert "of step 0 of 2. Training stopped early, before step 12: " in shown
    main(words(*line, *still, "--patience", 4))
    assert "of step 0 of 4." in " ".join(capsys.readouterr().out.split())


def test_an_interrupted_training_says_how_to_go_on(
    manifest, folder, tmp_path, capsys, monkeypatch
):
    def interrupted(*_, **__):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(command, "train", interrupted)
    line = words(
        "train", manifest, "--fine-tune", "small", "--out", tmp_path / "my run"
    )
    with no_signals_ignored(), pytest.raises(SystemExit) as caught:
        main(line)
    assert caught.value.code == 130
    error = capsys.readouterr().err
    assert f"To go on, repeat the command: {shlex.join(['voltween', *line])}" in error


@pytest.mark.filterwarnings("default::voltween.errors.SuspiciousInputWarning")
def test_a_damaged_own_model_does_not_hide_the_others(folder, capsys):
    (folder / "odd.safetensors").write_bytes(b"odd")
    main(["models"])
    shown = capsys.readouterr()
    assert "small" in shown.out
    assert "odd.safetensors: expected a Voltween model" in shown.err
    assert "Traceback" not in shown.err


def test_a_card_of_a_folder_without_a_run_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words("card", tmp_path))
    assert caught.value.code == 2
    assert "best.safetensors: expected a file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../up", "name of a model: expected letters"),
        ("brain", "brain: expected a name that no shipped model has"),
        ("small", "small.safetensors: expected no model of this name"),
    ],
)
def test_a_name_that_is_refused_leaves_no_card(
    name, message, folder, capsys, monkeypatch
):
    written = []
    monkeypatch.setattr(card, "write_card", lambda *given: written.append(given))
    assert run_here("card", folder, "--name", name) == 2
    assert message in capsys.readouterr().err
    assert not written
