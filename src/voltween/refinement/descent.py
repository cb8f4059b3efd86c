"""Gradient descent on one pair: when it ends, and what it tells while it runs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

_NO_GRADIENT = (
    0.03  # less, where a parameter stands for its voxels, is no reason to move
)
_RECENT_STEPS = 8


class Step(NamedTuple):
    """Where a refinement stands."""

    part: str
    """"affine" or "dense"."""
    level: int
    """From 1."""
    levels: int
    step: int
    """Of this level, from 1."""
    steps: int
    similarity_loss: float
    """What the images still differ by: smaller is more alike."""


@dataclass(frozen=True)
class Watch:
    """Who is told of every step, and when all has to end."""

    on_step: Callable[[Step], object] = lambda step: None
    deadline: float | None = None
    """In seconds of `time.perf_counter`; None: no hurry."""

    @property
    def is_over(self) -> bool:
        """Whether the time is used up."""
        return self.deadline is not None and time.perf_counter() >= self.deadline


class Losses(NamedTuple):
    """What one step looks at: all that is minimized, and the images' part of it."""

    total: Float[Tensor, ""]
    similarity: Float[Tensor, ""]


@dataclass(frozen=True)
class Descent:
    """Adam for at most so many steps, ended early where nothing is gained any more."""

    steps: int
    step_size: float
    """How far a parameter moves in a step, at most about."""
    gradient_scale: float
    """How many voxels' or control points' mean the loss is, for each parameter."""
    tolerance: float
    """What the last 8 steps have to gain over the 8 before them, in total loss."""

    def run(
        self,
        parameters: Float[Tensor, "*n"],
        losses: Callable[[int], Losses],
        *,
        on_step: Callable[[int, float], object],
        watch: Watch,
    ) -> None:
        """Move the parameters, in place, to where the total loss is small.

        `losses` is asked with the number of the step, from 0.
        """
        optimizer = torch.optim.Adam([parameters], lr=self.step_size, eps=_NO_GRADIENT)
        totals: list[float] = []
        for step in range(self.steps):
            if watch.is_over or _has_settled(totals, self.tolerance):
                return
            optimizer.zero_grad()
            found = losses(step)
            (self.gradient_scale * found.total).backward()
            optimizer.step()
            totals.append(found.total.item())
            on_step(step + 1, found.similarity.item())


def _has_settled(totals: Sequence[float], tolerance: float) -> bool:
    """Whether recent steps gained less than the tolerance over those before them."""
    if len(totals) < 2 * _RECENT_STEPS:
        return False
    recent, before = (
        totals[-_RECENT_STEPS:],
        totals[-2 * _RECENT_STEPS : -_RECENT_STEPS],
    )
    return sum(before) - sum(recent) < tolerance * _RECENT_STEPS
