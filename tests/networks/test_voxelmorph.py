"""VoxelMorph-2 against its own package, and as one more network to train."""

import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from support.cohorts import write_cohort
from support.scans import FIXED, MOVING, STORAGE_ORDERS, random_points_mm, stored
from voltween.cli import main
from voltween.cli import train as cli_training
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.losses import local_correlation_loss, total_variation_loss
from voltween.models import Model, load_model, read_tensors, save_model
from voltween.models import model as checkpoint
from voltween.models.model import describe
from voltween.networks import CascadeConfig, VoxelMorphConfig, build
from voltween.ops import warp
from voltween.preprocessing import Preprocessing
from voltween.registration import register
from voltween.training import (
    VOXELMORPH,
    VOXELMORPH_TRAINING,
    Hardware,
    Objective,
    Recipe,
    TrainConfig,
    total_loss,
    train,
    try_training,
)
from voltween.training.objective import PairBatch, pair_losses

SHAPE = (16, 32, 48)
CUBE = (16, 16, 16)
PREPROCESSING = Preprocessing(CUBE, (2.5, 2.5, 2.5))
CONFIG = replace(
    VOXELMORPH_TRAINING,
    steps=6,
    pairs_per_step=2,
    learning_rate=2e-3,
    validate_every=2,
    validation_pairs=2,
)


@pytest.fixture(scope="module", autouse=True)
def package():
    """The package; everything here is skipped without it."""
    reason = "voxelmorph is not installed (extra `baselines`)"
    return pytest.importorskip("voxelmorph", reason=reason)


