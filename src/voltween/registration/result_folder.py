"""A registration on disk: images, transforms, figures, and an overview picture."""

import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from voltween import io
from voltween.files import PathLike, whole_folder
from voltween.registration.overview import write_overview
from voltween.registration.result import Registration
from voltween.registration.timing import timing
from voltween.spatial import LabelMap

_ROUND_TRIP_POINTS = 2000


def write_registration(
    registration: Registration,
    out: PathLike,
    *,
    fixed_labels: LabelMap | None = None,
    moving_labels: LabelMap | None = None,
    jacobian: bool = False,
) -> dict[str, Any]:
    """Writes all results into a folder; returns the content of registration.json.

    The files appear together or not at all: moved.nii.gz, fixed_to_moving.h5 and
    .nii.gz (displacement field on the fixed grid), moving_to_fixed.h5, overview.png,
    registration.json, moved_labels.nii.gz if there are moving labels, and, if wanted,
    jacobian.nii.gz (local volume in the moving over that in the fixed scan).

    Raises:
        OutputError: If the folder cannot be written to.
        InputError: If the label maps have no label in common.
    """
    with whole_folder(out) as folder:
        seconds = _write_transforms(registration, folder)
        if moving_labels is not None:
            moved_labels = registration.fixed_to_moving.resample(
                moving_labels, onto=registration.fixed.grid
            )
            io.write(moved_labels, folder / "moved_labels.nii.gz")
        write_overview(
            registration,
            folder / "overview.png",
            fixed_labels=fixed_labels,
            moving_labels=moving_labels,
        )
        if jacobian:
            io.write(registration.jacobian, folder / "jacobian.nii.gz")
        figures = {
            **_quality(registration),
            **_overlap(registration, fixed_labels, moving_labels),
            "seconds": {**registration.seconds, **seconds},
            "versions": versions(),
        }
        (folder / "registration.json").write_text(json.dumps(figures, indent=1))
    return figures


def versions() -> dict[str, str]:
    """Versions of the software that determines a result's numbers."""
    packages = ("voltween", "torch", "SimpleITK", "numpy")
    return {name: version(name) for name in packages} | {
        "python": platform.python_version(),
        "threads": str(torch.get_num_threads()),
    }


def _write_transforms(registration: Registration, folder: Path) -> dict[str, float]:
    """Writes image and transforms; returns the seconds that computing each took.

    A part that was read before is kept in the registration and takes none.
    """
    seconds: dict[str, float] = {}
    with timing(seconds, "resampling"):
        moved = registration.moved
    with timing(seconds, "field"):
        field = registration.field
    with timing(seconds, "inverse"):
        moving_to_fixed = registration.moving_to_fixed
    io.write(moved, folder / "moved.nii.gz")
    io.write(registration.fixed_to_moving, folder / "fixed_to_moving.h5")
    io.write(field, folder / "fixed_to_moving.nii.gz")
    io.write(moving_to_fixed, folder / "moving_to_fixed.h5")
    return seconds


def _quality(registration: Registration) -> dict[str, Any]:
    refinement = registration.refinement
    return {
        "model": registration.model_name,
        "refinement": refinement and asdict(refinement),
        "correlation": registration.correlation,
        "folding_percent": registration.folding_percent,
        "round_trip_error_mm": _round_trip_error_mm(registration),
    }


def _overlap(
    registration: Registration, fixed: LabelMap | None, moving: LabelMap | None
) -> dict[str, Any]:
    """Dice per structure and its mean, after each stage; nothing without labels."""
    if fixed is None or moving is None:
        return {}
    dice = registration.dice(fixed, moving)
    mean = {
        stage: float(np.mean(list(per_label.values())))
        for stage, per_label in dice.items()
    }
    return {"dice": dice, "mean_dice": mean}


def _round_trip_error_mm(registration: Registration) -> dict[str, float]:
    """Distance from x to moving_to_fixed(fixed_to_moving(x)), over the fixed image."""
    grid = registration.fixed.grid
    shares = np.random.default_rng(0).uniform(0, 1, (_ROUND_TRIP_POINTS, 3))
    points_mm = grid.voxel_to_world(shares * (np.array(grid.shape) - 1))
    moved_mm = registration.fixed_to_moving.map_positions(points_mm)
    returned_mm = registration.moving_to_fixed.map_positions(moved_mm)
    distances = np.linalg.norm(returned_mm - points_mm, axis=1)
    return {"median": float(np.median(distances)), "largest": float(distances.max())}
