"""Times of the layers of a dense subnetwork, as in inference and in plain PyTorch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from voltween.benchmarks.costs import Cost, Layer, dense_layers
from voltween.benchmarks.naive_cascade import naive_copy
from voltween.benchmarks.timing import Repetitions, Timing, Work, alternate
from voltween.benchmarks.workloads import random_network
from voltween.networks import pack

_LEAK = 0.1
_PHASES = 24  # channels of the prediction's eight phases


@dataclass(frozen=True)
class LayerResult:
    """Cost and times of one layer."""

    layer: Layer
    performed_cost: Cost
    """The cost of the operations that are performed, and of the bytes."""
    timings: dict[str, Timing]
    """Times of `voltween` and of `plain PyTorch`."""


def measure_layers(side: int, repetitions: Repetitions) -> Iterator[LayerResult]:
    """Measures every layer of a dense subnetwork for images of `side` voxels per axis.

    Includes LeakyReLU, the joining of features and the interleaving of the flow.
    """
    network = random_network("D", side).eval()
    ours, plain = pack(network.dense[0]), naive_copy(network).dense[0]
    without_gradients = torch.inference_mode()
    for layer in dense_layers(network.config):
        works = _works(layer, ours, plain)
        contenders = {name: without_gradients(work) for name, work in works.items()}
        timings = alternate(contenders, repetitions)
        yield LayerResult(layer, layer.performed_cost, timings)


def _works(layer: Layer, ours: nn.Module, plain: nn.Module) -> dict[str, Work]:
    packed: Any = ours.get_submodule(layer.module)
    usual: Any = plain.get_submodule(layer.module)
    x = _features(layer.inputs, layer.shape)
    contiguous = x.contiguous()
    works: dict[str, Work] = {
        "voltween": lambda: packed(x),
        "plain PyTorch": lambda: usual(contiguous),
    }
    if layer.kind == "flow":
        works["voltween"] = lambda: packed.flow(x, 1.0)
    if layer.kind == "joining":
        works = _joining(layer, packed, usual, x)
    return works


def _joining(
    layer: Layer, packed: Any, usual: Callable[[Tensor], Tensor], x: Tensor
) -> dict[str, Work]:
    fine = tuple(2 * side for side in layer.shape)
    skip = _features(layer.outputs, fine)
    phases = _features(_PHASES, tuple(side + 1 for side in layer.shape))
    prediction = torch.rand(1, 3, *fine)
    contiguous, plain_skip = x.contiguous(), skip.contiguous()

    def plain() -> Tensor:
        upsampled = leaky_relu(usual(contiguous), _LEAK)
        return torch.cat([plain_skip, upsampled, prediction], dim=1)

    return {
        "voltween": lambda: packed.join(x, skip, phases, _LEAK),
        "plain PyTorch": plain,
    }


def _features(channels: int, shape: tuple[int, ...]) -> Tensor:
    """Random features, channels last in memory."""
    return torch.rand(1, *shape, channels).permute(0, 4, 1, 2, 3)
