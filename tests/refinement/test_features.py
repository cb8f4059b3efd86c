"""Learned features as similarity: they lead where images do not."""

from dataclasses import replace

import pytest
import torch
from tests.refinement.test_search import SHAPE, length, noise, problem, refine, texture

from voltween.errors import InputError
from voltween.losses import feature_measure
from voltween.ops import warp
from voltween.refinement import FEATURES, Level, PairTensors, Refinement, SideTensors

SETTINGS = Refinement((Level(2, 30, 0.5),), similarity=FEATURES, image_weight=0.0)


def shares(image):
    """Two groups of structures that share every voxel."""
    return torch.cat([image, 1 - image], dim=1)


def pair_that_only_features_show():
    """Unrelated images whose features differ by a known flow, and the flow."""
    moving = shares((8 * (texture() - 0.5)).sigmoid())
    flow = torch.stack([noise(seed, 5) for seed in (1, 2, 3)])[None]
    flow = 2 * flow / flow.abs().max()
    sides = (
        SideTensors(texture(4), features=warp(moving, flow)),
        SideTensors(texture(5), features=moving),
    )
    return *sides, flow


def test_features_alone_find_a_flow_that_the_images_do_not_show():
    fixed, moving, flow = pair_that_only_features_show()
    by_features = refine(fixed, moving, SETTINGS).flow
    by_images = refine(
        fixed, moving, replace(SETTINGS, similarity="local correlation")
    ).flow
    assert length(by_features - flow) < 0.7 * length(flow)
    assert length(by_images - flow) > 0.9 * length(flow)


def test_features_alone_do_not_depend_on_the_images():
    fixed, moving, _ = pair_that_only_features_show()
    other = replace(fixed, image=texture(6))
    flows = [refine(side, moving, SETTINGS).flow for side in (fixed, other)]
    assert torch.equal(*flows)


def test_the_weight_of_the_correlation_counts():
    fixed, moving, flow = pair_that_only_features_show()
    heavy = refine(fixed, moving, replace(SETTINGS, image_weight=100.0)).flow
    alone = refine(fixed, moving, SETTINGS).flow
    assert length(heavy - flow) > length(alone - flow)


def test_what_the_images_compare_beside_features_can_be_chosen():
    fixed, moving, _ = pair_that_only_features_show()
    settings = replace(SETTINGS, image_weight=1.0)
    names = ("local correlation", "normalized mutual information")
    first, second = (
        refine(fixed, moving, replace(settings, beside_features=name)).flow
        for name in names
    )
    assert length(first - second) > 0.01


def test_symmetric_refinement_takes_features_back_and_forth():
    fixed, moving, flow = pair_that_only_features_show()
    settings = replace(SETTINGS, diffeomorphic=True, symmetric=True)
    found = refine(fixed, moving, settings).flow
    assert length(found - flow) < 0.8 * length(flow)


def test_features_are_averaged_on_wider_voxels():
    image = texture()
    pair = PairTensors(*(SideTensors(image, features=shares(image)),) * 2).shrink(2)
    assert pair.fixed.features.shape == (1, 2, *(n // 2 for n in SHAPE))
    torch.testing.assert_close(pair.fixed.features[:, :1], pair.fixed.image)


def test_groups_that_surely_differ_cost_one():
    ones, zeros = torch.ones(1, 1, 4, 4, 4), torch.zeros(1, 1, 4, 4, 4)
    first, second = torch.cat([ones, zeros], 1), torch.cat([zeros, ones], 1)
    assert feature_measure(2).loss(first, second, None).item() == pytest.approx(1)


def test_a_pair_without_features_is_refused():
    with pytest.raises(ValueError, match="without features"):
        refine(texture(), texture(1), SETTINGS)


def test_a_negative_weight_is_refused():
    with pytest.raises(InputError, match="image_weight"):
        replace(SETTINGS, image_weight=-1.0)


def test_the_problem_of_plain_images_has_no_features():
    assert problem(texture(), texture(1), SETTINGS).pair.fixed.features is None