@pytest.fixture(scope="module", name="manifest")
def manifest_fixture(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"))


def some_network(shape=SHAPE, shift=(1.0, -2.0, 0.5), strength=3.0):
    """A network with random weights whose flows are voxels long."""
    torch.manual_seed(0)
    network = build(VoxelMorphConfig(shape))
    with torch.no_grad():
        network.pairwise.flow_layer.conv0.weight.normal_(0, strength)
        network.pairwise.flow_layer.conv0.bias.copy_(torch.tensor(shift))
    return network.eval()


def some_model():
    return Model("tiny", some_network(CUBE), PREPROCESSING, {})


def pair(shape=SHAPE, batch=2):
    return torch.rand(2, batch, 1, *shape, generator=torch.Generator().manual_seed(1))


def run(manifest, out, config=CONFIG, on_step=lambda report: None):
    recipe = Recipe(PREPROCESSING, VoxelMorphConfig(CUBE), config)
    cases = read_manifest(manifest)
    return train(cases, recipe, out=out, hardware=Hardware("cpu"), on_step=on_step)


class TestNetwork:
    def test_the_flow_and_the_moved_image_are_those_of_the_package(self):
        network = some_network()
        fixed, moving = pair()
        with torch.no_grad():
            ours = network(fixed, moving)
            flow, moved = network.pairwise(moving, fixed, return_warped_source=True)
        assert ours.flow.abs().amax((0, 2, 3, 4)).min() > 3
        torch.testing.assert_close(ours.flow, flow, atol=1e-4, rtol=0)
        reach = flow.abs().max().ceil().int()  # beyond the image the package sees 0
        inside = (..., *[slice(reach, -reach)] * 3)
        assert moved[inside].numel() > 1000
        torch.testing.assert_close(ours.moved[inside], moved[inside], atol=1e-4, rtol=0)

    def test_a_flow_of_whole_voxels_moves_the_image_the_way_it_says(self):
        network = some_network(shift=(1.0, -2.0, 0.0), strength=0.0)
        fixed, moving = pair()
        with torch.no_grad():
            ours = network(fixed, moving).moved
            _, theirs = network.pairwise(moving, fixed, return_warped_source=True)
        expected = moving[..., 1:, :-2, :]
        for moved in (ours, theirs):
            torch.testing.assert_close(
                moved[..., :-1, 2:, :], expected, atol=1e-5, rtol=0
            )

    def test_it_keeps_the_contract_of_a_cascade_with_one_dense_stage(self):
        network = some_network()
        fixed, moving = pair()
        tweening = network(fixed, moving)
        (stage,) = tweening.stages
        assert network.config.stage_names == ("dense 1",)
        assert not stage.is_affine
        for flow in (stage.own_flow, stage.dense_flow, stage.flow):
            assert flow is tweening.flow
        assert torch.equal(tweening.moved, warp(moving, tweening.flow))
        assert stage.parts.matrix.shape == (2, 3, 3)
        assert stage.parts.translation.shape == (2, 3)
        assert stage.parts.matrix.count_nonzero() == 0
        assert stage.parts.translation.count_nonzero() == 0

    def test_parameters_are_those_of_a_u_net_of_16_32_32_32_features(self):
        down, up = [(2, 16), (16, 32), (32, 32), (32, 32)], [(64, 32)] * 2
        layers = [*down, (32, 32), *up, (64, 16), (32, 16)]
        count = sum(27 * inputs * outputs + outputs for inputs, outputs in layers)
        count += (16 * 3 + 3) + (27 * 3 * 3 + 3)  # last features, flow
        network = build(VoxelMorphConfig(CUBE))
        assert sum(weight.numel() for weight in network.parameters()) == count == 250233

    def test_training_starts_from_rest(self):
        torch.manual_seed(0)
        fixed, moving = pair()
        tweening = build(VoxelMorphConfig(SHAPE))(fixed, moving)
        assert 0 < tweening.flow.abs().max() < 1e-3

    def test_images_of_two_channels_are_refused(self):
        images = torch.rand(2, 1, 2, *CUBE)
        with pytest.raises((ValueError, TypeCheckError)):
            some_network()(*images)

    def test_features_computed_anew_give_the_same_gradients(self):
        gradients = []
        for recomputes in (False, True):
            network = some_network(CUBE, strength=0.1)
            network.recomputes_features = recomputes
            terms = pair_losses(network, PairBatch(*pair(CUBE)), VOXELMORPH)
            total_loss(terms).backward()
            gradients.append([weight.grad for weight in network.parameters()])
        assert all(map(torch.equal, *gradients))
        assert all(gradient.norm() > 0 for gradient in gradients[0])

    def test_the_flow_is_in_single_precision_whatever_the_features(self):
        network, images = some_network(CUBE), pair(CUBE)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            half = network(*images).flow
        assert half.dtype == torch.float32
        with torch.no_grad():
            full = network(*images).flow
        assert 0 < (half - full).abs().max() < 0.1


@pytest.mark.parametrize(
    ("shape", "nearest"),
    [((24, 32, 32), "(32, 32, 32)"), ((16, 40, 8), "(16, 32, 16)")],
)
def test_shapes_that_cannot_be_halved_four_times_are_refused(shape, nearest):
    with pytest.raises(InputError, match="multiples of 16") as caught:
        VoxelMorphConfig(shape)
    assert str(caught.value).endswith(f"nearest legal shape is {nearest}")


def test_the_network_must_have_the_canonical_grid():
    with pytest.raises(InputError, match="must be that of the canonical grid"):
        Recipe(PREPROCESSING, VoxelMorphConfig(SHAPE), CONFIG)


class TestObjective:
    """The weights of `VOXELMORPH` make our losses those of VoxelMorph's code."""

    def test_smoothness_is_a_third_of_our_total_variation(self):
        from neurite.nn.functional import spatial_gradient

        flow = torch.randn(2, 3, 24, 24, 24)
        ours = VOXELMORPH.total_variation * total_variation_loss(flow)
        # Theirs is a mean of 23 differences along each axis, ours of 24, one of them 0.
        torch.testing.assert_close(ours * 24 / 23, spatial_gradient(flow))

    def test_similarity_is_their_local_correlation(self):
        from neurite.nn.functional import ncc

        # Cubes over the border see zeros only: there the two treat nothing differently.
        images = torch.zeros(2, 2, 1, 40, 40, 40)
        images[..., 9:-9, 9:-9, 9:-9] = 10 * torch.rand(2, 2, 1, 22, 22, 22)
        fixed = images[0]
        moved = ((images[0] + images[1]) / 2).requires_grad_()
        ours = 1 - local_correlation_loss(fixed, moved, VOXELMORPH.window_voxels)
        theirs = ncc(fixed, moved).squeeze()
        # Cubes without contrast have 1 with us, 0 with them; no gradient with either.
        assert ours > theirs + 0.5
        gradients = [torch.autograd.grad(one, moved)[0] for one in (ours, theirs)]
        # Our floor under the contrast is higher: it shows where a cube has a corner.
        largest = float(gradients[1].abs().max())
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3 * largest)

    def test_all_of_it_is_what_training_minimizes(self):
        network = some_network(CUBE, strength=0.3)
        pairs = PairBatch(*pair(CUBE))
        tweening = network(*pairs[:2])
        terms = pair_losses(network, pairs, VOXELMORPH)
        similarity = local_correlation_loss(pairs.fixed, tweening.moved, 9)
        smoothness = total_variation_loss(tweening.flow) / 3
        torch.testing.assert_close(terms["dense 1 similarity"], similarity)
        torch.testing.assert_close(terms["dense 1 total variation"], smoothness)
        assert len(terms) == 2

    def test_cubes_without_a_middle_are_refused(self):
        with pytest.raises(InputError, match="window_voxels must be odd"):
            Objective(window_voxels=4)


