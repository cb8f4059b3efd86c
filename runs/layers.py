"""Times the layers of ADDD by minimal filtering, by oneDNN and in plain PyTorch.

    python runs/layers.py [--seconds 10] [--side 128]

Prints a table: the shortest processor time of each form of a layer on one thread. The
forms take turns. Processor time does not count the time for which other processes have
the core, but other load on the caches does slow all forms. An upsampling includes its
LeakyReLU and the joining with the features of the encoder, the last layer includes the
interleaving of the flow.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
import tyro
from torch import Tensor
from torch.nn.functional import conv3d, conv_transpose3d, leaky_relu

from voltween.benchmarks.naive_cascade import naive_copy
from voltween.networks import CascadeConfig, VolumeTweeningNetwork, optimize, pack
from voltween.networks.blocks import LEAK, Convolution, LinearConvolution
from voltween.networks.upsampling import Upsampling

Work = Callable[[], Any]
_CHOICE = "voltween.networks.inference.winograd_convolution"


@dataclass(frozen=True)
class Settings:
    """Options of the measurement."""

    seconds: float = 10.0
    """Seconds per layer."""
    side: int = 128
    """Voxels per side of the images."""


@dataclass(frozen=True)
class Layer:
    """A layer in its three forms."""

    name: str
    channels: str
    voxels: int
    """Voxels of the input per side."""
    plain: Work
    onednn: Work
    ours: Work


def main(settings: Settings) -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| layer | channels | input | plain PyTorch | oneDNN, packed | now | gain |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    layers = (*_upsamplings(settings.side), *_convolutions(settings.side))
    with torch.inference_mode():
        for layer in (*layers, _whole(settings.side)):
            works = (layer.plain, layer.onednn, layer.ours)
            times = _shortest(works, settings.seconds)
            shown = " | ".join(f"{1000 * seconds:.1f} ms" for seconds in times)
            gain = f"{times[1] / times[2]:.2f}"
            print(
                f"| {layer.name} | {layer.channels} | {layer.voxels}^3 | {shown} | "
                f"{gain} |",
                flush=True,
            )


def _upsamplings(side: int) -> Iterator[Layer]:
    yield _last_layer(side // 2)
    for level in range(1, 4):
        outputs = 16 * 2 ** (level - 1)
        yield _step(level, 4 * outputs + 3, outputs, side // 2 ** (level + 1))


def _last_layer(side: int) -> Layer:
    layer, x = _upsampling(35, 3), _features(35, side)
    forms = _forms(layer, x)
    weight = layer.state_dict()["weight"]
    return Layer(
        "last layer",
        "35 to 3",
        side,
        lambda: conv_transpose3d(x.contiguous(), weight, stride=2, padding=1),
        lambda: forms[0].flow(x, 1.0),
        lambda: forms[1].flow(x, 1.0),
    )


def _step(level: int, inputs: int, outputs: int, side: int) -> Layer:
    layer, x = _upsampling(inputs, outputs), _features(inputs, side)
    skip, fine = _features(outputs, 2 * side), torch.rand(1, 3, *(2 * side,) * 3)
    phases = _features(24, side + 1)
    forms = _forms(layer, x)
    weight = layer.state_dict()["weight"]
    contiguous, plain_skip = x.contiguous(), skip.contiguous()

    def plain() -> Tensor:
        upsampled = conv_transpose3d(contiguous, weight, stride=2, padding=1)
        return torch.cat([plain_skip, leaky_relu(upsampled, LEAK), fine], dim=1)

    return Layer(
        f"upsampling to level {level}",
        f"{inputs} to {outputs}",
        side,
        plain,
        lambda: forms[0].join(x, skip, phases, LEAK),
        lambda: forms[1].join(x, skip, phases, LEAK),
    )


def _convolutions(side: int) -> Iterator[Layer]:
    for level, inputs, outputs in ((2, 67, 3), (3, 131, 3), (4, 259, 3)):
        prediction = LinearConvolution(inputs, outputs)
        yield _convolution(f"prediction, level {level}", prediction, side // 2**level)
    for level, channels in ((3, 64), (4, 128)):
        layer = Convolution(channels, channels)
        yield _convolution(f"conv{level}_1", layer, side // 2**level)


def _convolution(name: str, layer: Any, side: int) -> Layer:
    inner: Any = layer[0] if isinstance(layer, Convolution) else layer
    x = _features(inner.in_channels, side)
    forms = _forms(layer, x)
    contiguous = x.contiguous()

    def plain() -> Tensor:
        result = conv3d(contiguous, inner.weight, inner.bias, padding=1)
        return leaky_relu(result, LEAK) if isinstance(layer, Convolution) else result

    return Layer(
        name,
        f"{inner.in_channels} to {inner.out_channels}",
        side,
        plain,
        lambda: forms[0](x),
        lambda: forms[1](x),
    )


def _whole(side: int) -> Layer:
    network = VolumeTweeningNetwork(CascadeConfig("ADDD", (side,) * 3)).eval()
    with torch.no_grad():
        for weight in (dense.get_parameter("flow.weight") for dense in network.dense):
            weight.normal_(0, 0.02)
    images = [torch.rand(1, 1, *(side,) * 3) for _ in range(2)]
    plain: Any = naive_copy(network)
    with patch(_CHOICE, return_value=None), torch.inference_mode():
        before = optimize(network, "fp32")
        before(*images)
    now = optimize(network, "fp32")
    return Layer(
        "ADDD, whole",
        "",
        side,
        lambda: plain(*images),
        lambda: before(*images),
        lambda: now(*images),
    )


def _upsampling(inputs: int, outputs: int) -> Upsampling:
    layer = Upsampling(inputs, outputs)
    torch.nn.init.normal_(layer.weight, 0, 0.05)
    return layer


def _features(channels: int, side: int) -> Tensor:
    """Random features, channels last in memory."""
    return torch.rand(1, side, side, side, channels).permute(0, 4, 1, 2, 3)


def _forms(layer: Any, x: Tensor) -> tuple[Any, Any]:
    """The layer packed for these features by oneDNN, and as inference chooses."""
    with torch.no_grad():
        onednn, ours = pack(layer), pack(layer)
    with torch.inference_mode():
        with patch(_CHOICE, return_value=None):
            onednn(x)
        ours(x)
    return onednn, ours


def _shortest(works: tuple[Work, ...], seconds: float) -> list[float]:
    for work in works:
        work()
    times = [float("inf")] * len(works)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for number, work in enumerate(works):
            start = time.thread_time()
            work()
            times[number] = min(times[number], time.thread_time() - start)
    return times


if __name__ == "__main__":
    main(tyro.cli(Settings))
