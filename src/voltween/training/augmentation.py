"""Augmentation of training images: random pose, smooth deformation, intensities."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from voltween.errors import check_range
from voltween.ops import compose_affine

_BIAS_CONTROL_POINTS = 4

_MOST_CONTROL_POINTS = 100
# Of logarithms and shares, far above values of use: e^10 is 22 000.
_MOST = {
    "displacement": 1.0,
    "rotation_degrees": 180.0,
    "scaling": 10.0,
    "translation": 1.0,
    "gamma": 10.0,
    "bias": 10.0,
    "noise": 10.0,
}


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random variations of training images; zeros switch them off.

    Raises:
        InputError: If a number is out of range.
    """

    deforms_fixed: bool = False
    """Vary pose and shape of the fixed image too, not only of the moving image."""
    displacement: float = 0.1
    """Largest displacement of a control point, as a share of each side of the grid."""
    control_points: int = 5
    """Control points of the cubic B-spline field along each axis."""
    draws: Literal["scaled", "cubes"] = "scaled"
    """Displacements of the control points: all of a field scaled by the square of one
    random number, so that many fields are small; or each the cube of a random number,
    so that most control points of every field move little (RCN)."""
    rotation_degrees: float = 0.0
    """Largest rotation."""
    scaling: float = 0.0
    """Largest logarithm of the scale factor, drawn per axis."""
    translation: float = 0.0
    """Largest shift, as a share of each side of the grid."""
    gamma: float = 0.0
    """Largest logarithm of the exponent of the intensities, for both images."""
    bias: float = 0.0
    """Largest logarithm of a smooth factor on the intensities, for both images: the
    bias field of an MR coil."""
    noise: float = 0.0
    """Largest standard deviation of Gaussian noise, for both images, as a share of the
    intensity range."""

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            check_range(name, getattr(self, name), 0, most)
        check_range("control_points", self.control_points, 1, _MOST_CONTROL_POINTS)


def augment_intensities(
    image: Float[Tensor, "1 i j k"], config: Augmentation, rng: np.random.Generator
) -> Float[Tensor, "1 i j k"]:
    """Varies intensities of 0 to 1 by a random power, bias field and noise; 0 to 1."""
    image = image ** float(np.exp(config.gamma * rng.uniform(-1, 1)))
    if config.bias > 0:
        control = config.bias * rng.uniform(-1, 1, (1, *(_BIAS_CONTROL_POINTS,) * 3))
        image = image * bspline_field(control, image.shape[1:])[0].exp()
    if config.noise > 0:
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        image = image + config.noise * rng.uniform() * torch.from_numpy(noise)
    return image.clamp(0, 1)


def random_flow(
    shape: tuple[int, ...] | torch.Size, config: Augmentation, rng: np.random.Generator
) -> Float[Tensor, "1 3 i j k"]:
    """Draws a flow in voxels: a random affine map after a random B-spline flow."""
    from scipy.spatial.transform import Rotation  # slow to import, for training only

    sides = np.array(shape)
    rotation = Rotation.from_rotvec(
        np.radians(config.rotation_degrees) * _in_ball(rng)
    ).as_matrix()
    scales = np.exp(config.scaling * rng.uniform(-1, 1, 3))
    translation = config.translation * rng.uniform(-1, 1, 3) * sides
    bspline = bspline_field(_control_displacements(shape, config, rng), shape)
    return compose_affine(
        torch.from_numpy(rotation * scales - np.eye(3)).float()[None],
        torch.from_numpy(translation).float()[None],
        bspline,
    )


def bspline_field(
    control: Float[np.ndarray, "n a b c"], shape: tuple[int, ...] | torch.Size
) -> Float[Tensor, "1 n i j k"]:
    """Uniform cubic B-spline whose control points span a grid of the given shape."""
    bases = [
        _bspline_basis(voxels, points)
        for voxels, points in zip(shape, control.shape[1:], strict=True)
    ]
    field = np.einsum("ia,jb,kc,nabc->nijk", *bases, control, optimize=True)
    return torch.from_numpy(field).float()[None]


def _control_displacements(
    shape: tuple[int, ...] | torch.Size, config: Augmentation, rng: np.random.Generator
) -> Float[np.ndarray, "3 a b c"]:
    largest = config.displacement * np.array(shape)
    size = (3, *(config.control_points,) * 3)
    if config.draws == "cubes":
        return largest[:, None, None, None] * rng.uniform(-1, 1, size) ** 3
    # The square favors small deformations.
    amplitude = rng.uniform(0, 1) ** 2 * largest
    return rng.uniform(-1, 1, size) * amplitude[:, None, None, None]


def _bspline_basis(voxels: int, points: int) -> Float[np.ndarray, "voxels points"]:
    positions = np.linspace(0, points - 1, voxels)[:, None]
    centers = np.arange(-1, points + 1)[None]
    distance = np.abs(positions - centers)
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance).clip(0) ** 3 / 6
    weights = np.where(distance < 1, near, far)
    # One more control point on each side, equal to the outermost.
    weights[:, 1] += weights[:, 0]
    weights[:, -2] += weights[:, -1]
    return weights[:, 1:-1]


def _in_ball(rng: np.random.Generator) -> Float[np.ndarray, " 3"]:
    direction = rng.standard_normal(3)
    return direction / np.linalg.norm(direction) * rng.uniform()