class TestTraining:
    def test_it_learns_and_the_run_leaves_what_every_run_leaves(
        self, manifest, tmp_path
    ):
        reports = []
        config = replace(CONFIG, steps=80, validate_every=40)
        run(manifest, tmp_path, config, reports.append)
        before, after = reports[-1].stages
        assert after.stage == "dense 1"
        assert after.correlation > before.correlation + 0.05
        files = {path.name for path in tmp_path.iterdir()}
        expected = {"best.safetensors", "log.csv", "tweening.png", "progress.png"}
        assert expected | {"recipe.json", "tensorboard", "validation.csv"} <= files
        facts = (tmp_path / "recipe.json").read_text()
        assert '"voxelmorph-2"' in facts
        assert '"neurite"' in facts

    def test_resumed_run_equals_an_uninterrupted_one(self, manifest, tmp_path):
        run(manifest, tmp_path / "whole")

        class KilledError(Exception):
            pass

        def die(report):
            if report.step == 5:  # not a step that was saved
                raise KilledError

        with pytest.raises(KilledError):
            run(manifest, tmp_path / "killed", on_step=die)
        run(manifest, tmp_path / "killed")
        for file in ("state-00000006.safetensors", "best.safetensors"):
            whole, killed = (
                read_tensors(tmp_path / name / file)[0] for name in ("whole", "killed")
            )
            assert whole.keys() == killed.keys()
            assert all(torch.equal(whole[name], killed[name]) for name in whole)

    def test_it_starts_from_a_model_of_its_own_kind_alone(self, manifest, tmp_path):
        own = save_model(some_model(), tmp_path / "own.safetensors")
        run(manifest, tmp_path / "own", replace(CONFIG, steps=1, start_from=str(own)))
        cascade = Recipe(
            PREPROCESSING,
            CascadeConfig("D", CUBE),
            TrainConfig(start_from=str(own)),
        )
        with pytest.raises(InputError, match="train with the network of that model"):
            train(read_manifest(manifest), cascade, out=tmp_path / "other")

    def test_dry_run_counts_its_weights(self, manifest, tmp_path):
        recipe = Recipe(PREPROCESSING, VoxelMorphConfig(CUBE), CONFIG)
        found = try_training(read_manifest(manifest), recipe, out=tmp_path)
        assert found.weights == 250233


