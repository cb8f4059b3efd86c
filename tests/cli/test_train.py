"""`voltween train` and `voltween plan`: which training the words ask for."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from support.cohorts import write_cohort, write_ct_cohort
from support.voxelmorph import hide_voxelmorph, skip_without_voxelmorph, some_model
from voltween import io
from voltween.cli import main
from voltween.cli import train as command
from voltween.cohorts import read_manifest
from voltween.models import library, load_model, save_model
from voltween.networks import CascadeConfig, VoxelMorphConfig
from voltween.training import (
    RCN,
    RCN_TRAINING,
    VOXELMORPH,
    VOXELMORPH_TRAINING,
    Augmentation,
    Objective,
    TrainConfig,
    measure_fingerprint,
    plan,
    read_plan,
)
from voltween.training.recipe import learning_rate


@pytest.fixture(scope="module", name="manifest")
def manifest_fixture(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(name="recipes")
def recipes_fixture(monkeypatch, tmp_path):
    """The recipes that the command line asks for; nothing is trained."""
    asked = []

    def note(cases, recipe, **run):
        asked.append(recipe)
        return tmp_path / "best.safetensors"

    monkeypatch.setattr(command, "train", note)
    monkeypatch.setattr(command, "read_outcome", lambda run: NoOutcome)
    return asked


class NoOutcome:
    """Of a training that did not take place."""

    sentences = ()
    model = Path("best.safetensors")


def refusal(capsys, *words):
    """The one line in which a command ends."""
    with pytest.raises(SystemExit) as caught:
        main(list(map(str, words)))
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_the_cascade_has_its_own_defaults(recipes, manifest):
    main(["train", str(manifest), "--out", "run"])
    assert recipes[0].training == TrainConfig()
    assert isinstance(recipes[0].network, CascadeConfig)


@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
def test_plan_train_and_register_without_an_edit(tmp_path, capsys):
    """From a CT cohort in mixed orientations to a transform, by commands alone."""
    manifest = write_ct_cohort(tmp_path)
    path = tmp_path / "plan.toml"
    main(["plan", str(manifest), "--out", str(path)])
    shown = capsys.readouterr().out
    assert "4 train, 2 val, 0 test" in shown
    text = path.read_text("utf-8")
    decided = read_plan(path)
    found = measure_fingerprint(read_manifest(manifest))
    expected, notes = plan(manifest, found, has_gpu=False)
    assert decided == expected
    assert "# scans: 4 train, 2 val, 0 test" in text
    words = " ".join(text.replace("#", " ").split())
    assert [reason for reason in notes.values() if reason not in words] == []

    words = ["train", str(path), "--out", str(tmp_path / "run"), "--steps", "2"]
    main(words)
    shown = capsys.readouterr().out
    assert "command line: training.steps 2, not 2000 as planned" in shown
    assert "best.safetensors, of step 2 of 2." in shown
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text("utf-8"))
    assert recipe["remarks"] == ["command line: training.steps 2, not 2000 as planned"]
    model = load_model(tmp_path / "run" / "best.safetensors")
    assert model.preprocessing == decided.preprocessing
    assert model.network.config == decided.cascade
    assert model.provenance["training"]["steps"] == 2
    main(
        [
            *("register", f"{tmp_path}/image4.nrrd", f"{tmp_path}/image5.nrrd"),
            *("--model", f"{tmp_path}/run/best.safetensors"),
            *("--out", f"{tmp_path}/result"),
        ]
    )
    moved = io.read(tmp_path / "result" / "moved.nii.gz")
    assert moved.grid.is_close(io.read(tmp_path / "image4.nrrd").grid)


def test_a_plan_is_not_written_over_unless_asked(tmp_path, capsys):
    manifest = write_ct_cohort(tmp_path)
    path = tmp_path / "plan.toml"
    path.write_text("mine")
    error = refusal(capsys, "plan", manifest, "--out", path)
    assert "expected a new file, got an existing one: give --overwrite" in error
    assert path.read_text("utf-8") == "mine"
    main(["plan", str(manifest), "--out", str(path), "--overwrite"])
    assert tomllib.loads(path.read_text("utf-8"))["manifest"] == "cases.csv"
    assert "ends in .toml" in refusal(capsys, "plan", manifest, "--out", "plan.txt")


def written_plan(folder, manifest):
    """A plan that asks for seven steps of a small network."""
    path = folder / "plan.toml"
    text = f'manifest = "{manifest}"\npreprocessing.shape = [16, 16, 16]\n'
    text += "preprocessing.spacing_mm = [3.0, 3.0, 3.0]\ncascade.stages = 'AD'\n"
    path.write_text(text + "training.steps = 7\ntraining.seed = 5\n")
    return path


def test_options_override_settings_of_a_plan(recipes, manifest, tmp_path):
    path = written_plan(tmp_path, manifest)
    main(["train", str(path), "--out", "run"])
    words = ["--steps", "2000", "--augmentation.gamma=0.2", "--channels", "4"]
    main(["train", str(path), "--out", "run", *words, "--shape", "32", "32", "32"])
    planned, changed = recipes
    assert planned.training == TrainConfig(steps=7, seed=5)
    assert planned.remarks == ()
    # The default of an option overrides the plan, too, where the option is given.
    gamma = replace(planned.training.augmentation, gamma=0.2)
    assert changed.training == replace(planned.training, steps=2000, augmentation=gamma)
    assert changed.preprocessing.shape == changed.network.shape == (32, 32, 32)
    assert (changed.network.stages, changed.network.channels) == ("AD", 4)
    assert "command line: training.steps 2000, not 7 as planned" in changed.remarks
    assert len(changed.remarks) == 5


def test_a_plan_with_a_table_of_tissues_is_trained_by_the_command(
    recipes, manifest, tmp_path
):
    path = written_plan(tmp_path, manifest)
    with path.open("a") as file:
        file.write("training.synthesis.share = 1.0\n")
        file.write("training.objective.overlap = [1.0]\n")
        file.write("training.objective.affine_similarity = 0.0\n")
        file.write("training.objective.dense_similarity = []\n")
        file.write('training.synthesis.tissues = "tissues.csv"\n')
    main(["train", str(path), "--out", "run"])
    assert recipes[0].training.synthesis.tissues == tmp_path / "tissues.csv"


def test_bad_overrides_end_in_one_line(manifest, tmp_path, capsys):
    path = written_plan(tmp_path, manifest)
    words = ("train", path, "--out", tmp_path / "run")
    error = refusal(capsys, *words, "--shape", 20, 16, 16)
    assert "nearest legal shape is (16, 16, 16)" in error
    assert "plan.toml: expected no --supervised" in refusal(
        capsys, *words, "--supervised"
    )
    path.write_text("")
    error = refusal(capsys, *words)
    assert "manifest, preprocessing: expected a value" in error
    assert not (tmp_path / "run").exists()


def test_train_then_evaluate_on_a_cohort_of_nrrd_in_mixed_orientations(
    tmp_path, capsys
):
    manifest = str(write_cohort(tmp_path, suffix=".nrrd"))
    run = tmp_path / "run"
    main(
        [
            "train",
            manifest,
            "--out",
            str(run),
            "--cascade",
            "AD",
            "--channels",
            "2",
            "--steps",
            "4",
            "--validate-every",
            "2",
            "--augmentation.gamma",
            "0.2",
        ]
    )
    model = load_model(run / "best.safetensors")
    assert model.network.config.stages == "AD"
    assert model.preprocessing.shape == (32, 32, 32)
    main(
        [
            "evaluate",
            manifest,
            "--model",
            str(run / "best.safetensors"),
            "--out",
            str(tmp_path / "figures"),
        ]
    )
    names = {file.name for file in (tmp_path / "figures").iterdir()}
    assert names >= {"pairs.csv", "structures.csv", "stages.csv", "summary.md"}
    assert names >= {"summary.csv", "summary_stages.csv", "summary.tex", "finished"}
    assert "model:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cascade", "DA"], "at most one A followed by"),
        (["--shape", "30", "32", "32"], r"nearest legal shape is (32, 32, 32)"),
        (["--steps", "0"], "steps: expected at least 1, got 0"),
        (["--learning-rate", "-1"], "--learning-rate: expected above 0, got -1.0"),
        (["--masked-share", "2"], "--masked-share: expected 0 to 1, got 2.0"),
    ],
)
def test_bad_training_settings_end_in_one_line(options, message, tmp_path, capsys):
    manifest = str(write_cohort(tmp_path, 2, 2))
    with pytest.raises(SystemExit) as caught:
        main(["train", manifest, "--out", str(tmp_path / "run"), *options])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


class TestRcn:
    """`--objective rcn`: the authors' later code."""

    def recipe(self, recipes, manifest, *options):
        main(["train", str(manifest), "--out", "run", "--objective", "rcn", *options])
        return recipes[-1]

    def test_it_has_the_losses_and_the_schedule_of_that_code(self, recipes, manifest):
        training = self.recipe(recipes, manifest).training
        assert training == RCN_TRAINING
        assert (training.steps, training.pairs_per_step) == (100_000, 4)
        rates = [learning_rate(1 + 20_000 * n, training) for n in range(5)]
        assert rates == [1e-4, 1e-4, 1e-4, 5e-5, 2.5e-5]
        assert training.objective == Objective(
            affine_similarity=0.0,
            orthogonality=0.1,
            determinant=0.05,
            dense_similarity=(1.0,),
            total_variation=0.5,
        )
        assert training.augmentation == Augmentation(displacement=0.1, draws="cubes")

    def test_its_network_is_padded_as_in_tensorflow(self, recipes, manifest):
        network = self.recipe(recipes, manifest, "--cascade", "ADDDD").network
        assert network == CascadeConfig(
            "ADDDD",
            network.shape,
            affine_levels=6,
            flow_multiplier=5.0,
            padding="same-tf",
        )

    def test_passes_of_the_last_subnetwork_share_the_similarity(
        self, recipes, manifest
    ):
        recipe = self.recipe(recipes, manifest, "--repeats", "2")
        assert recipe.network.repeats == 2
        assert recipe.network.flow_multiplier == 10.0
        assert recipe.training.objective.dense_similarity == (1.0, 1.0)

    def test_what_is_told_is_done(self, recipes, manifest):
        plain = TrainConfig()
        options = ("--steps", str(plain.steps), "--objective.total-variation", "1.0")
        network = ("--padding", "symmetric", "--flow-multiplier", "10")
        recipe = self.recipe(recipes, manifest, *options, *network)
        objective = replace(RCN, total_variation=1.0)
        assert recipe.training == replace(
            RCN_TRAINING, steps=plain.steps, objective=objective
        )
        assert recipe.network.padding == "symmetric"
        assert recipe.network.flow_multiplier == 10.0

    def test_the_papers_cascade_can_have_its_parts(self, recipes, manifest):
        options = ["--repeats", "3", "--padding", "same-tf", "--affine-levels", "4"]
        main(["train", str(manifest), "--out", "run", *options])
        network = recipes[-1].network
        assert (network.repeats, network.padding) == (3, "same-tf")
        assert (network.affine_levels, network.flow_multiplier) == (4, 10.0)
        assert recipes[-1].training == TrainConfig()

    def test_without_options_the_network_is_as_before(self, recipes, manifest):
        main(["train", str(manifest), "--out", "run"])
        shape = recipes[-1].network.shape
        assert recipes[-1].network == CascadeConfig("ADD", shape, flow_multiplier=10.0)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--supervised"], "--supervised: expected no --objective"),
            (["--network", "voxelmorph-2"], "--objective: expected options that the"),
            (["--repeats", "0"], "repeats: expected at least 1, got 0"),
        ],
    )
    def test_contradictions_are_refused(
        self, options, message, recipes, manifest, capsys
    ):
        words = ["train", manifest, "--out", "run", "--objective", "rcn", *options]
        assert message in refusal(capsys, *words)
        assert recipes == []

    def test_a_plan_has_its_own_objective(self, recipes, tmp_path, capsys):
        words = ["train", tmp_path / "plan.toml", "--out", "run", "--objective", "rcn"]
        assert "plan.toml: expected no --objective" in refusal(capsys, *words)
        assert recipes == []


