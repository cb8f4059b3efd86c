"""The numbers that describe an affine part, for each kind of transform.

All are displacements in voxels of the grid's center and border, so that one step size
suits them all.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.ops import FlowParts
from voltween.refinement.rotations import nearest_rotation, rotate_by

_SHIFT = 0.15  # of the starts, as a share of the grid's sides
_ROTATION = 0.35  # of the starts, in radians


class FreeParameters:
    """Any affine map: displacements of the three faces' centers and of the center."""

    def __init__(self, parts: FlowParts, half: Float[Tensor, " 3"]) -> None:
        self._half = half
        faces = parts.matrix[0] * half
        self.start = torch.cat([faces.flatten(), parts.translation[0]])

    def to_affine(self, parameters: Float[Tensor, "n 12"]) -> tuple[Tensor, Tensor]:
        """Returns A (n, 3, 3) and b (n, 3), in voxels of the grid."""
        return parameters[:, :9].reshape(-1, 3, 3) / self._half, parameters[:, 9:]

    def offsets(self) -> Float[Tensor, "13 12"]:
        """No offset, then a shift along and a rotation about each axis, both ways."""
        offsets = self.start.new_zeros(13, 12)
        for axis in range(3):
            one, other = (axis + 1) % 3, (axis + 2) % 3
            for row, sign in ((1 + 2 * axis, 1.0), (2 + 2 * axis, -1.0)):
                turn = sign * _ROTATION
                offsets[row, 9 + axis] = sign * _SHIFT * 2 * self._half[axis]
                offsets[row + 6, 3 * one + other] = -turn * self._half[other]
                offsets[row + 6, 3 * other + one] = turn * self._half[one]
        return offsets


class RigidParameters:
    """Rotations of the start about the center, shifts and, if asked for, a scale.

    Rotation and scale are exact in physical lengths, in double precision. The start is
    the rotation, or the scaled rotation, nearest to the given matrix.
    """

    def __init__(
        self,
        parts: FlowParts,
        half: Float[Tensor, " 3"],
        *,
        spacing: tuple[float, float, float],
        has_scale: bool,
    ) -> None:
        self._sides = torch.tensor(spacing, dtype=torch.float64, device=half.device)
        self._half = half.double()
        self._reach = self._half.mean()
        linear = parts.matrix[0].double() + torch.eye(3, device=half.device)
        linear = self._sides[:, None] * linear / self._sides
        rotation, scale = nearest_rotation(linear[None])
        self._rotation = rotation[0] * (scale if has_scale else 1)
        shift = parts.translation[0].double()
        self.start = torch.cat([shift, shift.new_zeros(4 if has_scale else 3)])

    def to_affine(self, parameters: Float[Tensor, "n p"]) -> tuple[Tensor, Tensor]:
        """Returns A (n, 3, 3) and b (n, 3), in voxels of the grid."""
        turn = rotate_by(parameters[:, 3:6] / self._reach)
        scale = (parameters[:, 6:].sum(1) / self._reach).exp()
        linear = scale[:, None, None] * turn @ self._rotation
        linear = linear / self._sides[:, None] * self._sides
        return linear - torch.eye(3, device=linear.device), parameters[:, :3]

    def offsets(self) -> Float[Tensor, "13 p"]:
        """No offset, then a shift along and a rotation about each axis, both ways."""
        offsets = self.start.new_zeros(13, len(self.start))
        for axis in range(3):
            for row, sign in ((1 + 2 * axis, 1.0), (2 + 2 * axis, -1.0)):
                offsets[row, axis] = sign * _SHIFT * 2 * self._half[axis]
                offsets[row + 6, 3 + axis] = sign * _ROTATION * self._reach
        return offsets


AffineParameters = FreeParameters | RigidParameters
"""A way to describe affine maps A x + b of a grid by rows of parameters."""
