"""Times the weight gradients of ADDD's layers, and a whole training step.

    python runs/training_step.py [--stages AD] [--seconds 5] [--step-seconds 240]

Prints two tables of the shortest processor times on one thread. The forms take turns.
Processor time does not count the time for which other processes have the core, but
other load on the caches does slow all forms. "oneDNN" is PyTorch's own gradient of the
weights, by the fastest of its ways; in the whole step, it is ours without the kernels
for gradients.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
import tyro
from torch import Tensor

from voltween.benchmarks.workloads import Workload
from voltween.networks.gradients import Geometry, gradient_of_weights

Work = Callable[[], Any]

# Name, channels in and out, size of the kernel, stride, voxels of the features per side
# as a fraction of the images'.
_LAYERS = (
    ("conv1", 2, 16, 3, 2, 1),
    ("conv2", 16, 32, 3, 2, 2),
    ("conv3", 32, 64, 3, 2, 4),
    ("conv3_1", 64, 64, 3, 1, 8),
    ("conv4", 64, 128, 3, 2, 8),
    ("conv4_1", 128, 128, 3, 1, 16),
    ("upsampling to level 3", 259, 512, 2, 1, 16),
    ("upsampling to level 2", 131, 256, 2, 1, 8),
    ("upsampling to level 1", 67, 128, 2, 1, 4),
    ("last layer", 35, 24, 2, 1, 2),
    ("prediction, level 2", 67, 3, 3, 1, 4),
    ("prediction, level 3", 131, 3, 3, 1, 8),
)


@dataclass(frozen=True)
class Settings:
    """Options of the measurement."""

    stages: str = "AD"
    """Cascade of the whole step."""
    seconds: float = 5.0
    """Seconds per layer."""
    step_seconds: float = 240.0
    """Seconds for the whole step."""
    side: int = 128
    """Voxels per side of the images."""


def main(settings: Settings) -> None:
    """Prints the tables."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| layer | channels | result | oneDNN | ours | oneDNN / ours |")
    print("| --- | --- | --- | --- | --- | --- |")
    for layer in _LAYERS:
        _print_layer(layer, settings)
    times = _shortest(_steps(settings), settings.step_seconds)
    shown = " | ".join(f"{seconds:.2f} s" for seconds in times.values())
    print("\n| step | ours | with oneDNN's gradients | plain PyTorch | ours / plain |")
    print("| --- | --- | --- | --- | --- |")
    ratio = times["ours"] / times["plain"]
    print(f"| {settings.stages} | {shown} | {ratio:.2f} |")


def _print_layer(
    layer: tuple[str, int, int, int, int, int], settings: Settings
) -> None:
    name, inputs, outputs, size, stride, divisor = layer
    geometry = Geometry(stride, 1)
    side = settings.side // divisor
    result = (side + 2 - size) // stride + 1
    x, gradient = _features(inputs, side), _features(outputs, result)
    weight = torch.rand(outputs, inputs, size, size, size)

    def ours() -> Tensor:
        return gradient_of_weights(gradient, x, weight, geometry)

    def onednn() -> Tensor:
        with _without_kernels():
            return ours()

    times = _shortest({"onednn": onednn, "ours": ours}, settings.seconds)
    shown = " | ".join(f"{1000 * seconds:.1f} ms" for seconds in times.values())
    gain = times["onednn"] / times["ours"]
    channels = f"{inputs} to {outputs}"
    print(f"| {name} | {channels} | {result}^3 | {shown} | {gain:.2f} |", flush=True)


def _steps(settings: Settings) -> Mapping[str, Work]:
    ours = Workload("training", "voltween", settings.stages, settings.side).prepare()

    def with_onednn() -> None:
        with _without_kernels():
            ours()

    plain = Workload("training", "plain PyTorch", settings.stages, settings.side)
    return {"ours": ours, "onednn": with_onednn, "plain": plain.prepare()}


@contextmanager
def _without_kernels() -> Any:
    """Lets PyTorch compute the gradients for which there are kernels of our own."""
    module = "voltween.networks.gradients"
    with ExitStack() as stack:
        stack.enter_context(patch(f"{module}.weight_gradient", return_value=None))
        stack.enter_context(patch(f"{module}._interleaved_gradient", return_value=None))
        yield


def _features(channels: int, side: int) -> Tensor:
    """Random features of both signs, channels last in memory."""
    return torch.randn(1, side, side, side, channels).permute(0, 4, 1, 2, 3)


def _shortest(works: Mapping[str, Work], seconds: float) -> dict[str, float]:
    for work in works.values():
        work()
    times = dict.fromkeys(works, float("inf"))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, work in works.items():
            start = time.thread_time()
            work()
            times[name] = min(times[name], time.thread_time() - start)
    return times


if __name__ == "__main__":
    main(tyro.cli(Settings))
