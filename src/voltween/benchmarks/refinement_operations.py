"""Operations of a refinement, which compute a value and its gradient in one call."""

from collections.abc import Callable

import torch
from torch import Tensor

from voltween.benchmarks import naive
from voltween.ops import (
    WarpedCorrelation,
    WarpedFeatures,
    Window,
    add_folding,
    add_variation,
)

Gradients = Callable[[], tuple[Tensor, ...]]
_WINDOW = Window(width=5, floor=naive.CONTRAST_FLOOR)
_LEAST_DETERMINANT = 0.2
_FEATURES = 12  # of MIND-SSC
_FOLDS = 4.0  # times the flow: some of its voxels fold


def refinement_cases(
    flow: Tensor, fixed: Tensor, moving: Tensor
) -> dict[str, tuple[Gradients, Gradients]]:
    """Returns the compiled and the plain form of every operation, by its name.

    Each returns the gradient with respect to the flow, which is read after an affine
    map for the images.
    """
    matrix, translation = 0.05 * torch.eye(3)[None], torch.ones(1, 3)
    numbers = torch.cat([matrix.flatten(1), translation], dim=1)
    features = _features(fixed), _features(moving)
    folding = _FOLDS * flow
    correlation = WarpedCorrelation(fixed, moving, _WINDOW)
    difference = WarpedFeatures(*features, 1.0)

    def read(image: Tensor, inner: Tensor) -> Tensor:
        return naive.naive_warp(
            image, naive.naive_affine_flow(matrix, translation, inner)
        )

    return {
        "local correlation of a warped image": (
            _adding(lambda **to: correlation.add(numbers, flow, None, **to), flow),
            _with_autograd(
                lambda inner: naive.naive_local_correlation_loss(
                    fixed, read(moving, inner), _WINDOW.width
                ),
                flow,
            ),
        ),
        "difference of 12 warped features": (
            _adding(lambda **to: difference.add(numbers, flow, None, **to), flow),
            _with_autograd(
                lambda inner: (features[0] - read(features[1], inner)).square().mean(),
                flow,
            ),
        ),
        "folding": (
            _adding(lambda **to: add_folding(folding, _LEAST_DETERMINANT, **to), flow),
            _with_autograd(_naive_folding, folding),
        ),
        "variation": (
            _adding(lambda **to: add_variation(flow, **to), flow),
            _with_autograd(_naive_variation, flow),
        ),
    }


def _features(image: Tensor) -> Tensor:
    shifted = [image.roll(shift, dims=2 + shift % 3) for shift in range(_FEATURES)]
    return torch.cat(shifted, dim=1)


def _adding(add: Callable[..., float], flow: Tensor) -> Gradients:
    def work() -> tuple[Tensor, ...]:
        gradient = torch.zeros_like(flow)
        add(scale=1.0, gradient=gradient)
        return (gradient,)

    return work


def _with_autograd(function: Callable[[Tensor], Tensor], flow: Tensor) -> Gradients:
    def work() -> tuple[Tensor, ...]:
        leaf = flow.detach().requires_grad_()
        return torch.autograd.grad(function(leaf), leaf)

    return work


def _naive_folding(flow: Tensor) -> Tensor:
    determinant = naive.naive_jacobian_determinant(flow)
    return (_LEAST_DETERMINANT - determinant).clamp_min(0).sum()


def _naive_variation(flow: Tensor) -> Tensor:
    return 3 * flow[:, 0].numel() * naive.naive_total_variation_loss(flow)
