"""Transforms optimized on the pair: near the truth, without folds, reproducible."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from voltween.losses import local_correlation_loss
from voltween.ops import (
    FlowParts,
    affine_flow,
    compose,
    exponential,
    folding_fraction,
    warp,
)
from voltween.refinement import (
    ACCURATE,
    FAST,
    FAST_ALONE,
    AffineLevel,
    Level,
    PairTensors,
    Problem,
    Refinement,
    SideTensors,
    Watch,
    find_affine_part,
    find_transform,
)

SHAPE = (28, 24, 20)
INSIDE = (..., slice(4, -4), slice(4, -4), slice(4, -4))
ONE_LEVEL = Refinement((Level(2, 15, 0.5),))


def noise(seed, sigma):
    data = np.random.default_rng(seed).standard_normal(SHAPE)
    return torch.from_numpy(gaussian_filter(data, sigma)).float()


def texture(seed=0, sigma=1.5):
    """An image from 0 to 1 with detail everywhere."""
    data = noise(seed, sigma)
    return ((data - data.min()) / (data.max() - data.min()))[None, None]


def known_pair():
    """A moving image, itself warped by a known flow of up to 2 voxels, and the flow."""
    moving = texture()
    flow = torch.stack([noise(seed, 5) for seed in (1, 2, 3)])[None]
    flow = 2 * flow / flow.abs().max()
    return warp(moving, flow), moving, flow


def problem(fixed, moving, refinement, watch=None):
    """The problem of two sides, or of two images alone."""
    sides = (
        s if isinstance(s, SideTensors) else SideTensors(s) for s in (fixed, moving)
    )
    return Problem(PairTensors(*sides), refinement, watch or Watch())


def refine(fixed, moving, refinement, start=None):
    """The transform found from the identity, or from a start."""
    sides = problem(fixed, moving, refinement)
    return find_transform(sides, start or FlowParts.at_rest(sides.pair.moving.image))


def length(flow):
    """Mean length inside, in voxels."""
    return float(flow[INSIDE].square().sum(1).sqrt().mean())


def test_a_known_flow_is_found_again():
    fixed, moving, flow = known_pair()
    result = refine(fixed, moving, FAST)
    assert length(result.flow - flow) < 0.7 * length(flow)


def test_more_steps_make_the_images_more_alike_and_nothing_folds():
    fixed, moving, _ = known_pair()
    losses = [local_correlation_loss(fixed, moving)]
    for effort in (FAST, ACCURATE):
        result = refine(fixed, moving, effort)
        losses.append(local_correlation_loss(fixed, warp(moving, result.flow)))
        assert float(folding_fraction(result.flow)) == 0
    assert losses[2] < 0.9 * losses[1] < 0.3 * losses[0]


def test_the_affine_part_stays_and_the_dense_part_takes_up_the_rest():
    fixed, moving, _ = known_pair()
    translation = torch.tensor([[0.7, 0.0, -0.4]])
    start = FlowParts.at_rest(moving)._replace(translation=translation)
    result = refine(fixed, moving, FAST, start)
    assert torch.equal(result.translation, translation)
    shift = translation[..., None, None, None].expand_as(result.flow)
    assert torch.allclose(result.flow - result.dense_flow, shift, atol=1e-5)
    moved = warp(moving, result.flow)
    before = local_correlation_loss(fixed, moving)
    assert local_correlation_loss(fixed, moved) < 0.5 * before


def test_equal_images_stay_where_they_are():
    image = texture()
    assert refine(image, image, FAST).flow.abs().max() < 0.02


def test_the_same_pair_gives_the_same_flow():
    fixed, moving, _ = known_pair()
    flows = [refine(fixed, moving, ONE_LEVEL).flow for _ in range(2)]
    assert torch.equal(*flows)


def test_unlike_images_are_not_folded_onto_one_another():
    fixed, moving = texture(0), texture(9)
    free = Refinement((Level(1, 40, 0.3),), update_variation=0.0, folding=0.0)
    held = replace(free, folding=100.0)
    shares = [
        float(folding_fraction(refine(fixed, moving, r).flow)) for r in (free, held)
    ]
    assert shares[0] > 0.01
    assert shares[1] < 0.05 * shares[0]


def test_an_affine_map_is_found_from_nothing():
    moving = texture(sigma=3)
    turn = 0.25
    matrix = torch.tensor([[[0.0, -turn, 0.0], [turn, 0.0, 0.0], [0.0, 0.0, 0.05]]])
    translation = torch.tensor([[3.0, -2.0, 1.0]])
    truth = affine_flow(matrix, translation, SHAPE)
    levels = (AffineLevel(2, 40, 0.3), AffineLevel(1, 40, 0.2))
    refinement = replace(ONE_LEVEL, affine_levels=levels)
    result = find_affine_part(problem(warp(moving, truth), moving, refinement), None)
    assert length(result.flow - truth) < 0.15 * length(truth)
    assert not result.dense_flow.any()


def test_wide_voxels_capture_larger_displacements():
    moving = texture()
    flow = torch.stack([noise(seed, 6) for seed in (1, 2, 3)])[None]
    flow = 6 * flow / flow.abs().max()
    fixed = warp(moving, flow)
    fine = Refinement((Level(2, 10, 0.5),))
    wide = Refinement((Level(2, 10, 0.5, 4), *fine.levels))
    errors = [length(refine(fixed, moving, r).flow - flow) for r in (fine, wide)]
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_velocity_comes_with_its_flow_and_its_inverse(symmetric):
    fixed, moving, flow = known_pair()
    refinement = replace(ONE_LEVEL, diffeomorphic=True, symmetric=symmetric)
    result = refine(fixed, moving, refinement)
    assert torch.equal(result.dense_flow, exponential(result.velocity))
    assert length(result.flow - flow) < 0.7 * length(flow)
    back = exponential(-result.velocity)
    assert length(compose(back, result.dense_flow)) < 0.03


def test_a_symmetric_search_is_the_same_from_either_side():
    fixed, moving, _ = known_pair()
    one_way = replace(ONE_LEVEL, diffeomorphic=True, levels=(Level(2, 8, 0.5),))
    both_ways = replace(one_way, symmetric=True)
    shares = []
    for refinement in (both_ways, one_way):
        forward = refine(fixed, moving, refinement).velocity
        backward = refine(moving, fixed, refinement).velocity
        shares.append(length(forward + backward) / length(forward))
    assert shares[0] < 0.02
    assert shares[1] > 0.05


def test_a_velocity_starts_from_the_flow_of_a_network():
    _, moving, flow = known_pair()
    fixed = warp(moving, flow)
    start = FlowParts.at_rest(moving)._replace(dense_flow=flow)
    still = replace(FAST, diffeomorphic=True, levels=(Level(1, 1, 1e-6),))
    result = refine(fixed, moving, still, start)
    assert length(result.flow - flow) < 0.03


def test_what_a_mask_leaves_out_does_not_count():
    fixed, moving, _ = known_pair()
    mask = torch.ones_like(fixed)
    mask[..., :14, :] = 0
    scrambled = torch.where(mask > 0, fixed, texture(7))
    flows = [
        refine(SideTensors(image, mask), moving, ONE_LEVEL).flow
        for image in (fixed, scrambled)
    ]
    assert torch.allclose(*flows, atol=1e-4)
    plain = [refine(image, moving, ONE_LEVEL).flow for image in (fixed, scrambled)]
    assert length(plain[0] - plain[1]) > 0.05


def test_a_moving_mask_moves_with_the_moving_image():
    fixed, moving, _ = known_pair()
    mask = torch.ones_like(moving)
    mask[..., :8] = 0
    scrambled = torch.where(mask > 0, moving, texture(7))
    masked, plain = (
        [
            refine(fixed, SideTensors(image, side_mask), ONE_LEVEL).flow
            for image in (moving, scrambled)
        ]
        for side_mask in (mask, None)
    )
    apart = [(a - b)[..., 11:-4].abs().mean() for a, b in (masked, plain)]
    assert apart[0] < 0.1 * apart[1]


def test_landmarks_pull_where_images_say_nothing():
    flat = torch.full((1, 1, *SHAPE), 0.5)
    points = torch.tensor([[[10.0, 14.0, 12.0], [22.0, 14.0, 12.0]]])
    shift = torch.tensor([2.0, -1.0, 0.0])
    refinement = Refinement((Level(8, 40, 0.2),), tolerance=0.0)
    sides = (SideTensors(flat, points=mm) for mm in (points, points + shift))
    result = refine(*sides, refinement)
    reached = result.flow[0, :, 10, 14, 12], result.flow[0, :, 22, 14, 12]
    assert all((flow - shift).norm() < 0.5 for flow in reached)


def test_structures_are_aligned_with_those_of_the_same_number():
    flat = torch.full((1, 1, *SHAPE), 0.5)
    fixed, moving = torch.zeros(2, 1, 1, *SHAPE, dtype=torch.int16)
    fixed[..., 8:18, 8:18, 8:18] = 3
    moving[..., 10:20, 8:18, 8:18] = 3
    fixed[..., 22:26, :4, :4] = 5  # missing on the other side
    result = refine(
        SideTensors(flat, labels=fixed), SideTensors(flat, labels=moving), FAST
    )
    moved = warp((moving == 3).float(), result.flow)
    shared = 2 * (moved * (fixed == 3)).sum() / (moved.sum() + (fixed == 3).sum())
    assert shared > 0.93  # 0.8 before


def test_a_second_channel_shows_what_the_first_does_not():
    fixed, moving, flow = known_pair()
    flat = torch.full_like(fixed, 0.5)
    pair = [torch.cat([flat, image], dim=1) for image in (fixed, moving)]
    result = refine(*pair, ONE_LEVEL)
    assert length(result.flow - flow) < 0.8 * length(flow)
    first_alone = replace(ONE_LEVEL, channel_weights=(1.0, 1e-6))
    assert length(refine(*pair, first_alone).flow) < 0.05 * length(flow)


def test_descriptors_see_through_inverted_intensities():
    fixed, moving, flow = known_pair()
    refinement = replace(ACCURATE, similarity="MIND-SSC")
    result = refine(fixed, 1 - moving, refinement)
    assert length(result.flow - flow) < 0.7 * length(flow)


def test_no_step_is_taken_after_the_deadline():
    fixed, moving, _ = known_pair()
    watch = Watch(deadline=0.0)
    result = find_transform(problem(fixed, moving, FAST_ALONE, watch), None)
    assert not result.dense_flow.any()


def test_every_step_is_reported_and_a_level_ends_when_it_gains_nothing():
    fixed, moving, _ = known_pair()
    steps = []
    watch = Watch(on_step=steps.append)
    rest = FlowParts.at_rest(moving)
    levels = (Level(4, 5, 0.5), Level(2, 60, 0.5))
    refinement = Refinement(levels, tolerance=0.01)
    find_transform(problem(fixed, moving, refinement, watch), rest)
    assert [(s.level, s.step) for s in steps[:6]] == [(1, n) for n in range(1, 6)] + [
        (2, 1)
    ]
    assert 5 + 16 <= len(steps) < 40
    assert steps[-1].similarity_loss < 0.5 * steps[0].similarity_loss
    steps.clear()
    unhurried = replace(refinement, tolerance=0.0, levels=(Level(2, 30, 0.5),))
    find_transform(problem(fixed, moving, unhurried, watch), rest)
    assert len(steps) == 30
