"""Rotations of space: a grid of all of them, and those nearest to a matrix."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

# The two constants of the spiral: the square root of 2, and the root of
# x^4 = x + 4 (Alexa 2022, section 4).
_PHI, _PSI = math.sqrt(2), 1.533751168755204288118041


def rotation_grid(count: int) -> Float[Tensor, "n 3 3"]:
    """Returns `count` rotations spread evenly over all rotations, the identity first.

    In double precision. Super-Fibonacci spiral, turned so that it starts at the
    identity. Of 600 rotations, the nearest is at most 24 degrees away.

    References:
        Alexa 2022, Super-Fibonacci Spirals: Fast, Low-Discrepancy Sampling of SO(3),
        doi:10.1109/CVPR52688.2022.00811.
    """
    place = torch.arange(count, dtype=torch.float64) + 0.5
    first, second = 2 * math.pi * place / _PHI, 2 * math.pi * place / _PSI
    near, far = (place / count).sqrt(), (1 - place / count).sqrt()
    quaternions = torch.stack(
        [near * first.sin(), near * first.cos(), far * second.sin(), far * second.cos()]
    )
    rotations = _to_matrices(*quaternions)
    return rotations @ rotations[0].T


def rotate_by(vectors: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    """Returns the rotations about the vectors' axes by their lengths in radians."""
    zero = torch.zeros_like(vectors[:, 0])
    x, y, z = vectors.unbind(1)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return torch.linalg.matrix_exp(torch.stack(rows, dim=1).view(-1, 3, 3))


def nearest_rotation(
    matrix: Float[Tensor, "n 3 3"],
) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, " n"]]:
    """Returns the rotations R and scales s whose s R are nearest to the matrices.

    Nearest in the sum of squared differences, by singular value decomposition.
    """
    left, values, right = torch.linalg.svd(matrix)
    signs = torch.ones_like(values)
    signs[:, 2] = torch.linalg.det(left @ right).sign()
    return (left * signs[:, None]) @ right, (values * signs).mean(1)


def angles_between(
    one: Float[Tensor, "n 3 3"], other: Float[Tensor, "m 3 3"]
) -> Float[Tensor, "n m"]:
    """Returns the angle in radians between every two rotations, 0 to pi."""
    traces = torch.einsum("nij,mij->nm", one, other)
    return ((traces - 1) / 2).clamp(-1, 1).arccos()


def _to_matrices(x: Tensor, y: Tensor, z: Tensor, w: Tensor) -> Float[Tensor, "n 3 3"]:
    """Rotation matrices of unit quaternions with real part w."""
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
