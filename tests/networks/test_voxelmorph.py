"""VoxelMorph-2 against its own package."""

import pytest
import torch

from support.voxelmorph import CUBE, image_pair, random_voxelmorph
from voltween import process
from voltween.errors import InputError, MissingPackageError
from voltween.networks import VoxelMorphConfig, build
from voltween.ops import warp

pytest.importorskip("voxelmorph", reason="needs the extra `baselines`")

SHAPE = (16, 32, 48)


def test_the_flow_and_the_moved_image_are_those_of_the_package():
    network = random_voxelmorph(SHAPE)
    fixed, moving = image_pair(SHAPE)
    with torch.no_grad():
        ours = network(fixed, moving)
        flow, moved = network.pairwise(moving, fixed, return_warped_source=True)
    assert ours.flow.abs().amax((0, 2, 3, 4)).min() > 3
    torch.testing.assert_close(ours.flow, flow, atol=1e-4, rtol=0)
    reach = flow.abs().max().ceil().int()  # beyond the image the package sees 0
    inside = (..., *[slice(reach, -reach)] * 3)
    assert moved[inside].numel() > 1000
    torch.testing.assert_close(ours.moved[inside], moved[inside], atol=1e-4, rtol=0)


def test_a_flow_of_whole_voxels_moves_the_image_the_way_it_says():
    network = random_voxelmorph(SHAPE, shift=(1.0, -2.0, 0.0), strength=0.0)
    fixed, moving = image_pair(SHAPE)
    with torch.no_grad():
        ours = network(fixed, moving).moved
        _, theirs = network.pairwise(moving, fixed, return_warped_source=True)
    expected = moving[..., 1:, :-2, :]
    for moved in (ours, theirs):
        torch.testing.assert_close(moved[..., :-1, 2:, :], expected, atol=1e-5, rtol=0)


def test_it_keeps_the_contract_of_a_cascade_with_one_dense_stage():
    network = random_voxelmorph(SHAPE)
    fixed, moving = image_pair(SHAPE)
    tweening = network(fixed, moving)
    (stage,) = tweening.stages
    assert network.config.stage_names == ("dense 1",)
    assert not stage.is_affine
    for flow in (stage.own_flow, stage.parts.dense_flow, stage.flow):
        assert flow is tweening.flow
    assert torch.equal(tweening.moved, warp(moving, tweening.flow))
    assert torch.equal(stage.parts.matrix, torch.zeros(2, 3, 3))
    assert torch.equal(stage.parts.translation, torch.zeros(2, 3))


def test_parameters_are_those_of_a_u_net_of_16_32_32_32_features():
    down, up = [(2, 16), (16, 32), (32, 32), (32, 32)], [(64, 32)] * 2
    layers = [*down, (32, 32), *up, (64, 16), (32, 16)]
    count = sum(27 * inputs * outputs + outputs for inputs, outputs in layers)
    count += (16 * 3 + 3) + (27 * 3 * 3 + 3)  # last features, flow
    network = build(VoxelMorphConfig(CUBE))
    assert sum(weight.numel() for weight in network.parameters()) == count == 250233


def test_training_starts_from_rest():
    torch.manual_seed(0)
    fixed, moving = image_pair(SHAPE)
    tweening = build(VoxelMorphConfig(SHAPE))(fixed, moving)
    assert 0 < tweening.flow.abs().max() < 1e-3


def test_the_flow_is_in_single_precision_whatever_the_features():
    network, images = random_voxelmorph(), image_pair()
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
    with pytest.raises(InputError, match="multiples of 16 voxels") as caught:
        VoxelMorphConfig(shape)
    assert str(caught.value).endswith(f"nearest legal shape is {nearest}")


def test_the_smallest_grid_that_covers_a_shape():
    assert VoxelMorphConfig.covering((16, 17, 33)).shape == (16, 32, 48)


def test_without_the_package_building_says_what_to_install(monkeypatch):
    monkeypatch.setattr(process, "installed_version", lambda package: None)
    with pytest.raises(MissingPackageError, match=r"'voltween\[baselines\]'"):
        build(VoxelMorphConfig(CUBE))
