"""The measured limits of the machine that the benchmarks run on."""

from dataclasses import dataclass

import torch
from torch.nn.functional import conv3d

from voltween.benchmarks.timing import Repetitions, Work, alternate
from voltween.networks import has_fast_bf16


@dataclass(frozen=True)
class Limits:
    """Best of many measurements: upper bounds for every operation of the package."""

    copy_bytes_per_second: float
    """Copying 256 MB: bytes read plus bytes written."""
    product_flops: float
    """float32 matrix product, operations per second."""
    convolution_flops: float
    """float32 3^3 convolution, 64 to 64 channels on 32^3 voxels."""
    bf16_product_flops: float | None
    """bfloat16 matrix product; None if the processor has no fast one."""

    @property
    def flops(self) -> float:
        """The larger of the two float32 figures, operations per second."""
        return max(self.product_flops, self.convolution_flops)


def measure_limits(repetitions: Repetitions) -> Limits:
    """Measures memory bandwidth and arithmetic with the current number of threads."""
    elements, side = 64 * 1024 * 1024, 1536
    source, target = torch.ones(elements), torch.zeros(elements)
    contenders: dict[str, Work] = {
        "copy": lambda: target.copy_(source),
        "product": _product(side, torch.float32),
        "convolution": _convolution(),
    }
    if has_fast_bf16():
        contenders["bf16"] = _product(side, torch.bfloat16)
    best = {
        name: timing.minimum
        for name, timing in alternate(contenders, repetitions).items()
    }
    return Limits(
        copy_bytes_per_second=2 * 4 * elements / best["copy"],
        product_flops=2 * side**3 / best["product"],
        convolution_flops=2 * 27 * 64 * 64 * 32**3 / best["convolution"],
        bf16_product_flops=2 * side**3 / best["bf16"] if "bf16" in best else None,
    )


def _product(side: int, dtype: torch.dtype) -> Work:
    left, right = torch.ones(2, side, side, dtype=dtype)
    return lambda: left @ right


def _convolution() -> Work:
    features, kernel = torch.ones(1, 64, 32, 32, 32), torch.ones(64, 64, 3, 3, 3)

    def work() -> object:
        with torch.inference_mode():
            return conv3d(features, kernel, padding=1)

    return work
