"""Gradient descent on one pair: its steps, its end, and reports of its progress."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

# Adam's epsilon, in units of a gradient summed over the voxels of one parameter:
# smaller gradients are rounding and hardly move the parameter.
_NO_GRADIENT = 0.03
# Gradients below this are nothing but rounding. Equal images would move along them, as
# every step overshoots there.
_ROUNDING = 1e-5
_DECAYS = 0.9, 0.999  # of the mean gradient and of its square
_RECENT_STEPS = 8


class Step(NamedTuple):
    """The progress of a refinement after one step."""

    part: str
    """"affine" or "dense"."""
    level: int
    """Number of the level, from 1."""
    levels: int
    """Number of levels of this part."""
    step: int
    """Number of the step in this level, from 1."""
    steps: int
    """Most steps that this level takes."""
    similarity_loss: float
    """Remaining difference of the images: smaller means more alike."""


@dataclass(frozen=True)
class Watch:
    """Receives every step of a search, and limits its time."""

    on_step: Callable[[Step], object] = lambda step: None
    deadline: float | None = None
    """Time at which the search ends, in seconds of `time.perf_counter`; None: never."""

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.perf_counter() >= self.deadline


class Losses(NamedTuple):
    """The losses of one step, as tensors from which gradients can be taken."""

    total: Float[Tensor, ""]
    """The loss that is minimized."""
    similarity: Float[Tensor, ""]
    """The part of it that compares the images."""


class Evaluation(NamedTuple):
    """The losses of one step, and the gradient of the total loss."""

    total: float
    similarity: float
    gradient: Float[Tensor, "*n"]
    """With respect to the parameters, times a factor.

    The loss is a mean over voxels or control points. Their number as the factor makes
    the gradient of a parameter independent of the size of the grid.
    """


def differentiate(
    losses: Losses, parameters: Float[Tensor, "*n"], scale: float
) -> Evaluation:
    """Takes the gradient of losses that were computed from the parameters."""
    gradient = torch.autograd.grad(scale * losses.total, parameters)[0]
    return Evaluation(losses.total.item(), losses.similarity.item(), gradient)


def pull_back(
    gradients: Sequence[Tensor], *, through: Sequence[Tensor], to: Tensor
) -> Tensor:
    """Takes the gradient with respect to `to` from those with respect to `through`.

    The same as PyTorch's `grad` with outer gradients, for which PyTorch imports SymPy.
    """
    products = [(a * b).sum() for a, b in zip(through, gradients, strict=True)]
    return torch.autograd.grad(torch.stack(products).sum(), to)[0]


@dataclass(frozen=True)
class Descent:
    """Adam for a limited number of steps; ends early when the loss hardly falls."""

    steps: int
    """Most steps."""
    step_size: float
    """About the largest change of a parameter in one step."""
    tolerance: float
    """Least gain in total loss, mean of the last 8 steps against the 8 before them."""

    def run(
        self,
        parameters: Float[Tensor, "*n"],
        evaluate: Callable[[int], Evaluation],
        *,
        on_step: Callable[[int, float], object],
        watch: Watch,
    ) -> None:
        """Moves the parameters, in place, to where the total loss is small.

        `evaluate` is called with the number of the step from 0, `on_step` with that
        from 1 and the similarity loss.
        """
        optimizer = _Adam(parameters.detach(), self.step_size)
        totals: list[float] = []
        for step in range(self.steps):
            if watch.is_over or _has_settled(totals, self.tolerance):
                return
            current = evaluate(step)
            optimizer.move(current.gradient)
            totals.append(current.total)
            on_step(step + 1, current.similarity)


class _Adam:
    """Adam on one tensor, which it moves in place.

    PyTorch's own imports the compiler of PyTorch at its first step: 2 seconds.

    References:
        Kingma, Ba 2015, Adam: a method for stochastic optimization, arXiv:1412.6980.
    """

    def __init__(self, parameters: Float[Tensor, "*n"], step_size: float) -> None:
        self._parameters, self._step_size = parameters, step_size
        self._mean, self._square = (torch.zeros_like(parameters) for _ in range(2))
        self._spread = torch.empty_like(parameters)
        self._steps = 0

    def move(self, gradient: Float[Tensor, "*n"]) -> None:
        """Takes one step against a gradient."""
        self._steps += 1
        gradient = functional.hardshrink(gradient, _ROUNDING)
        bias, square_bias = (1 - decay**self._steps for decay in _DECAYS)
        self._mean.lerp_(gradient, 1 - _DECAYS[0])
        self._square.mul_(_DECAYS[1]).addcmul_(gradient, gradient, value=1 - _DECAYS[1])
        torch.sqrt(self._square, out=self._spread)
        self._spread.div_(square_bias**0.5).add_(_NO_GRADIENT)
        self._parameters.addcdiv_(
            self._mean, self._spread, value=-self._step_size / bias
        )


def _has_settled(totals: Sequence[float], tolerance: float) -> bool:
    """Whether recent steps gained less than the tolerance over those before them."""
    if len(totals) < 2 * _RECENT_STEPS:
        return False
    recent = totals[-_RECENT_STEPS:]
    before = totals[-2 * _RECENT_STEPS : -_RECENT_STEPS]
    return sum(before) - sum(recent) < tolerance * _RECENT_STEPS
