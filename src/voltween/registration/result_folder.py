"""A registration on disk: images, transforms, figures, and a picture to look at."""

import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from voltween import io
from voltween.files import PathLike, whole_folder
from voltween.registration.overview import write_overview
from voltween.registration.result import Registration
from voltween.spatial import LabelMap

_ROUND_TRIP_POINTS = 2000


def write_registration(
    registration: Registration,
    out: PathLike,
    *,
    fixed_labels: LabelMap | None = None,
    moving_labels: LabelMap | None = None,
) -> dict[str, Any]:
    """Write all results into a folder; returns what registration.json says.

    The files appear together or not at all: moved.nii.gz, fixed_to_moving.h5 and
    .nii.gz (displacement field on the fixed grid), moving_to_fixed.h5, overview.png,
    registration.json, and moved_labels.nii.gz if there are moving labels.

    Raises:
        InputError: If the folder cannot be written to.
    """
    grid = registration.fixed.grid
    transform = registration.fixed_to_moving
    with whole_folder(out) as folder:
        io.write(registration.moved, folder / "moved.nii.gz")
        io.write(transform, folder / "fixed_to_moving.h5")
        io.write(registration.field, folder / "fixed_to_moving.nii.gz")
        io.write(registration.moving_to_fixed, folder / "moving_to_fixed.h5")
        if moving_labels is not None:
            moved_labels = transform.resample(moving_labels, onto=grid)
            io.write(moved_labels, folder / "moved_labels.nii.gz")
        write_overview(registration, folder / "overview.png")
        figures = _figures(registration, fixed_labels, moving_labels)
        (folder / "registration.json").write_text(json.dumps(figures, indent=1))
    return figures


def versions() -> dict[str, str]:
    """Versions of what decides a result's numbers."""
    packages = ("voltween", "torch", "SimpleITK", "numpy")
    return {name: version(name) for name in packages} | {
        "python": platform.python_version(),
        "threads": str(torch.get_num_threads()),
    }


def _figures(
    registration: Registration,
    fixed_labels: LabelMap | None,
    moving_labels: LabelMap | None,
) -> dict[str, Any]:
    refinement = registration.refinement
    figures: dict[str, Any] = {
        "model": registration.model_name,
        "refinement": refinement and asdict(refinement),
        "correlation": registration.correlation,
        "folding_percent": registration.folding_percent,
        "round_trip_error_mm": _round_trip_error_mm(registration),
    }
    if fixed_labels is not None and moving_labels is not None:
        dice = registration.dice(fixed_labels, moving_labels)
        figures["dice"] = dice
        figures["mean_dice"] = {
            stage: float(np.mean(list(values.values())))
            for stage, values in dice.items()
        }
    figures["seconds"] = registration.seconds
    figures["versions"] = versions()
    return figures


def _round_trip_error_mm(registration: Registration) -> dict[str, float]:
    """Distance from x to moving_to_fixed(fixed_to_moving(x)), over the fixed image."""
    grid = registration.fixed.grid
    voxels = np.random.default_rng(0).uniform(0, 1, (_ROUND_TRIP_POINTS, 3))
    points_mm = grid.voxel_to_world(voxels * (np.array(grid.shape) - 1))
    there = registration.fixed_to_moving.map_positions(points_mm)
    back = registration.moving_to_fixed.map_positions(there)
    distances = np.linalg.norm(back - points_mm, axis=1)
    return {"median": float(np.median(distances)), "largest": float(distances.max())}