class TestModel:
    def test_it_comes_back_whole(self, tmp_path):
        model = some_model()
        path = save_model(model, tmp_path / "mine.safetensors", is_half=False)
        back = load_model(path)
        assert back.network.config == model.network.config
        with torch.no_grad():
            expected, found = (m.network(*pair(CUBE)).flow for m in (model, back))
        assert torch.equal(expected, found)

    def test_files_say_which_network_is_in_them(self):
        kinds = describe(some_model()).keys()
        assert kinds == {"voxelmorph-2", "preprocessing", "provenance"}

    def test_models_are_listed_with_it(self, monkeypatch, manifest, tmp_path, capsys):
        best = run(manifest, tmp_path / "run", replace(CONFIG, steps=1))
        shutil.copy(best, tmp_path)
        monkeypatch.setattr(checkpoint, "_models_folder", lambda: tmp_path)
        monkeypatch.setenv("COLUMNS", "200")
        main(["models"])
        assert "VoxelMorph-2" in capsys.readouterr().out

    @pytest.mark.parametrize("order", STORAGE_ORDERS[5::14])
    def test_registering_a_scan_stored_otherwise_gives_the_same(self, order):
        model = some_model()
        straight = register(FIXED, MOVING, model=model)
        for fixed, moving in (
            (stored(FIXED, order), MOVING),
            (FIXED, stored(MOVING, order)),
        ):
            turned = register(fixed, moving, model=model)
            points = random_points_mm(FIXED.grid)
            np.testing.assert_allclose(
                turned.fixed_to_moving.map_positions(points),
                straight.fixed_to_moving.map_positions(points),
                atol=1e-4,
            )

    def test_registration_is_the_networks_flow_between_the_canonical_grids(self):
        model = some_model()
        result = register(FIXED, MOVING, model=model)
        fixed, moving = (model.preprocessing.normalized(i) for i in (FIXED, MOVING))
        tensors = [torch.from_numpy(i.data.copy())[None, None] for i in (fixed, moving)]
        with torch.no_grad():
            flow = model.network(*tensors).flow[0].numpy()
        assert [stage.name for stage in result.stages] == ["dense 1"]
        voxels = np.moveaxis(np.indices(CUBE), 0, -1).reshape(-1, 3)
        np.testing.assert_allclose(
            result.fixed_to_moving.map_positions(
                fixed.grid.voxel_to_world(voxels * 1.0)
            ),
            moving.grid.voxel_to_world(voxels + flow.reshape(3, -1).T),
            atol=1e-4,
        )

    def test_half_precision_hardly_moves_the_flow(self):
        model = some_model()
        images = pair(CUBE)
        full, half = (
            replace(model, precision=p).registrar(*images).flow
            for p in ("fp32", "bf16")
        )
        with torch.no_grad():
            assert torch.equal(full, model.network(*images).flow)
        assert half.dtype == torch.float32
        assert 0 < (half - full).abs().max() < 0.1


class TestWithoutThePackage:
    MESSAGE = r"needs the package voxelmorph, .* pip install voltween\[baselines\]"

    def test_building_and_loading_say_what_to_install(self, monkeypatch, tmp_path):
        path = save_model(some_model(), tmp_path / "mine.safetensors")
        monkeypatch.setitem(sys.modules, "voxelmorph", None)
        with pytest.raises(InputError, match=self.MESSAGE):
            build(VoxelMorphConfig(CUBE))
        with pytest.raises(InputError, match=self.MESSAGE):
            load_model(path)

    def test_training_ends_in_one_line(self, monkeypatch, manifest, tmp_path, capsys):
        monkeypatch.setitem(sys.modules, "voxelmorph", None)
        options = ["--network", "voxelmorph-2", "--out", str(tmp_path / "run")]
        with pytest.raises(SystemExit) as caught:
            main(["train", str(manifest), *options])
        assert caught.value.code == 2
        assert "pip install voltween[baselines]" in capsys.readouterr().err


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
