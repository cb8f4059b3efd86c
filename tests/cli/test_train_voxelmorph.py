"""`voltween train --network voxelmorph-2`: its defaults and its refusals."""

from dataclasses import replace

import pytest

from support.cohorts import write_cohort
from voltween import process
from voltween.cli import main
from voltween.cli import train as cli_training
from voltween.networks import CascadeConfig, VoxelMorphConfig
from voltween.training import VOXELMORPH, VOXELMORPH_TRAINING, TrainConfig

pytest.importorskip("voxelmorph", reason="needs the extra `baselines`")


@pytest.fixture(scope="module", name="manifest")
def manifest_fixture(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"))


class TestCommand:
    @pytest.fixture
    def recipes(self, monkeypatch, tmp_path):
        """The recipes that the command line asks for; nothing is trained."""
        asked = []

        def note(cases, recipe, **run):
            asked.append(recipe)
            return tmp_path / "best.safetensors"

        monkeypatch.setattr(cli_training, "train", note)
        return asked

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

    def test_the_cascade_keeps_its_own_defaults(self, recipes, manifest):
        main(["train", str(manifest), "--out", "run"])
        assert recipes[0].training == TrainConfig()
        assert isinstance(recipes[0].network, CascadeConfig)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--levels", "3", "--cascade", "AD"], "--cascade, --levels: of cascades"),
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
        assert "a plan is of a cascade" in capsys.readouterr().err


def test_without_the_package_training_ends_in_one_line(
    monkeypatch, manifest, tmp_path, capsys
):
    monkeypatch.setattr(process, "installed_version", lambda package: None)
    options = ["--network", "voxelmorph-2", "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as caught:
        main(["train", str(manifest), *options])
    assert caught.value.code == 2
    assert "pip install 'voltween[baselines]'" in capsys.readouterr().err
