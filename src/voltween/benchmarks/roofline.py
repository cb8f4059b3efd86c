"""Speed of the steps of a cascade as a share of the limits of the machine.

No step can take less time than the larger of operations / (operations per second) and
bytes / (bytes per second), with the machine's best measured figures. The operations are
those performed, which are fewer than a direct convolution's with minimal filtering.

References:
    Williams, Waterman, Patterson 2009, Roofline, doi:10.1145/1498765.1498785.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from voltween.benchmarks.costs import Cost, cascade_cost, step_costs
from voltween.benchmarks.layers import LayerResult
from voltween.benchmarks.machine import Limits
from voltween.benchmarks.timing import Repetitions, Timing, Work, alternate
from voltween.benchmarks.workloads import random_network, smooth_flow, smooth_image
from voltween.networks import (
    AffineSubnetwork,
    CascadeConfig,
    DenseSubnetwork,
    VolumeTweeningNetwork,
    optimize,
    pack,
)
from voltween.ops import compose, compose_affine, warp

_WHOLE = "ADDD, whole"


@dataclass(frozen=True)
class StepResult:
    """Cost and time of one step."""

    name: str
    direct_operations: int
    """Operations of direct convolutions."""
    cost: Cost
    """Operations that are performed, and bytes."""
    timing: Timing

    def is_limited_by_memory(self, limits: Limits) -> bool:
        """Whether memory, rather than arithmetic, sets the shortest possible time."""
        return _memory_seconds(self.cost, limits) > _arithmetic_seconds(
            self.cost, limits
        )

    def share_of_limit(self, limits: Limits) -> float:
        """Shortest possible time over the shortest measured time; 1 is best."""
        shortest = max(
            _memory_seconds(self.cost, limits), _arithmetic_seconds(self.cost, limits)
        )
        return shortest / self.timing.minimum


def measure_roofline(side: int, repetitions: Repetitions) -> Iterator[StepResult]:
    """Measures every step of ADDD on a cube of `side` voxels, and all of it."""
    network = random_network("ADDD", side).eval()
    direct, performed = (
        step_costs(network.config, is_performed=is_performed)
        | {_WHOLE: cascade_cost(network.config, is_performed=is_performed)}
        for is_performed in (False, True)
    )
    works = _subnetwork_works(network.config) | _flow_works(side)
    works[_WHOLE] = _whole(network, side)
    without_gradients = torch.inference_mode()
    contenders = {name: without_gradients(work) for name, work in works.items()}
    for name, timing in alternate(contenders, repetitions).items():
        yield StepResult(name, direct[name].operations, performed[name], timing)


def step_of_layer(result: LayerResult) -> StepResult:
    """Returns a layer's cost and time as those of a step."""
    timing = result.timings["voltween"]
    operations = result.layer.cost.operations
    return StepResult(result.layer.name, operations, result.performed_cost, timing)


def _subnetwork_works(config: CascadeConfig) -> dict[str, Work]:
    fixed = smooth_image(config.shape[0], seed=1)
    moving = smooth_image(config.shape[0], seed=2)
    affine = AffineSubnetwork(config.shape, config.channels, config.affine_halvings)
    dense = DenseSubnetwork(config.channels, config.halvings, config.flow_multiplier)
    affine.encoder, dense = pack(affine.encoder), pack(dense)
    with torch.inference_mode():
        features = dense.encoder(fixed, moving)
        decoded = _decode(dense, features)
    return {
        "affine encoder": lambda: affine.encoder(fixed, moving),
        "encoder": lambda: dense.encoder(fixed, moving),
        "decoder": lambda: _decode(dense, features),
        "last layer": lambda: dense.flow.flow(decoded, 1.0),
    }


def _flow_works(side: int) -> dict[str, Work]:
    image = smooth_image(side, seed=1)
    outer, inner = smooth_flow(side, seed=3), smooth_flow(side, seed=4)
    matrix, translation = torch.eye(3).mul(0.1)[None], torch.ones(1, 3)
    return {
        "composition": lambda: compose(outer, inner),
        "affine composition": lambda: compose_affine(matrix, translation, inner),
        "warp": lambda: warp(image, outer),
    }


def _whole(network: VolumeTweeningNetwork, side: int) -> Work:
    fixed, moving = smooth_image(side, seed=1), smooth_image(side, seed=2)
    optimized = optimize(network)
    return lambda: optimized(fixed, moving)


def _decode(dense: DenseSubnetwork, features: list[Tensor]) -> Tensor:
    *skips, coarse = features
    for step, skip in zip(dense.steps, reversed(skips), strict=True):
        coarse = step(coarse, skip)
    return coarse


def _memory_seconds(cost: Cost, limits: Limits) -> float:
    return cost.bytes / limits.copy_bytes_per_second


def _arithmetic_seconds(cost: Cost, limits: Limits) -> float:
    return cost.operations / limits.flops
