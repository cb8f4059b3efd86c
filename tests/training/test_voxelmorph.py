"""VoxelMorph-2 as one more network to train, with the objective of its authors."""

from dataclasses import replace

import pytest
import torch

from support.training import KilledError, assert_equal, die_at, run
from support.voxelmorph import (
    CUBE,
    PREPROCESSING,
    SHAPE,
    pair,
    skip_without_voxelmorph,
    some_model,
    some_network,
)
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.losses import local_correlation_loss, total_variation_loss
from voltween.models import save_model
from voltween.networks import CascadeConfig, VoxelMorphConfig
from voltween.training import (
    VOXELMORPH,
    VOXELMORPH_TRAINING,
    Augmentation,
    Objective,
    Recipe,
    TrainConfig,
    total_loss,
    train,
    try_training,
)
from voltween.training.objective import PairBatch, pair_losses

skip_without_voxelmorph()

NETWORK = VoxelMorphConfig(CUBE)
CONFIG = replace(
    VOXELMORPH_TRAINING,
    steps=4,
    pairs_per_step=2,
    learning_rate=2e-3,
    validate_every=2,
    validation_pairs=2,
)


def test_the_network_must_have_the_canonical_grid():
    with pytest.raises(InputError, match="expected that of the canonical grid"):
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

        torch.manual_seed(1)
        # Cubes over the border see zeros only: there the two treat nothing differently.
        images = torch.zeros(2, 2, 1, 40, 40, 40)
        images[..., 9:-9, 9:-9, 9:-9] = 10 * torch.rand(2, 2, 1, 22, 22, 22)
        fixed = images[0]
        moved = ((images[0] + images[1]) / 2).requires_grad_()
        ours = 1 - local_correlation_loss(fixed, moved, width=VOXELMORPH.window_voxels)
        theirs = ncc(fixed, moved).squeeze()
        # Cubes without contrast have 1 with us, 0 with them; no gradient with either.
        assert ours > theirs + 0.5
        gradients = [torch.autograd.grad(one, moved)[0] for one in (ours, theirs)]
        # Our floor under the contrast is higher: it shows at the corners of the images.
        largest = float(gradients[1].abs().max())
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3 * largest)

    def test_all_of_it_is_what_training_minimizes(self):
        network = some_network(CUBE, strength=0.3)
        pairs = PairBatch(*pair(CUBE))
        tweening = network(*pairs[:2])
        terms = pair_losses(network, pairs, VOXELMORPH)
        similarity = local_correlation_loss(pairs.fixed, tweening.moved, width=9)
        smoothness = total_variation_loss(tweening.flow) / 3
        torch.testing.assert_close(terms["dense 1 similarity"], similarity)
        torch.testing.assert_close(terms["dense 1 total variation"], smoothness)
        assert len(terms) == 2

    def test_cubes_without_a_middle_are_refused(self):
        with pytest.raises(InputError, match="window_voxels: expected an odd number"):
            Objective(window_voxels=4)


class TestTraining:
    def test_it_learns_and_the_run_leaves_what_every_run_leaves(
        self, manifest, tmp_path
    ):
        reports = []
        augmentation = Augmentation(displacement=0.03)
        config = replace(CONFIG, steps=60, validate_every=60, augmentation=augmentation)
        run(
            manifest,
            tmp_path,
            config,
            reports.append,
            network=NETWORK,
            draws_curves=True,
        )
        before, after = reports[-1].stages
        assert after.stage == "dense 1"
        assert after.correlation > before.correlation + 0.05
        files = {path.name for path in tmp_path.iterdir()}
        expected = {"best.safetensors", "log.csv", "tweening.png", "progress.png"}
        assert expected | {"recipe.json", "tensorboard", "validation.csv"} <= files
        facts = (tmp_path / "recipe.json").read_text("utf-8")
        assert '"voxelmorph-2"' in facts
        assert '"neurite"' in facts

    def test_resumed_run_equals_an_uninterrupted_one(self, manifest, tmp_path):
        whole, killed = tmp_path / "whole", tmp_path / "killed"
        run(manifest, whole, CONFIG, network=NETWORK)
        with pytest.raises(KilledError):  # after a step that was not saved
            run(manifest, killed, CONFIG, die_at(3), network=NETWORK)
        run(manifest, killed, CONFIG, network=NETWORK)
        for file in ("state-00000004.safetensors", "best.safetensors"):
            assert_equal(whole / file, killed / file)

    def test_it_starts_from_a_model_of_its_own_kind_alone(self, manifest, tmp_path):
        own = save_model(some_model(), tmp_path / "own.safetensors")
        config = replace(CONFIG, steps=1, start_from=str(own))
        run(manifest, tmp_path / "own", config, network=NETWORK)
        cascade = Recipe(
            PREPROCESSING,
            CascadeConfig("D", CUBE),
            TrainConfig(start_from=str(own)),
        )
        with pytest.raises(InputError, match="give --network voxelmorph-2 and --sh"):
            train(read_manifest(manifest), cascade, out=tmp_path / "other")

    def test_dry_run_counts_its_weights(self, manifest, tmp_path):
        recipe = Recipe(PREPROCESSING, NETWORK, CONFIG)
        needs = try_training(read_manifest(manifest), recipe, out=tmp_path)
        assert needs.weights == 250233

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
