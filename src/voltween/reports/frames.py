"""The volumes that a report shows: fixed scan, moving scan per stage, and overlays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import UInt8

from voltween.figures import (
    FIXED_OUTLINE,
    FOLD_COLOR,
    LARGEST_LOG_JACOBIAN,
    MOST_STRUCTURES,
    MOVED_OUTLINE,
    Window,
)
from voltween.reports.deformation import Deformation, folds_on
from voltween.reports.pair import RegisteredPair
from voltween.reports.sprites import exact_sprite, sprite
from voltween.spatial import Affine, Grid, LabelMap, Transform

COLORS = {"fixed": FIXED_OUTLINE, "moved": MOVED_OUTLINE, "fold": FOLD_COLOR}
"""Colors of the overlays and of their legend."""

Levels = UInt8[np.ndarray, "i j k"]


@dataclass(frozen=True, eq=False)
class Frames:
    """A pair as gray levels on the grid on which it is shown."""

    pair: RegisteredPair
    grid: Grid

    @cached_property
    def fixed(self) -> Levels:
        """The fixed scan."""
        shown = Affine.identity().resample(self.pair.fixed, onto=self.grid)
        return Window.of(self.pair.fixed).levels(shown.data)

    @cached_property
    def moved(self) -> dict[str, Levels]:
        """The moving scan after every stage, before any stage first."""
        window = Window.of(self.pair.moving)
        *early, last = self.pair.tweening.items()
        shown = {
            name: transform.resample(self.pair.moving, onto=self.grid)
            for name, transform in early
        }
        # The last one was resampled already.
        shown[last[0]] = Affine.identity().resample(self.pair.moved, onto=self.grid)
        return {name: window.levels(image.data) for name, image in shown.items()}

    @cached_property
    def structures(self) -> list[int]:
        """The labels that are outlined: the largest ones of the fixed scan."""
        pair = self.pair
        labels = pair.moving_labels if pair.fixed_labels is None else pair.fixed_labels
        if labels is None:
            return []
        values, counts = np.unique(labels.data, return_counts=True)
        by_size = values[np.argsort(-counts, kind="stable")]
        return [int(value) for value in by_size if value != 0][:MOST_STRUCTURES]

    def outlines(
        self, labels: LabelMap | None, transform: Transform
    ) -> dict[str, Any] | None:
        """The moved structures as bytes: 1 for the first one, and so on.

        None if there are no structures.
        """
        if labels is None or not self.structures:
            return None
        moved = transform.resample(labels, onto=self.grid).data
        codes = np.zeros(moved.shape, np.uint8)
        for code, structure in enumerate(self.structures, start=1):
            codes += (moved == structure) * np.uint8(code)
        return exact_sprite(codes).as_dict()


def viewer_data(frames: Frames, names: Mapping[int, str]) -> dict[str, Any]:
    """Everything that the script of the viewer shows, as plain values for JSON.

    `names` are those of structures by label.
    """
    pair, grid = frames.pair, frames.grid
    deformation = Deformation.of(grid, pair.tweening["before"])
    folds = folds_on(pair.jacobian, grid)
    return {
        "shape": grid.shape,
        "voxel_to_mm": grid.affine[:3].tolist(),
        "to_moving_mm": deformation.start.matrix[:3].tolist(),
        "coarse": deformation.coarse.shape,
        "coarse_voxels": float(deformation.coarse.spacing_mm[0] / grid.spacing_mm[0]),
        "largest_log_jacobian": LARGEST_LOG_JACOBIAN,
        "colors": COLORS,
        "fixed": sprite(frames.fixed).as_dict(),
        "fixed_labels": frames.outlines(pair.fixed_labels, Affine.identity()),
        "structures": [names.get(n, str(n)) for n in frames.structures],
        "folds": None if folds is None else exact_sprite(_bytes(folds)).as_dict(),
        "stages": _stages(frames, deformation),
    }


def _stages(frames: Frames, deformation: Deformation) -> Sequence[dict[str, Any]]:
    pair = frames.pair
    return [
        {
            "name": name,
            "moved": sprite(frames.moved[name]).as_dict(),
            "labels": frames.outlines(pair.moving_labels, transform),
            **deformation.describe(transform),
        }
        for name, transform in pair.tweening.items()
    ]


def _bytes(mask: np.ndarray) -> Levels:
    return mask.astype(np.uint8) * np.uint8(255)
