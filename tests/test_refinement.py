"""Flows polished on the pair: closer to the truth, smooth, the same every time."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from helpers import oblique_grid, smooth_field, smooth_image, tiny_model
from voltween.checkpoint import save_model
from voltween.errors import InputError
from voltween.jacobian import folding_fraction
from voltween.losses import local_correlation_loss
from voltween.methods import method_named
from voltween.networks import Stage
from voltween.refinement import ACCURATE, FAST, Level, Refinement, refined
from voltween.register import register
from voltween.warp import warp

SHAPE = (32, 28, 24)


def noise(seed, sigma):
    data = np.random.default_rng(seed).standard_normal(SHAPE)
    return torch.from_numpy(gaussian_filter(data, sigma)).float()


def texture(seed=0):
    """An image from 0 to 1 with detail everywhere."""
    data = noise(seed, 1.5)
    return ((data - data.min()) / (data.max() - data.min()))[None, None]


def at_rest(image):
    """The stage of a network that moves nothing."""
    rest = image.new_zeros(1, 3, *image.shape[2:])
    zeros = image.new_zeros(1, 4, 3)
    return Stage(True, rest, rest, image, zeros[:, :3], zeros[:, 3], rest)


def known_pair():
    """A moving image, itself warped by a known flow of up to 2 voxels, and the flow."""
    moving = texture()
    flow = torch.stack([noise(seed, 5) for seed in (1, 2, 3)])[None]
    flow = 2 * flow / flow.abs().max()
    return warp(moving, flow), moving, flow


def test_a_known_flow_is_found_again():
    fixed, moving, flow = known_pair()
    found = refined(at_rest(moving), fixed, moving, FAST)
    inside = (..., slice(4, -4), slice(4, -4), slice(4, -4))
    error = (found.flow - flow)[inside].square().sum(1).sqrt().mean()
    assert error < 0.7 * flow[inside].square().sum(1).sqrt().mean()
    assert torch.equal(found.moved, warp(moving, found.flow))
    assert torch.equal(found.own_flow, found.dense_flow)


def test_more_steps_make_the_images_more_alike_and_nothing_folds():
    fixed, moving, _ = known_pair()
    losses = [local_correlation_loss(fixed, moving)]
    for effort in (FAST, ACCURATE):
        found = refined(at_rest(moving), fixed, moving, effort)
        losses.append(local_correlation_loss(fixed, found.moved))
        assert float(folding_fraction(found.flow)) == 0
    assert losses[2] < 0.9 * losses[1] < 0.3 * losses[0]


def test_the_affine_part_stays_and_the_dense_part_takes_up_the_rest():
    fixed, moving, _ = known_pair()
    stage = at_rest(moving)._replace(translation=torch.tensor([[0.7, 0.0, -0.4]]))
    found = refined(stage, fixed, moving, FAST)
    assert torch.equal(found.translation, stage.translation)
    assert torch.allclose(
        found.flow - found.dense_flow,
        stage.translation[..., None, None, None].expand_as(found.flow),
        atol=1e-5,
    )
    before = local_correlation_loss(fixed, warp(moving, found.flow * 0))
    assert local_correlation_loss(fixed, found.moved) < 0.5 * before


def test_equal_images_stay_where_they_are():
    image = texture()
    found = refined(at_rest(image), image, image, FAST)
    assert found.flow.abs().max() < 0.02


def test_the_same_pair_gives_the_same_flow():
    fixed, moving, _ = known_pair()
    flows = [refined(at_rest(moving), fixed, moving, FAST).flow for _ in range(2)]
    assert torch.equal(*flows)


def test_unlike_images_are_not_folded_onto_one_another():
    fixed, moving = texture(0), texture(9)
    levels = (Level(1, 40, 0.3),)
    free = Refinement(levels, update_variation=0.0, folding=0.0)
    held = Refinement(levels, update_variation=0.0, folding=100.0)
    shares = [
        float(folding_fraction(refined(at_rest(moving), fixed, moving, r).flow))
        for r in (free, held)
    ]
    assert shares[0] > 0.01
    assert shares[1] < 0.05 * shares[0]


def test_a_registration_gets_a_stage_of_its_own():
    fixed = smooth_image(oblique_grid((20, 20, 20)))
    moving = smooth_field(fixed.grid, largest_voxels=2.0).resample(
        fixed, onto=fixed.grid
    )
    model = tiny_model(strength=0.1)
    plain = register(fixed, moving, model=model)
    polished = register(fixed, moving, model=model, refinement=FAST)
    assert list(polished.tweening) == [*plain.tweening, "refined"]
    assert polished.correlation["after"] > plain.correlation["after"] + 0.03
    assert polished.seconds["refinement"] > 0


def test_a_method_may_be_refined(tmp_path):
    file = save_model(tiny_model(), tmp_path / "one+one.safetensors")
    plain, fast = (method_named(f"model:{file}{end}") for end in ("", "+fast"))
    assert plain.facts != fast.facts
    fixed, moving = (smooth_image(oblique_grid((20, 20, 20)), n) for n in (0, 1))
    assert "refined" not in plain.load()(fixed, moving).stages
    assert "refined" in fast.load()(fixed, moving).stages
    with pytest.raises(InputError, match=r"\+slow: no such model"):
        method_named(f"model:{file}+slow")


@pytest.mark.parametrize(
    ("levels", "window_voxels", "message"),
    [
        ((), 5, "needs levels"),
        ((Level(0, 5, 0.5),), 5, "at least 1 voxel apart"),
        ((Level(1, 5, 0.5),), 4, "window_voxels must be odd"),
    ],
)
def test_refinements_that_cannot_run_are_refused(levels, window_voxels, message):
    with pytest.raises(InputError, match=message):
        Refinement(levels, window_voxels=window_voxels)
