"""Transforms sought on the pair: closer to the truth, smooth, the same every time."""

import itertools
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
    Evidence,
    Level,
    Refinement,
    Watch,
)
from voltween.refinement.search import PairSearch

SHAPE = (32, 28, 24)
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


def sought(fixed, moving, refinement, start=None, **evidence):
    """The transform found from rest, or from a start."""
    search = PairSearch(Evidence(fixed, moving, **evidence), refinement, Watch())
    return search.run(start or FlowParts.at_rest(moving))


def length(flow):
    """Mean length inside, in voxels."""
    return float(flow[INSIDE].square().sum(1).sqrt().mean())


def test_a_known_flow_is_found_again():
    fixed, moving, flow = known_pair()
    found = sought(fixed, moving, FAST)
    assert length(found.flow - flow) < 0.7 * length(flow)


def test_more_steps_make_the_images_more_alike_and_nothing_folds():
    fixed, moving, _ = known_pair()
    losses = [local_correlation_loss(fixed, moving)]
    for effort in (FAST, ACCURATE):
        found = sought(fixed, moving, effort)
        losses.append(local_correlation_loss(fixed, warp(moving, found.flow)))
        assert float(folding_fraction(found.flow)) == 0
    assert losses[2] < 0.9 * losses[1] < 0.3 * losses[0]


def test_the_affine_part_stays_and_the_dense_part_takes_up_the_rest():
    fixed, moving, _ = known_pair()
    translation = torch.tensor([[0.7, 0.0, -0.4]])
    start = FlowParts.at_rest(moving)._replace(translation=translation)
    found = sought(fixed, moving, FAST, start)
    assert torch.equal(found.translation, translation)
    shift = translation[..., None, None, None].expand_as(found.flow)
    assert torch.allclose(found.flow - found.dense_flow, shift, atol=1e-5)
    moved = warp(moving, found.flow)
    before = local_correlation_loss(fixed, moving)
    assert local_correlation_loss(fixed, moved) < 0.5 * before


def test_equal_images_stay_where_they_are():
    image = texture()
    assert sought(image, image, FAST).flow.abs().max() < 0.02


def test_the_same_pair_gives_the_same_flow():
    fixed, moving, _ = known_pair()
    flows = [sought(fixed, moving, FAST).flow for _ in range(2)]
    assert torch.equal(*flows)


