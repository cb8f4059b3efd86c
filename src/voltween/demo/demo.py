"""The demo: simulates two individuals and registers them, without a download.

The individuals are made from the ICBM152 template in the `nilearn` package. The true
transform between them is known, so the error of the registration is measured in mm.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from voltween import io
from voltween.demo.individuals import (
    Individual,
    Individuality,
    make_individual,
    true_fixed_to_moving,
)
from voltween.models import Model
from voltween.process import require
from voltween.registration import Carried, Registration, register, write_registration
from voltween.spatial import Image, LabelMap, Points, Transform
from voltween.storage import PathLike

TISSUES = {1: "gray matter", 2: "white matter"}
_CHECKED_POINTS = 5000
_LANDMARKS = 3

FIXED = Individuality(
    seed=1,
    axes="PSR",
    spacing_mm=(1.2, 1.0, 1.5),
    tilt_degrees=(3.0, -2.0, 4.0),
    offset_mm=(5.0, -12.0, 20.0),
    gamma=1.0,
)
MOVING = Individuality(
    seed=2,
    axes="LAI",
    spacing_mm=(1.4, 1.1, 1.1),
    tilt_degrees=(-5.0, 4.0, -4.0),
    offset_mm=(-60.0, 35.0, -40.0),
    gamma=0.7,
    scan_tilt_degrees=(2.0, -3.0, 2.0),
    scan_offset_mm=(6.0, -12.0, 14.0),
    noise=0.04,
)


@dataclass(frozen=True, eq=False)
class DemoResult:
    """The registration of the demo pair, and its accuracy."""

    fixed: Individual
    moving: Individual
    registration: Registration
    dice: dict[str, dict[int, float]]
    """Dice per tissue label, before registration and after each stage."""
    error_mm: dict[str, float]
    """Mean distance to the true position over points of the brain, per stage."""
    seconds: float
    """Time to register and to compute the results, by the wall clock."""


def run_demo(model: Model, out: PathLike) -> DemoResult:
    """Simulates two individuals, registers them and writes all results to `out`.

    Raises:
        MissingPackageError: If the `nilearn` package is not installed.
        OutputError: If `out` cannot be written to.
    """
    fixed, moving = make_individuals()
    registration = register(fixed.image, moving.image, model=model).without_folding()
    figures = write_registration(
        registration, out, carried=Carried(fixed.labels, moving.labels)
    )
    for name, individual in (("fixed", fixed), ("moving", moving)):
        io.write(individual.image, Path(out) / f"{name}.nii.gz")
        io.write(individual.labels, Path(out) / f"{name}_labels.nii.gz")
    landmarks = _landmarks(fixed)
    io.write(landmarks, Path(out) / "fixed_landmarks.csv")
    truth = true_fixed_to_moving(fixed, moving)
    io.write(truth.map_points(landmarks), Path(out) / "moving_landmarks.csv")
    return DemoResult(
        fixed,
        moving,
        registration,
        registration.dice(fixed.labels, moving.labels),
        _error_mm(registration, fixed.labels, truth),
        sum(figures["seconds"]["wall"].values()),
    )


def make_individuals() -> tuple[Individual, Individual]:
    """Makes the fixed and the moving individual, each with its scan and its tissues.

    Raises:
        MissingPackageError: If the `nilearn` package is not installed.
    """
    template, tissues = icbm152()
    return (
        make_individual(template, tissues, FIXED),
        make_individual(template, tissues, MOVING),
    )


def icbm152() -> tuple[Image, LabelMap]:
    """Returns the skull-stripped ICBM152 2009a T1 template and its tissues (`TISSUES`).

    Raises:
        MissingPackageError: If the `nilearn` package, which has it, is not installed.
    """
    image, gray, white = icbm152_maps()
    highest = max(gray.data.max(), white.data.max())
    tissues = np.where(white.data > highest / 2, 2, gray.data > highest / 2)
    return image, LabelMap(tissues.astype(np.uint8), image.grid)


def icbm152_maps() -> tuple[Image, Image, Image]:
    """Reads the ICBM152 2009a T1 template and its maps of gray and white matter.

    Raises:
        MissingPackageError: If the `nilearn` package, which has it, is not installed.
    """
    require("nilearn", extra="demo", purpose="the demo, for the ICBM152 template")
    folder = Path(str(files("nilearn") / "datasets" / "data"))
    image, gray, white = (
        io.read(folder / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz")
        for kind in ("t1", "gm", "wm")
    )
    return image, gray, white


def _landmarks(fixed: Individual) -> Points:
    """Points of the fixed individual's brain, RAS+ mm, with known true positions."""
    voxels = np.argwhere(fixed.labels.data > 0)
    chosen = voxels[np.linspace(0, len(voxels) - 1, _LANDMARKS + 2).astype(int)[1:-1]]
    return Points(fixed.labels.grid.voxel_to_world(chosen.astype(float)))


def _error_mm(
    registration: Registration, brain: LabelMap, truth: Transform
) -> dict[str, float]:
    """Mean distance to the true position over points of the brain, per stage."""
    voxels = np.argwhere(brain.data > 0)
    chosen = np.random.default_rng(0).choice(len(voxels), _CHECKED_POINTS)
    points_mm = brain.grid.voxel_to_world(voxels[chosen].astype(float))
    true_mm = truth.map_positions(points_mm)
    return {
        name: float(
            np.linalg.norm(transform.map_positions(points_mm) - true_mm, axis=1).mean()
        )
        for name, transform in registration.tweening.items()
    }
