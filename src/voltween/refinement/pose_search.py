"""The pose of one scan relative to another, searched among all rotations.

A rigid transform is found without a start: all rotations of a grid are scored on wide
voxels with all shifts; the best of them are refined by gradient descent. Poses are
compared by their local correlation: where the scans see different parts of a body, the
correlation ratio, which drives the descent, prefers poses that overlap by little. No
step depends on the contrast or the foreground.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween.errors import InputError
from voltween.refinement.descent import (
    Descent,
    Evaluation,
    Losses,
    Watch,
    differentiate,
)
from voltween.refinement.pair_tensors import PairTensors, SideTensors
from voltween.refinement.pose_similarity import PoseSimilarity, seen_shares
from voltween.refinement.rotations import angles_between, rotate_by, rotation_grid
from voltween.refinement.shift_search import ShiftSearch

_ROTATIONS = 600
# Voxels along the longest side, of each step.
_SHIFT_VOXELS, _SEARCH_VOXELS, _DESCENT_VOXELS, _RANKING_VOXELS = 10, 16, 24, 32
_SHIFTED = 300  # poses kept after the shifts
_DESCENTS = ((24, 10, 0.6), (6, 8, 0.3), (4, 8, 0.2))  # poses, steps, voxels per step
_LEAST_ANGLE = 0.26  # between poses that count as different, in radians
_BATCH = 64
_GRADIENT_SCALE = 10.0


class Pose(NamedTuple):
    """The rigid map x -> x + A x + b, with x in voxels from the grid's center."""

    matrix: Float[Tensor, "1 3 3"]
    """A, without unit: a rotation less the identity."""
    translation: Float[Tensor, "1 3"]
    """b, in voxels of the pair's grid, fixed to moving."""
    score: float
    """Local squared correlation of the images on wide voxels, 0 to 1."""


class _Poses(NamedTuple):
    """Rigid maps R x + b of the pair's grid."""

    rotation: Float[Tensor, "n 3 3"]
    translation: Float[Tensor, "n 3"]

    def take(self, rows: list[int] | Tensor) -> "_Poses":
        return _Poses(self.rotation[rows], self.translation[rows])


def search_poses(pair: PairTensors, *, keep: int = 3) -> tuple[Pose, ...]:
    """Finds up to `keep` rigid poses of a pair on cubic voxels, best first.

    The contrast of the scans may differ. Only the first channel is compared, where the
    masks say that both scans see something. The poses differ by at least 15 degrees;
    there are 4 of them at most. The search runs on the CPU.

    Raises:
        InputError: If the pair's voxels are not cubic.
    """
    if max(pair.spacing) > 1.001 * min(pair.spacing):
        raise InputError(
            about="voxels of the pose search", expected="cubes", got=pair.spacing
        )
    with torch.no_grad():
        poses = _search_all_rotations(pair)
    level = _Level(pair, _DESCENT_VOXELS)
    for count, steps, step_voxels in _DESCENTS:
        poses = poses.take(_different(poses)[:count])
        poses = level.descend(poses, steps, step_voxels)
        with torch.no_grad():
            scores = level.local_correlation(poses)
        poses = poses.take(scores.argsort(descending=True))
    with torch.no_grad():
        scores = _Level(pair, _RANKING_VOXELS).local_correlation(poses)
    order = scores.argsort(descending=True)
    poses, scores = poses.take(order), scores[order]
    device = pair.fixed.image.device
    return tuple(
        Pose(pose.matrix.to(device), pose.translation.to(device), pose.score)
        for pose in (_to_pose(poses, row, scores) for row in _different(poses)[:keep])
    )


def _to_pose(poses: _Poses, row: int, scores: Tensor) -> Pose:
    rotation, translation = poses.take([row])
    matrix = rotation - torch.eye(3, dtype=rotation.dtype)
    return Pose(matrix.float(), translation.float(), scores[row].item())


def _search_all_rotations(pair: PairTensors) -> _Poses:
    """The best poses of the first pass, from the best to the worst."""
    level = _Level(pair, _SHIFT_VOXELS, is_cube=True)
    poses = level.best_shifts(rotation_grid(_ROTATIONS))
    level = _Level(pair, _SEARCH_VOXELS)
    return poses.take(level.local_correlation(poses).argsort(descending=True))


