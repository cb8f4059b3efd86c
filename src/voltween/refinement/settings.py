"""Refinement: how a transform is sought on the pair itself, and the usual ways.

See `pair_search` for what it does.
"""

import math
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal, NamedTuple

from voltween.errors import InputError
from voltween.losses import Similarity


class AffineLevel(NamedTuple):
    """One pass of the search for the affine part."""

    shrink: int
    """Images on voxels that many times as wide."""
    steps: int
    """At most: it ends before, where nothing is gained any more."""
    step_voxels: float
    """How far the border moves in a step, at most about."""


class Level(NamedTuple):
    """One pass of the search for the dense part."""

    control_voxels: int
    """Distance of the control points; between them the update is linear."""
    steps: int
    """At most: it ends before, where nothing is gained any more."""
    step_voxels: float
    """How far a control point moves in a step, at most about."""
    shrink: int = 1
    """Images on voxels that many times as wide; all lengths here are in these."""


@dataclass(frozen=True)
class Refinement:
    """How a transform is sought on the pair itself.

    Raises:
        InputError: If there is no level, a number is out of range, or the symmetric
            variant is asked for without velocities.
    """

    levels: tuple[Level, ...]
    """One after the other, each from where the one before ended."""
    affine_levels: tuple[AffineLevel, ...] = ()
    """Before them, likewise; without any the affine part stays as it is."""
    similarity: Similarity = "local correlation"
    window_voxels: int = 5
    """Side of the cubes of the local correlation: an odd number."""
    channel_weights: tuple[float, ...] = ()
    """Of the images, where there are several a side; 1 where it ends."""
    update_variation: float = 1.0
    """Weight of the total variation (eq. 10) of each level's update."""
    folding: float = 10.0
    """Weight of what the Jacobian determinant lacks to 0.2, mean over the voxels."""
    overlap: float = 1.0
    """Weight of 1 - Dice of structures, where label maps are given."""
    landmarks: float = 0.1
    """Weight of the landmarks' mean distance in voxels, where landmarks are given."""
    diffeomorphic: bool = False
    """Seek a stationary velocity field, whose exponential has an inverse."""
    symmetric: bool = False
    """Compare the images in both directions; for velocity fields."""
    spacing_mm: float | Literal["own"] | None = None
    """Voxel size to search on: "own" is the fixed scan's; None that of the model."""
    tolerance: float = 1e-4
    """A level ends when its last 8 steps gained less than this over the 8 before."""
    seconds: float | None = None
    """End when so long has passed since the registration began; None: no hurry."""

    def __post_init__(self) -> None:
        self._check_levels()
        if self.window_voxels < 1 or self.window_voxels % 2 == 0:
            raise InputError(
                f"window_voxels must be odd and at least 1, got {self.window_voxels}"
            )
        if not all(0 < weight < math.inf for weight in self.channel_weights):
            raise InputError(
                f"channel_weights must be > 0 and finite, got {self.channel_weights}"
            )
        for name in ("seconds", "spacing_mm"):
            value = getattr(self, name)
            if isinstance(value, int | float) and not 0 < value < math.inf:
                raise InputError(f"{name} must be > 0 and finite, got {value}")
        if self.symmetric and not self.diffeomorphic:
            raise InputError("symmetric needs velocities: give diffeomorphic, too")

    def _check_levels(self) -> None:
        if not self.levels:
            raise InputError("refinement needs levels of its dense part, got none")
        levels: list[AffineLevel | Level] = [*self.levels, *self.affine_levels]
        for level in levels:
            if min(level.shrink, level.steps) < 1 or level.step_voxels <= 0:
                raise InputError(
                    "refinement needs levels of at least 1 step > 0 on voxels at least "
                    f"as wide as the grid's, got {level}"
                )
        if any(level.control_voxels < 1 for level in self.levels):
            raise InputError(
                "refinement needs control points at least 1 voxel apart, got "
                f"{self.levels}"
            )

    @property
    def widest(self) -> int:
        """Of the levels' shrinking: sides of the grid have to be multiples of it."""
        dense = max(level.shrink for level in self.levels)
        return max([dense, *(level.shrink for level in self.affine_levels)])

    @property
    def steps(self) -> int:
        """Of all levels of the dense part, at most."""
        return sum(level.steps for level in self.levels)

    def with_steps(self, steps: int) -> "Refinement":
        """The same with that many steps in all, shared among the dense levels.

        Raises:
            InputError: If there are fewer steps than levels.
        """
        if steps < len(self.levels):
            raise InputError(
                f"refinement has {len(self.levels)} levels and needs as many steps, "
                f"got {steps}"
            )
        free = steps - len(self.levels)  # every level has at least one
        ends = list(accumulate(level.steps for level in self.levels))
        shares = [1 + free * end // self.steps for end in ends]
        levels = [
            level._replace(steps=1 + end - begin)
            for level, end, begin in zip(
                self.levels, shares, [1, *shares], strict=False
            )
        ]
        return replace(self, levels=tuple(levels))
