"""Compares displacement fields read linearly and as cubic B-splines, on `val` pairs.

    python runs/smooth_fields.py brain_ixi/cases.csv --model brain

Prints for every pair: Dice, the standard deviation of the log Jacobian and the
percentage of folds on the fixed scan's grid; the quilt, which is the change of the log
Jacobian between samples on both sides of a plane of voxels over that elsewhere, on a
grid four times as fine; and how far linear reading is from the spline in mm, when the
field is stored on its own voxels, or on voxels two or four times as narrow (95th
percentile and largest).
"""

from dataclasses import dataclass

import numpy as np
import tyro
from shared import Manifest, val_pairs

from voltween.metrics import dice_per_label, measure_regularity
from voltween.models import load_model
from voltween.refinement import ACCURATE
from voltween.registration import register
from voltween.spatial import (
    DisplacementField,
    Grid,
    LabelMap,
    SplineField,
    Transform,
    jacobian_determinant,
    labels_in_common,
)

FINE = 4
BLOCK_VOXELS = 20


@dataclass(frozen=True)
class Scores:
    """Figures of one transform."""

    dice: float
    sd_log_jacobian: float
    folding_percent: float
    quilt: float


@dataclass(frozen=True)
class SmoothFields:
    """Compare displacement fields read linearly and as cubic B-splines."""

    manifest: Manifest
    """Cohort with labels."""
    model: str
    """Model by name or file."""
    refine: bool = False
    """Refine the transforms accurately."""
    pairs: int = 3
    """Number of pairs, drawn as in the other scripts."""

    def run(self) -> None:
        """Measures and prints."""
        model = load_model(self.model)
        refinement = ACCURATE if self.refine else None
        for names, fixed, moving in val_pairs(self.manifest, self.pairs):
            pair = fixed[0], moving[0]
            smooth = register(*pair, model=model, refinement=refinement).fixed_to_moving
            for name, transform in (("linear", linear(smooth)), ("spline", smooth)):
                print(*names, name, scores(transform, fixed[1], moving[1]), flush=True)
            print("linear from spline, mm:", distances_mm(smooth), flush=True)


def linear(transform: Transform) -> Transform:
    """The transform with its fields read linearly between the same voxels."""
    affine, field = transform.parts()
    assert isinstance(field, SplineField)
    return affine @ DisplacementField(field.grid, field.vectors_mm)


def scores(transform: Transform, fixed: LabelMap, moving: LabelMap) -> Scores:
    """Figures of a transform on the grid of the fixed label map."""
    moved = transform.resample(moving, onto=fixed.grid)
    dice = dice_per_label(fixed.data, moved.data)
    regularity = measure_regularity(transform.determinants(fixed.grid))
    return Scores(
        float(np.mean([dice[label] for label in labels_in_common(fixed, moving)])),
        regularity.sd_log_jacobian,
        regularity.folding_percent,
        quilt(transform),
    )


def quilt(transform: Transform) -> float:
    """Largest over smallest change of log J along an axis, by place in the voxel."""
    field = transform.parts()[-1]
    grid = fine_block(field.grid, FINE)
    log = np.log(jacobian_determinant(transform, onto=grid).data.clip(0.05))
    change = np.sqrt((np.diff(log, axis=0)[1:-2] ** 2).mean(axis=(1, 2)))
    by_place = [change[n::FINE].mean() for n in range(FINE)]
    return float(max(by_place) / min(by_place))


def fine_block(grid: Grid, times: int) -> Grid:
    """Narrower voxels in the middle of a grid, none of them on a plane of voxels."""
    spacing_mm = grid.spacing_mm / times
    middle = (np.array(grid.shape) // 2).astype(float)
    return Grid.centered(
        (BLOCK_VOXELS * times,) * 3,
        center_mm=grid.voxel_to_world(middle),
        spacing_mm=tuple(spacing_mm.tolist()),
        directions=grid.affine[:3, :3] / grid.spacing_mm,
    )


def distances_mm(transform: Transform) -> dict[int, tuple[float, float]]:
    """Distance of linear reading from the spline, by how much narrower the voxels."""
    field = transform.parts()[-1]
    result = {}
    for times in (1, 2, 4):
        spacing_mm = tuple((field.grid.spacing_mm / times).tolist())
        shape = (BLOCK_VOXELS * times + 1,) * 3
        grid = Grid.centered(
            shape,
            center_mm=field.grid.voxel_to_world(np.array(field.grid.shape) // 2 * 1.0),
            spacing_mm=spacing_mm,
            directions=field.grid.affine[:3, :3] / field.grid.spacing_mm,
        )
        share = np.random.default_rng(0).uniform(0, 1, (20000, 3))
        points = grid.voxel_to_world(share * (np.array(shape) - 1))
        far = field.to_field(grid).map_positions(points) - field.map_positions(points)
        lengths = np.linalg.norm(far, axis=1)
        result[times] = float(np.percentile(lengths, 95)), float(lengths.max())
    return result


if __name__ == "__main__":
    tyro.cli(SmoothFields).run()