def _different(poses: _Poses) -> list[int]:
    """Rows of poses, each turned by a least angle against all before it."""
    is_near = angles_between(poses.rotation, poses.rotation) < _LEAST_ANGLE
    rows: list[int] = []
    for row in range(len(poses.rotation)):
        if not is_near[row, rows].any():
            rows.append(row)
    return rows


class _Level:
    """The pair on wider voxels, with similarities and descents of its poses."""

    def __init__(
        self, pair: PairTensors, longest: int, *, is_cube: bool = False
    ) -> None:
        self._factor = -(-max(pair.shape) // longest)
        missing = [-n % self._factor for n in pair.shape]
        if is_cube:
            side = max(n + m for n, m in zip(pair.shape, missing, strict=True))
            missing = [side - n for n in pair.shape]
        fixed, moving = (_extend(side, missing) for side in (pair.fixed, pair.moving))
        self.pair = PairTensors(fixed, moving).shrink(self._factor)
        # The center of the grid moves by half of what is added to its end.
        self._offset = torch.tensor(missing, dtype=torch.float64) / 2
        self._similarity = PoseSimilarity(self.pair)
        self._half = max(self.pair.shape) / 2

    def best_shifts(self, rotations: Float[Tensor, "n 3 3"]) -> _Poses:
        """The best shift of each rotation, and the best of these poses."""
        score, translation = ShiftSearch(self.pair).run(rotations)
        order = score.argsort(descending=True)[:_SHIFTED]
        rotations, translation = rotations[order], translation[order] * self._factor
        matrix = rotations - torch.eye(3, dtype=torch.float64)
        return _Poses(rotations, translation - matrix @ self._offset)

    def local_correlation(self, poses: _Poses) -> Float[Tensor, " n"]:
        return self._in_batches(self._similarity.local_correlation, poses)

    def descend(self, poses: _Poses, steps: int, step_voxels: float) -> _Poses:
        """Refines each pose for itself, by the correlation ratio."""
        count = len(poses.rotation)
        parameters = torch.zeros(count, 6, dtype=torch.float64, requires_grad=True)

        def evaluate(step: int) -> Evaluation:
            affine = self._to_affine(self._move(poses, parameters))
            loss = 1 - self._similarity.correlation_ratio(*affine).mean()
            return differentiate(
                Losses(loss, loss), parameters, _GRADIENT_SCALE * count
            )

        Descent(steps, step_voxels, tolerance=0.0).run(
            parameters, evaluate, on_step=lambda step, loss: None, watch=Watch()
        )
        return self._move(poses, parameters.detach())

    def _move(self, poses: _Poses, parameters: Float[Tensor, "n 6"]) -> _Poses:
        """Poses turned and shifted by displacements in voxels of this level."""
        turn = rotate_by(parameters[:, :3] / self._half)
        shift = parameters[:, 3:] * self._factor
        return _Poses(
            turn @ poses.rotation, (turn @ poses.translation[..., None])[..., 0] + shift
        )

    def _in_batches(
        self, measure: Callable[[Tensor, Tensor], Tensor], poses: _Poses
    ) -> Float[Tensor, " n"]:
        matrix, translation = self._to_affine(poses)
        batches = zip(matrix.split(_BATCH), translation.split(_BATCH), strict=True)
        return torch.cat([measure(*batch) for batch in batches])

    def _to_affine(self, poses: _Poses) -> tuple[Tensor, Tensor]:
        """Matrix and translation of the flow, in voxels of this level."""
        matrix = poses.rotation - torch.eye(3, dtype=torch.float64)
        translation = poses.translation + matrix @ self._offset
        return matrix.float(), (translation / self._factor).float()


def _extend(side: SideTensors, missing: list[int]) -> SideTensors:
    """The first image and its mask, with voxels outside the mask at the end."""
    padding = [n for size in reversed(missing) for n in (0, size)]
    image = functional.pad(side.image[:, :1].cpu(), padding, mode="replicate")
    return SideTensors(image, functional.pad(seen_shares(side).cpu(), padding))
