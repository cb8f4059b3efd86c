"""Times of every operation of the package and of its plain PyTorch form."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from voltween.benchmarks import naive
from voltween.benchmarks.timing import Repetitions, Timing, Work, alternate
from voltween.benchmarks.workloads import smooth_flow, smooth_image
from voltween.losses import (
    correlation_loss,
    local_correlation_loss,
    mutual_information,
    total_variation_loss,
)
from voltween.ops import compose, jacobian_determinant, warp

Operation = Callable[..., Tensor]
_SAMPLED_VOXELS = 4096
_SHARPNESS = 20.0


@dataclass(frozen=True)
class OperationResult:
    """Times of one operation, forward only or with the gradients of all inputs."""

    name: str
    is_backward: bool
    timings: dict[str, Timing]
    """Times of `voltween` and of `plain PyTorch`."""
    difference: float
    """Largest difference of the results (backward: of the gradients), divided by the
    largest value."""


@dataclass(frozen=True)
class _Case:
    name: str
    ours: Operation
    plain: Operation
    inputs: tuple[Tensor, ...]


def measure_operations(
    side: int, repetitions: Repetitions
) -> Iterator[OperationResult]:
    """Measures every operation on a cube of `side` voxels, forward and backward."""
    for case in _cases(side):
        for is_backward in (False, True):
            yield _measure(case, is_backward, repetitions)


def _cases(side: int) -> list[_Case]:
    image, other = smooth_image(side, seed=1), smooth_image(side, seed=2)
    flow, inner = smooth_flow(side, seed=3), smooth_flow(side, seed=4)
    three = torch.cat([image, other, image + other], dim=1)
    return [
        _Case("warp, 1 channel", warp, naive.naive_warp, (image, flow)),
        _Case("warp, 3 channels", warp, naive.naive_warp, (three, flow)),
        _Case("composition", compose, naive.naive_compose, (flow, inner)),
        _Case(
            "correlation",
            correlation_loss,
            naive.naive_correlation_loss,
            (image, other),
        ),
        _Case(
            "local correlation",
            local_correlation_loss,
            naive.naive_local_correlation_loss,
            (image, other),
        ),
        _Case(
            "total variation",
            total_variation_loss,
            naive.naive_total_variation_loss,
            (flow,),
        ),
        _Case(
            "Jacobian determinant",
            jacobian_determinant,
            naive.naive_jacobian_determinant,
            (flow,),
        ),
        _Case(
            f"mutual information, {_SAMPLED_VOXELS} voxels",
            partial(mutual_information, sharpness=_SHARPNESS),
            partial(naive.naive_mutual_information, decay=_SHARPNESS),
            (_sampled(image), _sampled(other)),
        ),
    ]


def _sampled(image: Tensor) -> Tensor:
    step = max(1, image.numel() // _SAMPLED_VOXELS)
    return image.flatten(1)[:, ::step][:, :_SAMPLED_VOXELS].contiguous()


def _measure(
    case: _Case, is_backward: bool, repetitions: Repetitions
) -> OperationResult:
    prepare = _with_gradients if is_backward else _forward
    contenders: dict[str, Callable[[], tuple[Tensor, ...]]] = {
        "voltween": prepare(case.ours, case.inputs),
        "plain PyTorch": prepare(case.plain, case.inputs),
    }
    ours, plain = (work() for work in contenders.values())
    difference = max(map(_relative_difference, ours, plain))
    timings = alternate(dict[str, Work](contenders), repetitions)
    return OperationResult(case.name, is_backward, timings, difference)


def _forward(
    operation: Operation, inputs: tuple[Tensor, ...]
) -> Callable[[], tuple[Tensor, ...]]:
    def work() -> tuple[Tensor, ...]:
        with torch.inference_mode():
            return (operation(*inputs),)

    return work


def _with_gradients(
    operation: Operation, inputs: tuple[Tensor, ...]
) -> Callable[[], tuple[Tensor, ...]]:
    # The time includes the forward pass: an operation may compute part of its gradient
    # there, so only the sum is fair.
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    weights = torch.ones_like(operation(*inputs))

    def work() -> tuple[Tensor, ...]:
        return torch.autograd.grad(operation(*leaves), leaves, weights)

    return work


def _relative_difference(ours: Tensor, plain: Tensor) -> float:
    return float((ours - plain).abs().max() / plain.abs().max())
