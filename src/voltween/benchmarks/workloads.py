"""Workloads of the benchmarks: networks of all contenders, inputs, training steps.

Inputs and weights are drawn with fixed seeds, so every contender gets the same.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from voltween.benchmarks.naive import naive_correlation_loss, naive_total_variation_loss
from voltween.benchmarks.naive_cascade import naive_copy, naive_objective
from voltween.benchmarks.timing import Work
from voltween.benchmarks.voxelmorph_package import VoxelMorphName, voxelmorph_network
from voltween.networks import (
    CascadeConfig,
    Precision,
    VolumeTweeningNetwork,
    optimize,
)
from voltween.ops import FlowParts
from voltween.refinement import (
    FAST,
    PairTensors,
    Problem,
    SideTensors,
    Watch,
    find_transform,
)
from voltween.training import VTN_LIVER, stage_losses, total_loss

Contender = (
    Literal["voltween", "voltween bf16", "voltween auto", "voltween recomputing"]
    | Literal["plain PyTorch"]
    | VoxelMorphName
)
Purpose = Literal["inference", "training", "refinement"]
_LEARNING_RATE = 1e-4
# Of our inference; every other contender's is single.
_PRECISIONS: dict[str, Precision] = {"voltween bf16": "bf16", "voltween auto": "auto"}


@dataclass(frozen=True)
class Workload:
    """A forward pass, training step or refinement of a contender, for a pair."""

    purpose: Purpose
    contender: Contender
    stages: str
    """Stages of the cascade; the VoxelMorph networks and a refinement have none."""
    side: int
    """Voxels along each axis."""
    levels: int = CascadeConfig.levels
    """Most halvings of the cascade's dense subnetworks."""

    def prepare(self) -> Work:
        """Returns the call to measure, after making all that it needs.

        Weights, gradients, optimizer and inputs exist then. An inference call returns
        the network's result.
        """
        fixed, moving = smooth_image(self.side, seed=1), smooth_image(self.side, seed=2)
        prepare = {
            "training": _training,
            "inference": _inference,
            "refinement": _refinement,
        }
        return prepare[self.purpose](self, fixed, moving)


def random_network(
    stages: str, side: int, levels: int = CascadeConfig.levels
) -> VolumeTweeningNetwork:
    """Returns the paper's network with random last layers: flows voxels long."""
    torch.manual_seed(0)
    network = VolumeTweeningNetwork(
        CascadeConfig(stages, (side, side, side), levels=levels)
    )
    with torch.no_grad():
        if network.affine is not None:
            network.affine.head.weight.normal_(0, 0.05)
        for number in range(stages.count("D")):
            network.get_parameter(f"dense.{number}.flow.weight").normal_(0, 0.1)
    return network


def smooth_image(side: int, *, seed: int) -> Float[Tensor, "1 1 i j k"]:
    """Returns smooth intensities around 0, with a standard deviation near 1."""
    return _smooth_noise(1, side, seed)


def smooth_flow(side: int, *, seed: int) -> Float[Tensor, "1 3 i j k"]:
    """Returns a smooth flow, mostly below 6 voxels along each axis."""
    return 3 * _smooth_noise(3, side, seed)


def _smooth_noise(channels: int, side: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = max(2, side // 8)
    noise = torch.randn(1, channels, coarse, coarse, coarse, generator=generator)
    return interpolate(noise, size=(side,) * 3, mode="trilinear", align_corners=True)


def _refinement(workload: Workload, fixed: Tensor, moving: Tensor) -> Work:
    pair = PairTensors(_from_0_to_1(fixed), _from_0_to_1(moving))
    # As many steps for every size: the levels do not end early.
    problem = Problem(pair, replace(FAST, tolerance=-math.inf), Watch())
    return lambda: find_transform(problem, FlowParts.at_rest(fixed))


def _from_0_to_1(image: Tensor) -> SideTensors:
    return SideTensors((image / 6 + 0.5).clamp(0, 1))


def _inference(workload: Workload, fixed: Tensor, moving: Tensor) -> Work:
    network = _inference_network(workload)

    def work() -> object:
        with torch.inference_mode():
            return network(fixed, moving)

    return work


def _inference_network(workload: Workload) -> Callable[[Tensor, Tensor], object]:
    if workload.contender == "VoxelMorph" or workload.contender == "VoxelMorph-2":
        return _in_our_order(voxelmorph_network(workload.contender).eval())
    network = random_network(workload.stages, workload.side, workload.levels)
    if workload.contender == "plain PyTorch":
        return naive_copy(network).eval()
    return optimize(network, _PRECISIONS.get(workload.contender, "fp32"))


def _training(workload: Workload, fixed: Tensor, moving: Tensor) -> Work:
    network, loss = _trainable(workload)
    optimizer = torch.optim.Adam(
        network.parameters(),
        lr=_LEARNING_RATE,
        fused=workload.contender.startswith("voltween"),
    )
    # Adam's state exists before the first step, as in the middle of a run.
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()

    def work() -> None:
        optimizer.zero_grad()
        loss(fixed, moving).backward()
        optimizer.step()

    return work


def _trainable(
    workload: Workload,
) -> tuple[nn.Module, Callable[[Tensor, Tensor], Tensor]]:
    """Returns a network, and its loss as a function of fixed and moving image."""
    if workload.contender == "VoxelMorph" or workload.contender == "VoxelMorph-2":
        voxelmorph = voxelmorph_network(workload.contender)
        forward = _in_our_order(voxelmorph)
        return voxelmorph, lambda f, m: _voxelmorph_loss(forward(f, m), f)
    network = random_network(workload.stages, workload.side, workload.levels)
    if workload.contender == "plain PyTorch":
        naive = naive_copy(network)
        return naive, lambda f, m: naive_objective(naive(f, m), f)
    network.recomputes_features = workload.contender == "voltween recomputing"
    is_bf16 = workload.contender == "voltween bf16"
    return network, lambda f, m: _our_loss(network, f, m, is_bf16=is_bf16)


def _our_loss(
    network: VolumeTweeningNetwork, fixed: Tensor, moving: Tensor, *, is_bf16: bool
) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
        tweening = network(fixed, moving)
    return total_loss(stage_losses(tweening, fixed, VTN_LIVER))


def _voxelmorph_loss(result: tuple[Tensor, Tensor], fixed: Tensor) -> Tensor:
    # The same terms as ours, so that the steps differ in the network only.
    flow, moved = result
    return naive_correlation_loss(fixed, moved) + naive_total_variation_loss(flow)


def _in_our_order(
    network: nn.Module,
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Returns a VoxelMorph network as a function (fixed, moving) -> (flow, moved)."""
    return lambda fixed, moving: network(moving, fixed, return_warped_source=True)
