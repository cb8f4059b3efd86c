"""VoxelMorph-2 against its own package, as a network and as a model."""

import pytest
import torch

from support.voxelmorph import (
    CUBE,
    SHAPE,
    hide_voxelmorph,
    pair,
    skip_without_voxelmorph,
    some_model,
    some_network,
)
from voltween.errors import InputError
from voltween.models import load_model, save_model
from voltween.networks import VoxelMorphConfig, build
from voltween.networks.cascade import check_pair
from voltween.ops import warp

skip_without_voxelmorph()


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
        for flow in (stage.own_flow, stage.parts.dense_flow, stage.flow):
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
        with pytest.raises(ValueError, match=r"must both have shape \(B, 1, I, J, K\)"):
            check_pair(*images)

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


class TestWithoutThePackage:
    MESSAGE = r"package.* pip install '?voltween\[baselines\]"

    def test_building_and_loading_say_what_to_install(self, monkeypatch, tmp_path):
        path = save_model(some_model(), tmp_path / "mine.safetensors")
        hide_voxelmorph(monkeypatch)
        with pytest.raises(InputError, match=self.MESSAGE):
            build(VoxelMorphConfig(CUBE))
        with pytest.raises(InputError, match=self.MESSAGE):
            load_model(path)
