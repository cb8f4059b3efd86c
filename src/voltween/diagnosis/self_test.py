"""The self-test: operations, models, and a registration with a known answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jaxtyping import Float

from voltween import io
from voltween.models import load_model, shipped_models, weights_digest
from voltween.ops import warp
from voltween.refinement import FAST_ALONE
from voltween.registration import register
from voltween.spatial import Affine, Grid, Image

_VOXELS = 24, 20, 16
_SHAPE, _SPACING_MM = (44, 48, 40), 4.0
_RADII_MM = np.array([62.0, 76.0, 58.0])
_BLOBS, _SEED = 40, 1
_MOST_ERROR_MM = 2.0  # half a voxel
_MOST_DIFFERENCE = 1e-4  # of a warped image with values from 0 to 1


@dataclass(frozen=True)
class Check:
    """One part of the self-test and how it went."""

    name: str
    has_passed: bool
    finding: str
    """The measured figure, or the error."""
    seconds: float


def run_check(name: str) -> Check:
    """Runs one of `CHECKS`; any error is a check that has not passed.

    Packages whose versions do not fit each other fail in any way.
    """
    start, threads = time.perf_counter(), torch.get_num_threads()
    torch.set_num_threads(1)  # several would wait for each other on a busy machine
    try:
        has_passed, finding = CHECKS[name]()
    except Exception as error:
        has_passed, finding = False, f"{type(error).__name__}: {error}"
    finally:
        torch.set_num_threads(threads)
    return Check(name, has_passed, finding, time.perf_counter() - start)


def _check_operations() -> tuple[bool, str]:
    """Warps by one voxel and a half along an axis, for which the answer is known."""
    image = torch.rand(_VOXELS, generator=torch.Generator().manual_seed(_SEED))
    flow = torch.zeros(1, 3, *_VOXELS)
    flow[:, 1] = 1.5
    moved = warp(image[None, None], flow)[0, 0, :, :-2]
    expected = (image[:, 1:-1] + image[:, 2:]) / 2
    difference = float((moved - expected).abs().max())
    return difference < _MOST_DIFFERENCE, f"{difference:.0e} from the known answer"


def _check_models() -> tuple[bool, str]:
    """Loads the shipped models."""
    names = [name for name, _ in shipped_models()]
    for name in names:
        load_model(name)
    digests = ", ".join(f"{name} {weights_digest(name)[:8]}" for name in names)
    return bool(names), digests or "no models are shipped"


def _check_registration() -> tuple[bool, str]:
    """Registers phantoms with a known transform; writes and reads the answer."""
    fixed, moving, truth = _phantoms()
    registration = register(fixed, moving, model=None, refinement=FAST_ALONE)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "fixed_to_moving.h5"
        io.write(registration.fixed_to_moving, path)
        transform = io.read_transform(path)
    positions = fixed.grid.voxel_centers_mm()[fixed.data > 0]
    distances = transform.map_positions(positions) - truth.map_positions(positions)
    error = float(np.linalg.norm(distances, axis=-1).mean())
    text = f"mean error {error:.2f} mm with voxels of {_SPACING_MM:g} mm"
    return error <= _MOST_ERROR_MM, text


def _phantoms() -> tuple[Image, Image, Affine]:
    """Two scans of one ellipsoid with blobs, and the transform from fixed to moving."""
    grid = Grid.centered(
        _SHAPE,
        center_mm=np.zeros(3),
        spacing_mm=(_SPACING_MM,) * 3,
        directions=np.eye(3),
    )
    truth = _pose()
    positions = grid.voxel_centers_mm()
    moving = _intensity(truth.inverse().map_positions(positions.reshape(-1, 3)))
    fixed = _intensity(positions.reshape(-1, 3))
    return (
        Image(fixed.reshape(_SHAPE).astype(np.float32), grid),
        Image(moving.reshape(_SHAPE).astype(np.float32), grid),
        truth,
    )


def _pose() -> Affine:
    """A rotation by 8 degrees about the long axis, a stretch, and a shift by 6 mm."""
    angle = np.deg2rad(8)
    matrix = np.eye(4)
    matrix[:2, :2] = [
        [np.cos(angle), -np.sin(angle)],
        [np.sin(angle), np.cos(angle)],
    ]
    matrix[:3, :3] *= [1.05, 0.96, 1.02]
    matrix[:3, 3] = 6, -4, 3
    return Affine(matrix)


def _intensity(positions_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """The phantom's intensity at positions: 0 outside of the ellipsoid."""
    random = np.random.default_rng(_SEED)
    centers = random.uniform(-0.6, 0.6, (_BLOBS, 3)) * _RADII_MM
    widths, heights = random.uniform(6, 16, _BLOBS), random.uniform(-0.5, 0.8, _BLOBS)
    values = np.ones(len(positions_mm))
    for center, width, height in zip(centers, widths, heights, strict=True):
        squares = ((positions_mm - center) ** 2).sum(-1)
        values += height * np.exp(-squares / (2 * width**2))
    radius = np.linalg.norm(positions_mm / _RADII_MM, axis=-1)
    return np.clip(values, 0.2, None) * np.clip((1 - radius) * 12, 0, 1)


CHECKS: dict[str, Callable[[], tuple[bool, str]]] = {
    "operations": _check_operations,
    "models": _check_models,
    "registration": _check_registration,
}
"""The parts of the self-test, by name: whether it has passed, and what was found."""
