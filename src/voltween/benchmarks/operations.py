"""Times of every operation of the package and of its plain PyTorch form."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from voltween.benchmarks import naive
from voltween.benchmarks.refinement_operations import Gradients, refinement_cases
from voltween.benchmarks.timing import Repetitions, Timing, Work, alternate
from voltween.benchmarks.workloads import smooth_flow, smooth_image
from voltween.losses import (
    correlation_loss,
    local_correlation_loss,
    mutual_information,
    total_variation_loss,
)
from voltween.ops import (
    compose,
    jacobian_determinant,
    joint_histogram,
    spread,
    warp,
)
from voltween.spatial import DisplacementField, Grid

Operation = Callable[..., Tensor]
_SAMPLED_VOXELS = 4096
_SHARPNESS = 20.0
_BINS = 32
_TOLERANCE = 1e-3  # voxels
_INVERSE = "inverse of a displacement field"


@dataclass(frozen=True)
class OperationResult:
    """Times of one operation, forward only or with the gradients of all inputs."""

    name: str
    is_backward: bool
    timings: dict[str, Timing]
    """Times of `voltween` and of `plain PyTorch`."""
    difference: float
    """Largest difference of the results (backward: of the gradients), divided by the
    largest value unless that is 0."""


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
            prepare = _with_gradients if is_backward else _forward
            forms = (prepare(form, case.inputs) for form in (case.ours, case.plain))
            yield _measure(case.name, tuple(forms), is_backward, repetitions)
    yield _measure(_INVERSE, _inversions(side), False, repetitions)
    flow = 0.3 * smooth_flow(side, seed=3)
    images = (smooth_image(side, seed=seed) for seed in (1, 2))
    for name, both in refinement_cases(flow, *images).items():
        yield _measure(name, both, True, repetitions)


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
            "spreading of control points",
            partial(spread, shape=flow.shape[2:]),
            partial(naive.naive_spread, shape=flow.shape[2:]),
            (flow[..., ::2, ::2, ::2].contiguous(),),
        ),
        _Case(
            f"joint histogram, {_BINS} bins",
            partial(joint_histogram, bins=_BINS),
            partial(naive.naive_joint_histogram, bins=_BINS),
            (image / 6 + 0.5, other / 6 + 0.5, torch.ones_like(image)),
        ),
        _Case(
            f"mutual information, {_SAMPLED_VOXELS} voxels",
            partial(mutual_information, sharpness=_SHARPNESS),
            partial(naive.naive_mutual_information, decay=_SHARPNESS),
            (_sampled(image), _sampled(other)),
        ),
    ]


def _inversions(side: int) -> tuple[Gradients, Gradients]:
    """Inversions of a flow that ends at the border, where the two forms differ."""
    rise = torch.linspace(0, torch.pi, side).sin()
    flow = 0.2 * smooth_flow(side, seed=3) * rise[:, None, None] * rise[:, None] * rise
    field = DisplacementField.from_flow(
        flow[0].numpy(), Grid((side, side, side), np.eye(4))
    )

    def ours() -> tuple[Tensor, ...]:
        inverse, _ = field.inverse_with_residuals()
        return (torch.tensor(inverse.vectors_mm),)

    def plain() -> tuple[Tensor, ...]:
        inverse = naive.naive_inverse(flow, tolerance=_TOLERANCE)
        return (inverse[0].permute(1, 2, 3, 0),)

    return ours, plain


def _sampled(image: Tensor) -> Tensor:
    step = max(1, image.numel() // _SAMPLED_VOXELS)
    return image.flatten(1)[:, ::step][:, :_SAMPLED_VOXELS].contiguous()


def _measure(
    name: str,
    forms: tuple[Gradients, ...],
    is_backward: bool,
    repetitions: Repetitions,
) -> OperationResult:
    contenders = dict(zip(("voltween", "plain PyTorch"), forms, strict=True))
    ours, plain = (work() for work in contenders.values())
    difference = max(map(_relative_difference, ours, plain))
    timings = alternate(dict[str, Work](contenders), repetitions)
    return OperationResult(name, is_backward, timings, difference)


def _forward(operation: Operation, inputs: tuple[Tensor, ...]) -> Gradients:
    def work() -> tuple[Tensor, ...]:
        with torch.inference_mode():
            return (operation(*inputs),)

    return work


def _with_gradients(operation: Operation, inputs: tuple[Tensor, ...]) -> Gradients:
    # The time includes the forward pass: an operation may compute part of its gradient
    # there, so only the sum is fair.
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    weights = torch.ones_like(operation(*inputs))

    def work() -> tuple[Tensor, ...]:
        return torch.autograd.grad(operation(*leaves), leaves, weights)

    return work


def _relative_difference(ours: Tensor, plain: Tensor) -> float:
    largest = float(plain.abs().max())
    return float((ours - plain).abs().max()) / (largest or 1)