def test_unlike_images_are_not_folded_onto_one_another():
    fixed, moving = texture(0), texture(9)
    free = Refinement((Level(1, 40, 0.3),), update_variation=0.0, folding=0.0)
    held = replace(free, folding=100.0)
    shares = [
        float(folding_fraction(sought(fixed, moving, r).flow)) for r in (free, held)
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
    evidence = Evidence(warp(moving, truth), moving)
    found = PairSearch(evidence, refinement, Watch()).affine(None)
    assert length(found.flow - truth) < 0.15 * length(truth)
    assert not found.dense_flow.any()


def test_wide_voxels_reach_further():
    moving = texture()
    flow = torch.stack([noise(seed, 6) for seed in (1, 2, 3)])[None]
    flow = 6 * flow / flow.abs().max()
    fixed = warp(moving, flow)
    fine = Refinement((Level(2, 10, 0.5),))
    wide = Refinement((Level(2, 10, 0.5, 4), *fine.levels))
    errors = [length(sought(fixed, moving, r).flow - flow) for r in (fine, wide)]
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_velocity_comes_with_its_flow_and_the_way_back(symmetric):
    fixed, moving, flow = known_pair()
    refinement = replace(FAST, diffeomorphic=True, symmetric=symmetric)
    found = sought(fixed, moving, refinement)
    assert torch.equal(found.dense_flow, exponential(found.velocity))
    assert length(found.flow - flow) < 0.7 * length(flow)
    back = exponential(-found.velocity)
    assert length(compose(back, found.dense_flow)) < 0.02


def test_a_symmetric_search_is_the_same_from_either_side():
    fixed, moving, _ = known_pair()
    refinement = replace(FAST, diffeomorphic=True, symmetric=True)
    there = sought(fixed, moving, refinement).velocity
    back = sought(moving, fixed, refinement).velocity
    assert length(there + back) < 0.02 * length(there)
    one_way = replace(refinement, symmetric=False)
    there = sought(fixed, moving, one_way).velocity
    back = sought(moving, fixed, one_way).velocity
    assert length(there + back) > 0.05 * length(there)


def test_a_velocity_starts_from_the_flow_of_a_network():
    _, moving, flow = known_pair()
    fixed = warp(moving, flow)
    start = FlowParts.at_rest(moving)._replace(dense_flow=flow)
    still = replace(FAST, diffeomorphic=True, levels=(Level(1, 1, 1e-6),))
    found = sought(fixed, moving, still, start)
    assert length(found.flow - flow) < 0.03


def test_what_a_mask_leaves_out_does_not_count():
    fixed, moving, _ = known_pair()
    mask = torch.ones_like(fixed)
    mask[..., :14, :] = 0
    scrambled = torch.where(mask > 0, fixed, texture(7))
    flows = [
        sought(image, moving, ONE_LEVEL, fixed_mask=mask).flow
        for image in (fixed, scrambled)
    ]
    assert torch.allclose(*flows, atol=1e-4)
    plain = [sought(image, moving, ONE_LEVEL).flow for image in (fixed, scrambled)]
    assert length(plain[0] - plain[1]) > 0.05


def test_a_moving_mask_moves_with_the_moving_image():
    fixed, moving, _ = known_pair()
    mask = torch.ones_like(moving)
    mask[..., :12] = 0
    scrambled = torch.where(mask > 0, moving, texture(7))
    masked, plain = (
        [sought(fixed, image, ONE_LEVEL, **given).flow for image in (moving, scrambled)]
        for given in ({"moving_mask": mask}, {})
    )
    apart = [(a - b)[..., 15:-4].abs().mean() for a, b in (masked, plain)]
    assert apart[0] < 0.1 * apart[1]


def test_landmarks_pull_where_images_say_nothing():
    flat = torch.full((1, 1, *SHAPE), 0.5)
    points = torch.tensor([[[10.0, 14.0, 12.0], [22.0, 14.0, 12.0]]])
    shift = torch.tensor([2.0, -1.0, 0.0])
    refinement = Refinement((Level(8, 40, 0.2),), tolerance=0.0)
    found = sought(
        flat, flat, refinement, fixed_points=points, moving_points=points + shift
    )
    reached = found.flow[0, :, 10, 14, 12], found.flow[0, :, 22, 14, 12]
    assert all((there - shift).norm() < 0.5 for there in reached)


def test_structures_are_laid_on_those_of_the_same_number():
    flat = torch.full((1, 1, *SHAPE), 0.5)
    fixed, moving = torch.zeros(2, 1, 1, *SHAPE, dtype=torch.int16)
    fixed[..., 8:18, 8:18, 8:18] = 3
    moving[..., 10:20, 8:18, 8:18] = 3
    fixed[..., 22:26, :4, :4] = 5  # which the other has not
    found = sought(flat, flat, FAST, fixed_labels=fixed, moving_labels=moving)
    moved = warp((moving == 3).float(), found.flow)
    shared = 2 * (moved * (fixed == 3)).sum() / (moved.sum() + (fixed == 3).sum())
    assert shared > 0.93  # 0.8 before


def test_a_second_channel_tells_what_the_first_cannot():
    fixed, moving, flow = known_pair()
    flat = torch.full_like(fixed, 0.5)
    pair = [torch.cat([flat, image], dim=1) for image in (fixed, moving)]
    found = sought(*pair, ONE_LEVEL)
    assert length(found.flow - flow) < 0.8 * length(flow)
    unheard = replace(ONE_LEVEL, channel_weights=(1.0, 1e-6))
    assert length(sought(*pair, unheard).flow) < 0.05 * length(flow)


def test_descriptors_see_through_inverted_intensities():
    fixed, moving, flow = known_pair()
    refinement = replace(ACCURATE, similarity="MIND-SSC")
    found = sought(fixed, 1 - moving, refinement)
    assert length(found.flow - flow) < 0.7 * length(flow)


def test_nothing_is_done_when_the_time_is_over():
    fixed, moving, _ = known_pair()
    watch = Watch(deadline=0.0)
    found = PairSearch(Evidence(fixed, moving), FAST_ALONE, watch).run(None)
    assert not found.dense_flow.any()


def test_every_step_is_told_and_a_level_ends_where_nothing_is_gained():
    fixed, moving, _ = known_pair()
    told = []
    watch = Watch(on_step=told.append)
    levels = (Level(4, 5, 0.5), Level(2, 60, 0.5))
    refinement = Refinement(levels, tolerance=0.01)
    PairSearch(Evidence(fixed, moving), refinement, watch).run(
        FlowParts.at_rest(moving)
    )
    assert [(s.level, s.step) for s in told[:6]] == [(1, n) for n in range(1, 6)] + [
        (2, 1)
    ]
    assert 5 + 16 <= len(told) < 40
    assert told[-1].similarity_loss < 0.5 * told[0].similarity_loss
    told.clear()
    unhurried = replace(refinement, tolerance=0.0, levels=(Level(2, 30, 0.5),))
    PairSearch(Evidence(fixed, moving), unhurried, watch).run(FlowParts.at_rest(moving))
    assert len(told) == 30


def test_evidence_on_wide_voxels_is_in_the_same_place():
    image = texture()
    labels = torch.zeros(1, 1, *SHAPE, dtype=torch.int16)
    labels[..., 8:16, 8:16, 8:16] = 4
    points = torch.tensor([[[9.5, 13.5, 5.5]]])
    seen = Evidence(
        image,
        image,
        fixed_labels=labels,
        moving_labels=labels,
        fixed_points=points,
        moving_points=points,
    ).shrunk(4)
    assert seen.shape == (8, 7, 6)
    assert torch.allclose(
        seen.fixed[0, 0, 2, 3, 1], image[0, 0, 8:12, 12:16, 4:8].mean()
    )
    inside = list(itertools.product((2, 3), repeat=3))
    assert (
        sorted(map(tuple, (seen.fixed_labels[0, 0] == 4).nonzero().tolist())) == inside
    )
    assert torch.equal(seen.fixed_points, torch.tensor([[[2.0, 3.0, 1.0]]]))
    assert seen.fixed_mask is None
    assert seen.labels == [4]
