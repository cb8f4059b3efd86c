"""Processor time per voxel of the work that is done at every voxel of a scan.

    OMP_NUM_THREADS=1 python runs/voxel_costs.py

A spline of 100 x 100 x 80 voxels after an affine map is read at 100 x 256 x 200 voxels,
along the axes of the spline and turned by about a degree. The last lines are Dice of
1000 labels at 256 x 256 x 256 voxels, and the search for the labels in common.
"""

import time
from collections.abc import Callable

import numpy as np

from voltween.metrics import dice_per_label
from voltween.spatial import (
    Affine,
    Grid,
    Image,
    LabelMap,
    SplineField,
    labels_in_common,
    resample_smoothly,
)

_REPEATS = 3
_SIDE, _LABELS = 256, 1000
_SPLINE_SHAPE, _SHAPE = (100, 100, 80), (100, 256, 200)


def main() -> None:
    """Prints one line per kind of work."""
    rng = np.random.default_rng(0)
    spline_grid = Grid(_SPLINE_SHAPE, np.diag([2.6, 2.6, 3.2, 1.0]))
    spline = SplineField(spline_grid, 0.2 * rng.normal(size=(*_SPLINE_SHAPE, 3)))
    affine = Affine(np.diag([1.01, 1.02, 0.99, 1.0]))
    turn = np.eye(4)
    turn[:3, :3] += [[0, 0.01, 0], [0, 0, 0.01], [0.01, 0, 0]]
    placed = np.diag([0.7, 0.7, 1.0, 1.0])
    placed[:3, 3] = 21, 21, 30
    image = Image(rng.random(_SHAPE), Grid(_SHAPE, placed))
    transforms = {
        "affine": affine,
        "spline along the axes": affine @ spline,
        "spline at an angle": affine @ spline @ Affine(turn),
    }
    everywhere = np.ones(_SHAPE, bool)
    for name, transform in transforms.items():
        kinds: dict[str, Callable[[], object]] = {
            "length of displacement": lambda t=transform: t.lengths_mm(
                image.grid, everywhere
            ),
            "displacement": lambda t=transform: t.displacements_mm(image.grid),
            "Jacobian determinant": lambda t=transform: t.determinants(image.grid),
            "resampling": lambda t=transform: t.resample(image, onto=image.grid),
        }
        for kind, work in kinds.items():
            print(f"{kind}, {name}: {_nanoseconds(work, image.data.size):.0f} ns")
    wide = Grid((20, 50, 40), placed @ np.diag([5.0, 5.0, 5.0, 1.0]))
    nanoseconds = _nanoseconds(
        lambda: resample_smoothly(image, onto=wide), image.data.size
    )
    print(f"smoothing: {nanoseconds:.0f} ns")
    _print_dice(rng)


def _print_dice(rng: np.random.Generator) -> None:
    blocks = rng.integers(0, _LABELS + 1, (_SIDE // 8,) * 3).astype(np.int16)
    fixed = np.kron(blocks, np.ones((8, 8, 8), np.int16))
    grid = Grid(fixed.shape, np.eye(4))
    maps = LabelMap(fixed, grid), LabelMap(np.roll(fixed, 2, axis=0), grid)
    one, other = (labels.data for labels in maps)
    dice = 1e-9 * _nanoseconds(lambda: dice_per_label(one, other), 1)
    common = 1e-9 * _nanoseconds(lambda: labels_in_common(*maps), 1)
    print(f"Dice of {_LABELS} labels: {dice:.2f} s; labels in common: {common:.2f} s")


def _nanoseconds(work: Callable[[], object], voxels: int) -> float:
    """The least processor time per voxel of some repetitions."""
    taken = []
    for _ in range(_REPEATS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return 1e9 * min(taken) / voxels


if __name__ == "__main__":
    main()