class TestVoxelMorph:
    def command(self, source, *options):
        words = ["--out", "run", "--network", "voxelmorph-2", *options]
        main(["train", str(source), *words])

    def test_it_has_the_published_settings(self, recipes, manifest):
        self.command(manifest)
        assert recipes[0].training == VOXELMORPH_TRAINING
        assert recipes[0].network == VoxelMorphConfig((32, 32, 32))
        assert (VOXELMORPH_TRAINING.steps, VOXELMORPH_TRAINING.pairs_per_step) == (
            5000,
            4,
        )

    def test_what_is_told_is_done_even_where_it_is_the_cascades_default(
        self, recipes, manifest
    ):
        plain = TrainConfig()
        options = ["--steps", str(plain.steps), "--objective.total-variation", "1.0"]
        self.command(manifest, *options, "--shape", "16", "32", "48")
        objective = replace(VOXELMORPH, total_variation=1.0)
        assert recipes[0].training == replace(
            VOXELMORPH_TRAINING, steps=plain.steps, objective=objective
        )
        assert recipes[0].network.shape == (16, 32, 48)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (
                ["--levels", "3", "--cascade", "AD"],
                "--cascade, --levels: expected options that",
            ),
            (["--shape", "24", "32", "32"], "nearest legal shape is (32, 32, 32)"),
        ],
    )
    def test_what_it_does_not_have_is_refused(
        self, options, message, recipes, manifest, capsys
    ):
        with pytest.raises(SystemExit) as caught:
            self.command(manifest, *options)
        assert caught.value.code == 2
        assert message in " ".join(capsys.readouterr().err.split())
        assert recipes == []

    def test_a_plan_is_of_a_cascade(self, recipes, tmp_path, capsys):
        (tmp_path / "plan.toml").touch()
        with pytest.raises(SystemExit):
            self.command(tmp_path / "plan.toml")
        assert "a plan is for a cascade" in capsys.readouterr().err

    def test_without_its_package_training_ends_in_one_line(
        self, monkeypatch, manifest, tmp_path, capsys
    ):
        hide_voxelmorph(monkeypatch)
        options = ["--network", "voxelmorph-2", "--out", str(tmp_path / "run")]
        with pytest.raises(SystemExit) as caught:
            main(["train", str(manifest), *options])
        assert caught.value.code == 2
        assert "voltween[baselines]" in capsys.readouterr().err

    def test_models_are_listed_with_it(self, monkeypatch, tmp_path, capsys):
        skip_without_voxelmorph()
        model = replace(some_model(), provenance={"train_cases": ["a"], "steps": 1})
        save_model(model, tmp_path / "tiny.safetensors")
        monkeypatch.setattr(library, "shipped_folder", lambda: tmp_path)
        monkeypatch.setenv("COLUMNS", "200")
        main(["models"])
        assert "VoxelMorph-2" in capsys.readouterr().out
